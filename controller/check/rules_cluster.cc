#include <algorithm>

#include "base/text.h"
#include "controller/check/rules.h"

namespace podroute {
namespace {

void CheckRefusals(const ClusterFacts& cluster, std::vector<Finding>* findings) {
  for (const Refusal& refusal : cluster.refused) {
    Finding finding{"RouteRefused", Severity::kError, refusal.message,
                    "no route leads to these pods, so nobody on another node reaches them",
                    "# correct the Node: kubectl edit node " + refusal.node};
    switch (refusal.reason) {
      case RefusalReason::kNoPodCidr:
        finding.id = "PodCidrMissing";
        finding.why = "without a podCIDR the node can start no pods";
        finding.mend =
            "# run kube-controller-manager with --allocate-node-cidrs=true and --cluster-cidr, or: "
            "kubectl patch node " +
            refusal.node + " -p '{\"spec\":{\"podCIDR\":\"A.B.C.0/24\"}}'";
        break;
      case RefusalReason::kOverlapsNode:
        finding.id = "PodCidrOverlaps";
        finding.why = "two nodes give their pods the same addresses";
        finding.mend =
            "kubectl delete node " + refusal.node +
            "  # drain it first; its kubelet registers it anew, with a podCIDR of its own";
        break;
      case RefusalReason::kOutsideClusterCidr:
        finding.id = "PodCidrOutsideCluster";
        finding.mend = "kubectl delete node " + refusal.node +
                       "  # drain it first, or add the prefix to --cluster_cidr";
        break;
      default:
        break;
    }
    findings->push_back(std::move(finding));
  }
}

void CheckAddresses(const ClusterFacts& cluster, std::vector<Finding>* findings) {
  std::map<std::string, std::string> owners;
  for (const auto& node : cluster.nodes) {
    for (const std::string& address : node->internal_ips) {
      auto [owner, is_new] = owners.emplace(address, node->name);
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
  if (facts.cluster->self_tainted) {
    findings->push_back(
        {"NetworkTaint", Severity::kWarning,
         "Node " + Printable(facts.node_name) + " has the taint podroute.io/network-unavailable",
         "the scheduler places no pods there",
         "kubectl taint node " + Printable(facts.node_name) + " podroute.io/network-unavailable-"});
  }
}

// `text`: what somebody else was told that the pods' networks are.
void CheckCidr(const CheckFacts& facts, const std::string& text, Finding finding,
               std::vector<Finding>* findings) {
  Result<std::vector<IpPrefix>> told = ParsePrefixList(text);
  if (!told.ok()) {
    finding.what += " is \"" + Printable(text) + "\": " + told.status().message();
    findings->push_back(std::move(finding));
    return;
  }
  if (told->empty()) return;
  auto covered = [&](const IpPrefix& prefix) {
    bool family = false;
    for (const IpPrefix& cidr : *told) {
      family = family || cidr.family() == prefix.family();
      if (cidr.Contains(prefix)) return true;
    }
    return !family;
  };
  std::string lacks;
  if (!facts.cluster_cidrs.empty()) {
    for (const IpPrefix& prefix : facts.cluster_cidrs) {
      if (lacks.empty() && !covered(prefix)) lacks = "--cluster_cidr has " + prefix.ToString();
    }
  }
  for (const auto& node : facts.cluster->nodes) {
    for (const std::string& cidr : node->pod_cidrs) {
      Result<IpPrefix> prefix = IpPrefix::Parse(cidr);
      if (lacks.empty() && prefix.ok() && !covered(*prefix)) {
        lacks = "Node " + Printable(node->name) + " has " + prefix->ToString();
      }
    }
  }
  if (lacks.empty()) return;
  finding.what += " is " + Printable(text) + ", but " + lacks;
  findings->push_back(std::move(finding));
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
  CheckAddresses(*facts.cluster, findings);
  CheckConditions(facts, findings);
  if (!facts.host && facts.installed_here) {
    findings->push_back(
        {"NodeMissing", Severity::kError,
         "no Node is named " + Printable(facts.node_name) +
             ", and podroute's configuration is on this machine",
         "the other nodes have no routes to the pods here, and nothing here is kept up to date",
         "# see whether the kubelet runs (systemctl status kubelet), or give the Node's name with "
         "--node_name"});
  }
  if (facts.cluster->kube_proxy_cidr) {
    CheckCidr(facts, *facts.cluster->kube_proxy_cidr,
              {"KubeProxyCidr", Severity::kWarning, "clusterCIDR in kube-proxy's configuration",
               "kube-proxy takes pods for strangers, and gives them the node's address",
               "kubectl -n kube-system edit configmap kube-proxy  # then: kubectl -n kube-system "
               "rollout restart daemonset kube-proxy"},
              findings);
  }
  if (facts.cluster->kubeadm_cidr) {
    CheckCidr(
        facts, *facts.cluster->kubeadm_cidr,
        {"KubeadmCidr", Severity::kWarning, "networking.podSubnet in kubeadm-config",
         "the next kubeadm upgrade writes it back into kube-controller-manager and kube-proxy",
         "kubectl -n kube-system edit configmap kubeadm-config"},
        findings);
  }
}

}  // namespace podroute
