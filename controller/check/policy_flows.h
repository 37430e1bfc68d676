// Policy routing: which packets to ask the kernel about, and which rule is to blame. Pure.
#ifndef PODROUTE_CONTROLLER_CHECK_POLICY_FLOWS_H_
#define PODROUTE_CONTROLLER_CHECK_POLICY_FLOWS_H_

#include <vector>

#include "controller/check/facts.h"

namespace podroute {

struct FlowInputs {
  RouteSet routes;  // Ours that are there, and win in their table.
  uint32_t table = 254;
  std::vector<IpPrefix> own;         // This node's podCIDRs.
  std::vector<IpAddress> addresses;  // This Node's, on its links.
  // Other nodes' that no route of ours leads to: any way to them will do. No `via`.
  RouteSet other_pods;
  std::vector<LocalLink> links;
  std::vector<int> uplinks;         // ifindexes
  std::optional<LocalLink> bridge;  // cni0, up.
  // A link that does not forward IPv4 answers with an error, which another finding says.
  std::vector<int> not_forwarding_v4;  // Their ifindexes.
};

// From this node and from its pods to the pods of each other node, and the ways back. Packets that
// a rule treats otherwise than the rest of their network come beside: a rule "to 10.244.2.128/25"
// makes one with such a target.
std::vector<FlowFact> MakeFlows(const FlowInputs& inputs, const std::vector<KernelRule>& rules);

bool IsAstray(const FlowFact& flow);

// Why the kernel does not come to the table that has the route, or does not take the route there.
struct Diversion {
  const KernelRule* rule = nullptr;    // Null: no rule leads to the table.
  const KernelRoute* route = nullptr;  // What was found in the rule's table.
};
// Nothing: the rules lead to the table; what is wrong is in it, or not for this to say.
std::optional<Diversion> FindDiversion(const FlowFact& flow, const PolicyFacts& policy);

}  // namespace podroute

#endif  // PODROUTE_CONTROLLER_CHECK_POLICY_FLOWS_H_
