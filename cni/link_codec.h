// The rtnetlink messages of a pod's plug, on top of routing's codec: links, bridge ports,
// addresses, neighbours. Bytes only, no I/O. Formats:
// include/uapi/linux/{if_link,if_addr,neighbour,veth}.h.
#ifndef PODROUTE_CNI_LINK_CODEC_H_
#define PODROUTE_CNI_LINK_CODEC_H_

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "cni/cni_types.h"
#include "routing/netlink_codec.h"

namespace podroute {

using MacAddress = std::array<uint8_t, 6>;

struct LinkDetails {
  int ifindex = 0;
  std::string name;
  std::string kind;  // "bridge", "veth"; empty for hardware.
  std::string alias;
  uint32_t flags = 0;  // IFF_*
  uint32_t mtu = 0;
  int master = 0;                     // ifindex; 0: none.
  int peer = 0;                       // IFLA_LINK: a veth's other end, in its own namespace.
  std::optional<int32_t> peer_netns;  // IFLA_LINK_NETNSID: that namespace, as this one calls it.
  std::optional<MacAddress> mac;
  // A bridge's port.
  bool hairpin = false;
  bool isolated = false;
  uint8_t port_state = 0;  // BR_STATE_*
  // A bridge's own.
  bool vlan_filtering = false;
  uint16_t default_vlan = 0;  // That each new port is put into; 0: none.
  // Kernel settings of the link, as under net/ipv4/conf and net/ipv6/conf. Nothing where the kernel
  // does not say, or has no such family there.
  std::optional<uint32_t> route_localnet;
  std::optional<uint32_t> accept_ra;
};
std::optional<LinkDetails> DecodeLinkDetails(const NetlinkMessage& message);

struct AddressDetails {
  int ifindex = 0;
  IpWithLength address;
  uint32_t flags = 0;                 // IFA_F_*
  uint8_t protocol = 0;               // IFA_PROTO; 0 before Linux 5.18.
  std::optional<int32_t> netns = {};  // Of an answer to EncodeDumpAddressesIn.
};
std::optional<AddressDetails> DecodeAddressDetails(const NetlinkMessage& message);

void EncodeGetLinkByName(NetlinkBatch& batch, std::string_view name);
// A link of the namespace that this one calls `netns` (IFLA_TARGET_NETNSID, Linux 4.20).
void EncodeGetLinkIn(NetlinkBatch& batch, int32_t netns, int ifindex);
// The namespace's own setting of forwarding for a family (net/ipv4/ip_forward,
// net/ipv6/conf/all/forwarding). Since Linux 4.15 answered without the RTNL lock.
void EncodeGetForwarding(NetlinkBatch& batch, IpFamily family);
// Whether it is on; nothing when the message is about something else.
std::optional<bool> DecodeForwarding(const NetlinkMessage& message, IpFamily family);
// All links whose master is `bridge`.
void EncodeDumpPorts(NetlinkBatch& batch, int bridge);
// AF_INET or AF_INET6: each alone is answered without the RTNL lock (Linux 6.9), both at once with
// it.
void EncodeDumpAddressesOf(NetlinkBatch& batch, int family, int ifindex);
// Those of all links of the namespace that this one calls `netns` (IFA_TARGET_NETNSID, Linux 4.20).
void EncodeDumpAddressesIn(NetlinkBatch& batch, int32_t netns, int family);

void EncodeCreateBridge(NetlinkBatch& batch, std::string_view name, const MacAddress& mac,
                        uint32_t mtu);

struct VethSpec {
  std::string host_name;
  MacAddress host_mac{};
  std::string pod_name;
  // A descriptor; must stay open until the batch is sent. -1: the host end's.
  int pod_netns = -1;
  MacAddress pod_mac{};
  uint32_t mtu = 0;  // 0: the kernel's default.
};
// The pair, its pod end born in the pod's namespace under its final name: moving it there
// afterwards costs 17 ms of waiting under the kernel's RTNL lock.
void EncodeCreateVeth(NetlinkBatch& batch, const VethSpec& spec);
// Makes `name` a port of `bridge`, without IPv6 addresses of its own, and labels it. Apart from
// EncodePortUp because the kernel would make the address when the link goes up. EAFNOSUPPORT, and
// nothing done, where the link has no IPv6 (an MTU below 1280, a kernel without it) and `has_ipv6`.
void EncodePlugIn(NetlinkBatch& batch, std::string_view name, int bridge, std::string_view alias,
                  bool has_ipv6 = true);
// Has the kernel make no IPv6 address by itself for a link, which must be done before that is up.
// EAFNOSUPPORT where the link has no IPv6.
void EncodeNoOwnIpv6(NetlinkBatch& batch, int ifindex);
void EncodePortUp(NetlinkBatch& batch, std::string_view name, bool hairpin, bool isolated);
void EncodeDeleteLink(NetlinkBatch& batch, std::string_view name);

// Sets `flags` (IFF_*) on a link.
void EncodeSetLinkFlags(NetlinkBatch& batch, int ifindex, uint32_t flags);
// Sets the pod's interface up, and has it tell the neighbours of its IPv4 addresses whenever its
// hardware address is set (net.ipv4.conf.*.arp_notify, in the same message).
void EncodePodUp(NetlinkBatch& batch, int ifindex);
// Gives a link the hardware address that it may well have already: with arp_notify and ndisc_notify
// set, the kernel then tells the neighbours.
void EncodeSetLinkMac(NetlinkBatch& batch, int ifindex, const MacAddress& mac);

// An error when it is there (EEXIST). `protocol`: IFA_PROTO, 0 for none.
void EncodeAddAddress(NetlinkBatch& batch, int ifindex, const IpWithLength& address,
                      bool detect_duplicates, uint8_t protocol);
void EncodeDeleteAddress(NetlinkBatch& batch, int ifindex, const IpWithLength& address);

// `route` through `ifindex` and `gateway` (none: on the link). `onlink`: the gateway need not be in
// a subnet of the link's.
void EncodeAddPodRoute(NetlinkBatch& batch, int ifindex, const CniRoute& route,
                       const std::optional<IpAddress>& gateway, bool onlink);

// Puts what we know of a neighbour in the place of whatever the kernel knew; it verifies it on use.
void EncodeSetNeighbour(NetlinkBatch& batch, int ifindex, const IpAddress& address,
                        const MacAddress& mac);

}  // namespace podroute

#endif  // PODROUTE_CNI_LINK_CODEC_H_
