// Reads routes and rules of policy routing.
#ifndef PODROUTE_CONTROLLER_CHECK_GATHER_ROUTES_H_
#define PODROUTE_CONTROLLER_CHECK_GATHER_ROUTES_H_

#include "base/status.h"
#include "controller/check/facts.h"
#include "controller/options.h"

namespace podroute {

// Fills in host->routes. `desired` is empty where no routes are to be (local mode). REQUIRES: what
// is known of links is there already.
Status GatherRoutes(const Options& options, const RouteSet& desired, HostFacts* host);

// Fills in host->policy, by host->routes.
Status GatherPolicy(const Options& options, const Node& self, const ClusterFacts& cluster,
                    HostFacts* host);

}  // namespace podroute

#endif  // PODROUTE_CONTROLLER_CHECK_GATHER_ROUTES_H_
