// Which routes should exist, and why the others should not. Pure: the same input gives the same
// output.
#ifndef PODROUTE_ROUTING_DESIRED_ROUTES_H_
#define PODROUTE_ROUTING_DESIRED_ROUTES_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/ip_prefix.h"
#include "routing/local_network.h"
#include "routing/route.h"

namespace podroute {

// A Node as the rules see it. Views: what they point to outlives the call.
struct NodeInfo {
  std::string_view name;
  int64_t creation_seconds = 0;            // Unix time; 0 when not known: then it is the youngest.
  std::span<const std::string> pod_cidrs;  // As written in the Node.
  std::span<const std::string> internal_ips;  // As written in the Node.
  std::span<const std::string> external_ips;
  // The Node had more than any real one has; what is above is not all of it.
  bool name_too_long = false;
  bool too_many_pod_cidrs = false;
  bool too_many_addresses = false;
};

// Why a podCIDR gets no route. The words are the same in JSON, Events and metrics labels;
// docs/reference.md explains each.
enum class RefusalReason {
  kInvalidName,  // The node's name is no RFC 1123 subdomain.
  kNoPodCidr,    // spec.podCIDRs is empty (not yet assigned).
  kTooManyPodCidrs,
  kTooManyAddresses,
  kMalformedPrefix,  // Not a prefix, or host bits set.
  kTooWide,          // 0.0.0.0/0, wider than /8 (IPv4) or /32 (IPv6).
  kReservedPrefix,   // Loopback, link-local, multicast, unspecified.
  kOutsideClusterCidr,
  kContainsNodeAddress,      // Of a node, its own included; see below.
  kContainsConnectedSubnet,  // A subnet on one of this machine's links (or is one), or an
                             // address of this machine.
  kInsideConnectedSubnet,    // Would take neighbours' addresses away; allowed by naming it in
                             // --cluster_cidr.
  kContainsApiServer,
  kOverlapsNode,         // An older node has it, or part of it.
  kNoAddress,            // The node has no usable InternalIP of this family.
  kNextHopNotConnected,  // ... none that is on a directly connected subnet.
  kNextHopIsLocal,       // Its InternalIP is one of this machine's own.
  kLinkDown,             // The link towards it is administratively down.
};

// "OverlapsNode" and so on.
std::string_view RefusalReasonName(RefusalReason reason);
// All of them, for documentation tests and metrics.
std::span<const RefusalReason> AllRefusalReasons();

struct Refusal {
  std::string node;  // Cut to a printable length.
  std::string cidr;  // As written, cut to a printable length; empty: the whole node.
  RefusalReason reason;
  std::string message;  // One line, printable: what is wrong and, where there is one, the way out.
  bool operator==(const Refusal&) const = default;
};

struct DesiredOptions {
  // The node that this machine is: its podCIDRs are claimed but get no route. Empty on a router.
  std::string self;
  // Prefixes that podCIDRs must lie in. Empty: any.
  std::vector<IpPrefix> cluster_cidrs;
  // Never to be covered by a route.
  std::vector<IpAddress> api_server;
};

struct DesiredResult {
  RouteSet routes;  // Ordered by dst, each once.
  // The podCIDRs that are accepted, in order, with this node's own and those without a next hop.
  std::vector<IpPrefix> pod_networks;
  std::vector<Refusal> refused;  // By node, then cidr. The self node's own are among them.
};

// DESIGN rule 6. One bad node never keeps another from its routes. `local` absent: the routes are
// for another machine, or for show: links are not looked at and dev stays empty.
//
// Claims: of overlapping podCIDRs the one of the older node (creation_seconds, then name) stands.
// Only a prefix that passes every rule of its own claims anything, so a hostile node cannot shut
// out others with a prefix that is refused anyway; but a node whose next hop is unusable keeps its
// claim, so that a link that goes down never hands its pods' addresses to somebody else.
//
// Node addresses: a podCIDR that contains a node's address is refused when that node is older, is
// this machine, or has the address on one of this machine's subnets (outside of cluster_cidrs,
// where pods live). Any other address of a younger node does not count: or a node could take an
// older one's route away by claiming an address inside it.
//
// O(n log n) in podCIDRs; about 1 ms for 5,000 nodes.
DesiredResult DesiredRoutes(std::span<const NodeInfo> nodes,
                            const std::optional<LocalNetwork>& local,
                            const DesiredOptions& options);

}  // namespace podroute

#endif  // PODROUTE_ROUTING_DESIRED_ROUTES_H_
