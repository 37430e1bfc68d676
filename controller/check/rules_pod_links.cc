#include <algorithm>

#include "base/shell_words.h"
#include "base/text.h"
#include "cni/conflist.h"
#include "controller/check/rules.h"

namespace podroute {
namespace {

constexpr char kOurs[] = "10-podroute.conflist";
constexpr char kRestart[] =
    "# restart the agent: kubectl -n kube-system rollout restart daemonset podroute";
constexpr char kSeeAgent[] = "# see that the agent runs and what it says in its log";

const LocalLink* FindLink(const HostFacts& host, const std::string& name) {
  for (const LocalLink& link : host.local.links) {
    if (link.name == name) return &link;
  }
  return nullptr;
}

void CheckFiles(const HostFacts& host, std::vector<Finding>* findings) {
  if (!host.bin_dir.empty()) {
    for (const std::string& plugin : host.missing_plugins) {
      findings->push_back({"PluginMissing", Severity::kError,
                           plugin + " is not there, or cannot be executed",
                           "the container runtime can start no pods", kRestart});
    }
  }
  for (const auto& [plugin, why] : host.broken_plugins) {
    std::string what = plugin;
    what.append(" does not answer CNI's VERSION: ").append(why);
    findings->push_back({"PluginBroken", Severity::kError, what,
                         "the container runtime can start no pods", kRestart});
  }
  if (host.conf_dir.empty() || host.pod_cidrs.empty()) return;
  if (!host.conflist) {
    findings->push_back(
        {"ConflistMissing", Severity::kError, host.conf_dir + "/" + kOurs + " is not there",
         "the node stays NotReady, or another network's plugin starts its pods", kRestart});
  } else if (host.wanted_mtu != 0 &&
             *host.conflist !=
                 RenderConflist({host.pod_cidrs, host.wanted_mtu, host.network, host.data_dir})) {
    findings->push_back({"ConflistEdited", Severity::kError,
                         host.conf_dir + "/" + kOurs + " is not as the agent writes it",
                         "pods get wrong addresses or a wrong MTU", kRestart});
  }
  if (!host.first_conf.empty() && host.first_conf < kOurs && !host.first_conf_delegates) {
    findings->push_back(
        {"ConflistOrder", Severity::kError,
         host.conf_dir + "/" + Printable(host.first_conf, 255) + " sorts before " + kOurs,
         "the container runtime takes the first, so pods are another network's",
         "rm " + ShellWord(host.conf_dir + "/" + Printable(host.first_conf, 255))});
  }
}

void CheckBridgeRoute(const HostFacts& host, const LocalLink& bridge, const IpPrefix& cidr,
                      std::vector<Finding>* findings) {
  // A bridge that is down has none.
  if (!host.routes || !bridge.up) return;
  for (const IpPrefix& bridged : host.routes->bridged) {
    if (bridged.Contains(cidr)) return;
  }
  const std::string gateway = cidr.address().Plus(1).ToString();
  findings->push_back(
      {"BridgeRouteMissing", Severity::kError,
       "cni0 has its address, but no route to " + cidr.ToString() + " leads to it",
       "what comes for the pods of this node goes elsewhere, or nowhere",
       cidr.is_v4()
           ? "ip route add " + cidr.ToString() + " dev cni0 proto kernel scope link src " + gateway
           : "ip -6 route add " + cidr.ToString() + " dev cni0 proto kernel metric 256"});
}

void CheckBridgeAddress(const HostFacts& host, const LocalLink& bridge, const IpPrefix& cidr,
                        std::vector<Finding>* findings) {
  const IpAddress gateway = cidr.address().Plus(1);
  const std::string length = "/" + std::to_string(cidr.length());
  std::string add = "ip address add " + gateway.ToString() + length + " dev cni0";
  if (!cidr.is_v4()) add += " nodad";
  bool there = false;
  for (const LocalAddress& own : host.local.addresses) {
    if (own.ifindex != bridge.ifindex) continue;
    there = there || (own.address == gateway && own.subnet == cidr);
  }
  for (const LocalAddress& own : host.local.addresses) {
    if (own.ifindex != bridge.ifindex || own.subnet == cidr || !own.subnet.Contains(cidr)) continue;
    const std::string wrong = own.address.ToString() + "/" + std::to_string(own.subnet.length());
    findings->push_back(
        {"BridgeAddressWrong", Severity::kError,
         "cni0 has the address " + wrong + ", which is for more than " + cidr.ToString(),
         "this node takes other nodes' pods for its own",
         "ip address delete " + wrong + " dev cni0" + (there ? std::string() : " && " + add)});
    return;
  }
  if (there) return CheckBridgeRoute(host, bridge, cidr, findings);
  auto disabled = host.sysctls.find("net/ipv6/conf/cni0/disable_ipv6");
  if (!cidr.is_v4() && disabled != host.sysctls.end() && disabled->second == "1") {
    add = "sysctl -w net/ipv6/conf/cni0/disable_ipv6=0 && " + add;
  }
  findings->push_back({"BridgeAddressWrong", Severity::kError,
                       "cni0 has not the address " + gateway.ToString(),
                       "pods send what leaves the node to that address", add});
}

// Without pods it has no carrier, which is how it should be.
void CheckBridge(const HostFacts& host, std::vector<Finding>* findings) {
  if (host.foreign_bridge && !host.conf_dir.empty()) {
    findings->push_back({"BridgeMissing", Severity::kError, "the link cni0 is no bridge",
                         "no pod can start on this node", "ip link delete cni0"});
    return;
  }
  const LocalLink* found = FindLink(host, std::string(kBridgeName));
  if (found == nullptr) {
    if (!host.conflist) return;  // It is made right before.
    findings->push_back({"BridgeMissing", Severity::kError, "there is no bridge cni0",
                         "pods that run on this node reach nothing", kSeeAgent});
    return;
  }
  const LocalLink& bridge = *found;
  if (!bridge.up) {
    findings->push_back({"BridgeDown", Severity::kError, "cni0 is down",
                         "no pod of this node reaches anything", "ip link set cni0 up"});
  }
  // Its first port brings the right one.
  if (host.wanted_mtu != 0 && bridge.mtu != host.wanted_mtu && !host.bridge_ports.empty()) {
    findings->push_back({"BridgeMtu", Severity::kWarning,
                         "cni0 has MTU " + std::to_string(bridge.mtu) + ", pods should have " +
                             std::to_string(host.wanted_mtu),
                         "large packets are lost between pods and the node",
                         "ip link set cni0 mtu " + std::to_string(host.wanted_mtu)});
  }
  for (const IpPrefix& cidr : host.pod_cidrs) CheckBridgeAddress(host, bridge, cidr, findings);
}

void CheckPorts(const HostFacts& host, std::vector<Finding>* findings) {
  if (host.wanted_mtu == 0) return;
  for (const std::string& port : host.bridge_ports) {
    const LocalLink* link = FindLink(host, port);
    const auto& others = host.other_networks_ports;
    if (link == nullptr || link->mtu == host.wanted_mtu ||
        std::find(others.begin(), others.end(), port) != others.end()) {
      continue;
    }
    findings->push_back({"PodMtu", Severity::kWarning,
                         "a pod's link " + Printable(port) + " has MTU " +
                             std::to_string(link->mtu) + ", not " + std::to_string(host.wanted_mtu),
                         "its large packets, or those to it, are lost",
                         "ip link set " + ShellWord(Printable(port)) + " mtu " +
                             std::to_string(host.wanted_mtu) +
                             "  # and the pod's own end: delete the pod"});
  }
}

void CheckNetworkd(const HostFacts& host, std::vector<Finding>* findings) {
  const bool nexthops =
      host.networkd_manages_nexthops && (!host.routes || host.routes->nexthop_objects);
  if (!host.networkd || (!host.networkd_manages_foreign && !nexthops)) return;
  // Of drop-ins the last one counts.
  findings->push_back(
      {"ManageForeignRoutes", Severity::kWarning,
       std::string("systemd-networkd runs with ") + (host.networkd_manages_foreign
                                                         ? "ManageForeignRoutes=yes"
                                                         : "ManageForeignNextHops=yes"),
       host.networkd_manages_foreign ? "it deletes our routes when it configures a link"
                                     : "it deletes our nexthop objects when it configures a link, "
                                       "and our routes go with them",
       "mkdir -p /etc/systemd/networkd.conf.d && printf "
       "'[Network]\\nManageForeignRoutes=no\\nManageForeignNextHops=no\\n' "
       ">/etc/systemd/networkd.conf.d/zz-podroute.conf && systemctl restart systemd-networkd"});
}

void CheckMtu(const HostFacts& host, std::vector<Finding>* findings) {
  if (host.uplink_mtu == 0 || host.wanted_mtu <= host.uplink_mtu) return;
  const std::string fits = std::to_string(host.uplink_mtu);
  findings->push_back(
      {"PodMtuTooLarge", Severity::kWarning,
       "pods get MTU " + std::to_string(host.wanted_mtu) +
           " by --cni_mtu, and the link to the other nodes carries " + fits,
       "this node refuses pods' large packets to other nodes, or cuts them up; where "
       "its refusals (ICMP) are lost connections hang",
       "# run the agent with --cni_mtu=" + fits +
           " or less, or without; or: ip link "
           "set " +
           (host.uplinks.empty() ? "UPLINK" : Printable(host.uplinks[0])) + " mtu " +
           std::to_string(host.wanted_mtu)});
}

}  // namespace

void CheckPodLinks(const CheckFacts& facts, std::vector<Finding>* findings) {
  const HostFacts& host = *facts.host;
  CheckFiles(host, findings);
  CheckMtu(host, findings);
  CheckBridge(host, findings);
  CheckPorts(host, findings);
  CheckNetworkd(host, findings);
}

}  // namespace podroute
