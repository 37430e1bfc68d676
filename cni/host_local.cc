#include "cni/host_local.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

#include "base/file.h"
#include "cni/ip_allocator.h"
#include "cni/ip_store.h"

namespace podroute {
namespace {

CniError StoreError(const Status& status) {
  return ToCniError(CniErrorCode::kStore, status,
                    "is the file system of ipam.dataDir writable and not full?");
}

CniError NoAddress(std::string message, std::string details) {
  return CniError{CniErrorCode::kAddressUnavailable, std::nullopt, std::move(message),
                  std::move(details)};
}

std::string Describe(const RangeSet& set) {
  std::string text;
  for (const IpRange& range : set) {
    if (!text.empty()) text += ", ";
    text += range.first.ToString() + "-" + range.last.ToString();
  }
  return text;
}

// The next free address of `set`, not reserved yet. A few looks at single files first, which is all
// it takes in a store that is not nearly full; then all names at once.
Result<std::optional<IpAddress>> FindFree(const IpStore& store, const RangeSet& set,
                                          const std::optional<IpAddress>& last) {
  constexpr int kLooks = 64;
  AddressWalk walk(set, last);
  for (int look = 0; look < kLooks; ++look) {
    std::optional<IpAddress> address = walk.Next();
    if (!address) return std::optional<IpAddress>();
    PODROUTE_ASSIGN_OR_RETURN(bool reserved, store.IsReserved(*address));
    if (!reserved) return address;
  }
  PODROUTE_ASSIGN_OR_RETURN(std::vector<IpAddress> taken, store.Addresses());
  while (std::optional<IpAddress> address = walk.Next()) {
    if (!std::binary_search(taken.begin(), taken.end(), *address)) return address;
  }
  return std::optional<IpAddress>();
}

CniOr<IpAddress> TakeRequested(IpStore& store, const RangeSet& set, size_t index,
                               const IpAddress& requested, const CniAttachment& owner) {
  if (!IsAllocatable(set, requested)) {
    return NoAddress("requested address " + requested.ToString() + " is the gateway's", "");
  }
  Result<bool> reserved = store.Reserve(requested, owner, index);
  if (!reserved.ok()) return StoreError(reserved.status());
  if (!*reserved) {
    return NoAddress("requested address " + requested.ToString() + " is taken",
                     "ask for another, or remove the container that has it");
  }
  return requested;
}

CniOr<IpAddress> TakeNext(IpStore& store, const RangeSet& set, size_t index,
                          const CniAttachment& owner) {
  std::optional<IpAddress> last = store.LastReserved(index);
  while (true) {
    Result<std::optional<IpAddress>> found = FindFree(store, set, last);
    if (!found.ok()) return StoreError(found.status());
    if (!*found) {
      return NoAddress("no free address in " + Describe(set),
                       "every address is reserved; widen the range, or remove pods");
    }
    IpAddress address = **found;
    Result<bool> reserved = store.Reserve(address, owner, index);
    if (!reserved.ok()) return StoreError(reserved.status());
    if (*reserved) return address;
    last = address;  // Somebody writes into the store without its lock: go on behind it.
  }
}

// nameserver, domain, search and options lines, as resolv.conf(5) has them.
CniOr<CniDns> ReadResolvConf(const std::string& path) {
  Result<std::string> content = ReadFile(path, 1 << 20);
  if (!content.ok())
    return ToCniError(CniErrorCode::kIoFailure, content.status(), "ipam.resolvConf");
  CniDns dns;
  std::string_view rest(*content);
  while (!rest.empty()) {
    size_t end = std::min(rest.find('\n'), rest.size());
    std::string_view line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    std::vector<std::string> words;
    while (true) {
      size_t first = line.find_first_not_of(" \t\r");
      if (first == std::string_view::npos) break;
      line.remove_prefix(first);
      size_t size = std::min(line.find_first_of(" \t\r"), line.size());
      words.emplace_back(line.substr(0, size));
      line.remove_prefix(size);
    }
    if (words.size() < 2 || words[0][0] == '#' || words[0][0] == ';') continue;
    std::string key = words[0];
    words.erase(words.begin());
    auto append = [&](std::vector<std::string>& to) {
      to.insert(to.end(), words.begin(), words.end());
    };
    if (key == "nameserver") dns.nameservers.push_back(words[0]);
    if (key == "domain") dns.domain = words[0];
    if (key == "search") append(dns.search);
    if (key == "options") append(dns.options);
  }
  return dns;
}

}  // namespace

CniOr<CniResult> HostLocalAdd(const IpamConf& conf, const std::string& network,
                              const CniAttachment& owner) {
  CniResult result;
  result.routes = conf.routes;
  if (!conf.resolv_conf.empty()) {
    CniOr<CniDns> dns = ReadResolvConf(conf.resolv_conf);
    if (!dns.ok()) return dns.error();
    result.dns = *dns;
  }
  RequestedIps requested = AssignRequested(conf.range_sets, conf.requested);
  if (!requested.left_over.empty()) {
    return NoAddress("requested address " + requested.left_over[0].ToString() + " is in no range",
                     "ask for one that ipam.ranges holds, and one for each set at most");
  }
  Result<IpStore> store = IpStore::Open(conf.data_dir, network);
  if (!store.ok()) return StoreError(store.status());
  std::vector<IpAddress> had = store->LinkedAddressesOf(owner);
  if (!had.empty()) {
    return NoAddress(
        had[0].ToString() + " is already " + owner.container_id + "'s " + owner.interface,
        "the runtime must call DEL before it calls ADD again");
  }
  std::vector<IpAddress> taken;
  for (size_t i = 0; i < conf.range_sets.size(); ++i) {
    const RangeSet& set = conf.range_sets[i];
    CniOr<IpAddress> address = requested.by_set[i]
                                   ? TakeRequested(*store, set, i, *requested.by_set[i], owner)
                                   : TakeNext(*store, set, i, owner);
    if (!address.ok()) {
      // Undone as far as can be; the error to tell is the first one.
      for (const IpAddress& given : taken) (void)store->Release(given, owner);
      return address.error();
    }
    taken.push_back(*address);
    const IpRange* range = RangeOf(set, *address);
    result.ips.push_back({{*address, range->subnet.length()}, range->gateway, std::nullopt});
  }
  store->Link(owner, taken);
  return result;
}

CniProblem HostLocalDel(const IpamConf& conf, const std::string& network,
                        const CniAttachment& owner) {
  Result<IpStore> store = IpStore::OpenExisting(conf.data_dir, network);
  if (!store.ok()) {
    if (store.status().code() == StatusCode::kNotFound) return std::nullopt;
    return StoreError(store.status());
  }
  Status released = store->ReleaseAll(owner);
  if (!released.ok()) return StoreError(released);
  return std::nullopt;
}

CniProblem HostLocalCheck(const IpamConf& conf, const std::string& network,
                          const CniAttachment& owner, const std::vector<IpAddress>& addresses) {
  auto missing = [&](const std::string& what) {
    return CniError{CniErrorCode::kCheckFailed, std::nullopt,
                    what + " is not reserved for " + owner.container_id + "'s " + owner.interface,
                    "restart the pod: its address may be given to another one"};
  };
  Result<IpStore> store = IpStore::OpenExisting(conf.data_dir, network);
  if (!store.ok()) {
    if (store.status().code() == StatusCode::kNotFound) return missing("an address");
    return StoreError(store.status());
  }
  Result<std::vector<IpAddress>> had = store->AddressesOf(owner);
  if (!had.ok()) return StoreError(had.status());
  if (had->empty()) return missing("an address");
  for (const IpAddress& address : addresses) {
    if (std::find(had->begin(), had->end(), address) == had->end()) {
      return missing(address.ToString());
    }
  }
  return std::nullopt;
}

CniProblem HostLocalStatus(const IpamConf& conf, const std::string& network) {
  auto unavailable = [](const CniError& why) {
    return CniError{CniErrorCode::kUnavailable, std::nullopt, why.message, why.details};
  };
  Result<IpStore> store = IpStore::Open(conf.data_dir, network);
  if (!store.ok()) return unavailable(StoreError(store.status()));
  Status writable = store->CheckWritable();
  if (!writable.ok()) return unavailable(StoreError(writable));
  for (size_t i = 0; i < conf.range_sets.size(); ++i) {
    Result<std::optional<IpAddress>> free =
        FindFree(*store, conf.range_sets[i], store->LastReserved(i));
    if (!free.ok()) return unavailable(StoreError(free.status()));
    if (!*free) {
      return unavailable(NoAddress("no free address in " + Describe(conf.range_sets[i]),
                                   "every address is reserved; widen the range, or remove pods"));
    }
  }
  return std::nullopt;
}

CniOr<std::vector<CniAttachment>> HostLocalStale(const IpamConf& conf, const std::string& network,
                                                 const std::vector<CniAttachment>& valid) {
  std::vector<CniAttachment> stale;
  Result<IpStore> store = IpStore::OpenExisting(conf.data_dir, network);
  if (!store.ok()) {
    if (store.status().code() == StatusCode::kNotFound) return stale;
    return StoreError(store.status());
  }
  Result<std::vector<Reservation>> all = store->All();
  if (!all.ok()) return StoreError(all.status());
  for (const Reservation& reservation : *all) {
    const CniAttachment& owner = reservation.owner;
    bool listed = std::any_of(valid.begin(), valid.end(), [&](const CniAttachment& attachment) {
      return attachment.container_id == owner.container_id &&
             (owner.interface.empty() || attachment.interface == owner.interface);
    });
    if (!listed && std::find(stale.begin(), stale.end(), owner) == stale.end()) {
      stale.push_back(owner);
    }
  }
  return stale;
}

}  // namespace podroute
