#include <algorithm>
#include <map>
#include <optional>

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

}  // namespace

void CheckFilter(const CheckFacts& facts, std::vector<Finding>* findings) {
  struct Dropped {
    std::string flows;
    bool certain;
  };
  // By base chain and rule, in the order of their discovery.
  std::vector<std::pair<const FilterChain*, const FilterRule*>> order;
  std::map<std::pair<const FilterChain*, const FilterRule*>, Dropped> drops;
  for (const FilterFlow& flow : PodFlows(facts)) {
    for (const FilterDrop& drop : TraceFlow(facts.host->filter, flow)) {
      const FilterChain* chain = drop.rule == nullptr ? drop.chain : nullptr;
      auto [known, is_new] =
          drops.try_emplace({chain, drop.rule}, Dropped{flow.show, drop.certain});
      if (is_new) {
        order.push_back(known->first);
        continue;
      }
      if (known->second.flows.find(flow.show) == std::string::npos) {
        known->second.flows += " and " + flow.show;
      }
      known->second.certain = known->second.certain || drop.certain;
    }
  }
  for (const auto& [chain, rule] : order) {
    const Dropped& dropped = drops[{chain, rule}];
    Finding finding{"ForwardRuleDrops", dropped.certain ? Severity::kError : Severity::kWarning, "",
                    dropped.certain ? "they never arrive"
                                    : "they never arrive, unless another rule accepts them before: "
                                      "not all conditions were understood",
                    ""};
    if (chain != nullptr) {
      finding.id = "ForwardPolicyDrop";
      finding.what = "the policy of " + chain->show + " drops ";
      finding.mend = chain->mend_policy;
    } else {
      finding.what = rule->show + " drops ";
      finding.mend = rule->mend;
    }
    finding.what += dropped.flows;
    findings->push_back(std::move(finding));
  }
}

}  // namespace podroute
