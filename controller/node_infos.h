// Nodes as the route rules take them.
#ifndef PODROUTE_CONTROLLER_NODE_INFOS_H_
#define PODROUTE_CONTROLLER_NODE_INFOS_H_

#include <memory>
#include <vector>

#include "k8sclient/node.h"
#include "routing/desired_routes.h"

namespace podroute {

// Views of `nodes`, which must outlive them.
std::vector<NodeInfo> ToNodeInfos(const std::vector<std::shared_ptr<const Node>>& nodes);

}  // namespace podroute

#endif  // PODROUTE_CONTROLLER_NODE_INFOS_H_
