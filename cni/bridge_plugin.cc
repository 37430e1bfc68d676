#include "cni/bridge_plugin.h"

#include <net/if.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <set>
#include <utility>

#include "cni/attachment_check.h"
#include "cni/bridge_gateway.h"
#include "cni/ipam.h"
#include "cni/link_ops.h"
#include "cni/link_removal.h"
#include "cni/mac_spoof.h"
#include "cni/netns.h"
#include "cni/pod_nat.h"
#include "routing/netlink_socket.h"

namespace podroute {
namespace {

CniError KernelError(const Status& status) {
  const char* hint = status.code() == StatusCode::kPermissionDenied
                         ? "the plugin must run as root with CAP_NET_ADMIN and CAP_SYS_ADMIN"
                         : "";
  return ToCniError(CniErrorCode::kKernel, status, hint);
}

CniAttachment AttachmentOf(const CniArgs& args) { return {args.container_id, args.interface}; }

// The pod's namespace, which must exist and not be the host's.
CniOr<UniqueFd> OpenPodNetns(const CniArgs& args) {
  Result<UniqueFd> netns = OpenNetns(args.netns);
  if (!netns.ok()) {
    CniErrorCode code = netns.status().code() == StatusCode::kNotFound
                            ? CniErrorCode::kUnknownContainer
                            : CniErrorCode::kInvalidEnvironment;
    return ToCniError(code, netns.status().WithContext("CNI_NETNS"));
  }
  Result<bool> own = IsOwnNetns(netns->get());
  if (!own.ok()) return KernelError(own.status());
  if (*own) {
    return CniError{CniErrorCode::kInvalidEnvironment, std::nullopt,
                    "CNI_NETNS=" + args.netns + " is the host's own network namespace",
                    "a pod with hostNetwork needs no CNI plugin"};
  }
  return std::move(*netns);
}

// What ADD has done so far, and how to undo it. Undoing is best effort: the error to tell is the
// one that made it necessary.
class Undo {
 public:
  void SetIpam(Ipam* ipam) { ipam_ = ipam; }
  void SetLink(std::string name) { link_ = std::move(name); }
  void SetMacSpoofCheck(const CniCall* call) { checked_ = call; }
  void SetNat(const CniCall* call) { mapped_ = call; }
  void Commit() {
    ipam_ = nullptr;
    link_.clear();
    checked_ = nullptr;
    mapped_ = nullptr;
  }
  ~Undo() {
    if (mapped_ != nullptr) (void)DeletePodNat(*mapped_);
    if (!link_.empty()) (void)RemoveLink(link_);
    if (checked_ != nullptr) (void)DeleteMacSpoofCheck(*checked_);
    if (ipam_ != nullptr) (void)ipam_->Del();
  }

