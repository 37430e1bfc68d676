// The nftables table of the agent: what pods send to outside of the cluster gets the node's
// address. Values and bytes; pure.
//
//   pods4, pods6                      this node's pod networks: whose traffic it is about
//   unmasqueraded4, unmasqueraded6    where that goes with the pod's own address
//   postrouting    nat, 120: after kube-proxy (100) and the plugin (110), who know more of a
//   packet;
//                  what comes from the pods (and not from the node's own address among them) and
//                  goes elsewhere is masqueraded, with a port chosen at random
//
// Linux 5.2 has all it takes (nat chains in family inet).
#ifndef PODROUTE_ROUTING_MASQUERADE_H_
#define PODROUTE_ROUTING_MASQUERADE_H_

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/ip_prefix.h"
#include "routing/nft_codec.h"

namespace podroute {

inline constexpr char kMasqueradeTable[] = "podroute";
inline constexpr char kMasqueradeChain[] = "postrouting";

// Addresses of one family.
struct AddressRange {
  IpAddress first;
  std::optional<IpAddress> end;  // The first that is behind it; none: all to the last one are in.
  auto operator<=>(const AddressRange&) const = default;
};

// In order; what overlaps or touches is one.
std::vector<AddressRange> MergeRanges(std::vector<IpPrefix> prefixes);
// REQUIRES: as MergeRanges makes them.
bool Covers(const std::vector<AddressRange>& ranges, const IpPrefix& prefix);

struct Masquerading {
  std::vector<AddressRange> pods;           // From where. As MergeRanges makes them.
  std::vector<AddressRange> unmasqueraded;  // To where it is not. The same.
  bool operator==(const Masquerading&) const = default;
};

// `pods`: this node's. `direct`: networks to which pods' own addresses are known; beside these,
// nothing is masqueraded on its way to link-local, multicast and broadcast addresses.
Masquerading MakeMasquerading(const std::vector<IpPrefix>& pods, std::vector<IpPrefix> direct);

// One of the table's sets.
struct MasqueradeSet {
  const char* name;
  IpFamily family;
  std::vector<AddressRange> Masquerading::*ranges;
};
std::span<const MasqueradeSet> MasqueradeSets();

// The ranges of that family as elements, and back. Nothing: these elements are no ranges.
std::vector<NftElement> ToElements(const std::vector<AddressRange>& ranges, IpFamily family);
std::optional<std::vector<AddressRange>> ToRanges(std::vector<NftElement> elements,
                                                  IpFamily family);

// The table with its sets, which are empty, chain and rules, a message each.
void AddMasqueradeLayout(NftTransaction& transaction);
// Sets and chains.
uint32_t MasqueradeLayoutUses();

// All of it, in the place of whatever has the table's name. The kernel has either the old or the
// new one at any time, but a packet that is between two expressions just then may match neither:
// Linux switches rules and sets for those that come, and does not wait for those that are under
// way.
NftTransaction ReplaceMasqueradeTable(const Masquerading& wanted);

// What is in the sets only, and of that only what differs: whatever is in both matches at any time.
// REQUIRES: the table is as the layout and `from` say.
NftTransaction ChangeMasqueradeTable(const Masquerading& from, const Masquerading& to);

}  // namespace podroute

#endif  // PODROUTE_ROUTING_MASQUERADE_H_
