#include "routing/route_plan.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

namespace podroute {

std::string_view RouteActionName(RouteAction action) {
  switch (action) {
    case RouteAction::kAdd:
      return "add";
    case RouteAction::kReplace:
      return "replace";
    case RouteAction::kDelete:
      return "delete";
    case RouteAction::kKeep:
      return "keep";
  }
  std::abort();
}

RoutePlan Plan(const RouteSet& actual, const RouteSet& desired) {
  RoutePlan plan;
  // From nothing, the case where it matters, all are adds; growing would copy and fault in twice as
  // much.
  if (actual.empty()) plan.changes.reserve(desired.size());
  std::vector<RouteChange> deletes;
  auto drop = [&](const Route& route) { deletes.push_back({RouteAction::kDelete, route, {}}); };
  auto have = actual.begin();
  for (const Route& want : desired) {
    for (; have != actual.end() && have->dst < want.dst; ++have) drop(*have);
    auto end = have;
    while (end != actual.end() && end->dst == want.dst) ++end;
    if (have == end) {
      plan.changes.push_back({RouteAction::kAdd, want, {}});
      continue;
    }
    auto right = std::find_if(have, end, [&](const Route& route) { return route.SameAs(want); });
    auto used = right != end ? right : have;
    if (right != end) {
      plan.keeps.push_back(want);
    } else {
      plan.changes.push_back({RouteAction::kReplace, want, *used});
    }
    for (; have != end; ++have) {
      if (have != used) drop(*have);
    }
  }
  for (; have != actual.end(); ++have) drop(*have);
  plan.deletes = deletes.size();
  plan.replaces = static_cast<size_t>(std::count_if(
      plan.changes.begin(), plan.changes.end(),
      [](const RouteChange& change) { return change.action == RouteAction::kReplace; }));
  plan.adds = plan.changes.size() - plan.replaces;
  plan.changes.insert(plan.changes.end(), std::make_move_iterator(deletes.begin()),
                      std::make_move_iterator(deletes.end()));
  return plan;
}

RoutePlan WithoutDeletes(RoutePlan plan) {
  plan.changes.resize(plan.changes.size() - plan.deletes);
  plan.deletes = 0;
  return plan;
}

}  // namespace podroute
