#include "controller/event_correlator.h"

#include <gtest/gtest.h>

#include <string>

namespace podroute {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

NodeEvent Event(const std::string& message, const std::string& node = "n1") {
  return {node, true, "RouteFailed", message};
}

class EventCorrelatorTest : public ::testing::Test {
 protected:
  std::optional<EventCorrelator::Step> Happened(const NodeEvent& event) {
    return correlator_.Happened(event, now_, wall_);
  }
  EventCorrelator correlator_;
  MonotonicTime now_ = MonotonicTime() + std::chrono::hours(5);
  WallTime wall_{};
};

TEST_F(EventCorrelatorTest, WhatRepeatsIsCountedInTheEventThatIsThere) {
  auto first = Happened(Event("a"));
  ASSERT_TRUE(first);
  EXPECT_EQ(first->name, "");
  EXPECT_EQ(first->count, 1u);
  correlator_.Written(*first, "n1.x");
  now_ += seconds(30);
  auto second = Happened(Event("a"));
  ASSERT_TRUE(second);
  EXPECT_EQ(second->name, "n1.x");
  EXPECT_EQ(second->count, 2u);
  EXPECT_EQ(Happened(Event("b"))->name, "");
}

TEST_F(EventCorrelatorTest, AfterAWhileItIsANewEvent) {
  correlator_.Written(*Happened(Event("a")), "n1.x");
  now_ += minutes(11);
  auto later = Happened(Event("a"));
  ASSERT_TRUE(later);
  EXPECT_EQ(later->name, "");
  EXPECT_EQ(later->count, 1u);
}

TEST_F(EventCorrelatorTest, WhatIsMuchAlikeIsSummedUp) {
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(Happened(Event(std::to_string(i)))->event.message, std::to_string(i));
  }
  auto combined = Happened(Event("10"));
  ASSERT_TRUE(combined);
  EXPECT_EQ(combined->event.message, "(combined from similar events): 10");
  correlator_.Written(*combined, "n1.c");
  auto next = Happened(Event("11"));
  ASSERT_TRUE(next);
  EXPECT_EQ(next->name, "n1.c");
  EXPECT_EQ(next->count, 2u);
  EXPECT_EQ(Happened(Event("0", "n2"))->event.message, "0");  // Another node's.
}

TEST_F(EventCorrelatorTest, NobodyFloodsTheServer) {
  int written = 0;
  for (int i = 0; i < 1000; ++i) written += Happened(Event("a")) ? 1 : 0;
  EXPECT_EQ(written, EventCorrelator::kBurst);
  EXPECT_TRUE(Happened(Event("a", "n2")));
  now_ += EventCorrelator::kRefill;
  auto again = Happened(Event("a"));
  ASSERT_TRUE(again);
  EXPECT_EQ(again->count, 1001u);  // What was not written is counted all the same.
  EXPECT_FALSE(Happened(Event("a")));
}

}  // namespace
}  // namespace podroute
