// Pods' links of this node, and whether the pods answer.
#ifndef PODROUTE_CONTROLLER_CHECK_GATHER_PODS_H_
#define PODROUTE_CONTROLLER_CHECK_GATHER_PODS_H_

#include <vector>

#include "controller/check/facts.h"
#include "controller/check/finding.h"

namespace podroute {

// By the links that the plugin labelled: `pods`, `other_networks_ports` and `foreign_bridge`. A pod
// that lacks something has a second to get it.
void GatherPods(HostFacts* host, std::vector<Skipped>* skipped);

// For each address of a pod that is in this node's podCIDRs a probe from cni0's address, and one
// from the node's: a pod without a way back answers the first alone.
std::vector<ProbeFact> PodProbes(const HostFacts& host, const Node& self);

// cni0's address of a family, if it has the one that it should have.
std::optional<IpAddress> BridgeAddress(const HostFacts& host, IpFamily family);

}  // namespace podroute

#endif  // PODROUTE_CONTROLLER_CHECK_GATHER_PODS_H_
