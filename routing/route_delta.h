// A plan as lines of text for a router, in two steps. Pure.
#ifndef PODROUTE_ROUTING_ROUTE_DELTA_H_
#define PODROUTE_ROUTING_ROUTE_DELTA_H_

#include <cstddef>
#include <string>
#include <vector>

#include "base/status.h"
#include "routing/route.h"
#include "routing/route_plan.h"

namespace podroute {

// Lines that are sent together.
struct RouteStep {
  std::string text;             // Each line ends with a newline.
  std::vector<size_t> changes;  // Of each line: the plan's change that it belongs to.

  void Add(const std::string& line, size_t change);
  bool empty() const { return changes.empty(); }
  // Takes out the lines of changes that have an error.
  void DropFailed(const std::vector<Status>& statuses);
};

// First `adds`, then `deletes`: what replaces a route is there before the old one goes.
struct RouteDelta {
  RouteStep adds;
  RouteStep deletes;
  std::vector<Status> statuses;  // Of each change of the plan: OK, or why it has no lines.

  // Puts `status` on the step's changes that have no error yet.
  void Fail(const RouteStep& step, const Status& status);
  // Whether a deletion may go only when an addition has worked.
  bool Replaces(const RoutePlan& plan) const;
  // What undoes the changes with an error, as far as they have lines: an addition is deleted, a
  // deletion added, a replacement turned round.
  RoutePlan Inverse(const RoutePlan& plan) const;
  // Which changes without an error have not happened yet, going by what is there now: whose new
  // route is missing, and with `deletes_too` whose old one is still there.
  std::vector<size_t> Undone(const RoutePlan& plan, const RouteSet& now, bool deletes_too) const;
};

// By dst and gateway. `routes` is ordered by dst.
bool HasRoute(const RouteSet& routes, const Route& route);

// What is there after the changes without an error, ordered by dst. By dst and gateway.
RouteSet AfterChanges(const RouteSet& routes, const RoutePlan& plan,
                      const std::vector<Status>& statuses);

}  // namespace podroute

#endif  // PODROUTE_ROUTING_ROUTE_DELTA_H_
