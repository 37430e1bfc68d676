// What podroute keeps of a Kubernetes Node: a few hundred bytes of some 14 KB of JSON.
#ifndef PODROUTE_K8SCLIENT_NODE_H_
#define PODROUTE_K8SCLIENT_NODE_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace podroute {

// Bounds on what one Node can make us keep. What is beyond them is counted, not kept, and the node
// is refused by the route rules (routing/desired_routes.h) for it.
inline constexpr size_t kMaxNodeNameBytes = 253;  // RFC 1123 subdomain, as the API server enforces.
inline constexpr size_t kMaxPodCidrs = 8;         // The API allows one per family, hence two.
inline constexpr size_t kMaxNodeAddresses = 32;
inline constexpr size_t kMaxFieldBytes = 256;  // Any other text; longer ones are cut.

// Keeps pods off a node until its network works: put there by whoever makes the node, taken away by
// us.
inline constexpr char kStartupTaint[] = "podroute.io/network-unavailable";

// How the messages of conditions that podroute writes begin: the reasons are also those of
// Kubernetes' own route controller.
inline constexpr char kConditionMark[] = "podroute: ";

struct NetworkUnavailableCondition {
  std::string status;  // "True", "False", "Unknown"
  std::string reason;
  bool ours = false;  // Its message begins with kConditionMark.
  bool operator==(const NetworkUnavailableCondition&) const = default;
};

// A value; immutable once it is in a NodeStore.
struct Node {
  // The key. A name over kMaxNodeNameBytes is kept as its first bytes, "~" and a digest of the
  // whole, so that two such names stay two nodes.
  std::string name;
  std::string uid;
  std::string resource_version;        // Opaque.
  int64_t creation_seconds = 0;        // Unix time; 0 when absent or malformed.
  bool deleting = false;               // metadata.deletionTimestamp is set.
  std::vector<std::string> pod_cidrs;  // spec.podCIDRs, else [spec.podCIDR]; as written.
  std::vector<std::string>
      internal_ips;  // status.addresses of type InternalIP, in order; as written.
  std::vector<std::string> external_ips;  // ... of type ExternalIP
  size_t pod_cidrs_total = 0;             // How many there were, kept or not.
  size_t addresses_total = 0;             // All types, kept or not.
  bool name_too_long = false;
  std::optional<NetworkUnavailableCondition> network_unavailable;
  // Which of spec.taints, counted from 0, has the key kStartupTaint.
  std::optional<size_t> startup_taint;

  bool operator==(const Node&) const = default;
};

}  // namespace podroute

#endif  // PODROUTE_K8SCLIENT_NODE_H_
