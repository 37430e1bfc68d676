// Which Nodes' networks work, as seen from the router that has the routes to them. Pure.
#ifndef PODROUTE_CONTROLLER_NODE_NETWORKS_H_
#define PODROUTE_CONTROLLER_NODE_NETWORKS_H_

#include <memory>
#include <vector>

#include "controller/node_reporter.h"
#include "controller/retry_set.h"
#include "k8sclient/node.h"
#include "routing/desired_routes.h"

namespace podroute {

// All of `nodes`, in their order. One works when it has a podCIDR that is not refused, and none of
// its routes waits to be tried again: after a pass a route is there or is among `retries`.
// `refused` is in the order of DesiredResult.
std::vector<NodeNetwork> NodeNetworks(const std::vector<std::shared_ptr<const Node>>& nodes,
                                      const std::vector<Refusal>& refused, const RetrySet& retries);

}  // namespace podroute

#endif  // PODROUTE_CONTROLLER_NODE_NETWORKS_H_