 private:
  Ipam* ipam_ = nullptr;
  std::string link_;
  const CniCall* checked_ = nullptr;
  const CniCall* mapped_ = nullptr;
};

MacAddress ChooseMac(const CniCall& call, const CniResult& result) {
  if (call.conf.mac) return *call.conf.mac;
  if (!call.args.mac.empty()) return *ParseMac(call.args.mac);  // Checked by ParseCniArgs.
  if (!result.ips.empty()) return MacFor(result.ips[0].address.address);
  return MacFor(AttachmentOf(call.args));
}

// Whether the hardware address is the one that goes with the pod's first IP address.
bool HasOwnMac(const MacAddress& mac, const CniResult& result) {
  return result.ips.empty() || mac == MacFor(result.ips[0].address.address);
}

// The pod's side, for as long as ADD has something to do there: a socket stays in the namespace
// that it was made in.
struct PodSide {
  std::unique_ptr<NetlinkSocket> netlink;
  LinkSummary link;
};

Result<PodSide> ConfigurePod(const CniCall& call, int netns, const CniResult& result) {
  LinkOps::PodSetup setup;
  setup.interface = call.args.interface;
  setup.ips = result.ips;
  setup.routes = result.routes;
  setup.detect_duplicates = call.conf.duplicate_address_detection;
  setup.up = !call.conf.disable_container_interface;
  PodSide pod;
  Status configured = RunInNetns(netns, [&]() -> Status {
    PODROUTE_ASSIGN_OR_RETURN(pod.netlink, NetlinkSocket::Create());
    PODROUTE_ASSIGN_OR_RETURN(pod.link, LinkOps(*pod.netlink).ConfigurePod(setup));
    return Status::Ok();
  });
  if (!configured.ok()) return configured;
  return pod;
}

// The VLANs of a port made for `conf` in a bridge that keeps VLANs apart.
PortVlans VlansFor(const NetConf& conf, uint16_t default_vlan) {
  PortVlans vlans;
  vlans.untagged = conf.vlan;
  vlans.tagged = conf.vlan_trunk;
  if (!conf.preserve_default_vlan) vlans.removed = default_vlan;
  return vlans;
}

// The name of what the host has in the pods' network.
std::string GatewayInterface(const NetConf& conf) {
  return conf.vlan != 0 && conf.is_gateway ? VlanInterfaceName(conf.bridge, conf.vlan)
                                           : conf.bridge;
}

// What the host has in the pods' network: the bridge, or its interface in the pods' VLAN.
struct Gateway {
  std::string name;
  LinkSummary link;
  std::optional<uint32_t> accept_ra, route_localnet;  // As far as they are known.
};

// The gateway with its addresses, and what it needs to forward. `gateway` is the bridge.
Result<Gateway> EnsureGateway(const NetConf& conf, const LinkOps::Plug& plug, Gateway gateway,
                              const std::vector<CniIp>& ips, LinkOps& ops) {
  const LinkSummary bridge = gateway.link;
  if (conf.vlan != 0 && !ips.empty()) {
    gateway.name = VlanInterfaceName(conf.bridge, conf.vlan);
    PODROUTE_ASSIGN_OR_RETURN(
        gateway.link,
        ops.EnsureVlanInterface({conf.bridge, bridge.ifindex, bridge.mtu, conf.vlan, plug.vlans}));
    PODROUTE_RETURN_IF_ERROR(EnsureForwarding(ops, conf.bridge, ips, gateway.accept_ra));
    gateway.accept_ra.reset();
    gateway.route_localnet.reset();
  }
  PODROUTE_RETURN_IF_ERROR(
      EnsureGatewayAddresses(ops, conf, bridge.ifindex, gateway.link.ifindex, ips));
  PODROUTE_RETURN_IF_ERROR(EnsureForwarding(ops, gateway.name, ips, gateway.accept_ra));
  return gateway;
}

CniOr<LinkOps::Plug> PlanPlug(const CniCall& call, int netns, const CniResult& result,
                              const LinkSummary& bridge, LinkOps& ops) {
  const NetConf& conf = call.conf;
  CniAttachment attachment = AttachmentOf(call.args);
  LinkOps::Plug plug;
  plug.veth.host_name = HostVethName(attachment);
  plug.veth.host_mac = RandomMac();
  plug.veth.pod_name = attachment.interface;
  plug.veth.pod_netns = netns;
  plug.veth.pod_mac = ChooseMac(call, result);
  plug.veth.mtu = conf.mtu != 0 ? conf.mtu : bridge.mtu;
  plug.bridge_name = conf.bridge;
  plug.bridge = bridge.ifindex;
  plug.hairpin = conf.hairpin_mode;
  plug.isolated = conf.port_isolation;
  plug.alias = HostVethAlias(conf.name, attachment);
  if (conf.uses_vlans()) {
    Result<uint16_t> default_vlan = ops.EnsureVlanFiltering(conf.bridge);
    if (!default_vlan.ok()) return KernelError(default_vlan.status());
    plug.vlans = VlansFor(conf, *default_vlan);
  }
  return plug;
}

// Host and pod side of ADD, with the addresses known.
CniOr<CniResult> Attach(const CniCall& call, int netns, CniResult result, LinkOps& ops,
                        Undo& undo) {
  const NetConf& conf = call.conf;
  Result<LinkSummary> bridge = ops.EnsureBridge(conf.bridge, conf.mtu, conf.promisc_mode);
  if (!bridge.ok()) return KernelError(bridge.status());
  CniOr<LinkOps::Plug> plug = PlanPlug(call, netns, result, *bridge, ops);
  if (!plug.ok()) return plug.error();
  // Plugged in already, perhaps into another network: it stays as it is.
  Result<std::optional<LinkSummary>> older = QueryLink(plug->veth.host_name);
  if (!older.ok()) return KernelError(older.status());
  if (*older) {
    return KernelError(Status(StatusCode::kAlreadyExists,
                              "plug " + call.args.interface + " (host end " + plug->veth.host_name +
                                  ") into " + conf.bridge + ": it is plugged in already (EEXIST)"));
  }
  // Before there is a port: no frame passes unchecked.
  undo.SetMacSpoofCheck(&call);
  CniProblem problem = AddMacSpoofCheck(call, plug->veth.host_name, plug->veth.pod_mac);
  if (problem) return *problem;
  Result<LinkDetails> plugged = ops.PlugIn(*plug);
  if (!plugged.ok()) return KernelError(plugged.status());
  undo.SetLink(plug->veth.host_name);
  // Before the rest of the host's side: meanwhile the kernel takes the port into use.
  Result<PodSide> pod = ConfigurePod(call, netns, result);
  if (!pod.ok()) return KernelError(pod.status());
  Result<Gateway> gateway =
      Gateway{conf.bridge, *bridge, plugged->accept_ra, plugged->route_localnet};
  if (conf.is_gateway) {
    // After the port, whose label keeps an ADD of another network from taking the address for
    // unused.
    gateway = EnsureGateway(conf, *plug, std::move(*gateway), result.ips, ops);
    if (!gateway.ok()) return KernelError(gateway.status());
  }
  if (!HasOwnMac(plug->veth.pod_mac, result)) {
    // Whoever had the addresses before had another hardware address: the host must not try that
    // first.
    Status told = ops.SetNeighbours(gateway->link.ifindex, result.ips, plug->veth.pod_mac);
    if (!told.ok()) return KernelError(told);
  }
  if (CniProblem problem =
          AddPodNat(call, result.ips, gateway->name, gateway->route_localnet == 1u)) {
    return *problem;
  }
  if (conf.ip_masq || !conf.port_mappings.empty()) undo.SetNat(&call);
  // Last: by now the kernel has the port in use, or nearly.
  if (!conf.disable_container_interface) {
    Status usable = ops.AwaitPort(plug->veth.host_name);
    if (usable.ok() && !result.ips.empty()) usable = LinkOps(*pod->netlink).Announce(pod->link);
    if (!usable.ok()) return KernelError(usable);
  }

  // Its MTU is the least of its ports', and may be another one since this one is among them.
  if (Result<std::optional<LinkSummary>> now = QueryLink(conf.bridge); now.ok() && *now) {
    bridge->mtu = (*now)->mtu;
  }
  result.interfaces = {
      {conf.bridge, MacToString(bridge->mac), "", bridge->mtu},
      {plug->veth.host_name, MacToString(plug->veth.host_mac), "", plug->veth.mtu},
      {call.args.interface, MacToString(pod->link.mac), call.args.netns, pod->link.mtu}};
  if (gateway->name != conf.bridge) {
    result.interfaces.push_back(
        {gateway->name, MacToString(gateway->link.mac), "", gateway->link.mtu});
  }
  for (CniIp& ip : result.ips) ip.interface = 2;  // The pod's.
  return result;
}

// Deletes an interface that another bridge plugin made in the pod, so that a node can move to this
// one without draining: its host end has a name that only its namespace leads to.
CniProblem DeleteForeignPlug(const CniArgs& args, LinkOps& host) {
  if (args.netns.empty()) return std::nullopt;
  Result<UniqueFd> netns = OpenNetns(args.netns);
  if (!netns.ok()) return std::nullopt;  // Gone, and the interface with it.
  Result<bool> own = IsOwnNetns(netns->get());
  if (!own.ok() || *own) return std::nullopt;
  Status deleted = RunInNetns(netns->get(), [&]() -> Status {
    PODROUTE_ASSIGN_OR_RETURN(std::unique_ptr<NetlinkSocket> netlink, NetlinkSocket::Create());
    LinkOps ops(*netlink);
    PODROUTE_ASSIGN_OR_RETURN(std::optional<LinkDetails> link, ops.FindLink(args.interface));
    if (!link || link->kind != "veth") return Status::Ok();
    // A runtime that names namespaces by process (/proc/PID/ns/net) and calls DEL again may by now
    // mean another pod's.
    PODROUTE_ASSIGN_OR_RETURN(std::optional<LinkDetails> host_end, host.FindLink(link->peer));
    if (host_end && IsHostVeth(*host_end)) return Status::Ok();
    Result<bool> gone = RemoveLink(args.interface);
    return gone.ok() ? Status::Ok() : gone.status();
  });
  if (!deleted.ok()) return KernelError(deleted);
  return std::nullopt;
}

bool IsListed(const std::vector<CniAttachment>& valid, const CniAttachment& attachment) {
  return std::find(valid.begin(), valid.end(), attachment) != valid.end();
}

// What DEL does for an attachment beside its link and its addresses: for one that never got a DEL,
// before its addresses are given to others.
LinuxHostView::ForgetFunction Forget(const CniCall& call) {
  return [&call](const CniAttachment& gone) {
    CniCall other = call;
    other.args.container_id = gone.container_id;
    other.args.interface = gone.interface;
    return !DeletePodNat(other) && !DeleteMacSpoofCheck(other);
  };
}

// The attachments of this network that have a port in the bridge.
Result<std::vector<CniAttachment>> PluggedIn(LinkOps& ops, const NetConf& conf) {
  std::vector<CniAttachment> attachments;
  PODROUTE_ASSIGN_OR_RETURN(std::optional<LinkDetails> bridge, ops.FindLink(conf.bridge));
  if (!bridge) return attachments;
  PODROUTE_ASSIGN_OR_RETURN(std::vector<LinkDetails> ports, ops.PortsOf(bridge->ifindex));
  for (const LinkDetails& port : ports) {
    std::optional<CniAttachment> attachment = ParseHostVethAlias(conf.name, port.alias);
    // The name must bear the label out: anybody may write a label.
    if (attachment && HostVethName(*attachment) == port.name) attachments.push_back(*attachment);
  }
  return attachments;
}

}  // namespace

CniOr<CniResult> BridgePlugin::Add(const CniCall& call) {
  CniOr<UniqueFd> netns = OpenPodNetns(call.args);
  if (!netns.ok()) return netns.error();
  Result<std::unique_ptr<NetlinkSocket>> netlink = NetlinkSocket::Create();
  if (!netlink.ok()) return KernelError(netlink.status());
  LinkOps ops(**netlink);
  Ipam ipam(call.args, call.conf, call.config_text, Forget(call));
  Undo undo;
  CniResult addresses;
  if (!call.conf.ipam.type.empty()) {
    CniOr<CniResult> given = ipam.Add();
    if (!given.ok()) return given.error();
    undo.SetIpam(&ipam);
    addresses = std::move(*given);
    addresses.interfaces.clear();
    CompleteGateways(call.conf, addresses);
  }
  CniOr<CniResult> result = Attach(call, netns->get(), std::move(addresses), ops, undo);
  if (!result.ok()) return result.error();
  if (!call.conf.dns.empty()) result->dns = call.conf.dns;
  undo.Commit();
  return result;
}

CniProblem BridgePlugin::Del(const CniCall& call) {
  Result<std::unique_ptr<NetlinkSocket>> netlink = NetlinkSocket::Create();
  if (!netlink.ok()) return KernelError(netlink.status());
  // First: a port must not lead to an address that somebody else gets next.
  if (CniProblem problem = DeletePodNat(call)) return problem;
  LinkOps ops(**netlink);
  Result<bool> deleted = RemoveLink(HostVethName(AttachmentOf(call.args)));
  if (!deleted.ok()) return KernelError(deleted.status());
  if (!*deleted) {
    if (CniProblem problem = DeleteForeignPlug(call.args, ops)) return problem;
  }
  // After the link: until it is gone its frames are checked.
  if (CniProblem problem = DeleteMacSpoofCheck(call)) return problem;
  if (call.conf.ipam.type.empty()) return std::nullopt;
  return Ipam(call.args, call.conf, call.config_text).Del();
}

CniProblem BridgePlugin::Check(const CniCall& call) {
  CniOr<UniqueFd> netns = OpenPodNetns(call.args);
  if (!netns.ok()) {
    CniError error = netns.error();
    // Code 3 would tell the runtime that there is nothing to clean up.
    if (error.code == CniErrorCode::kUnknownContainer) error.code = CniErrorCode::kCheckFailed;
    return error;
  }
  const CniResult& expected = *call.conf.prev_result;
  if (CniProblem problem = CheckAttachment(call, netns->get())) return problem;
  for (const CniInterface& interface : expected.interfaces) {
    std::optional<MacAddress> mac = ParseMac(interface.mac);
    if (interface.name != call.args.interface || interface.sandbox.empty() || !mac) continue;
    std::string host_end = HostVethName(AttachmentOf(call.args));
    if (CniProblem problem = CheckMacSpoofCheck(call, host_end, *mac)) return problem;
  }
  if (CniProblem problem = CheckPodNat(call, GatewayInterface(call.conf))) return problem;
  if (call.conf.ipam.type.empty()) return std::nullopt;
  std::vector<IpAddress> addresses;
  for (const CniIp& ip : expected.ips) addresses.push_back(ip.address.address);
  return Ipam(call.args, call.conf, call.config_text).Check(addresses);
}

CniProblem BridgePlugin::Status(const CniCall& call) {
  auto unavailable = [](std::string message, std::string details, CniErrorCode code) {
    return CniError{code, std::nullopt, std::move(message), std::move(details)};
  };
  Result<std::unique_ptr<NetlinkSocket>> netlink = NetlinkSocket::Create();
  if (!netlink.ok()) {
    return unavailable(netlink.status().message(), "", CniErrorCode::kUnavailable);
  }
  LinkOps ops(**netlink);
  Result<std::optional<LinkDetails>> bridge = ops.FindLink(call.conf.bridge);
  if (!bridge.ok()) {
    return unavailable(bridge.status().message(), "", CniErrorCode::kUnavailable);
  }
  if (*bridge && (*bridge)->kind != "bridge") {
    return unavailable(call.conf.bridge + " is not a bridge",
                       "remove that link, or name another in the configuration's \"bridge\"",
                       CniErrorCode::kUnavailable);
  }
  if (CniProblem problem = PodNatStatus(call)) return problem;
  if (call.conf.ipam.type.empty()) return std::nullopt;
  Ipam ipam(call.args, call.conf, call.config_text, Forget(call));
  CniProblem problem = ipam.Status();
  bool up = *bridge && ((*bridge)->flags & IFF_UP) != 0;
  if (problem && *bridge && !up) {
    problem->code = CniErrorCode::kLimitedConnectivity;
    problem->details += "; and " + call.conf.bridge + " is down";
  }
  return problem;
}

CniProblem BridgePlugin::Gc(const CniCall& call) {
  Result<std::unique_ptr<NetlinkSocket>> netlink = NetlinkSocket::Create();
  if (!netlink.ok()) return KernelError(netlink.status());
  LinkOps ops(**netlink);
  const std::vector<CniAttachment>& valid = *call.conf.valid_attachments;
  std::set<CniAttachment> stale;
  Result<std::vector<CniAttachment>> plugged = PluggedIn(ops, call.conf);
  if (!plugged.ok()) return KernelError(plugged.status());
  for (const CniAttachment& attachment : *plugged) {
    if (!IsListed(valid, attachment)) stale.insert(attachment);
  }
  Ipam ipam(call.args, call.conf, call.config_text);
  bool has_ipam = !call.conf.ipam.type.empty();
  if (has_ipam) {
    CniOr<std::vector<CniAttachment>> owners = ipam.StaleOwners(valid);
    if (!owners.ok()) return owners.error();
    stale.insert(owners->begin(), owners->end());
  }
  // One that cannot be removed does not keep the others; the first error is told at the end.
  CniProblem first;
  auto keep_first = [&](CniProblem problem) {
    if (problem && !first) first = std::move(problem);
  };
  keep_first(CollectPodNat(call));
  for (const CniAttachment& attachment : stale) {
    Result<bool> deleted = RemoveLink(HostVethName(attachment));
    if (!deleted.ok()) {
      keep_first(KernelError(deleted.status()));
    } else if (has_ipam) {
      keep_first(ipam.Release(attachment));
    }
  }
  keep_first(CollectMacSpoofChecks(call));
  if (has_ipam) keep_first(ipam.Gc());
  return first;
}

}  // namespace podroute
