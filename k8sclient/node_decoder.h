// From a NodeList's JSON to Nodes, without ever holding the JSON. RapidJSON's SAX reader pulls
// bytes from the body; what k8sclient/node.h names is kept within its bounds, the rest is skipped
// as it passes. Measured in tests/bench/decode_bench.cc.
//
// Within a Node, fields of an unexpected type count as absent, unknown ones are skipped, a key that
// comes twice counts as it came last, and bytes that are no UTF-8 are kept as they are.
#ifndef PODROUTE_K8SCLIENT_NODE_DECODER_H_
#define PODROUTE_K8SCLIENT_NODE_DECODER_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "k8sclient/http_transport.h"
#include "k8sclient/node.h"

namespace podroute {

// Bounds on what one list can cost, whoever sends it; those on one Node are in k8sclient/node.h,
// those on its JSON (8 MiB, 1,000 levels) in k8sclient/node_sax.h.
inline constexpr size_t kMaxListNodes = 200'000;

// A whole list, or a page of one.
struct NodeListPage {
  std::string resource_version;  // metadata.resourceVersion; empty when absent.
  std::string continue_token;    // metadata.continue; empty on the last page.
  std::vector<Node> nodes;       // In the order they came.
  MonotonicTime arrived;         // When the first bytes of the body were read.
};

// Reads `body` to its end. kInternal when it is not one complete JSON object of kind NodeList (or
// List) whose items are Nodes with names, or when a bound above is exceeded; the message says
// which. kUnavailable when the body ends too early; other errors of the body are passed on. Blocks
// as the body does. There is no partial result.
Result<NodeListPage> DecodeNodeList(BodyStream& body, const Clock& clock);

// The Nodes of a text: a NodeList, a List (as `kubectl get nodes -o json` prints) or a single Node.
// kInvalidArgument when it is none.
Result<std::vector<Node>> DecodeNodesText(std::string_view json);

}  // namespace podroute

#endif  // PODROUTE_K8SCLIENT_NODE_DECODER_H_
