// The network configuration list that makes a container runtime use podroute-cni. Pure.
#ifndef PODROUTE_CNI_CONFLIST_H_
#define PODROUTE_CNI_CONFLIST_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/ip_prefix.h"
#include "base/status.h"

namespace podroute {

// The network's name: the reservations of its addresses and the labels of its links carry it.
inline constexpr std::string_view kNetworkName = "podroute";
inline constexpr std::string_view kBridgeName = "cni0";
inline constexpr std::string_view kIpamDataDir = "/run/cni-ipam-state";

struct ConflistSpec {
  // Of the node, in the Node's order: each pod gets an address of each.
  std::vector<IpPrefix> pod_cidrs;
  uint32_t mtu = 1500;  // Bytes, of the pods' interfaces and of the bridge.
};

// Whether the plugin's allocator can work with it: an error says why it cannot (too small for a
// gateway and one pod).
Status CheckPodCidr(const IpPrefix& pod_cidr);

// The file's bytes (CNI specification 1.0.0, section 1), always the same for the same spec.
// REQUIRES: pod_cidrs is not empty; each passes CheckPodCidr; none overlaps another.
std::string RenderConflist(const ConflistSpec& spec);

}  // namespace podroute

#endif  // PODROUTE_CNI_CONFLIST_H_
