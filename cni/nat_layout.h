// The nftables table of the plugin: its maps, chains and rules, which hold no pod's data. Pure.
//
//   prerouting, output    nat, -90: after kube-proxy (-100), whose services win
//   hairpin-BRIDGE        nat, -91: what comes from that bridge; such connections are masqueraded,
//                         or the pod would answer its neighbour, or itself, directly
//   hairpin               marks, then as hostports; takes the mark away when no port was meant
//   hostports             looks the packet up and changes its destination
//   hairpin-masquerade    nat, 110: after kube-proxy (100)
//   localnet-BRIDGE       filter, -300: with route_localnet on, nobody on that bridge may reach
//                         what listens on 127.0.0.0/8 (CVE-2020-8558)
//   pod-masquerade        nat, 110: ipMasq; a chain for each subnet says what is left alone
//
// Linux 5.2 has all it takes (nat chains in family inet).
#ifndef PODROUTE_CNI_NAT_LAYOUT_H_
#define PODROUTE_CNI_NAT_LAYOUT_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/ip_prefix.h"
#include "routing/nft_codec.h"

namespace podroute {

inline constexpr char kNatTable[] = "podroute-cni";
inline constexpr char kNatTableComment[] = "podroute-cni: hostPort and ipMasq of pods";
// The bit of the packet's mark that asks for masquerading; the reference plugin's, with the same
// meaning.
inline constexpr uint32_t kMasqueradeMark = 0x2000;

struct NatLayout {
  struct Chain {
    NftChain chain;           // But for its rules:
    uint32_t rule_count = 0;  // these are made when they are needed, which is once a boot.
    std::function<std::vector<NftRule>()> rules;
    uint32_t jumps = 0;  // To it, by the other rules of the layout.

    // Whether the chain that the kernel says is used so often holds our rules. A base chain's uses
    // are its rules; others' may be jumped to by more.
    bool IsComplete(uint32_t uses) const {
      uint32_t needed = rule_count + jumps;
      return chain.is_base() ? uses == needed : uses >= needed;
    }
  };
  std::vector<NftMap> maps;
  std::vector<Chain> chains;
};

// `interface` is the host's in the pods' subnet; `localhost`: route_localnet is on for it.
void AddHostPorts(NatLayout& layout, const std::string& interface, bool localhost);
void AddMasquerading(NatLayout& layout, const std::vector<IpPrefix>& subnets);

// All of it, in an order that the kernel takes.
void AddLayout(NftTransaction& transaction, const NatLayout& layout);

}  // namespace podroute

#endif  // PODROUTE_CNI_NAT_LAYOUT_H_
