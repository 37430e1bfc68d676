#include "routing/route_plan.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace podroute {
namespace {

Route R(const std::string& dst, const std::string& gateway, int ifindex = 2) {
  Route route;
  route.dst = IpPrefix::Parse(dst).value();
  route.via = {IpAddress::Parse(gateway).value(), ifindex};
  return route;
}

std::string Text(const RoutePlan& plan) {
  std::string out;
  for (const RouteChange& change : plan.changes) {
    out += std::string(RouteActionName(change.action)) + " " + change.route.dst.ToString() +
           " via " + change.route.via.gateway.ToString();
    if (change.action == RouteAction::kReplace) out += " was " + change.old.via.gateway.ToString();
    out += "\n";
  }
  return out;
}

TEST(PlanTest, NothingToDoIsEmpty) {
  RouteSet routes = {R("10.244.1.0/24", "192.168.0.1"), R("fd00::/64", "fe80::1")};
  RoutePlan plan = Plan(routes, routes);
  EXPECT_TRUE(plan.empty());
  EXPECT_EQ(plan.keeps.size(), 2u);
}

TEST(PlanTest, Rule5AddsAndReplacesComeBeforeDeletes) {
  RouteSet actual = {R("10.0.0.0/24", "192.168.0.9"), R("10.0.1.0/24", "192.168.0.1")};
  RouteSet desired = {R("10.0.1.0/24", "192.168.0.2"), R("10.0.2.0/24", "192.168.0.3")};
  RoutePlan plan = Plan(actual, desired);
  EXPECT_EQ(Text(plan),
            "replace 10.0.1.0/24 via 192.168.0.2 was 192.168.0.1\n"
            "add 10.0.2.0/24 via 192.168.0.3\n"
            "delete 10.0.0.0/24 via 192.168.0.9\n");
  EXPECT_EQ(plan.adds, 1u);
  EXPECT_EQ(plan.replaces, 1u);
  EXPECT_EQ(plan.deletes, 1u);
}

TEST(PlanTest, AnotherLinkIsAnotherNextHop) {
  RoutePlan plan = Plan({R("10.0.1.0/24", "192.168.0.1", 2)}, {R("10.0.1.0/24", "192.168.0.1", 3)});
  EXPECT_EQ(plan.replaces, 1u);
}

TEST(PlanTest, OfDuplicatesTheRightOneStays) {
  RouteSet actual = {R("10.0.1.0/24", "192.168.0.1"), R("10.0.1.0/24", "192.168.0.2")};
  RoutePlan plan = Plan(actual, {R("10.0.1.0/24", "192.168.0.2")});
  EXPECT_EQ(Text(plan), "delete 10.0.1.0/24 via 192.168.0.1\n");
  EXPECT_EQ(plan.keeps.size(), 1u);
}

TEST(PlanTest, OfDuplicatesThatAreAllWrongOneIsReplaced) {
  RouteSet actual = {R("10.0.1.0/24", "192.168.0.1"), R("10.0.1.0/24", "192.168.0.2")};
  RoutePlan plan = Plan(actual, {R("10.0.1.0/24", "192.168.0.3")});
  EXPECT_EQ(Text(plan),
            "replace 10.0.1.0/24 via 192.168.0.3 was 192.168.0.1\n"
            "delete 10.0.1.0/24 via 192.168.0.2\n");
}

TEST(PlanTest, WithoutDeletesKeepsTheRest) {
  RoutePlan plan =
      WithoutDeletes(Plan({R("10.0.0.0/24", "192.168.0.9")}, {R("10.0.2.0/24", "192.168.0.3")}));
  EXPECT_EQ(Text(plan), "add 10.0.2.0/24 via 192.168.0.3\n");
  EXPECT_EQ(plan.deletes, 0u);
}

// Carried out in order, any plan turns what is into what should be, and a destination that is in
// both is never absent in between.
TEST(PlanTest, Rule5CarryingOutAnyPlanConvergesWithoutAGap) {
  std::mt19937 random(1);
  auto draw = [&](int below) { return static_cast<int>(random() % static_cast<unsigned>(below)); };
  for (int round = 0; round < 2000; ++round) {
    RouteSet actual, desired;
    for (int i = 0; i < 12; ++i) {
      std::string dst =
          (i % 2 ? "10.0." + std::to_string(i) + ".0/24" : "fd00:" + std::to_string(i) + "::/64");
      std::string base = i % 2 ? "192.168.0." : "fe80::";
      for (int n = draw(3); n-- > 0;) actual.push_back(R(dst, base + std::to_string(1 + n)));
      if (draw(2)) desired.push_back(R(dst, base + std::to_string(1 + draw(3))));
    }
    auto by_dst = [](const Route& a, const Route& b) { return a.dst < b.dst; };
    std::stable_sort(actual.begin(), actual.end(), by_dst);
    std::sort(desired.begin(), desired.end(), by_dst);
    std::multimap<IpPrefix, NextHop> world;
    for (const Route& route : actual) world.emplace(route.dst, route.via);
    auto remove = [&](const Route& route) {
      auto [at, end] = world.equal_range(route.dst);
      for (; at != end; ++at) {
        if (at->second == route.via) {
          world.erase(at);
          return true;
        }
      }
      return false;
    };
    for (const RouteChange& change : Plan(actual, desired).changes) {
      if (change.action == RouteAction::kReplace) {
        ASSERT_TRUE(remove(change.old));
      }
      if (change.action == RouteAction::kDelete) {
        ASSERT_TRUE(remove(change.route));
      } else {
        world.emplace(change.route.dst, change.route.via);
      }
      for (const Route& want : desired) {
        bool had = std::any_of(actual.begin(), actual.end(),
                               [&](const Route& route) { return route.dst == want.dst; });
        if (had) {
          ASSERT_TRUE(world.contains(want.dst));
        }
      }
    }
    std::multimap<IpPrefix, NextHop> expected;
    for (const Route& route : desired) expected.emplace(route.dst, route.via);
    ASSERT_EQ(world, expected) << "round " << round;
  }
}

}  // namespace
}  // namespace podroute
