// What this node's pods get, from its Node and its links. Pure.
#ifndef PODROUTE_CONTROLLER_POD_NETWORK_H_
#define PODROUTE_CONTROLLER_POD_NETWORK_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/ip_prefix.h"
#include "k8sclient/node.h"
#include "routing/desired_routes.h"
#include "routing/local_network.h"

namespace podroute {

// The Node's podCIDRs, in its order, that pods can have: those that the route rules do not refuse
// (`refused` may be about other nodes too) and that are large enough. Why one is left out that no
// refusal names goes into `*problems`, a line each.
std::vector<IpPrefix> UsablePodCidrs(const Node& self, std::span<const Refusal> refused,
                                     std::vector<std::string>* problems);

// Whether pods on it can have addresses at all. `self` null: there is no such Node.
bool HasPodNetwork(const std::shared_ptr<const Node>& self, std::span<const Refusal> refused);

// The links that have one of the Node's InternalIPs, in order of ifindex; loopback does not count.
std::vector<LocalLink> LinksOfNode(const Node& self, const LocalNetwork& local);

// Whether the pods' bridge is there, up, with the gateway address of each podCIDR.
bool HasBridge(const LocalNetwork& local, const std::vector<IpPrefix>& pod_cidrs);

// Where pods of this node are: in its podCIDRs, and in those that it had before, as long as the
// bridge has that gateway, which the plugin and the agent leave it while it has pods. What is not
// as long as a podCIDR of its family is no such network.
std::vector<IpPrefix> NetworksOfPodsHere(std::vector<IpPrefix> pod_cidrs,
                                         const LocalNetwork& local);

// Those of `ifindexes` that there are.
std::vector<LocalLink> LinksByIndex(const std::vector<int>& ifindexes, const LocalNetwork& local);

// What fits through each of the links: their least MTU; 1500 where that is not known.
uint32_t PodMtu(const std::vector<LocalLink>& uplinks);

}  // namespace podroute

#endif  // PODROUTE_CONTROLLER_POD_NETWORK_H_
