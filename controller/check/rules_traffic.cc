#include <algorithm>

#include "base/text.h"
#include "controller/check/rules.h"

namespace podroute {
namespace {

bool TouchesPods(const CheckFacts& facts, const std::optional<IpPrefix>& prefix) {
  if (!prefix) return true;
  auto overlaps = [&](const IpPrefix& pods) { return prefix->Overlaps(pods); };
  if (std::any_of(facts.host->pod_cidrs.begin(), facts.host->pod_cidrs.end(), overlaps)) {
    return true;
  }
  return std::any_of(facts.cluster_cidrs.begin(), facts.cluster_cidrs.end(), overlaps);
}

}  // namespace

void CheckFilter(const CheckFacts& facts, std::vector<Finding>* findings) {
  const HostFacts& host = *facts.host;
  for (const ForwardChain& chain : host.chains) {
    // An accept for all, or for the pods' networks, is what a careful operator has beside it.
    bool accepted = std::any_of(host.rules.begin(), host.rules.end(), [&](const ForwardRule& rule) {
      return rule.accept && rule.show == chain.show && TouchesPods(facts, rule.source) &&
             TouchesPods(facts, rule.target);
    });
    if (!chain.policy_drop || accepted) continue;
    findings->push_back({"ForwardPolicyDrop", Severity::kError,
                         "the policy of " + chain.show + " is drop, and no rule of it accepts pods",
                         "what pods send to other nodes, and get from them, is dropped",
                         chain.mend_policy});
  }
  for (const ForwardRule& rule : host.rules) {
    if (rule.accept || !TouchesPods(facts, rule.source) || !TouchesPods(facts, rule.target)) {
      continue;
    }
    findings->push_back({"ForwardRuleDrops", Severity::kError,
                         "a rule of " + rule.show + " drops packets of pods",
                         "what it matches never arrives", rule.mend});
  }
}

void CheckMasquerade(const CheckFacts& facts, std::vector<Finding>* findings) {
  const HostFacts& host = *facts.host;
  if (!host.masquerade) return;
  constexpr char kMend[] = "# see that the agent runs and what it says in its log";
  if (!host.masquerade->sound) {
    findings->push_back({"MasqueradeMissing", Severity::kError,
                         std::string("nftables table inet podroute is ") +
                             (host.masquerade->there ? "not as podroute makes it" : "not there"),
                         "what pods send to outside of the cluster gets no answer", kMend});
    return;
  }
  auto first_without = [](const std::vector<IpPrefix>& prefixes,
                          const std::vector<AddressRange>& ranges) {
    return std::find_if(prefixes.begin(), prefixes.end(),
                        [&](const IpPrefix& prefix) { return !Covers(ranges, prefix); });
  };
  auto pods = first_without(host.pod_cidrs, host.masquerade->content.pods);
  if (pods != host.pod_cidrs.end()) {
    findings->push_back(
        {"MasqueradeMissing", Severity::kError,
         pods->ToString() + " is not among the pods of nftables table inet podroute",
         "what they send to outside of the cluster gets no answer", kMend});
  }
  auto network = first_without(host.pod_networks, host.masquerade->content.unmasqueraded);
  if (network != host.pod_networks.end()) {
    findings->push_back({"MasqueradeTooWide", Severity::kWarning,
                         "what pods send to " + network->ToString() +
                             " gets the node's address, and these are pods",
                         "they see the node instead of the pod, and network policies too", kMend});
  }
}

void CheckReachability(const CheckFacts& facts, std::vector<Finding>* findings) {
  for (const ProbeFact& probe : facts.host->probes) {
    const std::string show = Printable(probe.node) + "'s " +
                             (probe.bridge ? "bridge address " : "address ") +
                             probe.address.ToString();
    const std::string ping = "ping -M do -c 3 -s " +
                             std::to_string(probe.bytes - (probe.address.is_v4() ? 28 : 48)) + " " +
                             probe.address.ToString();
    if (probe.reached == Reached::kFull) continue;
    if (probe.reached == Reached::kSmallOnly) {
      findings->push_back(
          {"PathMtu", Severity::kError,
           show + " answers, but not packets of " + std::to_string(probe.bytes) + " bytes",
           "connections open and then hang",
           "# give switch and links between the nodes that MTU, or run the agents "
           "with a smaller --cni_mtu; until it is right this fails: " +
               ping});
    } else if (probe.bridge) {
      findings->push_back({"BridgeSilent", Severity::kNote,
                           show + " does not answer, though the node does",
                           "its bridge is made with its first pod; if pods run there, they are not "
                           "reached",
                           "# run podroute check on " + Printable(probe.node)});
    } else {
      findings->push_back({"NodeUnreachable", Severity::kError, show + " does not answer",
                           "neither do its pods, or ICMP echo is filtered",
                           "# look at the link between the two nodes; until it is right this "
                           "fails: " +
                               ping});
    }
  }
}

std::vector<Finding> CheckRules(const CheckFacts& facts) {
  std::vector<Finding> findings;
  CheckCluster(facts, &findings);
  if (!facts.host) return findings;
  CheckSysctls(facts, &findings);
  CheckPodLinks(facts, &findings);
  CheckRouting(facts, &findings);
  CheckMasquerade(facts, &findings);
  CheckFilter(facts, &findings);
  CheckReachability(facts, &findings);
  return findings;
}

}  // namespace podroute
