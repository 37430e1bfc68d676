#include "cni/host_local.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

#include "base/file.h"
#include "cni/ip_allocator.h"
#include "cni/ip_store.h"
#include "cni/reclaim.h"

namespace podroute {
namespace {

CniError StoreError(const Status& status) {
  if (status.code() == StatusCode::kDeadlineExceeded) {
    return ToCniError(CniErrorCode::kTryAgainLater, status,
                      "lslocks(8) shows which process; it may hang");
  }
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
// it takes in a store that is not nearly full; then by the bitmaps of what is taken.
Result<std::optional<IpAddress>> FindFree(IpStore& store, const RangeSet& set,
                                          const std::optional<IpAddress>& last) {
  constexpr int kLooks = 64;
  std::optional<AddressWalk> walk(std::in_place, set, last);
  for (int look = 0; look < kLooks; ++look) {
    std::optional<IpAddress> address = walk->Next();
    if (!address) return address;
    PODROUTE_ASSIGN_OR_RETURN(bool reserved, store.IsReserved(*address));
    if (!reserved) return address;
  }
  for (bool reread : {false, true}) {
    if (reread) {
      PODROUTE_RETURN_IF_ERROR(store.RereadTaken());
      walk.emplace(set, last);
    }
    int look = 0;  // Somebody else may write here too, and the bitmaps be out of date.
    while (std::optional<IpAddress> address = walk->Next()) {
      PODROUTE_ASSIGN_OR_RETURN(std::optional<IpAddress> end, store.EndOfTakenRun(*address));
      if (end) {
        walk->SkipTo(*end);
        continue;
      }
      PODROUTE_ASSIGN_OR_RETURN(bool reserved, store.IsReserved(*address));
      if (!reserved) return address;
      if (!reread && ++look == kLooks) break;
    }
  }
  return std::optional<IpAddress>();
}

CniError NoFreeAddress(const RangeSet& set) {
  return NoAddress("no free address in " + Describe(set),
                   "every address is reserved; widen the range, or remove pods");
}

// One call's work on the locked store.
class Allocation {
 public:
  Allocation(IpStore& store, const IpamConf& conf, const std::string& network,
             const CniAttachment& owner, HostView* host)
      : store_(store), conf_(conf), network_(network), owner_(owner), host_(host) {}

  // An address of each set, reserved.
  CniOr<std::vector<IpAddress>> Take(const RequestedIps& requested) {
    if (host_ != nullptr) ReclaimOnceABoot(store_, network_, *host_);
    std::vector<IpAddress> had = store_.LinkedAddressesOf(owner_);
    if (!had.empty() && ReclaimAll()) had = store_.LinkedAddressesOf(owner_);
    if (!had.empty()) {
      return NoAddress(
          had[0].ToString() + " is already " + owner_.container_id + "'s " + owner_.interface,
          "the runtime must call DEL before it calls ADD again");
    }
    constexpr int kTries = 100;
    for (int i = 0; i < kTries; ++i) {
      CniOr<std::vector<IpAddress>> chosen = Choose(requested);
      if (!chosen.ok()) return chosen.error();
      Result<bool> reserved = Reserve(*chosen);
      if (!reserved.ok()) return StoreError(reserved.status());
      if (*reserved) return chosen;
    }
    return CniError{CniErrorCode::kTryAgainLater, std::nullopt,
                    "another program keeps reserving the same addresses",
                    "it does not take the lock in ipam.dataDir"};
  }

  CniOr<IpAddress> ChooseNext(size_t set) {
    while (true) {
      Result<std::optional<IpAddress>> found =
          FindFree(store_, conf_.range_sets[set], store_.LastReserved(set));
      if (!found.ok()) return StoreError(found.status());
      if (*found) return **found;
      if (!ReclaimAll()) return NoFreeAddress(conf_.range_sets[set]);
    }
  }

 private:
  // Whether anything came back. Once: what is left then is in use.
  bool ReclaimAll() {
    if (host_ == nullptr || reclaimed_) return false;
    reclaimed_ = true;
    return Reclaim(store_, network_, *host_, ReclaimScope::kEverything) > 0;
  }

  CniOr<IpAddress> ChooseRequested(const RangeSet& set, const IpAddress& requested) {
    if (!IsAllocatable(set, requested)) {
      return NoAddress("requested address " + requested.ToString() + " is the gateway's", "");
    }
    do {
      Result<bool> reserved = store_.IsReserved(requested);
      if (!reserved.ok()) return StoreError(reserved.status());
      if (!*reserved) return requested;
    } while (ReclaimAll());
    return NoAddress("requested address " + requested.ToString() + " is taken",
                     "ask for another, or remove the container that has it");
  }

  // An address of each set, free as yet.
  CniOr<std::vector<IpAddress>> Choose(const RequestedIps& requested) {
    std::vector<IpAddress> chosen;
    for (size_t i = 0; i < conf_.range_sets.size(); ++i) {
      CniOr<IpAddress> address = requested.by_set[i]
                                     ? ChooseRequested(conf_.range_sets[i], *requested.by_set[i])
                                     : ChooseNext(i);
      if (!address.ok()) return address.error();
      chosen.push_back(*address);
    }
    return chosen;
  }

  // All of them or none. False: somebody who does not take the lock was quicker.
  Result<bool> Reserve(const std::vector<IpAddress>& chosen) {
    store_.Link(owner_, chosen, host_ == nullptr ? std::nullopt : host_->Self());
    Result<bool> reserved = true;
    size_t done = 0;
    while (done < chosen.size() && reserved.ok() && *reserved) {
      reserved = store_.Reserve(chosen[done], owner_, done);
      if (reserved.ok() && *reserved) ++done;
    }
    if (done == chosen.size()) return true;
    // Undone as far as can be; the error to tell is the first one.
    for (size_t i = 0; i < done; ++i) (void)store_.Release(chosen[i], owner_);
    store_.Unlink(owner_);
    return reserved;
  }

  IpStore& store_;
  const IpamConf& conf_;
  const std::string& network_;
  const CniAttachment& owner_;
  HostView* host_;
  bool reclaimed_ = false;
};

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
                              const CniAttachment& owner, HostView* host) {
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
  CniOr<std::vector<IpAddress>> taken =
      Allocation(*store, conf, network, owner, host).Take(requested);
  if (!taken.ok()) return taken.error();
  for (size_t i = 0; i < taken->size(); ++i) {
    const IpAddress& address = (*taken)[i];
    const IpRange* range = RangeOf(conf.range_sets[i], address);
    result.ips.push_back({{address, range->subnet.length()}, range->gateway, std::nullopt});
  }
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

CniProblem HostLocalStatus(const IpamConf& conf, const std::string& network, HostView* host) {
  auto unavailable = [](const CniError& why) {
    return CniError{CniErrorCode::kUnavailable, std::nullopt, why.message, why.details};
  };
  Result<IpStore> store = IpStore::Open(conf.data_dir, network);
  if (!store.ok()) return unavailable(StoreError(store.status()));
  Status writable = store->CheckWritable();
  if (!writable.ok()) return unavailable(StoreError(writable));
  CniAttachment nobody;
  Allocation allocation(*store, conf, network, nobody, host);
  for (size_t i = 0; i < conf.range_sets.size(); ++i) {
    CniOr<IpAddress> free = allocation.ChooseNext(i);
    if (!free.ok()) return unavailable(free.error());
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
