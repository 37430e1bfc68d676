#include "controller/delete_guard.h"

#include <gtest/gtest.h>

namespace podroute {
namespace {

using Decision = DeleteGuard::Decision;

DeleteGuard::Pass P(size_t nodes, size_t owned, size_t deletes, uint64_t lists = 0) {
  return {.nodes = nodes, .owned = owned, .deletes = deletes, .consistent_lists = lists};
}

TEST(DeleteGuardTest, AFewDeletesNeedNoConfirmation) {
  DeleteGuard guard(0.5);
  EXPECT_EQ(guard.Check(P(3, 10, 10)), Decision::kProceed);
  EXPECT_EQ(guard.Check(P(100, 100, 50)), Decision::kProceed);
  EXPECT_EQ(guard.Check(P(3, 0, 0)), Decision::kProceed);
  EXPECT_EQ(guard.Check(P(0, 0, 0)), Decision::kProceed);
}

TEST(DeleteGuardTest, MoreThanTheFractionAndMoreThanTenIsConfirmedFirst) {
  DeleteGuard guard(0.5);
  EXPECT_EQ(guard.Check(P(3, 21, 11, 4)), Decision::kAsk);
  EXPECT_EQ(guard.Check(P(3, 21, 11, 4)), Decision::kAwait);
  EXPECT_EQ(guard.Check(P(3, 21, 11, 5)), Decision::kProceed);
  EXPECT_EQ(guard.Check(P(3, 21, 11, 5)), Decision::kAsk) << "each mass deletion has its own";
}

TEST(DeleteGuardTest, AnEmptyListIsConfirmedHoweverFewRoutesThereAre) {
  DeleteGuard guard(1.0);
  EXPECT_EQ(guard.Check(P(0, 2, 2)), Decision::kAsk);
  EXPECT_EQ(guard.Check(P(0, 2, 2, 1)), Decision::kProceed);
}

TEST(DeleteGuardTest, AConfirmationIsForgottenWhenTheDangerIsOver) {
  DeleteGuard guard(0.5);
  EXPECT_EQ(guard.Check(P(0, 20, 20, 1)), Decision::kAsk);
  EXPECT_EQ(guard.Check(P(21, 20, 0, 1)), Decision::kProceed);
  EXPECT_EQ(guard.Check(P(0, 20, 20, 2)), Decision::kAsk) << "the list since then said otherwise";
}

}  // namespace
}  // namespace podroute
