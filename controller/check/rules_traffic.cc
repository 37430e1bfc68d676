#include <algorithm>
#include <optional>

#include "base/text.h"
#include "controller/check/rules.h"

namespace podroute {

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

namespace {

// By which of its addresses a node answers best. A Node may have several InternalIPs of a family,
// and this machine need not reach them all.
Reached NodeReached(const HostFacts& host, const ProbeFact& of) {
  std::optional<Reached> best;
  for (const ProbeFact& probe : host.probes) {
    if (probe.of != ProbeFact::Of::kNode || probe.node != of.node ||
        probe.address.family() != of.address.family()) {
      continue;
    }
    best = std::min(best.value_or(probe.reached), probe.reached);
  }
  return best.value_or(Reached::kFull);
}

}  // namespace

void CheckReachability(const CheckFacts& facts, std::vector<Finding>* findings) {
  for (const ProbeFact& probe : facts.host->probes) {
    if (probe.reached == Reached::kFull || probe.of == ProbeFact::Of::kPod) continue;
    const bool bridge = probe.of == ProbeFact::Of::kBridge;
    // What is wrong with the way to a node is said once, and not of its bridge too.
    if (bridge == (probe.reached == NodeReached(*facts.host, probe))) continue;
    const std::string show = Printable(probe.node) + "'s " +
                             (bridge ? "bridge address " : "address ") + probe.address.ToString();
    const std::string ping = "ping -M do -c 3 -s " +
                             std::to_string(probe.bytes - (probe.address.is_v4() ? 28 : 48)) + " " +
                             probe.address.ToString();
    if (probe.reached == Reached::kSmallOnly) {
      findings->push_back(
          {"PathMtu", Severity::kError,
           show + " answers, but not packets of " + std::to_string(probe.bytes) + " bytes",
           "connections open and then hang",
           "# give switch and links between the nodes that MTU, or run the agents "
           "with a smaller --cni_mtu; until it is right this fails: " +
               ping});
    } else if (bridge) {
      // Each node's agent makes it, unless that is somebody else's business there as it is here.
      bool made = !facts.host->conf_dir.empty();
      const bool direct = facts.host->routes && !(facts.host->routes->plan.keeps.empty() &&
                                                  facts.host->routes->plan.changes.empty());
      const bool node_answers =
          std::any_of(facts.host->probes.begin(), facts.host->probes.end(), [&](const auto& other) {
            return other.of == ProbeFact::Of::kNode && other.node == probe.node &&
                   other.reached != Reached::kNo;
          });
      findings->push_back(
          {"BridgeSilent", made ? Severity::kError : Severity::kNote,
           show + " does not answer" + (probe.source ? " " + probe.source->ToString() : "") +
               (node_answers ? ", though the node does" : ""),
           "its pods and those here do not reach each other",
           "# run podroute check on " + Printable(probe.node) + ": its bridge, its route to here" +
               (direct ? "" : ", and see that the router forwards and has a route")});
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
  CheckPods(facts, &findings);
  CheckRouting(facts, &findings);
  CheckPolicyRouting(facts, &findings);
  CheckMasquerade(facts, &findings);
  CheckFilter(facts, &findings);
  CheckReachability(facts, &findings);
  return findings;
}

}  // namespace podroute
