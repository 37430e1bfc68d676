#include "cni/link_codec.h"

#include <linux/if_addr.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/neighbour.h>
#include <linux/netconf.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>

namespace podroute {
namespace {

// IFA_PROTO, of Linux 5.18: older headers do not have it, older kernels skip it.
constexpr uint16_t kIfaProto = 11;

std::span<const uint8_t> BytesOf(const MacAddress& mac) { return {mac.data(), mac.size()}; }

ifinfomsg LinkHeader(int ifindex = 0, uint32_t flags = 0) {
  ifinfomsg header{};
  header.ifi_family = AF_UNSPEC;
  header.ifi_index = ifindex;
  header.ifi_flags = flags;
  header.ifi_change = flags;
  return header;
}

ifaddrmsg AddressHeader(int ifindex, const IpWithLength& address) {
  ifaddrmsg header{};
  header.ifa_family = static_cast<uint8_t>(AddressFamily(address.address.family()));
  header.ifa_prefixlen = static_cast<uint8_t>(address.length);
  header.ifa_index = static_cast<uint32_t>(ifindex);
  return header;
}

template <typename T>
std::span<const uint8_t> AsBytes(const T& value) {
  return {reinterpret_cast<const uint8_t*>(&value), sizeof value};
}

std::optional<MacAddress> ToMac(std::span<const uint8_t> bytes) {
  MacAddress mac{};
  if (bytes.size() != mac.size()) return std::nullopt;
  std::copy(bytes.begin(), bytes.end(), mac.begin());
  return mac;
}

// Since 5.15 a veth has a queue for each possible CPU in each direction, every one with an object
// in sysfs: a tenth of what the pair costs on two CPUs, and more on many. One end hands a packet to
// the other on the CPU it is on and without a lock, however many queues there are; only XDP
// programs and GRO on the veth, both off by default, make use of more.
void PutOneQueue(NetlinkBatch& batch) {
  batch.PutU32(IFLA_NUM_TX_QUEUES, 1);
  batch.PutU32(IFLA_NUM_RX_QUEUES, 1);
}

// IN6_ADDR_GEN_MODE_NONE, in a message about a link.
void PutNoOwnIpv6(NetlinkBatch& batch) {
  size_t families = batch.Nest(IFLA_AF_SPEC);
  size_t inet6 = batch.Nest(AF_INET6);
  batch.PutU8(IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
  batch.EndNest(inet6);
  batch.EndNest(families);
}

uint8_t FirstByte(const NetlinkAttributes& attributes, uint16_t type) {
  std::span<const uint8_t> bytes = attributes.get(type);
  return bytes.empty() ? 0 : bytes[0];
}

// One of an array of settings (IFLA_INET_CONF, IFLA_INET6_CONF).
std::optional<uint32_t> Setting(std::span<const uint8_t> settings, size_t index) {
  uint32_t value = 0;
  if (settings.size() < (index + 1) * sizeof value) return std::nullopt;
  std::memcpy(&value, settings.data() + index * sizeof value, sizeof value);
  return value;
}

}  // namespace

std::optional<LinkDetails> DecodeLinkDetails(const NetlinkMessage& message) {
  std::optional<ifinfomsg> header = message.Fixed<ifinfomsg>();
  if (message.header.nlmsg_type != RTM_NEWLINK || !header) return std::nullopt;
  NetlinkAttributes attributes(message.body.subspan(sizeof(ifinfomsg)));
  LinkDetails link;
  link.ifindex = header->ifi_index;
  link.flags = header->ifi_flags;
  link.name = attributes.Text(IFLA_IFNAME);
  link.alias = attributes.Text(IFLA_IFALIAS);
  link.mtu = attributes.U32(IFLA_MTU);
  link.master = static_cast<int>(attributes.U32(IFLA_MASTER));
  link.peer = static_cast<int>(attributes.U32(IFLA_LINK));
  if (attributes.has(IFLA_LINK_NETNSID)) {
    link.peer_netns = static_cast<int32_t>(attributes.U32(IFLA_LINK_NETNSID));
  }
  link.mac = ToMac(attributes.get(IFLA_ADDRESS));
  if (attributes.has(IFLA_AF_SPEC)) {
    NetlinkAttributes families(attributes.get(IFLA_AF_SPEC));
    NetlinkAttributes inet(families.get(AF_INET));
    NetlinkAttributes inet6(families.get(AF_INET6));
    link.route_localnet = Setting(inet.get(IFLA_INET_CONF), IPV4_DEVCONF_ROUTE_LOCALNET - 1);
    link.accept_ra = Setting(inet6.get(IFLA_INET6_CONF), DEVCONF_ACCEPT_RA);
  }
  if (attributes.has(IFLA_LINKINFO)) {
    NetlinkAttributes info(attributes.get(IFLA_LINKINFO));
    link.kind = info.Text(IFLA_INFO_KIND);
    if (info.Text(IFLA_INFO_SLAVE_KIND) == "bridge") {
      NetlinkAttributes port(info.get(IFLA_INFO_SLAVE_DATA));
      link.hairpin = FirstByte(port, IFLA_BRPORT_MODE) != 0;
      link.isolated = FirstByte(port, IFLA_BRPORT_ISOLATED) != 0;
      link.port_state = FirstByte(port, IFLA_BRPORT_STATE);
    }
    if (link.kind == "bridge") {
      NetlinkAttributes bridge(info.get(IFLA_INFO_DATA));
      link.vlan_filtering = FirstByte(bridge, IFLA_BR_VLAN_FILTERING) != 0;
      std::span<const uint8_t> vlan = bridge.get(IFLA_BR_VLAN_DEFAULT_PVID);
      if (vlan.size() == sizeof link.default_vlan) {
        std::memcpy(&link.default_vlan, vlan.data(), vlan.size());
      }
    }
  }
  return link;
}

std::optional<AddressDetails> DecodeAddressDetails(const NetlinkMessage& message) {
  std::optional<ifaddrmsg> header = message.Fixed<ifaddrmsg>();
  if (message.header.nlmsg_type != RTM_NEWADDR || !header) return std::nullopt;
  NetlinkAttributes attributes(message.body.subspan(sizeof(ifaddrmsg)));
  std::optional<IpAddress> address = attributes.Address(IFA_LOCAL);
  if (!address) address = attributes.Address(IFA_ADDRESS);
  if (!address || header->ifa_prefixlen > address->bits()) return std::nullopt;
  AddressDetails details;
  details.ifindex = static_cast<int>(header->ifa_index);
  details.address = {*address, header->ifa_prefixlen};
  details.flags = attributes.U32(IFA_FLAGS, header->ifa_flags);
  details.protocol = FirstByte(attributes, kIfaProto);
  if (attributes.has(IFA_TARGET_NETNSID)) {
    details.netns = static_cast<int32_t>(attributes.U32(IFA_TARGET_NETNSID));
  }
  return details;
}

void EncodeGetLinkByName(NetlinkBatch& batch, std::string_view name) {
  batch.Begin(RTM_GETLINK, 0, LinkHeader());
  batch.PutText(IFLA_IFNAME, name);
  batch.PutU32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
}

void EncodeGetLinkIn(NetlinkBatch& batch, int32_t netns, int ifindex) {
  batch.Begin(RTM_GETLINK, 0, LinkHeader(ifindex));
  batch.PutU32(IFLA_TARGET_NETNSID, static_cast<uint32_t>(netns));
  batch.PutU32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
}

void EncodeGetForwarding(NetlinkBatch& batch, IpFamily family) {
  netconfmsg header{};
  header.ncm_family = static_cast<uint8_t>(AddressFamily(family));
  batch.Begin(RTM_GETNETCONF, 0, header);
  batch.PutU32(NETCONFA_IFINDEX, static_cast<uint32_t>(NETCONFA_IFINDEX_ALL));
}

std::optional<bool> DecodeForwarding(const NetlinkMessage& message, IpFamily family) {
  std::optional<netconfmsg> header = message.Fixed<netconfmsg>();
  if (message.header.nlmsg_type != RTM_NEWNETCONF || !header) return std::nullopt;
  if (header->ncm_family != AddressFamily(family)) return std::nullopt;
  NetlinkAttributes attributes(message.body.subspan(NLMSG_ALIGN(sizeof(netconfmsg))));
  if (!attributes.has(NETCONFA_FORWARDING)) return std::nullopt;
  return attributes.U32(NETCONFA_FORWARDING) != 0;
}

void EncodeDumpPorts(NetlinkBatch& batch, int bridge) {
  batch.Begin(RTM_GETLINK, NLM_F_DUMP, LinkHeader());
  batch.PutU32(IFLA_MASTER, static_cast<uint32_t>(bridge));
  batch.PutU32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
}

void EncodeDumpAddressesOf(NetlinkBatch& batch, int family, int ifindex) {
  ifaddrmsg header{};
  header.ifa_family = static_cast<uint8_t>(family);
  header.ifa_index = static_cast<uint32_t>(ifindex);
  batch.Begin(RTM_GETADDR, NLM_F_DUMP, header);
}

void EncodeDumpAddressesIn(NetlinkBatch& batch, int32_t netns, int family) {
  EncodeDumpAddressesOf(batch, family, 0);
  batch.PutU32(IFA_TARGET_NETNSID, static_cast<uint32_t>(netns));
}

void EncodeCreateBridge(NetlinkBatch& batch, std::string_view name, const MacAddress& mac,
                        uint32_t mtu) {
  batch.Begin(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, LinkHeader());
  batch.PutText(IFLA_IFNAME, name);
  batch.Put(IFLA_ADDRESS, BytesOf(mac));
  if (mtu != 0) batch.PutU32(IFLA_MTU, mtu);
  size_t info = batch.Nest(IFLA_LINKINFO);
  batch.PutText(IFLA_INFO_KIND, "bridge");
  batch.EndNest(info);
}

void EncodeCreateVeth(NetlinkBatch& batch, const VethSpec& spec) {
  batch.Begin(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, LinkHeader());
  batch.PutText(IFLA_IFNAME, spec.host_name);
  batch.Put(IFLA_ADDRESS, BytesOf(spec.host_mac));
  if (spec.mtu != 0) batch.PutU32(IFLA_MTU, spec.mtu);
  PutOneQueue(batch);
  size_t info = batch.Nest(IFLA_LINKINFO);
  batch.PutText(IFLA_INFO_KIND, "veth");
  size_t data = batch.Nest(IFLA_INFO_DATA);
  size_t peer = batch.Nest(VETH_INFO_PEER);
  batch.Append(AsBytes(LinkHeader()));
  batch.PutText(IFLA_IFNAME, spec.pod_name);
  batch.Put(IFLA_ADDRESS, BytesOf(spec.pod_mac));
  if (spec.mtu != 0) batch.PutU32(IFLA_MTU, spec.mtu);
  PutOneQueue(batch);
  if (spec.pod_netns >= 0) batch.PutU32(IFLA_NET_NS_FD, static_cast<uint32_t>(spec.pod_netns));
  batch.EndNest(peer);
  batch.EndNest(data);
  batch.EndNest(info);
}

void EncodePlugIn(NetlinkBatch& batch, std::string_view name, int bridge, std::string_view alias,
                  bool has_ipv6) {
  batch.Begin(RTM_NEWLINK, 0, LinkHeader());
  batch.PutText(IFLA_IFNAME, name);
  batch.PutU32(IFLA_MASTER, static_cast<uint32_t>(bridge));
  if (!alias.empty()) {
    batch.Put(IFLA_IFALIAS, {reinterpret_cast<const uint8_t*>(alias.data()), alias.size()});
  }
  if (has_ipv6) PutNoOwnIpv6(batch);
}

void EncodeNoOwnIpv6(NetlinkBatch& batch, int ifindex) {
  batch.Begin(RTM_NEWLINK, 0, LinkHeader(ifindex));
  PutNoOwnIpv6(batch);
}

void EncodePortUp(NetlinkBatch& batch, std::string_view name, bool hairpin, bool isolated) {
  batch.Begin(RTM_NEWLINK, 0, LinkHeader(0, IFF_UP));
  batch.PutText(IFLA_IFNAME, name);
  if (!hairpin && !isolated) return;
  size_t info = batch.Nest(IFLA_LINKINFO);
  batch.PutText(IFLA_INFO_SLAVE_KIND, "bridge");
  size_t port = batch.Nest(IFLA_INFO_SLAVE_DATA);
  if (hairpin) batch.PutU8(IFLA_BRPORT_MODE, 1);
  if (isolated) batch.PutU8(IFLA_BRPORT_ISOLATED, 1);
  batch.EndNest(port);
  batch.EndNest(info);
}

void EncodeDeleteLink(NetlinkBatch& batch, std::string_view name) {
  batch.Begin(RTM_DELLINK, 0, LinkHeader());
  batch.PutText(IFLA_IFNAME, name);
}

void EncodeSetLinkFlags(NetlinkBatch& batch, int ifindex, uint32_t flags) {
  batch.Begin(RTM_NEWLINK, 0, LinkHeader(ifindex, flags));
}

void EncodePodUp(NetlinkBatch& batch, int ifindex) {
  EncodeSetLinkFlags(batch, ifindex, IFF_UP);
  size_t families = batch.Nest(IFLA_AF_SPEC);
  size_t inet = batch.Nest(AF_INET);
  size_t settings = batch.Nest(IFLA_INET_CONF);
  batch.PutU32(IPV4_DEVCONF_ARP_NOTIFY, 1);
  batch.EndNest(settings);
  batch.EndNest(inet);
  batch.EndNest(families);
}

void EncodeSetLinkMac(NetlinkBatch& batch, int ifindex, const MacAddress& mac) {
  batch.Begin(RTM_NEWLINK, 0, LinkHeader(ifindex));
  batch.Put(IFLA_ADDRESS, BytesOf(mac));
}

void EncodeAddAddress(NetlinkBatch& batch, int ifindex, const IpWithLength& address,
                      bool detect_duplicates, uint8_t protocol) {
  ifaddrmsg header = AddressHeader(ifindex, address);
  bool v4 = address.address.is_v4();
  if (!v4 && !detect_duplicates) header.ifa_flags = IFA_F_NODAD;
  batch.Begin(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, header);
  batch.PutAddress(IFA_LOCAL, address.address);
  batch.PutAddress(IFA_ADDRESS, address.address);
  if (v4 && address.length <= 30) batch.PutAddress(IFA_BROADCAST, address.subnet().Last());
  if (protocol != 0) batch.PutU8(kIfaProto, protocol);
}

void EncodeDeleteAddress(NetlinkBatch& batch, int ifindex, const IpWithLength& address) {
  batch.Begin(RTM_DELADDR, 0, AddressHeader(ifindex, address));
  batch.PutAddress(IFA_LOCAL, address.address);
  batch.PutAddress(IFA_ADDRESS, address.address);
}

void EncodeAddPodRoute(NetlinkBatch& batch, int ifindex, const CniRoute& route,
                       const std::optional<IpAddress>& gateway, bool onlink) {
  rtmsg header{};
  header.rtm_family = static_cast<uint8_t>(AddressFamily(route.dst.family()));
  header.rtm_dst_len = static_cast<uint8_t>(route.dst.length());
  uint32_t table = route.table.value_or(RT_TABLE_MAIN);
  header.rtm_table = table < 256 ? static_cast<uint8_t>(table) : uint8_t{RT_TABLE_UNSPEC};
  header.rtm_protocol = RTPROT_BOOT;
  header.rtm_type = RTN_UNICAST;
  header.rtm_scope = route.scope.value_or(gateway ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK);
  if (onlink) header.rtm_flags = RTNH_F_ONLINK;
  batch.Begin(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, header);
  if (route.dst.length() > 0) batch.PutAddress(RTA_DST, route.dst.address());
  batch.PutU32(RTA_OIF, static_cast<uint32_t>(ifindex));
  if (gateway) batch.PutAddress(RTA_GATEWAY, *gateway);
  if (table >= 256) batch.PutU32(RTA_TABLE, table);
  if (route.priority) batch.PutU32(RTA_PRIORITY, *route.priority);
  if (route.mtu == 0 && route.advmss == 0) return;
  size_t metrics = batch.Nest(RTA_METRICS);
  if (route.mtu != 0) batch.PutU32(RTAX_MTU, route.mtu);
  if (route.advmss != 0) batch.PutU32(RTAX_ADVMSS, route.advmss);
  batch.EndNest(metrics);
}

void EncodeSetNeighbour(NetlinkBatch& batch, int ifindex, const IpAddress& address,
                        const MacAddress& mac) {
  ndmsg header{};
  header.ndm_family = static_cast<uint8_t>(AddressFamily(address.family()));
  header.ndm_ifindex = ifindex;
  header.ndm_state = NUD_STALE;
  batch.Begin(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, header);
  batch.PutAddress(NDA_DST, address);
  batch.Put(NDA_LLADDR, BytesOf(mac));
}

}  // namespace podroute
