#include "routing/route_delta.h"

#include <algorithm>
#include <set>
#include <string_view>
#include <tuple>
#include <utility>

namespace podroute {
namespace {

bool ByDst(const Route& a, const Route& b) { return a.dst < b.dst; }

}  // namespace

void RouteStep::Add(const std::string& line, size_t change) {
  text += line;
  text += '\n';
  changes.push_back(change);
}

void RouteStep::DropFailed(const std::vector<Status>& statuses) {
  RouteStep kept;
  std::string_view rest = text;
  for (size_t change : changes) {
    size_t length = rest.find('\n');
    if (statuses[change].ok()) kept.Add(std::string(rest.substr(0, length)), change);
    rest.remove_prefix(length + 1);
  }
  *this = std::move(kept);
}

void RouteDelta::Fail(const RouteStep& step, const Status& status) {
  for (size_t change : step.changes) {
    if (statuses[change].ok()) statuses[change] = status;
  }
}

bool RouteDelta::Replaces(const RoutePlan& plan) const {
  return !adds.empty() &&
         std::any_of(deletes.changes.begin(), deletes.changes.end(), [&](size_t change) {
           return plan.changes[change].action == RouteAction::kReplace;
         });
}

std::vector<size_t> RouteDelta::Undone(const RoutePlan& plan, const RouteSet& now,
                                       bool deletes_too) const {
  std::vector<size_t> undone;
  for (size_t change : adds.changes) {
    if (statuses[change].ok() && !HasRoute(now, plan.changes[change].route)) {
      undone.push_back(change);
    }
  }
  if (!deletes_too) return undone;
  for (size_t change : deletes.changes) {
    const RouteChange& what = plan.changes[change];
    const Route& gone = what.action == RouteAction::kReplace ? what.old : what.route;
    if (statuses[change].ok() && HasRoute(now, gone)) undone.push_back(change);
  }
  return undone;
}

RoutePlan RouteDelta::Inverse(const RoutePlan& plan) const {
  const std::set<size_t> added(adds.changes.begin(), adds.changes.end());
  const std::set<size_t> deleted(deletes.changes.begin(), deletes.changes.end());
  RoutePlan back;
  for (size_t i = 0; i < plan.changes.size(); ++i) {
    const RouteChange& change = plan.changes[i];
    if (statuses[i].ok()) continue;
    const Route& old = change.action == RouteAction::kReplace ? change.old : change.route;
    if (added.contains(i) && deleted.contains(i)) {
      back.changes.push_back({.action = RouteAction::kReplace, .route = old, .old = change.route});
      ++back.replaces;
    } else if (added.contains(i)) {
      back.changes.push_back({.action = RouteAction::kDelete, .route = change.route, .old = {}});
      ++back.deletes;
    } else if (deleted.contains(i)) {
      back.changes.push_back({.action = RouteAction::kAdd, .route = old, .old = {}});
      ++back.adds;
    }
  }
  return back;
}

bool HasRoute(const RouteSet& routes, const Route& route) {
  auto [at, end] = std::equal_range(routes.begin(), routes.end(), route, ByDst);
  return std::any_of(at, end,
                     [&](const Route& other) { return other.via.gateway == route.via.gateway; });
}

RouteSet AfterChanges(const RouteSet& routes, const RoutePlan& plan,
                      const std::vector<Status>& statuses) {
  using Key = std::tuple<IpPrefix, IpAddress>;
  auto key = [](const Route& route) { return Key(route.dst, route.via.gateway); };
  std::set<Key> gone;
  RouteSet after;
  for (size_t i = 0; i < plan.changes.size(); ++i) {
    const RouteChange& change = plan.changes[i];
    if (!statuses[i].ok() || change.action == RouteAction::kKeep) continue;
    if (change.action == RouteAction::kDelete) gone.insert(key(change.route));
    if (change.action == RouteAction::kReplace) gone.insert(key(change.old));
    if (change.action != RouteAction::kDelete) {
      gone.insert(key(change.route));  // The new value of it stands in the plan.
      after.push_back(change.route);
    }
  }
  for (const Route& route : routes) {
    if (!gone.contains(key(route))) after.push_back(route);
  }
  std::stable_sort(after.begin(), after.end(), ByDst);
  return after;
}

}  // namespace podroute
