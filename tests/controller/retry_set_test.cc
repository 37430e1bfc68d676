#include "controller/retry_set.h"

#include <gtest/gtest.h>

#include "tests/base/fake_clock.h"

namespace podroute {
namespace {

using std::chrono::milliseconds;

const IpPrefix kBad = IpPrefix::Parse("10.0.1.0/24").value();
const Status kFailure(StatusCode::kUnavailable, "no");

RoutePlan TwoAdds() {
  RouteSet desired(2);
  desired[0].dst = kBad;
  desired[1].dst = IpPrefix::Parse("10.0.2.0/24").value();
  return Plan({}, desired);
}

class RetrySetTest : public testing::Test {
 protected:
  FakeClock clock_;
  RetrySet set_{{.initial = milliseconds(100), .max = milliseconds(400), .jitter = 0}, clock_};
};

TEST_F(RetrySetTest, AFailedRouteWaitsAndTheOthersDoNot) {
  EXPECT_EQ(set_.DueOnly(TwoAdds()).changes.size(), 2u);
  set_.Failed(kBad, kFailure);
  RoutePlan due = set_.DueOnly(TwoAdds());
  ASSERT_EQ(due.changes.size(), 1u);
  EXPECT_EQ(due.adds, 1u);
  EXPECT_NE(due.changes[0].route.dst, kBad);
  EXPECT_EQ(set_.NextIn(), milliseconds(100));
  clock_.Advance(milliseconds(100));
  EXPECT_EQ(set_.DueOnly(TwoAdds()).changes.size(), 2u);
}

TEST_F(RetrySetTest, AllAreDueWhenTheirReasonMayBeGoneAndWaitsGoOnGrowing) {
  set_.Failed(kBad, kFailure);
  set_.Failed(kBad, kFailure);
  EXPECT_EQ(set_.NextIn(), milliseconds(200));
  set_.AllDue();
  EXPECT_EQ(set_.NextIn(), milliseconds(0));
  EXPECT_EQ(set_.DueOnly(TwoAdds()).changes.size(), 2u);
  set_.Failed(kBad, kFailure);
  EXPECT_EQ(set_.NextIn(), milliseconds(400));
}

TEST_F(RetrySetTest, EachFailureWaitsTwiceAsLongUpToTheMost) {
  for (int expected : {100, 200, 400, 400}) {
    set_.Failed(kBad, kFailure);
    EXPECT_EQ(set_.NextIn(), milliseconds(expected));
    clock_.Advance(milliseconds(expected));
  }
}

TEST_F(RetrySetTest, OnlyTheFirstOfEqualFailuresIsNews) {
  EXPECT_TRUE(set_.Failed(kBad, kFailure));
  EXPECT_FALSE(set_.Failed(kBad, kFailure));
  EXPECT_TRUE(set_.Failed(kBad, Status(StatusCode::kUnavailable, "other")));
  set_.Succeeded(kBad);
  EXPECT_EQ(set_.NextIn(), std::nullopt);
  EXPECT_TRUE(set_.Failed(kBad, Status(StatusCode::kUnavailable, "other")));
}

TEST_F(RetrySetTest, WhatNobodyWantsAnyLongerIsForgotten) {
  set_.Failed(kBad, kFailure);
  set_.DueOnly(Plan({}, {}));
  EXPECT_EQ(set_.size(), 0u);
}

}  // namespace
}  // namespace podroute
