// What podroute writes to the API server: a Node's condition and start-up taint, and Events about
// Nodes.
#ifndef PODROUTE_K8SCLIENT_NODE_WRITES_H_
#define PODROUTE_K8SCLIENT_NODE_WRITES_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "base/clock.h"
#include "k8sclient/api_error.h"
#include "k8sclient/http_transport.h"

namespace podroute {

// A strategic merge patch of a Node's status: the condition NetworkUnavailable, which the scheduler
// knows as the taint node.kubernetes.io/network-unavailable. Status, reasons and form are those of
// Kubernetes' own route controller (k8s.io/cloud-provider, route_controller.go). Pure.
std::string RenderNetworkCondition(bool works, WallTime now);

// A JSON patch (RFC 6902) that takes taint number `index` away, if it still is the start-up taint.
// Pure.
std::string RenderStartupTaintRemoval(size_t index);

// What a person reads in `kubectl describe node`.
struct NodeEvent {
  std::string node;
  bool warning = true;
  std::string reason;   // CamelCase
  std::string message;  // At most 1,024 bytes (core/v1's limit); cut there.
  bool operator==(const NodeEvent&) const = default;
};

// A core/v1 Event in the namespace default, where those about what has no namespace belong; the
// uid is the node's name, as the kubelet has it and `kubectl describe node` looks for. Pure.
std::string RenderEvent(const NodeEvent& event, const std::string& host, uint64_t count,
                        WallTime first, WallTime last);
// A strategic merge patch: it happened again. Pure.
std::string RenderEventRepeat(uint64_t count, WallTime last);

// Each blocks until it is answered. The transport's thread safety.
ApiError PatchNodeStatus(HttpTransport& transport, const std::string& node,
                         const std::string& patch);
ApiError PatchNode(HttpTransport& transport, const std::string& node,
                   const std::string& json_patch);
// `name`: the one that the server has chosen.
ApiError CreateEvent(HttpTransport& transport, const std::string& event, std::string* name);
ApiError PatchEvent(HttpTransport& transport, const std::string& name, const std::string& patch);

}  // namespace podroute

#endif  // PODROUTE_K8SCLIENT_NODE_WRITES_H_
