// A backend in memory, with a kernel's answers.
#ifndef PODROUTE_TESTS_CONTROLLER_FAKE_BACKEND_H_
#define PODROUTE_TESTS_CONTROLLER_FAKE_BACKEND_H_

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "routing/route_backend.h"

namespace podroute {

class FakeBackend final : public RouteBackend {
 public:
  std::string_view name() const override { return "fake"; }

  Result<RouteSet> ReadOwned() override {
    ++reads;
    if (!read_error.ok()) return read_error;
    RouteSet routes;
    for (const auto& [dst, via] : world) {
      Route& route = routes.emplace_back();
      route.dst = dst;
      route.via = via;
    }
    return routes;
  }

  std::vector<RouteResult> Apply(const RoutePlan& plan, const RouteSet&) override {
    ++applies;
    std::vector<RouteResult> results;
    for (const RouteChange& change : plan.changes) {
      auto failure = failures.find(change.route.dst);
      if (failure != failures.end()) {
        results.push_back({change, failure->second});
        continue;
      }
      ++changes;
      if (change.action == RouteAction::kReplace) Remove(change.old);
      if (change.action == RouteAction::kDelete) Remove(change.route);
      if (change.action != RouteAction::kDelete) {
        world.emplace(change.route.dst, change.route.via);
      }
      results.push_back({change, Status::Ok()});
    }
    return results;
  }

  void Remove(const Route& route) {
    auto [at, end] = world.equal_range(route.dst);
    at = std::find_if(at, end, [&](const auto& entry) { return entry.second == route.via; });
    if (at != end) world.erase(at);
  }

  // "10.244.1.0/24>192.168.0.1 ..."
  std::string Text() const {
    std::string out;
    for (const auto& [dst, via] : world) {
      out += (out.empty() ? "" : " ") + dst.ToString() + ">" + via.gateway.ToString();
    }
    return out;
  }

  std::multimap<IpPrefix, NextHop> world;
  std::map<IpPrefix, Status> failures;
  Status read_error;
  int reads = 0, applies = 0, changes = 0;
};

}  // namespace podroute

#endif  // PODROUTE_TESTS_CONTROLLER_FAKE_BACKEND_H_
