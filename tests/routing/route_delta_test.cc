#include "routing/route_delta.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace podroute {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

Route R(const std::string& dst, const std::string& gateway) {
  Route route;
  route.dst = IpPrefix::Parse(dst).value();
  route.via.gateway = IpAddress::Parse(gateway).value();
  return route;
}

const Status kBad(StatusCode::kInternal, "bad");

// One of each: 0 adds 10.1/16, 1 moves 10.2/16 from .2 to .9, 2 deletes 10.3/16.
RoutePlan OneOfEach() {
  RoutePlan plan;
  plan.changes = {
      {RouteAction::kAdd, R("10.1.0.0/16", "192.168.0.1"), {}},
      {RouteAction::kReplace, R("10.2.0.0/16", "192.168.0.9"), R("10.2.0.0/16", "192.168.0.2")},
      {RouteAction::kDelete, R("10.3.0.0/16", "192.168.0.3"), {}}};
  return plan;
}

RouteDelta DeltaOfEach() {
  RouteDelta delta;
  delta.statuses.resize(3);
  delta.adds.Add("+1", 0);
  delta.adds.Add("+2", 1);
  delta.deletes.Add("-2", 1);
  delta.deletes.Add("-3", 2);
  return delta;
}

TEST(RouteDeltaTest, LinesOfFailedChangesAreTakenOut) {
  RouteDelta delta = DeltaOfEach();
  delta.statuses[1] = kBad;
  delta.adds.DropFailed(delta.statuses);
  delta.deletes.DropFailed(delta.statuses);
  EXPECT_EQ(delta.adds.text, "+1\n");
  EXPECT_THAT(delta.adds.changes, ElementsAre(0));
  EXPECT_EQ(delta.deletes.text, "-3\n");
  EXPECT_THAT(delta.deletes.changes, ElementsAre(2));
}

TEST(RouteDeltaTest, WhatHasFailedIsTurnedRoundAsFarAsItHasLines) {
  RouteDelta delta = DeltaOfEach();
  const RoutePlan plan = OneOfEach();
  EXPECT_TRUE(delta.Inverse(plan).empty());
  delta.statuses.assign(3, kBad);
  RoutePlan back = delta.Inverse(plan);
  ASSERT_EQ(back.changes.size(), 3u);
  EXPECT_EQ(back.changes[0].action, RouteAction::kDelete);
  EXPECT_TRUE(back.changes[0].route.SameAs(R("10.1.0.0/16", "192.168.0.1")));
  EXPECT_EQ(back.changes[1].action, RouteAction::kReplace);
  EXPECT_TRUE(back.changes[1].route.SameAs(R("10.2.0.0/16", "192.168.0.2")));
  EXPECT_TRUE(back.changes[1].old.SameAs(R("10.2.0.0/16", "192.168.0.9")));
  EXPECT_EQ(back.changes[2].action, RouteAction::kAdd);
  EXPECT_TRUE(back.changes[2].route.SameAs(R("10.3.0.0/16", "192.168.0.3")));
  EXPECT_EQ(back.adds + back.replaces + back.deletes, 3u);

  // The new next hop was there before: it stays.
  delta.adds = RouteStep();
  back = delta.Inverse(plan);
  ASSERT_EQ(back.changes.size(), 2u);
  EXPECT_EQ(back.changes[0].action, RouteAction::kAdd);
  EXPECT_TRUE(back.changes[0].route.SameAs(R("10.2.0.0/16", "192.168.0.2")));
  // The old one was not: it does not come.
  delta = DeltaOfEach();
  delta.statuses[1] = kBad;
  delta.deletes = RouteStep();
  back = delta.Inverse(plan);
  ASSERT_EQ(back.changes.size(), 1u);
  EXPECT_EQ(back.changes[0].action, RouteAction::kDelete);
  EXPECT_TRUE(back.changes[0].route.SameAs(R("10.2.0.0/16", "192.168.0.9")));
}

TEST(RouteDeltaTest, AFailureOfAStepLeavesEarlierErrorsAlone) {
  RouteDelta delta = DeltaOfEach();
  delta.statuses[0] = kBad;
  delta.Fail(delta.adds, Status(StatusCode::kUnavailable, "all"));
  EXPECT_EQ(delta.statuses[0], kBad);
  EXPECT_EQ(delta.statuses[1].message(), "all");
  EXPECT_EQ(delta.statuses[2], Status::Ok());
}

TEST(RouteDeltaTest, ADeletionWaitsForAnAdditionOnlyInAReplacement) {
  RoutePlan plan = OneOfEach();
  RouteDelta delta = DeltaOfEach();
  EXPECT_TRUE(delta.Replaces(plan));
  delta.statuses[1] = kBad;
  delta.deletes.DropFailed(delta.statuses);
  EXPECT_FALSE(delta.Replaces(plan));
}

TEST(RouteDeltaTest, UndoneGoesByDestinationAndGateway) {
  RoutePlan plan = OneOfEach();
  RouteDelta delta = DeltaOfEach();
  RouteSet before = {R("10.2.0.0/16", "192.168.0.2"), R("10.3.0.0/16", "192.168.0.3")};
  EXPECT_THAT(delta.Undone(plan, before, false), ElementsAre(0, 1));
  EXPECT_THAT(delta.Undone(plan, before, true), ElementsAre(0, 1, 1, 2));
  RouteSet between = {R("10.1.0.0/16", "192.168.0.1"), R("10.2.0.0/16", "192.168.0.2"),
                      R("10.2.0.0/16", "192.168.0.9"), R("10.3.0.0/16", "192.168.0.3")};
  EXPECT_THAT(delta.Undone(plan, between, false), IsEmpty());
  RouteSet after = AfterChanges(before, plan, delta.statuses);
  EXPECT_THAT(delta.Undone(plan, after, true), IsEmpty());
}

TEST(RouteDeltaTest, AfterChangesLeavesOutWhatFailed) {
  RoutePlan plan = OneOfEach();
  RouteSet before = {R("10.0.0.0/16", "192.168.0.7"), R("10.2.0.0/16", "192.168.0.2"),
                     R("10.3.0.0/16", "192.168.0.3")};
  RouteSet after = AfterChanges(before, plan, {kBad, Status::Ok(), kBad});
  ASSERT_EQ(after.size(), 3u);
  EXPECT_TRUE(after[0].SameAs(before[0]));
  EXPECT_TRUE(after[1].SameAs(plan.changes[1].route));
  EXPECT_TRUE(after[2].SameAs(before[2]));
  EXPECT_TRUE(IsOrdered(after));
}

}  // namespace
}  // namespace podroute
