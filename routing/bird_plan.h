// What BIRD and the file have, and what both are to have. Pure.
#ifndef PODROUTE_ROUTING_BIRD_PLAN_H_
#define PODROUTE_ROUTING_BIRD_PLAN_H_

#include <string>
#include <vector>

#include "base/status.h"
#include "routing/route.h"
#include "routing/route_plan.h"

namespace podroute {

// All sets here are ordered by dst.

// Same destinations and gateways.
bool SameHops(const RouteSet& a, const RouteSet& b);

// How `actual`, which is not `target`, differs from it, by an example: "it has no route to ...".
std::string BirdDifference(const RouteSet& actual, const RouteSet& target);

// Gives the routes of `routes` the link and the node that `from` has for the same destination and
// gateway.
void DescribeRoutes(RouteSet& routes, const RouteSet& from);

// What BirdBackend::ReadOwned returns: of `bird`, what BIRD has, each route; with an unspecified
// gateway where `file`, what the file says, has not the same.
RouteSet BirdOwned(const RouteSet& bird, const RouteSet& file);

// What is to be there after the plan: what BIRD has, with the plan carried out, and what only the
// file has as far as it is desired. A change that BIRD could never have gets its own error in
// `statuses`, which has one for each change, and leaves what was there.
RouteSet BirdTarget(const RouteSet& bird, const RouteSet& file, const RoutePlan& plan,
                    const RouteSet& desired, std::vector<Status>* statuses);

}  // namespace podroute

#endif  // PODROUTE_ROUTING_BIRD_PLAN_H_
