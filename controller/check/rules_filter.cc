#include <algorithm>
#include <utility>
#include <vector>

#include "controller/check/rules.h"

namespace podroute {
namespace {

std::vector<IpPrefix> OfFamily(const std::vector<IpPrefix>& prefixes, IpFamily family) {
  std::vector<IpPrefix> some;
  for (const IpPrefix& prefix : prefixes) {
    if (prefix.family() == family) some.push_back(prefix);
  }
  return some;
}

// What pods here send each other, and they and the other nodes'. Where the Nodes are not known it
// is between any two of --cluster_cidr, and without that all that is known is that it is forwarded.
std::vector<FilterFlow> PodFlows(const CheckFacts& facts) {
  const HostFacts& host = *facts.host;
  std::vector<FilterFlow> flows;
  for (IpFamily family : {IpFamily::kV4, IpFamily::kV6}) {
    std::vector<IpPrefix> here = OfFamily(host.pod_cidrs, family);
    std::vector<IpPrefix> cluster = OfFamily(facts.cluster_cidrs, family);
    if (here.empty()) here = cluster;
    if (here.empty() && (family == IpFamily::kV6 || !host.pod_cidrs.empty())) continue;
    std::vector<IpPrefix> there;
    for (const IpPrefix& pods : OfFamily(host.pod_networks, family)) {
      if (std::find(here.begin(), here.end(), pods) == here.end()) there.push_back(pods);
    }
    if (there.empty()) there = cluster;
    flows.push_back({"packets from pods here to other nodes' pods",
                     family,
                     {"cni0"},
                     host.uplinks,
                     here,
                     there});
    flows.push_back({"packets from other nodes' pods to pods here",
                     family,
                     host.uplinks,
                     {"cni0"},
                     there,
                     here});
    if (host.bridge_ports.size() < 2) continue;
    FilterFlow between{"packets between pods here", family, {"cni0"}, {"cni0"}, here, here};
    between.bridged = true;
    auto call = host.sysctls.find(family == IpFamily::kV4 ? "net/bridge/bridge-nf-call-iptables"
                                                          : "net/bridge/bridge-nf-call-ip6tables");
    between.bridge_netfilter = call != host.sysctls.end() && call->second == "1";
    flows.push_back(std::move(between));
  }
  return flows;
}

// Ours: CheckMasquerade says what is wrong with the one, and pods ask for the other.
bool IsOurs(const FilterChain& chain) {
  return chain.show.starts_with("inet podroute ") || chain.show.starts_with("inet podroute-cni ");
}

Finding ToFinding(const FilterHit& hit, const std::string& flows) {
  if (hit.rule == nullptr) {
    return {"ForwardPolicyDrop", Severity::kError,
            "the policy of " + hit.chain->show + " drops " + flows, "they never arrive",
            hit.chain->mend_policy};
  }
  if (hit.rule->verdict == FilterVerdict::kTranslate) {
    return {"MasqueradedByOthers", Severity::kWarning,
            hit.rule->show + " gives another source address to " + flows,
            "pods see a node instead of a pod, and network policies too", hit.rule->mend};
  }
  return {"ForwardRuleDrops", Severity::kError, hit.rule->show + " drops " + flows,
          "they never arrive", hit.rule->mend};
}

}  // namespace

void CheckFilter(const CheckFacts& facts, std::vector<Finding>* findings) {
  struct Found {
    FilterHit hit;
    std::string flows;
  };
  std::vector<Found> all;  // One for each policy or rule.
  for (const FilterFlow& flow : PodFlows(facts)) {
    for (const FilterHit& hit : TraceFlow(facts.host->filter, flow)) {
      const bool translates = hit.rule != nullptr && hit.rule->verdict == FilterVerdict::kTranslate;
      // Many have a reason of their own for that; what is not certain is no news.
      if (translates && (!hit.certain || IsOurs(*hit.chain))) continue;
      auto known = std::find_if(all.begin(), all.end(), [&](const Found& one) {
        return one.hit.rule == hit.rule && (hit.rule != nullptr || one.hit.chain == hit.chain);
      });
      if (known == all.end()) {
        all.push_back({hit, flow.show});
        continue;
      }
      if (known->flows.find(flow.show) == std::string::npos) known->flows += " and " + flow.show;
      known->hit.certain = known->hit.certain || hit.certain;
    }
  }
  for (const Found& found : all) {
    Finding finding = ToFinding(found.hit, found.flows);
    if (!found.hit.certain) {
      finding.severity = Severity::kWarning;
      finding.why +=
          ", unless another rule accepts them before: not all conditions were understood";
    }
    findings->push_back(std::move(finding));
  }
}

}  // namespace podroute
