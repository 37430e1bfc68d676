#include "cni/node_bridge.h"

#include <net/if.h>

#include <optional>

#include "cni/bridge_gateway.h"

namespace podroute {
namespace {

// Without a port there is no pod that uses an older gateway of ours. Where there are ports it is
// the next ADD that knows which addresses are reserved.
Result<bool> RemoveStale(LinkOps& ops, int bridge, const std::vector<AddressDetails>& present,
                         const std::vector<IpWithLength>& wanted) {
  std::vector<IpWithLength> stale = StaleGatewayAddresses(present, wanted, false, {});
  if (stale.empty()) return false;
  PODROUTE_ASSIGN_OR_RETURN(std::vector<LinkDetails> ports, ops.PortsOf(bridge));
  if (!ports.empty()) return false;
  for (const IpWithLength& address : stale) {
    PODROUTE_RETURN_IF_ERROR(ops.DeleteAddress(bridge, address));
  }
  return true;
}

}  // namespace

IpWithLength GatewayOf(const IpPrefix& pod_cidr) {
  return {pod_cidr.address().Plus(1), pod_cidr.length()};
}

Result<NodeBridgeState> EnsureNodeBridge(LinkOps& ops, const NodeBridge& wanted) {
  PODROUTE_ASSIGN_OR_RETURN(std::optional<LinkDetails> link, ops.FindLink(wanted.name));
  if (link && link->kind != "bridge") return NodeBridgeState::kForeignLink;
  PODROUTE_ASSIGN_OR_RETURN(LinkSummary bridge, ops.EnsureBridge(wanted.name, wanted.mtu, false));
  bool changed = !link || (link->flags & IFF_UP) == 0;

  std::vector<IpWithLength> gateways;
  gateways.reserve(wanted.pod_cidrs.size());
  for (const IpPrefix& pod_cidr : wanted.pod_cidrs) gateways.push_back(GatewayOf(pod_cidr));
  PODROUTE_ASSIGN_OR_RETURN(std::vector<AddressDetails> present, ops.AddressesOf(bridge.ifindex));
  PODROUTE_ASSIGN_OR_RETURN(bool added,
                            AddMissingAddresses(ops, bridge.ifindex, present, gateways));
  PODROUTE_ASSIGN_OR_RETURN(bool removed, RemoveStale(ops, bridge.ifindex, present, gateways));

  PODROUTE_RETURN_IF_ERROR(RefuseRouterAdvertisements(
      ops, wanted.name, link ? link->accept_ra : std::optional<uint32_t>()));
  return changed || added || removed ? NodeBridgeState::kPutRight : NodeBridgeState::kWasRight;
}

}  // namespace podroute
