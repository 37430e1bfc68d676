#include "cni/nat_table.h"

#include <algorithm>
#include <cerrno>
#include <set>
#include <utility>

namespace podroute {
namespace {

// Each time that we have to start again somebody else has got on, so many at once are needed to
// use these up.
constexpr int kMaxTries = 200;

constexpr char kWhat[] = "nftables table podroute-cni";

Status Busy() {
  return Status(StatusCode::kUnavailable,
                std::string(kWhat) + ": others change nftables faster than we can");
}

// Elements by map, in order.
template <typename Do>
void ForEachMap(const std::vector<NatElement>& elements, const Do& visit) {
  std::set<std::string> maps;
  for (const NatElement& element : elements) maps.insert(element.map);
  for (const std::string& map : maps) {
    std::vector<NftElement> of_map;
    for (const NatElement& element : elements) {
      if (element.map == map) of_map.push_back(element.element);
    }
    visit(map, of_map);
  }
}

std::vector<std::string> MapsOf(const std::vector<NatElement>& elements) {
  std::vector<std::string> maps;
  ForEachMap(elements, [&](const std::string& map, const auto&) { maps.push_back(map); });
  return maps;
}

CniError Taken(const NatElement& held) {
  const std::string& holder = held.element.comment;
  return {CniErrorCode::kPortTaken, std::nullopt,
          DescribeNatKey(held) + " belongs to " +
              (holder.empty() ? "an element without owner" : "\"" + holder + "\"") + " already",
          "nft list table inet podroute-cni shows who holds what (network, container, interface)"};
}

}  // namespace

CniError NatError(const Status& status) {
  if (status.code() == StatusCode::kPermissionDenied) {
    return ToCniError(CniErrorCode::kKernel, status, "the plugin must run as root");
  }
  if (status.code() == StatusCode::kUnavailable) {
    return ToCniError(CniErrorCode::kTryAgainLater, status);
  }
  return ToCniError(CniErrorCode::kKernel, status,
                    "hostPort and ipMasq need Linux 5.2 or later with nf_tables and, built in or "
                    "as modules, nft_chain_nat, nft_nat, nft_masq, nft_ct and nft_fib_inet");
}

Result<std::optional<NetlinkFailure>> NatTable::Commit(NftTransaction& transaction) {
  PODROUTE_ASSIGN_OR_RETURN(std::vector<NetlinkFailure> failures,
                            netlink_.Execute(transaction.Finish()));
  if (failures.empty()) return std::optional<NetlinkFailure>();
  return std::optional<NetlinkFailure>(std::move(failures.front()));
}

Result<NatTable::State> NatTable::ReadState(const NatLayout* layout) {
  NetlinkBatch batch;
  EncodeGetNftGeneration(batch);
  if (layout != nullptr) {
    for (const NatLayout::Chain& chain : layout->chains) {
      EncodeGetNftChain(batch, kNatTable, chain.chain.name);
    }
  }
  State state;
  bool answered = false;
  std::vector<bool> complete(batch.size());
  PODROUTE_ASSIGN_OR_RETURN(std::vector<NetlinkFailure> failures,
                            netlink_.Execute(batch, [&](const NetlinkMessage& message) {
                              if (auto generation = DecodeNftGeneration(message)) {
                                state.generation = *generation;
                                answered = true;
                              }
                              size_t index = message.header.nlmsg_seq - batch.header(0).nlmsg_seq;
                              std::optional<NftChainSummary> chain = DecodeNftChain(message);
                              if (chain && index > 0 && index < complete.size()) {
                                complete[index] = layout->chains[index - 1].IsComplete(chain->uses);
                              }
                            }));
  for (const NetlinkFailure& failure : failures) {
    // What nfnetlink says of a subsystem that it does not have and cannot load.
    if (failure.index == 0 && failure.error == EINVAL) {
      return Status(StatusCode::kUnsupported, "this kernel has no nf_tables");
    }
    if (failure.index == 0 || failure.error != ENOENT) return failure.ToStatus(kWhat);
  }
  if (!answered) return Status(StatusCode::kInternal, std::string(kWhat) + ": no answer");
  auto first = std::find(complete.begin() + 1, complete.end(), false);
  if (first != complete.end()) {
    state.incomplete = layout->chains[static_cast<size_t>(first - complete.begin()) - 1].chain.name;
  }
  return state;
}

Result<std::string> NatTable::FindIncomplete(const NatLayout& layout) {
  PODROUTE_ASSIGN_OR_RETURN(State state, ReadState(&layout));
  return state.incomplete;
}

CniProblem NatTable::Add(const NatLayout& layout, const std::vector<NatElement>& elements,
                         const IsAlive& is_alive) {
  if (elements.empty()) return std::nullopt;
  bool look = false;  // Whether a key was there already.
  for (int i = 0; i < kMaxTries; ++i) {
    Result<State> state = ReadState(&layout);
    if (!state.ok()) return NatError(state.status());
    std::vector<NatElement> obstacles;
    if (look && !state->incomplete.empty()) look = false;  // The table went away.
    if (look) {
      CniOr<std::vector<NatElement>> found = FindObstacles(elements, is_alive);
      if (!found.ok()) return found.error();
      obstacles = std::move(*found);
    }
    // What rests on nothing that was read need not care who else changes something.
    bool rests = look || !state->incomplete.empty();
    NftTransaction transaction(kNatTable,
                               rests ? std::optional<uint32_t>(state->generation) : std::nullopt);
    if (!state->incomplete.empty()) AddLayout(transaction, layout);
    ForEachMap(obstacles, [&](const std::string& map, const std::vector<NftElement>& of_map) {
      transaction.DeleteElements(map, of_map);
    });
    ForEachMap(elements, [&](const std::string& map, const std::vector<NftElement>& of_map) {
      transaction.AddElements(map, of_map);
    });
    Result<std::optional<NetlinkFailure>> failure = Commit(transaction);
    if (!failure.ok()) return NatError(failure.status());
    if (!*failure) return std::nullopt;
    int error = (*failure)->error;
    if (error == EEXIST || error == EBUSY || error == ENOTEMPTY) {
      look = true;
    } else if (error == ENOENT && state->incomplete.empty()) {
      look = false;
    } else if (error != ERESTART && error != EAGAIN) {
      return NatError((*failure)->ToStatus(kWhat));
    }
  }
  return NatError(Busy());
}

CniOr<std::vector<NatElement>> NatTable::FindObstacles(const std::vector<NatElement>& wanted,
                                                       const IsAlive& is_alive) {
  Result<std::vector<NatElement>> there = Read(MapsOf(wanted), [&](const NatElement& element) {
    return std::any_of(wanted.begin(), wanted.end(),
                       [&](const NatElement& other) { return other.SameKey(element); });
  });
  if (!there.ok()) return NatError(there.status());
  for (const NatElement& element : *there) {
    const std::string& owner = element.element.comment;
    if (owner != wanted.front().element.comment && is_alive(owner)) return Taken(element);
  }
  return std::move(*there);
}

// False when it has to be read again.
Result<bool> NatTable::ReadMap(const std::string& map, const Wanted& wanted,
                               std::vector<NatElement>& elements) {
  NetlinkBatch batch;
  EncodeDumpNftElements(batch, kNatTable, map);
  Result<DumpResult> dump = netlink_.Dump(batch, [&](const NetlinkMessage& message) {
    for (NftElement& element : DecodeNftElements(message)) {
      NatElement found{map, std::move(element)};
      if (wanted(found)) elements.push_back(std::move(found));
    }
  });
  if (!dump.ok()) {
    if (dump.status().code() == StatusCode::kNotFound) return true;
    return dump.status().WithContext(kWhat);
  }
  return !dump->interrupted;
}

Result<std::vector<NatElement>> NatTable::Read(const std::vector<std::string>& maps,
                                               const Wanted& wanted) {
  std::vector<NatElement> elements;
  for (const std::string& map : maps) {
    size_t before = elements.size();
    for (int i = 0;; ++i) {
      if (i == kMaxTries) return Busy();
      PODROUTE_ASSIGN_OR_RETURN(bool complete, ReadMap(map, wanted, elements));
      if (complete) break;
      elements.resize(before);
    }
  }
  // A hash table that grows meanwhile shows some twice.
  std::vector<NatElement> once;
  for (NatElement& element : elements) {
    if (std::find(once.begin(), once.end(), element) == once.end()) {
      once.push_back(std::move(element));
    }
  }
  return once;
}

Result<std::vector<NatElement>> NatTable::Remove(const std::vector<std::string>& maps,
                                                 const Wanted& wanted) {
  std::vector<NatElement> removed;
  for (int i = 0; i < kMaxTries; ++i) {
    PODROUTE_ASSIGN_OR_RETURN(State state, ReadState(nullptr));
    size_t seen = 0;
    PODROUTE_ASSIGN_OR_RETURN(std::vector<NatElement> elements,
                              Read(maps, [&](const NatElement& element) {
                                ++seen;
                                return wanted(element);
                              }));
    if (elements.empty()) return removed;
    NftTransaction transaction(kNatTable, state.generation);
    ForEachMap(elements, [&](const std::string& map, const std::vector<NftElement>& of_map) {
      transaction.DeleteElements(map, of_map);
    });
    PODROUTE_ASSIGN_OR_RETURN(std::optional<NetlinkFailure> failure, Commit(transaction));
    if (failure) {
      if (failure->error == ERESTART || failure->error == ENOENT || failure->error == EAGAIN) {
        continue;
      }
      return failure->ToStatus(kWhat);
    }
    removed.insert(removed.end(), elements.begin(), elements.end());
    // More than one message: a hash table that grew in between may have kept some from us.
    constexpr size_t kOneMessage = 32;
    if (seen <= kOneMessage) return removed;
  }
  return Busy();
}

Status NatTable::Probe(const NatLayout& layout) {
  NftTransaction transaction(kNatTable);
  AddLayout(transaction, layout);
  PODROUTE_ASSIGN_OR_RETURN(std::vector<NetlinkFailure> failures,
                            netlink_.Execute(transaction.FinishAsCheck()));
  return failures.empty() ? Status::Ok() : failures.front().ToStatus(kWhat);
}

}  // namespace podroute
