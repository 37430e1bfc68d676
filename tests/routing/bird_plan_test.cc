#include "routing/bird_plan.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "routing/bird_config.h"
#include "routing/bird_reply.h"

namespace podroute {
namespace {

Route R(const std::string& dst, const std::string& gateway, const std::string& node = "",
        int ifindex = 0) {
  Route route;
  route.dst = IpPrefix::Parse(dst).value();
  route.via = {IpAddress::Parse(gateway).value(), ifindex};
  route.node = node;
  return route;
}

std::string ToText(const RouteSet& routes) {
  std::string text;
  for (const Route& route : routes) {
    text += route.dst.ToString() + " " + route.via.gateway.ToString() + " " + route.node + "\n";
  }
  return text;
}

const Route kA = R("10.1.0.0/24", "192.168.0.1"), kB = R("10.2.0.0/24", "192.168.0.2"),
            kC = R("10.3.0.0/24", "192.168.0.3"), kMovedA = R("10.1.0.0/24", "192.168.0.9"),
            kWrongA = R("10.1.0.0/24", "0.0.0.0");

RouteSet Target(const RouteSet& bird, const RouteSet& file, const RouteSet& desired) {
  std::vector<Status> statuses;
  const RoutePlan plan = Plan(BirdOwned(bird, file), desired);
  RouteSet target = BirdTarget(bird, file, plan, desired, &statuses);
  EXPECT_EQ(statuses.size(), plan.changes.size());
  return target;
}

TEST(BirdPlanTest, OwnedIsWhatBothHave) {
  EXPECT_EQ(ToText(BirdOwned({kA, kB}, {kA, kB})), ToText({kA, kB}));
  EXPECT_EQ(ToText(BirdOwned({kA, kB}, {})), "10.1.0.0/24 0.0.0.0 \n10.2.0.0/24 0.0.0.0 \n");
  EXPECT_EQ(ToText(BirdOwned({kA}, {kMovedA})), ToText({kWrongA}));
  EXPECT_EQ(ToText(BirdOwned({}, {kA, kB})), "");
  EXPECT_EQ(ToText(BirdOwned({kA, kC}, {kB, kC})), "10.1.0.0/24 0.0.0.0 \n" + ToText({kC}));
}

TEST(BirdPlanTest, ACompletePlanLeadsToWhatIsDesired) {
  const std::vector<RouteSet> sets = {{}, {kA}, {kMovedA}, {kA, kB}, {kB, kC}, {kMovedA, kB, kC}};
  for (const RouteSet& bird : sets) {
    for (const RouteSet& file : sets) {
      for (const RouteSet& desired : sets) {
        EXPECT_EQ(ToText(Target(bird, file, desired)), ToText(desired)) << ToText(bird) << "\n"
                                                                        << ToText(file);
      }
    }
  }
}

TEST(BirdPlanTest, WithheldDeletesStay) {
  std::vector<Status> statuses;
  const RoutePlan plan = WithoutDeletes(Plan({kA, kB}, {kC}));
  EXPECT_EQ(ToText(BirdTarget({kA, kB}, {kA, kB}, plan, {kC}, &statuses)), ToText({kA, kB, kC}));
  // Also those that only BIRD has.
  const RoutePlan other = WithoutDeletes(Plan(BirdOwned({kA, kB}, {}), {kC}));
  EXPECT_EQ(ToText(BirdTarget({kA, kB}, {}, other, {kC}, &statuses)), ToText({kA, kB, kC}));
}

TEST(BirdPlanTest, WhatOnlyTheFileHasStaysIfItIsDesired) {
  std::vector<Status> statuses;
  EXPECT_EQ(ToText(BirdTarget({}, {kA, kB}, {}, {kA, kC}, &statuses)), ToText({kA}));
}

TEST(BirdPlanTest, AnAddWinsOverWhatIsThere) {
  std::vector<Status> statuses;
  EXPECT_EQ(ToText(BirdTarget({kA}, {kA}, Plan({}, {kMovedA}), {kMovedA}, &statuses)),
            ToText({kMovedA}));
}

TEST(BirdPlanTest, OfTwoRoutesToOneDestinationTheRightOneStays) {
  EXPECT_EQ(ToText(Target({kA, kMovedA}, {kA}, {kA})), ToText({kA}));
  EXPECT_EQ(ToText(Target({kMovedA, kA}, {kA}, {kA})), ToText({kA}));
  EXPECT_EQ(ToText(Target({kMovedA, kA}, {kA}, {})), "");
}

TEST(BirdPlanTest, ARouteThatBirdCannotHaveLeavesWhatWasThere) {
  std::vector<Status> statuses;
  const RouteSet desired = {R("10.1.0.0/24", "127.0.0.1"), kB};
  EXPECT_EQ(ToText(BirdTarget({kA}, {kA}, Plan({kA}, desired), desired, &statuses)),
            ToText({kA, kB}));
  ASSERT_EQ(statuses.size(), 2u);
  EXPECT_FALSE(statuses[0].ok());
  EXPECT_TRUE(statuses[1].ok());
}

TEST(BirdPlanTest, NodesAndLinksAreThoseThatAreDesired) {
  std::vector<Status> statuses;
  const RouteSet desired = {R("10.1.0.0/24", "192.168.0.1", "new-name", 7)};
  const RouteSet target =
      BirdTarget({R("10.1.0.0/24", "192.168.0.1", "old-name")}, desired, {}, desired, &statuses);
  ASSERT_EQ(target.size(), 1u);
  EXPECT_EQ(target[0].node, "new-name");
  EXPECT_EQ(target[0].via.ifindex, 7);
}

TEST(BirdPlanTest, DifferencesNameARoute) {
  EXPECT_EQ(BirdDifference({}, {kA}), "it has no route to 10.1.0.0/24");
  EXPECT_EQ(BirdDifference({kMovedA}, {kA}), "its route to 10.1.0.0/24 is not by 192.168.0.1");
  EXPECT_EQ(BirdDifference({kA, kB}, {kA}), "it has 2 routes and should have 1");
}

BirdReply Reply(const std::string& text) {
  BirdReplyReader reader;
  EXPECT_TRUE(reader.Feed(text).ok());
  return reader.Take();
}

TEST(BirdPlanTest, AnAnswerIsComparedAsText) {
  const RouteSet routes = {kA, kB, R("fd01::/64", "fd00::1")};
  const std::string v4 = RenderBirdStatic(routes, IpFamily::kV4);
  EXPECT_EQ(v4, "10.1.0.0/24\n\tvia 192.168.0.1\n10.2.0.0/24\n\tvia 192.168.0.2\n");
  EXPECT_EQ(RenderBirdStatic(routes, IpFamily::kV6), "fd01::/64\n\tvia fd00::1\n");
  const std::string same =
      "1009-10.1.0.0/24\n \tvia 192.168.0.1 (dormant)\n 10.2.0.0/24\n \tvia 192.168.0.2\n0000 \n";
  EXPECT_TRUE(SaysStaticRoutes(Reply(same), v4));
  EXPECT_TRUE(SaysStaticRoutes(Reply("0000 \n"), ""));
  EXPECT_FALSE(SaysStaticRoutes(Reply("0000 \n"), v4));
  EXPECT_FALSE(SaysStaticRoutes(Reply(same), ""));
  EXPECT_FALSE(SaysStaticRoutes(Reply(same), v4 + "10.3.0.0/24\n\tvia 192.168.0.3\n"));
  EXPECT_FALSE(SaysStaticRoutes(Reply("9001 syntax error\n"), ""));
  for (const char* other :
       {"1009-10.1.0.0/24\n \tvia 192.168.0.10\n 10.2.0.0/24\n \tvia 192.168.0.2\n0000 \n",
        "1009-10.1.0.0/24\n \tvia 192.168.0.\n 10.2.0.0/24\n \tvia 192.168.0.2\n0000 \n",
        "1009-10.1.0.0/24\n \tvia 192.168.0.1 onlink\n 10.2.0.0/24\n \tvia 192.168.0.2\n0000 \n",
        "1009-10.1.0.0/24\n \tvia 192.168.0.1\n0000 \n",
        "1009-10.1.0.0/24\n \tvia 192.168.0.1\n \tvia 192.168.0.5\n 10.2.0.0/24\n"
        " \tvia 192.168.0.2\n0000 \n"}) {
    EXPECT_FALSE(SaysStaticRoutes(Reply(other), v4)) << other;
  }
}

}  // namespace
}  // namespace podroute
