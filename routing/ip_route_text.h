// What iproute2's `ip route` prints, read back. Pure. Forms as iproute2 5.10 to 6.1 have them.
#ifndef PODROUTE_ROUTING_IP_ROUTE_TEXT_H_
#define PODROUTE_ROUTING_IP_ROUTE_TEXT_H_

#include <string>
#include <string_view>

#include "base/status.h"
#include "routing/netlink_codec.h"
#include "routing/route.h"

namespace podroute {

// The unicast routes with this mark, ordered by dst, with `dev`, without ifindex. `text` is the
// output of `ip route show`, of `ip -json route show`, or of several of them behind each other (one
// for each family). Without "proto" among its selectors: ip(8) leaves out of its lines what it was
// asked to select by. A route without a gateway, or an IPv4 one with several, is there with an
// unspecified one, so that it is never taken for right; of several of an IPv6 route each is a
// route. The protocol may have the name "podroute" (rt_protos). Errors: text that is no JSON where
// JSON began.
Result<RouteSet> ParseIpRoutes(std::string_view text, const RouteMark& mark);

// Commands for a router that nothing is known about: whatever is there, afterwards it has `routes`,
// and of ours not those to `gone`. A shell runs them; each is an error of its own.
std::string RenderIpReplace(const RouteSet& routes, const RouteSet& gone, const RouteMark& mark);

}  // namespace podroute

#endif  // PODROUTE_ROUTING_IP_ROUTE_TEXT_H_
