// What the plugin does to links, addresses and routes: the bridge, and a pod's plug in it. Each
// function is a few netlink messages; what should be is decided above.
#ifndef PODROUTE_CNI_LINK_OPS_H_
#define PODROUTE_CNI_LINK_OPS_H_

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "cni/cni_types.h"
#include "cni/link_codec.h"
#include "cni/link_query.h"
#include "cni/sysctl.h"
#include "cni/vlan_codec.h"
#include "routing/netlink_socket.h"

namespace podroute {

// Linux 5.18 and later show it beside each address that we gave a bridge (`ip -d address`: proto
// 0x6e), so that we never take away what somebody else put there.
inline constexpr uint8_t kOurAddressProtocol = 110;

// "veth" and eleven letters and digits, made from the two alone: DEL finds the link with no state,
// and a name never stands for two attachments (55 bits of a hash).
std::string HostVethName(const CniAttachment& attachment);

// What the host end is labelled with: "podroute NETWORK CONTAINERID IFNAME".
std::string HostVethAlias(const std::string& network, const CniAttachment& attachment);
// The attachment in such a label of `network`; nullopt for any other text.
std::optional<CniAttachment> ParseHostVethAlias(const std::string& network,
                                                const std::string& alias);

// The interface of a bridge in one of its VLANs, as the reference plugin names it: "cni0.100".
std::string VlanInterfaceName(const std::string& bridge, uint16_t vlan);
// Whether a port's label says that it is the bridge's end of such an interface, made by us.
bool IsVlanInterfaceAlias(const std::string& alias);

// Whether a link is the host end of an attachment of any network: its label says so, and its name
// bears it out (anybody may write a label).
bool IsHostVeth(const LinkDetails& link);

// A pod's hardware address, made from its first IP address: whoever still knows a former holder of
// the address then sends to the right place. 0a:58 marks it as locally administered.
MacAddress MacFor(const IpAddress& address);
// Where there is no address: always the same for the same attachment.
MacAddress MacFor(const CniAttachment& attachment);

// For a link that nobody's cache knows. Locally administered.
MacAddress RandomMac();

// Links and addresses of the namespace that `netlink` was made in, which the calling thread must be
// in too. Neither owns nor closes it.
class LinkOps {
 public:
  // `sysctl_dir`: where its /proc/sys can be written.
  explicit LinkOps(NetlinkTransport& netlink, std::string sysctl_dir = kSysctlDir)
      : netlink_(netlink), sysctl_dir_(std::move(sysctl_dir)) {}

  const std::string& sysctl_dir() const { return sysctl_dir_; }

  // nullopt when there is none of that name.
  Result<std::optional<LinkDetails>> FindLink(const std::string& name);
  Result<std::optional<LinkDetails>> FindLink(int ifindex);
  // A veth's other end, wherever it is; nothing when the kernel does not tell.
  std::optional<LinkDetails> FindPeer(const LinkDetails& veth);
  // All addresses of its namespace, by links' indexes there; nullopt when the kernel does not tell,
  // also where both ends are in one namespace.
  std::optional<std::vector<AddressDetails>> AddressesByPeer(const LinkDetails& veth);
  Result<std::vector<LinkDetails>> AllLinks();
  Result<std::vector<AddressDetails>> AddressesOf(int ifindex);
  Result<std::vector<LinkDetails>> PortsOf(int bridge);
  // Every unicast route of the main table through `ifindex`.
  Result<std::vector<KernelRoute>> RoutesOf(int ifindex);

  // Of those families, the ones that the namespace is known to forward.
  std::vector<IpFamily> Forwarded(const std::vector<IpFamily>& families);

  // The bridge of that name, up; made when it is not there. Two processes may do so at once. That a
  // link which is already there is a bridge, PlugIn will tell.
  Result<LinkSummary> EnsureBridge(const std::string& name, uint32_t mtu, bool promiscuous);

  Status SetUp(const LinkDetails& link);

  // Adds an address that is already there without complaint.
  Status AddBridgeAddress(int bridge, const IpWithLength& address);
  Status DeleteAddress(int ifindex, const IpWithLength& address);

  struct Plug {
    VethSpec veth;
    std::string bridge_name;
    int bridge = 0;
    bool hairpin = false;
    bool isolated = false;
    PortVlans vlans;
    std::string alias;
  };
  // Makes the pair and puts its host end into the bridge, which is returned as it was right before.
  // AlreadyExists when either name is taken, InvalidArgument when the bridge is none. On error
  // nothing is left of it.
  Result<LinkDetails> PlugIn(const Plug& plug);

  // Makes the bridge keep VLANs apart. Returns the VLAN that it puts new ports into; 0: none.
  // InvalidArgument when it is no bridge.
  Result<uint16_t> EnsureVlanFiltering(const std::string& bridge);

  struct VlanInterface {
    std::string bridge_name;
    int bridge = 0;
    uint32_t mtu = 0;
    uint16_t vlan = 0;
    PortVlans port;  // Of its end in the bridge.
  };
  // The interface through which the host takes part in a VLAN, up. Made when it is not there, as a
  // pair of which one end is a port in the VLAN. Any link of that name will do. Two processes may
  // do so at once.
  Result<LinkSummary> EnsureVlanInterface(const VlanInterface& wanted);

  // The VLANs of one port, in ascending order.
  Result<std::vector<PortVlan>> VlansOf(int port);

  // The host's side of a pod's neighbour entries: right from the first packet on.
  Status SetNeighbours(int bridge, const std::vector<CniIp>& ips, const MacAddress& mac);

  struct PodSetup {
    std::string interface;
    std::vector<CniIp> ips;
    std::vector<CniRoute> routes;
    bool detect_duplicates = false;
    bool up = true;
  };
  // In the pod's namespace: loopback and the interface up, addresses, routes. IPv6 is enabled where
  // it is disabled (disable_ipv6) and there is an address of it to give; then the interface also
  // has its link-local address (EUI-64, RFC 4291), at once. Where there is none to give it has no
  // part in IPv6: each pod's own link-local address would mean ten frames to every other pod on the
  // node, and a way to them that no rule about IPv4 sees. Returns the interface.
  Result<LinkSummary> ConfigurePod(const PodSetup& setup);

  // Returns when the bridge takes frames from the port, whose other end is up; it does so within
  // 0.2 ms. DeadlineExceeded after three seconds. Where the bridge runs a spanning tree, which
  // takes half a minute, it is not waited for.
  Status AwaitPort(const std::string& name);

  // In the pod's namespace, after AwaitPort: has the kernel tell the neighbours where each of the
  // pod's addresses is now, by gratuitous ARP and unsolicited neighbour advertisements, so that a
  // former holder's hardware address is forgotten. With duplicate address detection the kernel does
  // it itself when that ends.
  Status Announce(const LinkSummary& pod_end);

 private:
  // The end of PlugIn for a port with VLANs of its own: no frame passes before it is in them.
  Status BringUpInVlans(const Plug& plug);
  // BR_STATE_*; an error when there is no such port.
  Result<uint8_t> PortState(const std::string& name);
  // The first failure as a Status; what the messages do is `what`.
  Status Run(NetlinkBatch& batch, const std::string& what);

  NetlinkTransport& netlink_;
  const std::string sysctl_dir_;
};

}  // namespace podroute

#endif  // PODROUTE_CNI_LINK_OPS_H_
