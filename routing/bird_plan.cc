#include "routing/bird_plan.h"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <tuple>

#include "routing/bird_config.h"

namespace podroute {
namespace {

bool ByDst(const Route& a, const Route& b) { return a.dst < b.dst; }

auto HopOf(const Route& route) { return std::tie(route.dst, route.via.gateway); }

}  // namespace

bool SameHops(const RouteSet& a, const RouteSet& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const Route& x, const Route& y) { return HopOf(x) == HopOf(y); });
}

std::string BirdDifference(const RouteSet& actual, const RouteSet& target) {
  for (const Route& route : target) {
    auto at = std::lower_bound(actual.begin(), actual.end(), route, ByDst);
    if (at == actual.end() || at->dst != route.dst) {
      return "it has no route to " + route.dst.ToString();
    }
    if (HopOf(*at) != HopOf(route)) {
      return "its route to " + route.dst.ToString() + " is not by " + route.via.gateway.ToString();
    }
  }
  return "it has " + std::to_string(actual.size()) + " routes and should have " +
         std::to_string(target.size());
}

void DescribeRoutes(RouteSet& routes, const RouteSet& from) {
  auto known = from.begin();
  for (Route& route : routes) {
    while (known != from.end() && known->dst < route.dst) ++known;
    if (known == from.end()) return;
    if (HopOf(*known) != HopOf(route)) continue;
    route.via.ifindex = known->via.ifindex;
    route.dev = known->dev;
    route.node = known->node;
  }
}

RouteSet BirdOwned(const RouteSet& bird, const RouteSet& file) {
  RouteSet owned;
  owned.reserve(bird.size());
  auto in_file = file.begin();
  for (const Route& route : bird) {
    while (in_file != file.end() && in_file->dst < route.dst) ++in_file;
    Route& mine = owned.emplace_back();
    mine.dst = route.dst;
    if (in_file != file.end() && HopOf(*in_file) == HopOf(route)) mine.via = route.via;
  }
  return owned;
}

RouteSet BirdTarget(const RouteSet& bird, const RouteSet& file, const RoutePlan& plan,
                    const RouteSet& desired, std::vector<Status>* statuses) {
  RouteSet gone, target;
  target.reserve(bird.size() + plan.adds);
  statuses->assign(plan.changes.size(), Status());
  for (size_t i = 0; i < plan.changes.size(); ++i) {
    const RouteChange& change = plan.changes[i];
    if (change.action == RouteAction::kDelete) {
      gone.push_back(change.route);
      continue;
    }
    (*statuses)[i] = CheckBirdRoute(change.route);
    if (!(*statuses)[i].ok()) continue;
    target.push_back(change.route);
    // Of several routes to it the others have changes of their own, or are kept.
    if (change.action == RouteAction::kReplace) gone.push_back(change.old);
  }
  std::stable_sort(gone.begin(), gone.end(), ByDst);
  auto goes = [&](const Route& route) {
    auto [from, to] = std::equal_range(gone.begin(), gone.end(), route, ByDst);
    return std::any_of(from, to, [&](const Route& old) {
      if (HopOf(old) == HopOf(route)) return true;
      // BirdOwned's word for a route that is not right; of two to one destination the other may be.
      return old.via.gateway.IsUnspecified() &&
             !std::binary_search(
                 plan.keeps.begin(), plan.keeps.end(), route,
                 [](const Route& a, const Route& b) { return HopOf(a) < HopOf(b); });
    });
  };
  auto keep = [&](const Route& route) {
    // A foreign kind, made by hand, goes with any writing of the file.
    if (!goes(route) && CheckBirdRoute(route).ok()) target.push_back(route);
  };
  std::for_each(bird.begin(), bird.end(), keep);
  RouteSet only_in_file;
  std::set_intersection(file.begin(), file.end(), desired.begin(), desired.end(),
                        std::back_inserter(only_in_file),
                        [](const Route& a, const Route& b) { return HopOf(a) < HopOf(b); });
  std::for_each(only_in_file.begin(), only_in_file.end(), keep);
  // Of what was added and what was there, what was added stands first, and stays.
  if (!IsOrdered(target)) std::stable_sort(target.begin(), target.end(), ByDst);
  auto same_dst = [](const Route& a, const Route& b) { return a.dst == b.dst; };
  target.erase(std::unique(target.begin(), target.end(), same_dst), target.end());
  DescribeRoutes(target, desired);
  return target;
}

}  // namespace podroute
