#include "cni/link_ops.h"

#include <linux/if_bridge.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <poll.h>
#include <sys/random.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <string_view>
#include <utility>

#include "cni/link_removal.h"
#include "cni/sysctl.h"

namespace podroute {
namespace {

constexpr char kAliasPrefix[] = "podroute ";
constexpr char kVlanAliasPrefix[] = "podroute-vlan ";

// FNV-1a, finished as in MurmurHash3 so that every input bit reaches every output bit.
uint64_t Hash(std::string_view text) {
  uint64_t hash = 0xcbf29ce484222325;
  for (char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  hash = (hash ^ (hash >> 33)) * 0xff51afd7ed558ccd;
  hash = (hash ^ (hash >> 33)) * 0xc4ceb9fe1a85ec53;
  return hash ^ (hash >> 33);
}

MacAddress MacFromHash(uint64_t hash) {
  MacAddress mac = {0x0a, 0x58, 0, 0, 0, 0};
  for (size_t i = 2; i < mac.size(); ++i) mac[i] = static_cast<uint8_t>(hash >> (i * 8));
  return mac;
}

uint64_t HashOf(const CniAttachment& attachment) {
  return Hash(attachment.container_id + "\n" + attachment.interface);
}

// The gateway of the address of the same family, when the route names none.
std::optional<IpAddress> GatewayFor(const CniRoute& route, const std::vector<CniIp>& ips) {
  if (route.gateway) return route.gateway;
  if (route.scope && *route.scope >= RT_SCOPE_LINK) return std::nullopt;
  for (const CniIp& ip : ips) {
    if (ip.gateway && ip.gateway->family() == route.dst.family()) return ip.gateway;
  }
  return std::nullopt;
}

bool OnSubnet(const IpAddress& gateway, const std::vector<CniIp>& ips) {
  return std::any_of(ips.begin(), ips.end(),
                     [&](const CniIp& ip) { return ip.address.subnet().Contains(gateway); });
}

bool HasIpv6(const std::vector<CniIp>& ips) {
  return std::any_of(ips.begin(), ips.end(),
                     [](const CniIp& ip) { return !ip.address.address.is_v4(); });
}

// fe80::/64 and the interface identifier made from the hardware address (RFC 4291, appendix A), as
// the kernel makes it.
IpWithLength LinkLocalFor(const MacAddress& mac) {
  std::array<uint8_t, 16> bytes = {0xfe, 0x80};
  std::copy(mac.begin(), mac.begin() + 3, bytes.begin() + 8);
  bytes[8] ^= 0x02;
  bytes[11] = 0xff;
  bytes[12] = 0xfe;
  std::copy(mac.begin() + 3, mac.end(), bytes.begin() + 13);
  return {IpAddress::FromBytes(IpFamily::kV6, bytes), 64};
}

// What an IPv6 address needs of the pod's kernel settings: IPv6 enabled, which some runtimes turn
// off in every new namespace, on the loopback too as the reference plugin does it; and that the
// neighbours are told.
Status PrepareIpv6(const std::string& interface) {
  const std::string settings = "net/ipv6/conf/";
  for (const std::string& name : {std::string("lo"), interface}) {
    Status enabled = EnsureSysctl(settings + name + "/disable_ipv6", "0");
    // A kernel without IPv6 says so more plainly when it is given the address.
    if (!enabled.ok() && enabled.code() != StatusCode::kNotFound) return enabled;
  }
  // Neighbours that are not told find out by themselves, only later.
  (void)EnsureSysctl(settings + interface + "/ndisc_notify", "1");
  return Status::Ok();
}

// Before a gateway is set up. What it forwards to a pod that has not spoken yet waits for the pod's
// hardware address, and the kernel asks for that from the gateway's link-local address
// (ndisc_solicit) only once that has been checked for duplicates: the first pod of a node was deaf
// for two seconds. Its hardware address is random, so there is nobody to have the same. Best
// effort: without IPv6 there is nothing to wait for, and where /proc/sys is read-only it only takes
// longer.
void SkipDuplicateDetection(const std::string& gateway, const std::string& sysctl_dir) {
  (void)EnsureSysctl("net/ipv6/conf/" + gateway + "/accept_dad", "0", sysctl_dir);
}

}  // namespace

std::string HostVethName(const CniAttachment& attachment) {
  constexpr char kDigits[] = "abcdefghijklmnopqrstuvwxyz234567";
  uint64_t hash = HashOf(attachment);
  std::string name = "veth";
  for (int i = 0; i < 11; ++i) name += kDigits[(hash >> (i * 5)) & 31];
  return name;
}

std::string HostVethAlias(const std::string& network, const CniAttachment& attachment) {
  constexpr size_t kMost = 255;  // IFALIASZ - 1
  std::string alias =
      kAliasPrefix + network + " " + attachment.container_id + " " + attachment.interface;
  return alias.size() <= kMost ? alias : "";
}

std::optional<CniAttachment> ParseHostVethAlias(const std::string& network,
                                                const std::string& alias) {
  std::string prefix = kAliasPrefix + network + " ";
  if (!alias.starts_with(prefix)) return std::nullopt;
  std::string rest = alias.substr(prefix.size());
  size_t space = rest.find(' ');
  if (space == std::string::npos) return std::nullopt;
  return CniAttachment{rest.substr(0, space), rest.substr(space + 1)};
}

std::string VlanInterfaceName(const std::string& bridge, uint16_t vlan) {
  return bridge + "." + std::to_string(vlan);
}

bool IsVlanInterfaceAlias(const std::string& alias) { return alias.starts_with(kVlanAliasPrefix); }

bool IsHostVeth(const LinkDetails& link) {
  if (!link.alias.starts_with(kAliasPrefix)) return false;
  size_t network_end = link.alias.find(' ', sizeof kAliasPrefix - 1);
  if (network_end == std::string::npos) return false;
  std::string network =
      link.alias.substr(sizeof kAliasPrefix - 1, network_end - (sizeof kAliasPrefix - 1));
  std::optional<CniAttachment> attachment = ParseHostVethAlias(network, link.alias);
  return attachment && HostVethName(*attachment) == link.name;
}

MacAddress MacFor(const IpAddress& address) {
  std::span<const uint8_t> bytes = address.bytes();
  if (!address.is_v4()) {
    return MacFromHash(Hash({reinterpret_cast<const char*>(bytes.data()), bytes.size()}));
  }
  MacAddress mac = {0x0a, 0x58, 0, 0, 0, 0};
  std::copy(bytes.begin(), bytes.end(), mac.begin() + 2);
  return mac;
}

MacAddress MacFor(const CniAttachment& attachment) { return MacFromHash(HashOf(attachment)); }

MacAddress RandomMac() {
  MacAddress mac{};
  // Six bytes are never short, and the pool is ready long before a pod starts.
  if (getrandom(mac.data(), mac.size(), 0) < 0) mac = {0, 0x58, 0, 0, 0, 1};
  mac[0] = static_cast<uint8_t>((mac[0] & 0xfc) | 0x02);  // Unicast, locally administered.
  return mac;
}

Status LinkOps::Run(NetlinkBatch& batch, const std::string& what) {
  PODROUTE_ASSIGN_OR_RETURN(std::vector<NetlinkFailure> failures, netlink_.Execute(batch));
  if (failures.empty()) return Status::Ok();
  return failures.front().ToStatus(what);
}

Result<LinkSummary> LinkOps::EnsureBridge(const std::string& name, uint32_t mtu, bool promiscuous) {
  PODROUTE_ASSIGN_OR_RETURN(std::optional<LinkSummary> link, QueryLink(name));
  if (!link) {
    NetlinkBatch batch;
    // An address of its own, or the bridge would take over its lowest port's, and change it under
    // running connections.
    EncodeCreateBridge(batch, name, RandomMac(), mtu);
    Status created = Run(batch, "create bridge " + name);
    // Another ADD may have been quicker.
    if (!created.ok() && created.code() != StatusCode::kAlreadyExists) return created;
    PODROUTE_ASSIGN_OR_RETURN(link, QueryLink(name));
    if (!link) return Status(StatusCode::kUnavailable, "bridge " + name + " went away");
  }
  uint32_t wanted = IFF_UP | (promiscuous ? uint32_t{IFF_PROMISC} : 0u);
  if ((link->flags & wanted) != wanted) {
    if ((link->flags & IFF_UP) == 0) SkipDuplicateDetection(name, sysctl_dir_);
    NetlinkBatch batch;
    EncodeSetLinkFlags(batch, link->ifindex, wanted);
    PODROUTE_RETURN_IF_ERROR(Run(batch, "set bridge " + name + " up"));
  }
  return *link;
}

Status LinkOps::SetUp(const LinkDetails& link) {
  NetlinkBatch batch;
  EncodeSetLinkFlags(batch, link.ifindex, IFF_UP);
  return Run(batch, "set " + link.name + " up");
}

Status LinkOps::AddBridgeAddress(int bridge, const IpWithLength& address) {
  NetlinkBatch batch;
  EncodeAddAddress(batch, bridge, address, false, kOurAddressProtocol);
  Status added = Run(batch, "give the bridge " + address.ToString());
  return added.code() == StatusCode::kAlreadyExists ? Status::Ok() : added;
}

Status LinkOps::DeleteAddress(int ifindex, const IpWithLength& address) {
  NetlinkBatch batch;
  EncodeDeleteAddress(batch, ifindex, address);
  PODROUTE_ASSIGN_OR_RETURN(std::vector<NetlinkFailure> failures, netlink_.Execute(batch));
  if (failures.empty() || failures[0].error == EADDRNOTAVAIL) return Status::Ok();
  return failures[0].ToStatus("take " + address.ToString() + " from the bridge");
}

Result<LinkDetails> LinkOps::PlugIn(const Plug& plug) {
  const std::string& name = plug.veth.host_name;
  NetlinkBatch batch;
  // First: later it would wait for the kernel's own work on the new link, which holds the RTNL
  // lock.
  EncodeGetLinkByName(batch, plug.bridge_name);
  EncodeCreateVeth(batch, plug.veth);
  EncodePlugIn(batch, name, plug.bridge, plug.alias);
  if (plug.vlans.empty()) EncodePortUp(batch, name, plug.hairpin, plug.isolated);
  std::optional<LinkDetails> bridge;
  PODROUTE_ASSIGN_OR_RETURN(std::vector<NetlinkFailure> failures,
                            netlink_.Execute(batch, [&](const NetlinkMessage& message) {
                              if (auto link = DecodeLinkDetails(message)) bridge = std::move(link);
                            }));
  bool is_bridge = bridge && bridge->kind == "bridge";
  constexpr size_t kPlugIn = 2;  // In the batch.
  if (is_bridge && !failures.empty() && failures[0].index == kPlugIn &&
      failures[0].error == EAFNOSUPPORT) {
    NetlinkBatch again;
    EncodePlugIn(again, name, plug.bridge, plug.alias, false);
    if (plug.vlans.empty()) EncodePortUp(again, name, plug.hairpin, plug.isolated);
    PODROUTE_ASSIGN_OR_RETURN(failures, netlink_.Execute(again));
    // As they would have been told of the first batch.
    for (NetlinkFailure& failure : failures) failure.index += kPlugIn;
  }
  if (failures.empty() && is_bridge) {
    Status up = plug.vlans.empty() ? Status::Ok() : BringUpInVlans(plug);
    if (up.ok()) return std::move(*bridge);
    (void)RemoveLink(name);
    return up;
  }
  constexpr size_t kCreate = 1;  // In the batch.
  // If the pair could not be made, what came after it failed too, or met an older link of that name
  // and found it as it should be. Else the pair is ours to remove.
  bool made = std::none_of(failures.begin(), failures.end(),
                           [](const NetlinkFailure& failure) { return failure.index == kCreate; });
  if (made) (void)RemoveLink(name);
  std::string what =
      "plug " + plug.veth.pod_name + " (host end " + name + ") into " + plug.bridge_name;
  if (bridge && !is_bridge) {
    return Status(StatusCode::kInvalidArgument,
                  what + ": " + plug.bridge_name + " is " +
                      (bridge->kind.empty() ? "a device" : bridge->kind) + ", not a bridge");
  }
  if (failures.empty()) return Status(StatusCode::kInternal, what + ": no answer");
  return failures.front().ToStatus(what);
}

Status LinkOps::BringUpInVlans(const Plug& plug) {
  const std::string& name = plug.veth.host_name;
  // The messages of family AF_BRIDGE take no name.
  PODROUTE_ASSIGN_OR_RETURN(std::optional<LinkSummary> port, QueryLink(name));
  if (!port) return Status(StatusCode::kUnavailable, name + " went away");
  NetlinkBatch batch;
  EncodeSetPortVlans(batch, port->ifindex, plug.vlans);
  EncodePortUp(batch, name, plug.hairpin, plug.isolated);
  PODROUTE_ASSIGN_OR_RETURN(std::vector<NetlinkFailure> failures, netlink_.Execute(batch));
  for (const NetlinkFailure& failure : failures) {
    bool is_removal = plug.vlans.removed != 0 && failure.index == 0;
    if (is_removal && failure.error == ENOENT) continue;  // It is not in that VLAN any more.
    return failure.ToStatus("put " + name + " into its VLANs");
  }
  return Status::Ok();
}

Result<uint16_t> LinkOps::EnsureVlanFiltering(const std::string& bridge) {
  PODROUTE_ASSIGN_OR_RETURN(std::optional<LinkDetails> link, FindLink(bridge));
  if (!link || link->kind != "bridge") {
    return Status(StatusCode::kInvalidArgument, bridge + " is not a bridge");
  }
  if (link->vlan_filtering) return link->default_vlan;
  NetlinkBatch batch;
  EncodeSetVlanFiltering(batch, link->ifindex);
  PODROUTE_ASSIGN_OR_RETURN(std::vector<NetlinkFailure> failures, netlink_.Execute(batch));
  if (failures.empty()) return link->default_vlan;
  if (failures[0].error == EOPNOTSUPP) {
    return Status(StatusCode::kUnsupported,
                  "bridge " + bridge +
                      ": this kernel knows no VLANs (it lacks CONFIG_BRIDGE_VLAN_FILTERING)");
  }
  return failures[0].ToStatus("have bridge " + bridge + " keep VLANs apart");
}

Result<LinkSummary> LinkOps::EnsureVlanInterface(const VlanInterface& wanted) {
  const std::string name = VlanInterfaceName(wanted.bridge_name, wanted.vlan);
  PODROUTE_ASSIGN_OR_RETURN(std::optional<LinkSummary> link, QueryLink(name));
  // It is set up last of all, so one that is up is complete.
  if (link && (link->flags & IFF_UP) != 0) return *link;
  Plug plug;
  plug.veth.host_name = HostVethName({"vlan interface", name});  // No container ID has a blank.
  plug.veth.host_mac = RandomMac();
  plug.veth.pod_name = name;
  plug.veth.pod_mac = RandomMac();
  plug.veth.mtu = wanted.mtu;
  plug.bridge_name = wanted.bridge_name;
  plug.bridge = wanted.bridge;
  plug.vlans = wanted.port;
  plug.alias = kVlanAliasPrefix + name;
  Status plugged = link ? Status(StatusCode::kAlreadyExists, "") : PlugIn(plug).status();
  if (plugged.code() == StatusCode::kAlreadyExists) {
    // Another ADD is at it, or ended in the middle of it; or it is somebody else's, with a port of
    // another name.
    PODROUTE_ASSIGN_OR_RETURN(std::optional<LinkSummary> port, QueryLink(plug.veth.host_name));
    plugged = Status::Ok();
    if (port) {
      NetlinkBatch batch;
      EncodePlugIn(batch, plug.veth.host_name, plug.bridge, plug.alias);
      const std::string what = "put " + plug.veth.host_name + " into " + plug.bridge_name;
      plugged = Run(batch, what);
      if (plugged.code() == StatusCode::kUnsupported) {  // A link without IPv6.
        NetlinkBatch again;
        EncodePlugIn(again, plug.veth.host_name, plug.bridge, plug.alias, false);
        plugged = Run(again, what);
      }
      if (plugged.ok()) plugged = BringUpInVlans(plug);
    }
  }
  if (!plugged.ok()) return plugged;
  PODROUTE_ASSIGN_OR_RETURN(link, QueryLink(name));
  if (!link) return Status(StatusCode::kUnavailable, name + " went away");
  SkipDuplicateDetection(name, sysctl_dir_);
  NetlinkBatch batch;
  EncodeSetLinkFlags(batch, link->ifindex, IFF_UP);
  PODROUTE_RETURN_IF_ERROR(Run(batch, "set " + name + " up"));
  return *link;
}

Result<std::vector<PortVlan>> LinkOps::VlansOf(int port) {
  NetlinkBatch batch;
  EncodeDumpPortVlans(batch);
  std::vector<PortVlan> vlans;
  PODROUTE_ASSIGN_OR_RETURN(DumpResult dump,
                            netlink_.Dump(batch, [&](const NetlinkMessage& message) {
                              auto list = DecodePortVlans(message);
                              if (list && list->ifindex == port) vlans = std::move(list->vlans);
                            }));
  (void)dump;  // What changes about other ports meanwhile does not matter.
  return vlans;
}

Status LinkOps::SetNeighbours(int bridge, const std::vector<CniIp>& ips, const MacAddress& mac) {
  if (ips.empty()) return Status::Ok();
  NetlinkBatch batch;
  for (const CniIp& ip : ips) EncodeSetNeighbour(batch, bridge, ip.address.address, mac);
  return Run(batch, "tell the host the pod's hardware address");
}

Result<uint8_t> LinkOps::PortState(const std::string& name) {
  // Since Linux 6.8 the question by itself has the kernel do at once what it still has to do about
  // the link's carrier (linkwatch_sync_dev), the bridge port's state included.
  PODROUTE_ASSIGN_OR_RETURN(std::optional<LinkDetails> port, FindLink(name));
  if (!port) return Status(StatusCode::kUnavailable, name + " went away");
  return port->port_state;
}

Status LinkOps::AwaitPort(const std::string& name) {
  constexpr std::chrono::seconds kPatience(3);
  constexpr int kReceiveBuffer = 256 << 10;
  PODROUTE_ASSIGN_OR_RETURN(uint8_t state, PortState(name));
  if (state != BR_STATE_DISABLED) return Status::Ok();
  PODROUTE_ASSIGN_OR_RETURN(std::unique_ptr<NotificationSocket> changes,
                            NotificationSocket::Create({RTNLGRP_LINK}, kReceiveBuffer, nullptr));
  auto deadline = std::chrono::steady_clock::now() + kPatience;
  for (;;) {
    // Also the first time: it may have changed before we listened.
    PODROUTE_ASSIGN_OR_RETURN(state, PortState(name));
    if (state != BR_STATE_DISABLED) return Status::Ok();
    auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) {
      return Status(StatusCode::kDeadlineExceeded,
                    "the bridge does not take " + name + " into use: is the bridge up?");
    }
    pollfd changed{changes->fd(), POLLIN, 0};
    (void)poll(&changed, 1, static_cast<int>(left.count()));  // Whatever it says: look again.
    PODROUTE_ASSIGN_OR_RETURN(bool complete, changes->Drain([](const NetlinkMessage&) {}));
    (void)complete;  // The state is asked for, not read from what came.
  }
}

Status LinkOps::Announce(const LinkSummary& pod_end) {
  NetlinkBatch batch;
  EncodeSetLinkMac(batch, pod_end.ifindex, pod_end.mac);
  return Run(batch, "announce the pod's addresses");
}

Result<LinkSummary> LinkOps::ConfigurePod(const PodSetup& setup) {
  PODROUTE_ASSIGN_OR_RETURN(std::optional<LinkSummary> link, QueryLink(setup.interface));
  if (!link) return Status(StatusCode::kNotFound, setup.interface + " is not in the pod");
  if (HasIpv6(setup.ips)) PODROUTE_RETURN_IF_ERROR(PrepareIpv6(setup.interface));
  NetlinkBatch batch;
  std::vector<std::string> steps;
  constexpr int kLoopback = 1;  // In every namespace (LOOPBACK_IFINDEX).
  EncodeSetLinkFlags(batch, kLoopback, IFF_UP);
  steps.emplace_back("set lo up");
  // With duplicate address detection all is left to the kernel.
  bool quiet = setup.up && !(HasIpv6(setup.ips) && setup.detect_duplicates);
  std::optional<size_t> no_own_ipv6;
  if (quiet) {
    no_own_ipv6 = steps.size();
    EncodeNoOwnIpv6(batch, link->ifindex);
    steps.push_back("keep the kernel from giving " + setup.interface + " an IPv6 address");
  }
  if (setup.up) {
    EncodePodUp(batch, link->ifindex);
    steps.push_back("set " + setup.interface + " up");
  }
  std::optional<size_t> link_local;
  if (quiet && HasIpv6(setup.ips)) {
    link_local = steps.size();
    IpWithLength address = LinkLocalFor(link->mac);
    EncodeAddAddress(batch, link->ifindex, address, false, 0);
    steps.push_back("give " + setup.interface + " " + address.ToString());
  }
  for (const CniIp& ip : setup.ips) {
    EncodeAddAddress(batch, link->ifindex, ip.address, setup.detect_duplicates, 0);
    steps.push_back("give " + setup.interface + " " + ip.address.ToString());
  }
  for (const CniRoute& route : setup.routes) {
    std::optional<IpAddress> gateway = GatewayFor(route, setup.ips);
    EncodeAddPodRoute(batch, link->ifindex, route, gateway,
                      gateway && !OnSubnet(*gateway, setup.ips));
    steps.push_back("route " + route.dst.ToString() +
                    (gateway ? " via " + gateway->ToString() : " on " + setup.interface));
  }
  PODROUTE_ASSIGN_OR_RETURN(std::vector<NetlinkFailure> failures, netlink_.Execute(batch));
  for (const NetlinkFailure& failure : failures) {
    bool is_route = failure.index >= steps.size() - setup.routes.size();
    // Of equal routes the first wins, as with the reference plugin; the subnet's own is one too.
    if (is_route && failure.error == EEXIST) continue;
    // A kernel without IPv6 gives none anyway.
    if (failure.index == no_own_ipv6 && failure.error == EAFNOSUPPORT) continue;
    if (failure.index == link_local && failure.error == EEXIST) continue;
    return failure.ToStatus("in the pod: " + steps[failure.index]);
  }
  return *link;
}

}  // namespace podroute
