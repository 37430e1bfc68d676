#include "cni/pod_nat.h"

#include <linux/netlink.h>

#include <algorithm>
#include <memory>
#include <set>
#include <utility>

#include "base/file.h"
#include "cni/link_ops.h"
#include "cni/link_query.h"
#include "cni/nat_table.h"
#include "cni/netfilter_socket.h"
#include "cni/sysctl.h"
#include "cni/udp_conntrack.h"
#include "routing/netlink_socket.h"

namespace podroute {
namespace {

std::string OwnerOf(const CniCall& call) {
  return NatOwner(call.conf.name, {call.args.container_id, call.args.interface});
}

bool MayMapPorts(const NetConf& conf) {
  return conf.has_port_mappings_capability || !conf.port_mappings.empty();
}

std::vector<std::string> MapsOf(const NetConf& conf) {
  std::vector<std::string> maps;
  if (MayMapPorts(conf)) maps = {kHostIp4Map, kHostPort4Map, kHostIp6Map, kHostPort6Map};
  if (conf.ip_masq) maps.insert(maps.end(), {kMasquerade4Map, kMasquerade6Map});
  return maps;
}

// Where anything of an attachment's can be. DEL, GC and ADDs that take an address back do not get
// the mappings, and need not get `capabilities` (CNI 1.1.0, section 3: the runtime removes it).
std::vector<std::string> AllMaps() {
  return {kHostIp4Map, kHostPort4Map, kHostIp6Map, kHostPort6Map, kMasquerade4Map, kMasquerade6Map};
}

struct Plan {
  NatLayout layout;
  std::vector<NatElement> elements;
  bool localhost = false;
};

Plan PlanFor(const CniCall& call, const std::vector<CniIp>& ips, const std::string& interface) {
  Plan plan;
  std::string owner = OwnerOf(call);
  const std::vector<PortMapping>& mappings = call.conf.port_mappings;
  plan.elements = PortMapElements(mappings, ips, owner);
  if (!plan.elements.empty()) {
    plan.localhost = NeedsLocalhost(mappings, ips);
    AddHostPorts(plan.layout, interface, plan.localhost);
  }
  if (call.conf.ip_masq && !ips.empty()) {
    std::vector<IpPrefix> subnets;
    for (const CniIp& ip : ips) {
      IpPrefix subnet = ip.address.subnet();
      if (std::find(subnets.begin(), subnets.end(), subnet) == subnets.end()) {
        subnets.push_back(subnet);
      }
    }
    AddMasquerading(plan.layout, subnets);
    std::vector<NatElement> elements = MasqueradeElements(ips, owner);
    plan.elements.insert(plan.elements.end(), elements.begin(), elements.end());
  }
  return plan;
}

bool HasLink(const std::string& owner) {
  std::string name = HostVethOfOwner(owner);
  if (name.empty()) return true;  // Nothing we know: somebody wrote it by hand.
  Result<std::optional<LinkSummary>> link = QueryLink(name);
  return !link.ok() || link->has_value();
}

// A kernel without nftables has no elements to remove.
bool MeansNoNftables(const Status& status) {
  return status.code() == StatusCode::kUnsupported || status.code() == StatusCode::kNotFound;
}

std::vector<MappedPort> PortsOf(const std::vector<NatElement>& elements) {
  std::vector<MappedPort> ports;
  for (const NatElement& element : elements) {
    if (std::optional<MappedPort> port = ReadMappedPort(element)) ports.push_back(*port);
  }
  return ports;
}

Result<std::vector<NatElement>> RemoveAll(const std::vector<std::string>& maps,
                                          const NatTable::Wanted& wanted) {
  Result<NetfilterSocket> netlink = OpenNetfilter();
  if (!netlink.ok()) return netlink.status();
  PODROUTE_ASSIGN_OR_RETURN(std::vector<NatElement> removed,
                            NatTable(**netlink).Remove(maps, wanted));
  // Without them packets go where they went before at the worst, until the kernel forgets by
  // itself.
  (void)ForgetUdpConversations(**netlink, PortsOf(removed));
  return removed;
}

CniError Differs(const std::string& what) {
  return {CniErrorCode::kCheckFailed, std::nullopt, what,
          "restarting the pod gives it its network anew"};
}

}  // namespace

CniProblem AddPodNat(const CniCall& call, const std::vector<CniIp>& ips,
                     const std::string& interface, bool route_localnet) {
  if (call.conf.port_mappings.empty() && !call.conf.ip_masq) return std::nullopt;
  Plan plan = PlanFor(call, ips, interface);
  if (plan.elements.empty()) return std::nullopt;
  Result<NetfilterSocket> netlink = OpenNetfilter();
  if (!netlink.ok()) return NatError(netlink.status());
  NatTable table(**netlink);
  if (CniProblem problem = table.Add(plan.layout, plan.elements, HasLink)) return problem;
  if (plan.localhost && !route_localnet) {
    // After the table, whose guard must be there first.
    Status set = EnsureSysctl("net/ipv4/conf/" + interface + "/route_localnet", "1");
    if (!set.ok()) {
      std::string owner = OwnerOf(call);
      (void)table.Remove(MapsOf(call.conf), [&](const NatElement& element) {
        return element.element.comment == owner;
      });
      return ToCniError(CniErrorCode::kKernel, set, "localhost reaches hostPorts through it");
    }
  }
  (void)ForgetUdpConversations(**netlink, PortsOf(plan.elements));
  return std::nullopt;
}

CniProblem DeletePodNat(const CniCall& call) {
  std::string owner = OwnerOf(call);
  Result<std::vector<NatElement>> removed = RemoveAll(
      AllMaps(), [&](const NatElement& element) { return element.element.comment == owner; });
  if (!removed.ok() && !MeansNoNftables(removed.status())) return NatError(removed.status());
  return std::nullopt;
}

CniProblem CheckPodNat(const CniCall& call, const std::string& interface) {
  std::vector<std::string> maps = MapsOf(call.conf);
  if (maps.empty()) return std::nullopt;
  // Addresses of interfaces that chained plugins made are theirs.
  std::vector<CniIp> ips;
  const CniResult& previous = *call.conf.prev_result;
  for (const CniIp& ip : previous.ips) {
    bool ours = !ip.interface || *ip.interface < 0 ||
                static_cast<size_t>(*ip.interface) >= previous.interfaces.size() ||
                previous.interfaces[static_cast<size_t>(*ip.interface)].name == call.args.interface;
    if (ours) ips.push_back(ip);
  }
  Plan plan = PlanFor(call, ips, interface);
  Result<NetfilterSocket> netlink = OpenNetfilter();
  if (!netlink.ok()) return plan.elements.empty() ? CniProblem() : NatError(netlink.status());
  NatTable table(**netlink);
  std::string owner = OwnerOf(call);
  Result<std::vector<NatElement>> there =
      table.Read(maps, [&](const NatElement& element) { return element.element.comment == owner; });
  if (!there.ok()) {
    // A kernel without nftables, which this pod does not need.
    return plan.elements.empty() ? CniProblem() : Differs(there.status().message());
  }
  for (const NatElement& wanted : plan.elements) {
    if (std::find(there->begin(), there->end(), wanted) == there->end()) {
      return Differs(DescribeNatKey(wanted) + " does not lead to this pod in " + wanted.map +
                     " of the nftables table podroute-cni");
    }
  }
  for (const NatElement& element : *there) {
    if (std::find(plan.elements.begin(), plan.elements.end(), element) == plan.elements.end()) {
      return Differs(DescribeNatKey(element) + " is this pod's in " + element.map +
                     " of the nftables table podroute-cni, and should not be");
    }
  }
  if (plan.elements.empty()) return std::nullopt;
  Result<std::string> incomplete = table.FindIncomplete(plan.layout);
  if (!incomplete.ok()) return Differs(incomplete.status().message());
  if (!incomplete->empty()) {
    return Differs("the chain " + *incomplete +
                   " of the nftables table podroute-cni is not as it was made");
  }
  if (plan.localhost) {
    const std::string path = "/proc/sys/net/ipv4/conf/" + interface + "/route_localnet";
    Result<std::string> value = ReadFile(path, 64);
    if (!value.ok() || !value->starts_with("1")) {
      return Differs(path + " is not 1: nothing on this node reaches the hostPort at 127.0.0.1");
    }
  }
  return std::nullopt;
}

CniProblem PodNatStatus(const CniCall& call) {
  if (MapsOf(call.conf).empty()) return std::nullopt;
  NatLayout layout;
  if (MayMapPorts(call.conf)) AddHostPorts(layout, call.conf.bridge, true);
  if (call.conf.ip_masq) AddMasquerading(layout, {});
  Result<NetfilterSocket> netlink = OpenNetfilter();
  Status status = netlink.ok() ? NatTable(**netlink).Probe(layout) : netlink.status();
  if (status.ok()) return std::nullopt;
  CniError error = NatError(status);
  error.code = CniErrorCode::kUnavailable;
  return error;
}

CniProblem CollectPodNat(const CniCall& call) {
  std::set<std::string> valid;
  for (const CniAttachment& attachment : *call.conf.valid_attachments) {
    valid.insert(NatOwner(call.conf.name, attachment));
  }
  Result<std::vector<NatElement>> removed = RemoveAll(AllMaps(), [&](const NatElement& element) {
    const std::string& owner = element.element.comment;
    return IsNatOwnerOf(owner, call.conf.name) && !valid.contains(owner);
  });
  if (!removed.ok() && !MeansNoNftables(removed.status())) return NatError(removed.status());
  return std::nullopt;
}

}  // namespace podroute
