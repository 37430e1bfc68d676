// The node's bridge before it has any pod. The agent makes it, so that a node answers at its pods'
// gateways as soon as its network works, and others can tell when it does not.
#ifndef PODROUTE_CNI_NODE_BRIDGE_H_
#define PODROUTE_CNI_NODE_BRIDGE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "base/ip_prefix.h"
#include "base/status.h"
#include "cni/cni_types.h"
#include "cni/link_ops.h"

namespace podroute {

struct NodeBridge {
  std::string name;
  uint32_t mtu = 0;                 // Of one that has to be made.
  std::vector<IpPrefix> pod_cidrs;  // What the conflist's ranges are.
};

// What the plugin makes the gateway of a range that names none: the subnet's first address. Pure.
IpWithLength GatewayOf(const IpPrefix& pod_cidr);

enum class NodeBridgeState { kWasRight, kPutRight, kForeignLink };

// As the plugin's ADD leaves it: the bridge, up, with its gateway addresses, marked as ours, and
// router advertisements refused. What is right is not written; what else a bridge that is there
// already has (its MTU, addresses of others) stays, but for gateway addresses of ours that no pod
// can use any more because it has no port. Forwarding is not its business. kForeignLink: the link
// of that name is no bridge, and is left as it is.
Result<NodeBridgeState> EnsureNodeBridge(LinkOps& ops, const NodeBridge& wanted);

}  // namespace podroute

#endif  // PODROUTE_CNI_NODE_BRIDGE_H_
