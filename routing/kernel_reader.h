// What is in the kernel: routes with a mark, nexthop objects, routes in the way of others.
#ifndef PODROUTE_ROUTING_KERNEL_READER_H_
#define PODROUTE_ROUTING_KERNEL_READER_H_

#include <cstdint>
#include <unordered_set>
#include <vector>

#include "base/ip_prefix.h"
#include "base/status.h"
#include "routing/netlink_codec.h"
#include "routing/netlink_socket.h"
#include "routing/owner.h"
#include "routing/route.h"

namespace podroute {

// Ours: table, protocol and metric, unicast.
bool HasMark(const KernelRoute& route, const RouteMark& mark);

// Everybody's, ascending by id. Unsupported or InvalidArgument: this kernel has none (before 5.3).
Result<std::vector<KernelNexthop>> ReadKernelNexthops(NetlinkTransport& transport);

// By dst, then in the kernel's order. `ids` are those of our objects, see IsOtherOwners; `others`
// gets the ids of the objects that routes of our table and protocol refer to which are not ours
// (another owner's, with another metric). `nexthops` says where objects lead. An IPv6 route that is
// made of several comes back as several; a route that no NextHop can describe (IPv4 multipath, no
// gateway) has an unspecified gateway.
Result<RouteSet> ReadMarkedRoutes(NetlinkTransport& transport, const RouteMark& mark,
                                  const NexthopIds& ids, const std::vector<KernelNexthop>& nexthops,
                                  std::unordered_set<uint32_t>* others);

// Fills in Route::dev. Links that have just gone stay unnamed.
Status NameLinks(NetlinkTransport& transport, RouteSet& routes);

// One of our routes that is not used, because the kernel prefers somebody else's.
struct ShadowedRoute {
  IpPrefix dst;
  // The route that wins. Both 0 when the kernel does not say (it is a blackhole or the like).
  uint8_t protocol = 0;
  uint32_t metric = 0;
};

// Which of `routes`, which have the mark, the kernel does not use for their own prefix. One
// question to the kernel for each, a second one for some.
Result<std::vector<ShadowedRoute>> FindShadowedRoutes(NetlinkTransport& transport,
                                                      const RouteMark& mark,
                                                      const RouteSet& routes);

}  // namespace podroute

#endif  // PODROUTE_ROUTING_KERNEL_READER_H_
