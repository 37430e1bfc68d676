// The way from the routes that exist to those that should. Pure.
#ifndef PODROUTE_ROUTING_ROUTE_PLAN_H_
#define PODROUTE_ROUTING_ROUTE_PLAN_H_

#include <cstddef>
#include <string_view>
#include <vector>

#include "routing/route.h"

namespace podroute {

enum class RouteAction { kAdd, kReplace, kDelete, kKeep };

// "add", "replace", "delete", "keep".
std::string_view RouteActionName(RouteAction action);

struct RouteChange {
  RouteAction action = RouteAction::kKeep;
  Route route;  // What should be; for kDelete what is.
  Route old;    // kReplace only: what is.
};

// Make before break: a backend carries out adds and replaces first, in order, and deletes last.
struct RoutePlan {
  std::vector<RouteChange> changes;  // Adds and replaces by dst, then deletes by dst. No keeps.
  RouteSet keeps;                    // What is and should be, by dst.
  size_t adds = 0, replaces = 0, deletes = 0;

  bool empty() const { return changes.empty(); }
};

// Both ordered by dst; `desired` has each dst once. Of an `actual` dst that stands more than once,
// one is kept or replaced (the one that is already right if there is one) and the others are
// deleted.
RoutePlan Plan(const RouteSet& actual, const RouteSet& desired);

// The plan without its deletes: what may be done before the first complete list (DESIGN rule 3).
RoutePlan WithoutDeletes(RoutePlan plan);

}  // namespace podroute

#endif  // PODROUTE_ROUTING_ROUTE_PLAN_H_
