// Nodes for one look: from a file or from the cluster.
#ifndef PODROUTE_CONTROLLER_NODE_SOURCE_H_
#define PODROUTE_CONTROLLER_NODE_SOURCE_H_

#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "k8sclient/http_transport.h"
#include "k8sclient/node.h"

namespace podroute {

using NodeList = std::vector<std::shared_ptr<const Node>>;

// What `kubectl get nodes -o json` or `-o yaml` printed: a List, a NodeList or one Node. "-" is
// standard input. By name; a name that comes twice counts as it came last. Errors name the file.
Result<NodeList> NodesFromFile(const std::string& path);

// One list, as recent as the server has (resourceVersion=""), in pages.
Result<NodeList> NodesFromCluster(HttpTransport& transport, const Clock& clock);

}  // namespace podroute

#endif  // PODROUTE_CONTROLLER_NODE_SOURCE_H_
