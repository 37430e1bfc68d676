#include "routing/nexthop_plan.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace podroute {
namespace {

constexpr uint8_t kOurs = 110;
constexpr uint32_t kId = kFirstNexthopId;

IpAddress A(const std::string& text) { return IpAddress::Parse(text).value(); }

Route R(int prefix, int gateway, uint32_t nexthop_id = 0) {
  Route route;
  route.dst = IpPrefix::Parse("10.244." + std::to_string(prefix) + ".0/24").value();
  route.via = {A("192.168.0." + std::to_string(gateway)), 2};
  route.nexthop_id = nexthop_id;
  return route;
}

KernelNexthop N(uint32_t id, int gateway, uint8_t protocol = kOurs) {
  return {id, protocol, true, false, {A("192.168.0." + std::to_string(gateway)), 2}};
}

std::string Text(const std::vector<KernelStep>& steps) {
  std::string text;
  for (const KernelStep& step : steps) {
    if (!text.empty()) text += ", ";
    if (step.dst != IpPrefix()) text += step.dst.ToString() + " ";
    text += step.via.gateway.ToString();
    if (step.nexthop_id != 0) text += " #" + std::to_string(step.nexthop_id - kId);
    if (step.replaces) text += " replaces";
  }
  return text;
}

// What the kernel would be told on the way from `actual` to `desired`.
struct Scenario {
  NexthopPlanner planner;
  KernelSteps Go(const std::vector<KernelNexthop>& nexthops, const RouteSet& actual,
                 const RouteSet& desired, bool use_objects = true) {
    planner.Reset(nexthops, kOurs, actual);
    return planner.Plan(Plan(actual, desired), use_objects);
  }
};

TEST(NexthopPlanTest, MakesOneObjectForEachGateway) {
  Scenario scenario;
  KernelSteps steps = scenario.Go({}, {}, {R(1, 2), R(2, 2), R(3, 3)});
  EXPECT_EQ(Text(steps.nexthops), "192.168.0.2 #0, 192.168.0.3 #1");
  EXPECT_EQ(
      Text(steps.adds),
      "10.244.1.0/24 192.168.0.2 #0, 10.244.2.0/24 192.168.0.2 #0, 10.244.3.0/24 192.168.0.3 #1");
  EXPECT_TRUE(steps.deletes.empty());
  EXPECT_EQ(steps.needs, (std::vector<size_t>{0, 0, 1}));
  EXPECT_FALSE(scenario.planner.HasUnused());
}

TEST(NexthopPlanTest, UsesTheObjectThatIsThere) {
  Scenario scenario;
  KernelSteps steps = scenario.Go({N(kId + 7, 2)}, {}, {R(1, 2)});
  EXPECT_TRUE(steps.nexthops.empty());
  EXPECT_EQ(Text(steps.adds), "10.244.1.0/24 192.168.0.2 #7");
  EXPECT_EQ(steps.needs, (std::vector<size_t>{kNoStep}));
}

TEST(NexthopPlanTest, NeverUsesSomebodyElsesObjectOrId) {
  Scenario scenario;
  KernelSteps steps = scenario.Go({N(kId, 2, 11), N(kId + 1, 3, 11), N(50, 2, 4)}, {}, {R(1, 2)});
  EXPECT_EQ(Text(steps.nexthops), "192.168.0.2 #2");
  EXPECT_FALSE(scenario.planner.HasUnused());
}

TEST(NexthopPlanTest, PlainRoutesHaveNoObjects) {
  Scenario scenario;
  KernelSteps steps = scenario.Go({}, {R(1, 2)}, {R(1, 3), R(2, 2)}, false);
  EXPECT_TRUE(steps.nexthops.empty());
  EXPECT_EQ(Text(steps.adds), "10.244.1.0/24 192.168.0.3 replaces, 10.244.2.0/24 192.168.0.2");
  EXPECT_EQ(Text(steps.deletes), "10.244.1.0/24 192.168.0.2");
}

TEST(NexthopPlanTest, MovesTheObjectWhenAllItsRoutesMove) {
  Scenario scenario;
  KernelSteps steps = scenario.Go({N(kId, 2)}, {R(1, 2, kId), R(2, 2, kId)}, {R(1, 9), R(2, 9)});
  EXPECT_EQ(Text(steps.nexthops), "192.168.0.9 #0 replaces");
  EXPECT_TRUE(steps.adds.empty());
  EXPECT_TRUE(steps.deletes.empty());
  EXPECT_EQ(steps.needs, (std::vector<size_t>{0, 0}));
  EXPECT_EQ(steps.nexthop_ids, (std::vector<uint32_t>{kId, kId}));
  EXPECT_FALSE(scenario.planner.HasUnused());
  // And knows it: back again is one message too.
  steps = scenario.planner.Plan(Plan({R(1, 9), R(2, 9)}, {R(1, 2), R(2, 2)}), true);
  EXPECT_EQ(Text(steps.nexthops), "192.168.0.2 #0 replaces");
}

TEST(NexthopPlanTest, KeepsTheObjectWhenOneOfItsRoutesStays) {
  Scenario scenario;
  KernelSteps steps = scenario.Go({N(kId, 2)}, {R(1, 2, kId), R(2, 2, kId)}, {R(1, 9), R(2, 2)});
  EXPECT_EQ(Text(steps.nexthops), "192.168.0.9 #1");
  EXPECT_EQ(Text(steps.adds), "10.244.1.0/24 192.168.0.9 #1 replaces");
  EXPECT_EQ(Text(steps.deletes), "10.244.1.0/24 192.168.0.2 #0");
}

TEST(NexthopPlanTest, KeepsTheObjectWhenOneOfItsRoutesIsToGo) {
  Scenario scenario;
  KernelSteps steps = scenario.Go({N(kId, 2)}, {R(1, 2, kId), R(2, 2, kId)}, {R(1, 9)});
  EXPECT_EQ(Text(steps.nexthops), "192.168.0.9 #1");
  EXPECT_EQ(Text(steps.deletes), "10.244.1.0/24 192.168.0.2 #0, 10.244.2.0/24 192.168.0.2 #0");
  ASSERT_EQ(scenario.planner.Unused().size(), 1u);
  EXPECT_EQ(scenario.planner.Unused()[0].id, kId);
}

TEST(NexthopPlanTest, TheNewGatewaysOwnObjectIsUsed) {
  Scenario scenario;
  KernelSteps steps =
      scenario.Go({N(kId, 2), N(kId + 1, 3)}, {R(1, 2, kId), R(2, 3, kId + 1)}, {R(1, 3), R(2, 3)});
  EXPECT_TRUE(steps.nexthops.empty());
  EXPECT_EQ(Text(steps.adds), "10.244.1.0/24 192.168.0.3 #1 replaces");
  EXPECT_EQ(scenario.planner.Unused().size(), 1u);
}

TEST(NexthopPlanTest, SwappedGatewaysSwapObjects) {
  Scenario scenario;
  KernelSteps steps =
      scenario.Go({N(kId, 2), N(kId + 1, 3)}, {R(1, 2, kId), R(2, 3, kId + 1)}, {R(1, 3), R(2, 2)});
  EXPECT_TRUE(steps.nexthops.empty());
  EXPECT_EQ(Text(steps.adds),
            "10.244.1.0/24 192.168.0.3 #1 replaces, 10.244.2.0/24 192.168.0.2 #0 replaces");
}

TEST(NexthopPlanTest, AGatewayThatMovesAwayMakesRoomForTheNextOne) {
  // 2 becomes 9, and 1 becomes 3, whose object has just become 9's.
  Scenario scenario;
  KernelSteps steps =
      scenario.Go({N(kId, 2), N(kId + 1, 3)}, {R(1, 2, kId), R(2, 3, kId + 1)}, {R(1, 3), R(2, 9)});
  EXPECT_EQ(Text(steps.nexthops), "192.168.0.9 #1 replaces, 192.168.0.3 #2");
  EXPECT_EQ(Text(steps.adds), "10.244.1.0/24 192.168.0.3 #2 replaces");
}

TEST(NexthopPlanTest, OfTwoObjectsThatGoToOneGatewayOneMoves) {
  Scenario scenario;
  KernelSteps steps =
      scenario.Go({N(kId, 2), N(kId + 1, 3)}, {R(1, 2, kId), R(2, 3, kId + 1)}, {R(1, 9), R(2, 9)});
  EXPECT_EQ(Text(steps.nexthops), "192.168.0.9 #0 replaces");
  EXPECT_EQ(Text(steps.adds), "10.244.2.0/24 192.168.0.9 #0 replaces");
  EXPECT_EQ(steps.needs, (std::vector<size_t>{0, 0}));
}

TEST(NexthopPlanTest, OrphansAreUnusedUntilARouteNeedsThem) {
  Scenario scenario;
  KernelNexthop retired{kId + 1, kOurs, false, true, {A("192.168.0.3"), 0}};
  scenario.Go({N(kId, 2), retired}, {}, {});
  EXPECT_EQ(scenario.planner.Unused().size(), 2u);
  scenario.planner.Plan(Plan({}, {R(1, 2)}), true);
  ASSERT_EQ(scenario.planner.Unused().size(), 1u);
  EXPECT_TRUE(scenario.planner.Unused()[0].fdb);
  scenario.planner.Forget(kId + 1);
  EXPECT_FALSE(scenario.planner.HasUnused());
  EXPECT_EQ(scenario.planner.nexthop_count(), 1u);
}

TEST(NexthopPlanTest, AnObjectThatMustStayIsNotOfferedAgainButUsed) {
  Scenario scenario;
  scenario.Go({N(kId, 2)}, {}, {});
  scenario.planner.Keep(kId);
  EXPECT_FALSE(scenario.planner.HasUnused());
  EXPECT_TRUE(scenario.planner.Plan(Plan({}, {R(1, 2)}), true).nexthops.empty());
}

TEST(NexthopPlanTest, RenumbersAnObjectWhoseIdIsTaken) {
  Scenario scenario;
  scenario.Go({}, {}, {R(1, 2)});
  uint32_t id = scenario.planner.Renumber(kId);
  EXPECT_EQ(id, kId + 1);
  KernelSteps steps = scenario.planner.Plan(Plan({R(1, 2)}, {}), true);
  EXPECT_EQ(Text(steps.deletes), "10.244.1.0/24 192.168.0.2 #1");
  ASSERT_EQ(scenario.planner.Unused().size(), 1u);
  EXPECT_EQ(scenario.planner.Unused()[0].id, id);
}

TEST(NexthopPlanTest, DeletesOnlyWhatIsThere) {
  Scenario scenario;
  scenario.planner.Reset({}, kOurs, {});
  EXPECT_TRUE(scenario.planner.Plan(Plan({R(1, 2)}, {}), true).deletes.empty());
}

TEST(NexthopPlanTest, AnIpv6RouteKeepsItsKind) {
  Route old = R(1, 2), want = R(1, 3);
  old.dst = want.dst = IpPrefix::Parse("fd01::/64").value();
  Scenario scenario;
  KernelSteps steps = scenario.Go({}, {old}, {want});
  EXPECT_TRUE(steps.nexthops.empty());
  EXPECT_EQ(Text(steps.adds), "fd01::/64 192.168.0.3 replaces");
}

}  // namespace
}  // namespace podroute
