#include "controller/hint_budget.h"

#include <gtest/gtest.h>

#include "tests/base/fake_clock.h"

namespace podroute {
namespace {

int TakeAll(HintBudget& budget) {
  int taken = 0;
  while (budget.Take()) ++taken;
  return taken;
}

TEST(HintBudgetTest, HeedsABurstAtOnceAndThenTenASecond) {
  FakeClock clock;
  HintBudget budget(clock);
  EXPECT_EQ(TakeAll(budget), 2000);
  clock.Advance(std::chrono::milliseconds(99));
  EXPECT_EQ(TakeAll(budget), 0);
  clock.Advance(std::chrono::milliseconds(901));
  EXPECT_EQ(TakeAll(budget), 10);
  clock.Advance(std::chrono::hours(24));
  EXPECT_EQ(TakeAll(budget), 2000) << "never more than a burst";
}

}  // namespace
}  // namespace podroute
