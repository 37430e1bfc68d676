#include "cni/attachment_check.h"

#include <linux/rtnetlink.h>
#include <net/if.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "base/file.h"
#include "cni/bridge_gateway.h"
#include "cni/link_ops.h"
#include "cni/netns.h"
#include "routing/netlink_socket.h"

namespace podroute {
namespace {

Status Differs(const std::string& what) { return Status(StatusCode::kNotFound, what); }

// The interface of that name in prevResult, on the host (empty sandbox) or in a sandbox.
const CniInterface* FindExpected(const CniResult& result, const std::string& name, bool in_pod) {
  auto found = std::find_if(result.interfaces.begin(), result.interfaces.end(),
                            [&](const CniInterface& interface) {
                              return interface.name == name && interface.sandbox.empty() != in_pod;
                            });
  return found == result.interfaces.end() ? nullptr : &*found;
}

Status CheckMac(const LinkDetails& link, const CniInterface* expected) {
  if (expected == nullptr || expected->mac.empty()) return Status::Ok();
  std::optional<MacAddress> mac = ParseMac(expected->mac);
  if (mac && link.mac == mac) return Status::Ok();
  return Differs(link.name + " has the hardware address " +
                 (link.mac ? MacToString(*link.mac) : "(none)") + ", not " + expected->mac);
}

// Results have an MTU since 1.1.0.
Status CheckMtu(const LinkDetails& link, const CniInterface* expected) {
  if (expected == nullptr || expected->mtu == 0 || link.mtu == expected->mtu) return Status::Ok();
  return Differs(link.name + " has an MTU of " + std::to_string(link.mtu) + ", not " +
                 std::to_string(expected->mtu));
}

Status CheckUp(const LinkDetails& link) {
  return (link.flags & IFF_UP) != 0 ? Status::Ok() : Differs(link.name + " is down");
}

// prevResult's host end: ours by name, or whatever veth another bridge plugin put there.
const CniInterface* ExpectedHostEnd(const CniCall& call) {
  const CniResult& result = *call.conf.prev_result;
  std::string ours = HostVethName({call.args.container_id, call.args.interface});
  if (const CniInterface* found = FindExpected(result, ours, false)) return found;
  for (const CniInterface& interface : result.interfaces) {
    if (interface.sandbox.empty() && interface.name.starts_with("veth")) return &interface;
  }
  return nullptr;
}

// The pod's port is in the VLANs that the configuration asks for.
Status CheckVlans(const NetConf& conf, const LinkDetails& bridge, const LinkDetails& port,
                  LinkOps& ops) {
  if (!conf.uses_vlans()) return Status::Ok();
  if (!bridge.vlan_filtering) return Differs(bridge.name + " does not keep VLANs apart");
  PODROUTE_ASSIGN_OR_RETURN(std::vector<PortVlan> vlans, ops.VlansOf(port.ifindex));
  auto expect = [&](const PortVlan& wanted) {
    if (std::find(vlans.begin(), vlans.end(), wanted) != vlans.end()) return Status::Ok();
    return Differs(port.name + " is not " + (wanted.untagged ? "an untagged" : "a tagged") +
                   " port of VLAN " + std::to_string(wanted.id));
  };
  size_t wanted = 0;
  if (conf.vlan != 0) {
    PODROUTE_RETURN_IF_ERROR(expect({conf.vlan, true, true}));
    ++wanted;
  }
  for (const VlanRange& range : conf.vlan_trunk) {
    for (int id = range.first; id <= range.last; ++id, ++wanted) {
      // The one that the bridge gave it is untagged where it was kept; the trunk makes it tagged.
      PODROUTE_RETURN_IF_ERROR(expect({static_cast<uint16_t>(id), false, false}));
    }
  }
  if (!conf.preserve_default_vlan && vlans.size() > wanted) {
    return Differs(port.name + " is in more VLANs than the configuration has");
  }
  return Status::Ok();
}

// The bridge, or its interface in the pod's VLAN, has the gateway's addresses.
Status CheckGateway(const NetConf& conf, LinkDetails gateway, LinkOps& ops) {
  if (!conf.is_gateway || conf.prev_result->ips.empty()) return Status::Ok();
  if (conf.vlan != 0) {
    std::string name = VlanInterfaceName(conf.bridge, conf.vlan);
    PODROUTE_ASSIGN_OR_RETURN(std::optional<LinkDetails> link, ops.FindLink(name));
    if (!link) return Differs("there is no " + name);
    gateway = std::move(*link);
    PODROUTE_RETURN_IF_ERROR(CheckUp(gateway));
    PODROUTE_RETURN_IF_ERROR(CheckMac(gateway, FindExpected(*conf.prev_result, name, false)));
  }
  PODROUTE_ASSIGN_OR_RETURN(std::vector<AddressDetails> present, ops.AddressesOf(gateway.ifindex));
  for (const IpWithLength& wanted : GatewayAddresses(conf.prev_result->ips)) {
    bool there = std::any_of(present.begin(), present.end(), [&](const AddressDetails& details) {
      return details.address == wanted;
    });
    if (!there) return Differs(gateway.name + " does not have " + wanted.ToString());
  }
  return Status::Ok();
}

Status CheckHost(const CniCall& call, LinkOps& ops) {
  const NetConf& conf = call.conf;
  PODROUTE_ASSIGN_OR_RETURN(std::optional<LinkDetails> bridge, ops.FindLink(conf.bridge));
  if (!bridge || bridge->kind != "bridge") return Differs("there is no bridge " + conf.bridge);
  PODROUTE_RETURN_IF_ERROR(CheckUp(*bridge));
  PODROUTE_RETURN_IF_ERROR(CheckMac(*bridge, FindExpected(*conf.prev_result, conf.bridge, false)));
  if (conf.promisc_mode && (bridge->flags & IFF_PROMISC) == 0) {
    return Differs(conf.bridge + " is not in promiscuous mode");
  }
  const CniInterface* expected = ExpectedHostEnd(call);
  if (expected == nullptr) return Differs("prevResult names no host end of the pod's interface");
  PODROUTE_ASSIGN_OR_RETURN(std::optional<LinkDetails> host_end, ops.FindLink(expected->name));
  if (!host_end) return Differs("there is no " + expected->name);
  PODROUTE_RETURN_IF_ERROR(CheckUp(*host_end));
  PODROUTE_RETURN_IF_ERROR(CheckMac(*host_end, expected));
  PODROUTE_RETURN_IF_ERROR(CheckMtu(*host_end, expected));
  if (host_end->master != bridge->ifindex) {
    return Differs(expected->name + " is not in the bridge " + conf.bridge);
  }
  if (host_end->hairpin != conf.hairpin_mode) {
    return Differs(expected->name + (conf.hairpin_mode ? " is not" : " is") + " in hairpin mode");
  }
  if (host_end->isolated != conf.port_isolation) {
    return Differs(expected->name + (conf.port_isolation ? " is not" : " is") + " isolated");
  }
  PODROUTE_RETURN_IF_ERROR(CheckVlans(conf, *bridge, *host_end, ops));
  return CheckGateway(conf, std::move(*bridge), ops);
}

// Forwarding, of the namespace and of what pods are received on.
Status CheckSysctls(const CniCall& call) {
  const NetConf& conf = call.conf;
  if (!conf.is_gateway) return Status::Ok();
  const std::string gateway =
      conf.vlan != 0 ? VlanInterfaceName(conf.bridge, conf.vlan) : conf.bridge;
  for (const CniIp& ip : conf.prev_result->ips) {
    const bool v4 = ip.address.address.is_v4();
    std::string own = v4 ? "/proc/sys/net/ipv4/conf/" : "/proc/sys/net/ipv6/conf/";
    own.append(gateway).append("/forwarding");
    for (const std::string& path : {std::string(v4 ? "/proc/sys/net/ipv4/ip_forward"
                                                   : "/proc/sys/net/ipv6/conf/all/forwarding"),
                                    own}) {
      PODROUTE_ASSIGN_OR_RETURN(std::string value, ReadFile(path, 64));
      if (value.empty() || value[0] == '0') {
        return Differs(path + " is 0: pods reach nobody outside");
      }
    }
  }
  return Status::Ok();
}

// What prevResult itself must say, whatever the kernel has.
Status CheckShape(const CniCall& call) {
  const CniResult& expected = *call.conf.prev_result;
  const std::string& name = call.args.interface;
  const CniInterface* pod = FindExpected(expected, name, true);
  if (pod == nullptr) return Differs("prevResult has no interface " + name + " in a sandbox");
  if (pod->sandbox != call.args.netns) {
    return Differs("prevResult has " + name + " in the sandbox " + pod->sandbox +
                   ", not in CNI_NETNS=" + call.args.netns);
  }
  if (!call.conf.ipam.type.empty() && expected.ips.empty()) {
    return Differs("prevResult has no addresses, and the network has an IPAM");
  }
  for (const CniIp& ip : expected.ips) {
    if (!ip.interface || *ip.interface < 0) continue;
    if (static_cast<size_t>(*ip.interface) >= expected.interfaces.size()) {
      return Differs("prevResult has " + ip.address.ToString() + " on interface number " +
                     std::to_string(*ip.interface) + ", of which there is none");
    }
  }
  return Status::Ok();
}

Status CheckRoutes(const CniResult& expected, int ifindex, LinkOps& ops) {
  PODROUTE_ASSIGN_OR_RETURN(std::vector<KernelRoute> routes, ops.RoutesOf(ifindex));
  for (const CniRoute& wanted : expected.routes) {
    bool there = std::any_of(routes.begin(), routes.end(), [&](const KernelRoute& route) {
      if (route.dst != wanted.dst) return false;
      if (wanted.table && route.mark.table != *wanted.table) return false;
      if (wanted.priority && route.mark.metric != *wanted.priority) return false;
      return !wanted.gateway ||
             std::any_of(route.via.begin(), route.via.end(),
                         [&](const NextHop& hop) { return hop.gateway == *wanted.gateway; });
    });
    if (!there) {
      return Differs("the pod has no route " + wanted.dst.ToString() +
                     (wanted.gateway ? " via " + wanted.gateway->ToString() : ""));
    }
  }
  return Status::Ok();
}

Status CheckPod(const CniCall& call, LinkOps& ops) {
  const CniResult& expected = *call.conf.prev_result;
  const std::string& name = call.args.interface;
  PODROUTE_ASSIGN_OR_RETURN(std::optional<LinkDetails> link, ops.FindLink(name));
  if (!link) return Differs("there is no " + name + " in the pod");
  PODROUTE_RETURN_IF_ERROR(CheckMac(*link, FindExpected(expected, name, true)));
  PODROUTE_RETURN_IF_ERROR(CheckMtu(*link, FindExpected(expected, name, true)));
  if (call.conf.disable_container_interface) return Status::Ok();
  PODROUTE_RETURN_IF_ERROR(CheckUp(*link));
  PODROUTE_ASSIGN_OR_RETURN(std::vector<AddressDetails> present, ops.AddressesOf(link->ifindex));
  for (const CniIp& ip : expected.ips) {
    // Addresses of interfaces that chained plugins made are theirs to check.
    if (ip.interface && *ip.interface >= 0 &&
        expected.interfaces[static_cast<size_t>(*ip.interface)].name != name) {
      continue;
    }
    bool there = std::any_of(present.begin(), present.end(), [&](const AddressDetails& details) {
      return details.address == ip.address;
    });
    if (!there) return Differs(name + " does not have " + ip.address.ToString());
  }
  return CheckRoutes(expected, link->ifindex, ops);
}

}  // namespace

CniProblem CheckAttachment(const CniCall& call, int netns) {
  auto failed = [](const Status& status) {
    return ToCniError(CniErrorCode::kCheckFailed, status,
                      "restarting the pod gives it its network anew");
  };
  Status status = CheckShape(call);
  if (!status.ok()) return failed(status);
  Result<std::unique_ptr<NetlinkSocket>> netlink = NetlinkSocket::Create();
  if (!netlink.ok()) return failed(netlink.status());
  LinkOps host(**netlink);
  status = CheckHost(call, host);
  if (status.ok()) status = CheckSysctls(call);
  if (!status.ok()) return failed(status);
  status = RunInNetns(netns, [&]() -> Status {
    PODROUTE_ASSIGN_OR_RETURN(std::unique_ptr<NetlinkSocket> inside, NetlinkSocket::Create());
    LinkOps pod(*inside);
    return CheckPod(call, pod);
  });
  if (!status.ok()) return failed(status);
  return std::nullopt;
}

}  // namespace podroute
