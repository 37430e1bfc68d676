#include <algorithm>
#include <charconv>
#include <map>
#include <sstream>

#include "base/shell_words.h"
#include "base/text.h"
#include "controller/check/rules.h"

namespace podroute {
namespace {

// Of a route that is refused. What is refused because of this machine is mended here.
std::string MendRefusal(const Refusal& refusal) {
  switch (refusal.reason) {
    case RefusalReason::kContainsConnectedSubnet:
    case RefusalReason::kInsideConnectedSubnet:
      return "# take that address off this machine (ip address show), or give the Node another "
             "podCIDR";
    case RefusalReason::kNextHopNotConnected:
      return "# give this machine an address in the subnet of " + refusal.node +
             ", or set the --node-ip of the kubelet there to one in a subnet of this machine";
    case RefusalReason::kNextHopIsLocal:
    case RefusalReason::kNoAddress:
      return "# set the --node-ip of the kubelet on " + refusal.node + ", and restart it";
    case RefusalReason::kLinkDown:
      return "# ip link set up that link";
    case RefusalReason::kContainsNodeAddress:
      return "# set the --node-ip of the kubelet that has this address, or give Node " +
             refusal.node + " another podCIDR";
    default:
      // The API server lets nobody change a podCIDR.
      return "kubectl delete node " + ShellWord(refusal.node) +
             "  # drain it first; its kubelet registers it anew, and it gets another podCIDR";
  }
}

void CheckRefusals(const ClusterFacts& cluster, std::vector<Finding>* findings) {
  for (const Refusal& refusal : cluster.refused) {
    Finding finding{"RouteRefused", Severity::kError,
                    "Node " + refusal.node + ": " + refusal.message,
                    "no route leads to these pods, so nobody on another node reaches them",
                    MendRefusal(refusal)};
    switch (refusal.reason) {
      case RefusalReason::kNoPodCidr:
        finding.id = "PodCidrMissing";
        finding.why = "without a podCIDR the node can start no pods";
        finding.mend =
            "# run kube-controller-manager with --allocate-node-cidrs=true and --cluster-cidr, or: "
            "kubectl patch node " +
            ShellWord(refusal.node) + " -p '{\"spec\":{\"podCIDR\":\"A.B.C.0/24\"}}'";
        break;
      case RefusalReason::kOverlapsNode:
        finding.id = "PodCidrOverlaps";
        finding.why = "two nodes give their pods the same addresses";
        finding.mend =
            "kubectl delete node " + ShellWord(refusal.node) +
            "  # drain it first; its kubelet registers it anew, with a podCIDR of its own";
        break;
      case RefusalReason::kOutsideClusterCidr:
        finding.id = "PodCidrOutsideCluster";
        finding.mend = "kubectl delete node " + ShellWord(refusal.node) +
                       "  # drain it first, or add the prefix to --cluster_cidr";
        break;
      default:
        break;
    }
    findings->push_back(std::move(finding));
  }
}

// Pods of a Node that lacks a family do not reach others' by it.
void CheckFamilies(const ClusterFacts& cluster, std::vector<Finding>* findings) {
  auto has = [](const Node& node, IpFamily family) {
    return std::any_of(node.pod_cidrs.begin(), node.pod_cidrs.end(), [&](const std::string& text) {
      Result<IpPrefix> cidr = IpPrefix::Parse(text);
      return !cidr.ok() || cidr->family() == family;  // One that is none is refused.
    });
  };
  for (IpFamily family : {IpFamily::kV4, IpFamily::kV6}) {
    const auto with =
        static_cast<size_t>(std::count_if(cluster.nodes.begin(), cluster.nodes.end(),
                                          [&](const auto& node) { return has(*node, family); }));
    // Less than half: the cluster is just getting it.
    if (2 * with <= cluster.nodes.size()) continue;
    for (const auto& node : cluster.nodes) {
      if (node->pod_cidrs.empty() || has(*node, family)) continue;
      findings->push_back({"PodCidrMissing", Severity::kWarning,
                           "Node " + Printable(node->name) + " has no " +
                               std::string(IpFamilyName(family)) + " podCIDR, and most Nodes have",
                           "its pods do not reach the others' by that family",
                           "kubectl delete node " + ShellWord(Printable(node->name)) +
                               "  # drain it first; its kubelet registers it anew, and it gets "
                               "podCIDRs of both families"});
    }
  }
}

void CheckAddresses(const ClusterFacts& cluster, std::vector<Finding>* findings) {
  std::map<std::string, std::string> owners;
  for (const auto& node : cluster.nodes) {
    for (const std::string& address : node->internal_ips) {
      // One address can be written in many ways.
      Result<IpAddress> parsed = IpAddress::Parse(address);
      auto [owner, is_new] = owners.emplace(parsed.ok() ? parsed->ToString() : address, node->name);
      if (is_new || owner->second == node->name) continue;
      findings->push_back({"DuplicateNodeAddress", Severity::kError,
                           Printable(owner->second) + " and " + Printable(node->name) +
                               " both have InternalIP " + Printable(address),
                           "packets for the one's pods go to the other",
                           "# set --node-ip of one of the two kubelets, and restart it"});
    }
  }
}

void CheckConditions(const CheckFacts& facts, std::vector<Finding>* findings) {
  for (const auto& node : facts.cluster->nodes) {
    if (!node->network_unavailable || node->network_unavailable->status != "True") continue;
    findings->push_back(
        {"NetworkUnavailable", Severity::kError,
         "Node " + Printable(node->name) + " has NetworkUnavailable=True, reason " +
             Printable(node->network_unavailable->reason),
         "the scheduler places no pods there",
         "# see why its agent has no routes: run podroute check on " + Printable(node->name)});
  }
  for (const auto& node : facts.cluster->nodes) {
    if (!node->startup_taint) continue;
    findings->push_back(
        {"NetworkTaint", Severity::kWarning,
         "Node " + Printable(node->name) + " has the taint " + kStartupTaint +
             ", which its agent takes off once its routes are there",
         "the scheduler places no pods there",
         "kubectl taint node " + ShellWord(Printable(node->name)) + " " + kStartupTaint + "-"});
  }
}

// How what somebody else was told of the pods' networks disagrees with them.
enum class Disagreement { kNone, kMalformed, kLacks, kLacksFamily, kWider };
struct Compared {
  Disagreement disagreement = Disagreement::kNone;
  std::string how;
};

bool HasFamily(const std::vector<IpPrefix>& prefixes, IpFamily family) {
  return std::any_of(prefixes.begin(), prefixes.end(),
                     [&](const IpPrefix& prefix) { return prefix.family() == family; });
}

Compared Lacking(const std::vector<IpPrefix>& told, const IpPrefix& prefix,
                 const std::string& who) {
  bool family = HasFamily(told, prefix.family());
  bool covered = std::any_of(told.begin(), told.end(),
                             [&](const IpPrefix& cidr) { return cidr.Contains(prefix); });
  if (covered) return {};
  if (family) return {Disagreement::kLacks, "but " + who + " has " + prefix.ToString()};
  return {Disagreement::kLacksFamily, "with no " + std::string(IpFamilyName(prefix.family())) +
                                          ", but " + who + " has " + prefix.ToString()};
}

// As kube-proxy and kubeadm read it: one prefix, or one of each family, without blanks; host bits
// do not count.
Result<std::vector<IpPrefix>> ParseClusterCidr(const std::string& text) {
  std::vector<IpPrefix> prefixes;
  std::istringstream parts(text);
  for (std::string part; std::getline(parts, part, ',');) {
    const size_t slash = part.find('/');
    Result<IpAddress> address = IpAddress::Parse(part.substr(0, slash));
    int length = -1;
    const char* end = part.data() + part.size();
    const bool whole =
        slash != std::string::npos &&
        std::from_chars(part.data() + slash + 1, end, length) == std::from_chars_result{end, {}};
    if (!address.ok() || !whole || length < 0 || length > address->bits()) {
      return Status(StatusCode::kInvalidArgument,
                    "and \"" + Printable(part) + "\" is not a prefix");
    }
    prefixes.push_back(IpPrefix::Of(*address, length));
  }
  if (prefixes.size() > 2 ||
      (prefixes.size() == 2 && prefixes[0].family() == prefixes[1].family())) {
    return Status(StatusCode::kInvalidArgument,
                  "and more than one prefix of a family is not allowed");
  }
  return prefixes;
}

Compared Compare(const CheckFacts& facts, const std::string& text) {
  Result<std::vector<IpPrefix>> told = ParseClusterCidr(text);
  if (!told.ok()) return {Disagreement::kMalformed, told.status().message()};
  if (told->empty()) return {};
  for (const IpPrefix& prefix : facts.cluster_cidrs) {
    Compared lacking = Lacking(*told, prefix, "--cluster_cidr");
    // Flags may name a family that no Node has.
    if (lacking.disagreement == Disagreement::kLacks) return lacking;
  }
  for (const auto& node : facts.cluster->nodes) {
    for (const std::string& cidr : node->pod_cidrs) {
      Result<IpPrefix> prefix = IpPrefix::Parse(cidr);
      if (!prefix.ok()) continue;
      Compared lacking = Lacking(*told, *prefix, "Node " + Printable(node->name));
      if (lacking.disagreement != Disagreement::kNone) return lacking;
    }
  }
  const std::vector<AddressRange> cluster = MergeRanges(facts.cluster_cidrs);
  for (const IpPrefix& cidr : *told) {
    if (!HasFamily(facts.cluster_cidrs, cidr.family()) || Covers(cluster, cidr)) continue;
    return {Disagreement::kWider, "but --cluster_cidr has not all of " + cidr.ToString()};
  }
  return {};
}

void CheckKubeProxy(const CheckFacts& facts, std::vector<Finding>* findings) {
  const std::string& text = *facts.cluster->kube_proxy_cidr;
  const Compared compared = Compare(facts, text);
  std::string why;
  switch (compared.disagreement) {
    case Disagreement::kNone:
      return;
    case Disagreement::kMalformed:
      why = "kube-proxy does not start with it, so no service has an address that works";
      break;
    case Disagreement::kLacks:
      why =
          "kube-proxy takes these pods for strangers: what they send to services gets a node's "
          "address";
      break;
    case Disagreement::kLacksFamily:
      why =
          "kube-proxy cannot tell pods of that family from strangers: it masquerades nothing that "
          "these send to services, and answers go astray";
      break;
    case Disagreement::kWider:
      why =
          "kube-proxy takes strangers there for pods: it does not masquerade what they send to "
          "services, and answers go astray";
      break;
  }
  Severity severity = Severity::kWarning;
  const std::string& mode = facts.cluster->detect_local_mode;
  if (!mode.empty() && mode != "ClusterCIDR") {
    severity = Severity::kNote;
    why = "kube-proxy does not use it while detectLocalMode is " + Printable(mode);
  }
  findings->push_back(
      {"KubeProxyCidr", severity,
       "clusterCIDR in kube-proxy's configuration is \"" + Printable(text) + "\", " + compared.how,
       std::move(why),
       "kubectl -n kube-system edit configmap kube-proxy  # then: kubectl -n "
       "kube-system rollout restart daemonset kube-proxy"});
}

void CheckKubeadm(const CheckFacts& facts, std::vector<Finding>* findings) {
  const std::string& text = *facts.cluster->kubeadm_cidr;
  const Compared compared = Compare(facts, text);
  if (compared.disagreement == Disagreement::kNone) return;
  std::string why =
      "the next kubeadm upgrade writes it back into kube-controller-manager and kube-proxy";
  if (compared.disagreement == Disagreement::kWider) {
    why += ", and Nodes get podCIDRs that --cluster_cidr refuses";
  }
  findings->push_back(
      {"KubeadmCidr", Severity::kWarning,
       "networking.podSubnet in kubeadm-config is \"" + Printable(text) + "\", " + compared.how,
       std::move(why), "kubectl -n kube-system edit configmap kubeadm-config"});
}

void CheckMissing(const CheckFacts& facts, std::vector<Finding>* findings) {
  if (facts.host || (!facts.installed_here && !facts.node_name_given)) return;
  findings->push_back(
      {"NodeMissing", Severity::kError,
       "no Node is named " + Printable(facts.node_name) +
           (facts.installed_here ? ", and podroute's configuration is on this machine"
                                 : ", as --node_name or $NODE_NAME says"),
       facts.installed_here
           ? "the other nodes have no routes to the pods here, and nothing here is kept up to date"
           : "this machine could not be looked at, and the agent with that name does nothing",
       "# see whether the kubelet runs (systemctl status kubelet), or give the Node's name with "
       "--node_name"});
}

}  // namespace

void CheckCluster(const CheckFacts& facts, std::vector<Finding>* findings) {
  if (!facts.cluster) {
    findings->push_back({"ClusterUnreachable", Severity::kError, facts.cluster_error,
                         "nothing about the cluster's nodes could be looked at",
                         "# give --kubeconfig and --context with which kubectl get nodes works"});
    return;
  }
  CheckRefusals(*facts.cluster, findings);
  CheckFamilies(*facts.cluster, findings);
  CheckAddresses(*facts.cluster, findings);
  CheckConditions(facts, findings);
  CheckMissing(facts, findings);
  if (facts.cluster->kube_proxy_cidr) CheckKubeProxy(facts, findings);
  if (facts.cluster->kubeadm_cidr) CheckKubeadm(facts, findings);
}

}  // namespace podroute
