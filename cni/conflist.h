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

// The network's name, unless told otherwise: the reservations of its addresses and the labels of
// its links carry it.
inline constexpr char kNetworkName[] = "podroute";
inline constexpr char kIpamDataDir[] = "/run/cni-ipam-state";
inline constexpr std::string_view kBridgeName = "cni0";

struct ConflistSpec {
  // Of the node, in the Node's order: each pod gets an address of each.
  std::vector<IpPrefix> pod_cidrs;
  uint32_t mtu = 1500;  // Bytes, of the pods' interfaces and of the bridge.
  // Where reservations are: data_dir/network. Whoever has the same two shares addresses with us.
  std::string network = kNetworkName;
  std::string data_dir = kIpamDataDir;
};

// Whether the plugin's allocator can work with it: an error says why it cannot (too small for a
// gateway and one pod).
Status CheckPodCidr(const IpPrefix& pod_cidr);

// Whether they can stand in a conflist. The errors say what would be right.
Status CheckNetworkName(std::string_view network);
Status CheckIpamDataDir(std::string_view data_dir);

// The file's bytes (CNI specification 1.0.0, section 1), always the same for the same spec.
// REQUIRES: pod_cidrs is not empty; each passes CheckPodCidr; none overlaps another; network and
// data_dir pass their checks.
std::string RenderConflist(const ConflistSpec& spec);

}  // namespace podroute

#endif  // PODROUTE_CNI_CONFLIST_H_
