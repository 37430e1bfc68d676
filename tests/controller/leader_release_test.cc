// How the Lease is given up; timings; the permit.
#include <gtest/gtest.h>

#include "controller/write_permit.h"
#include "tests/controller/election_testing.h"

namespace podroute {
namespace {

using std::chrono::hours;
using std::chrono::seconds;
using Kind = ElectionStep::Kind;

class ReleaseTest : public ElectionTest {
 protected:
  void SetUp() override { Settle(); }
  int Release(StatusCode fail_first = StatusCode::kOk) {
    int steps = 0;
    while (auto step = election().Release(clock_.Now(), clock_.WallNow())) {
      EXPECT_NE(step->kind, Kind::kWait);
      bool fail = ++steps == 1 && fail_first != StatusCode::kOk;
      Answer(*step, fail ? LeaseModel::Error(fail_first) : server_.Do(*step));
      if (steps == 20) break;
    }
    return steps;
  }
};

TEST_F(ReleaseTest, LeavesALeaseThatTheNextOneTakesAtOnce) {
  clock_.Advance(seconds(1));
  EXPECT_EQ(Release(), 1);
  EXPECT_FALSE(election().leading());
  EXPECT_EQ(server_.lease->record, (LeaseRecord{.holder = "",
                                                .duration_seconds = 1,
                                                .acquire_time = "2026-01-01T00:00:01.000000Z",
                                                .renew_time = "2026-01-01T00:00:01.000000Z",
                                                .transitions = 0}));
  Restart("next");
  Settle();
  EXPECT_TRUE(election().leading());
  EXPECT_EQ(server_.lease->record.transitions, 1);
}

TEST_F(ReleaseTest, IsTriedAgain) {
  for (StatusCode code : {StatusCode::kConflict, StatusCode::kUnavailable}) {
    Restart("me");
    Settle();
    ASSERT_TRUE(election().leading());
    EXPECT_EQ(Release(code), 3);
    EXPECT_EQ(server_.lease->record.holder, "");
  }
}

TEST_F(ReleaseTest, LeavesAnotherHoldersLeaseAlone) {
  server_.Put(HeldBy("other"));
  EXPECT_EQ(Release(), 2) << "an update in vain, and a look";
  EXPECT_EQ(server_.lease->record, HeldBy("other"));
  Restart("me");
  Settle();
  EXPECT_EQ(Release(), 0) << "it has never held it";
}

TEST_F(ReleaseTest, EndsWhenTheServerDoes) {
  int steps = 0;
  while (auto step = election().Release(clock_.Now(), clock_.WallNow())) {
    Answer(*step, LeaseModel::Error(StatusCode::kUnavailable));
    ASSERT_LT(++steps, 10);
  }
  EXPECT_EQ(steps, 3);
}

TEST_F(ReleaseTest, AlsoOfALeaseThatItMayHaveGotWithoutBeingTold) {
  server_.Put(HeldBy(""));
  Restart("new");
  ElectionStep get = Next();
  Answer(get, server_.Do(get));
  ElectionStep update = Next();
  server_.Do(update);
  Answer(update, LeaseModel::Error(StatusCode::kDeadlineExceeded));
  EXPECT_EQ(server_.lease->record.holder, "new");
  EXPECT_EQ(Release(), 2);
  EXPECT_EQ(server_.lease->record.holder, "");
}

TEST(ElectionTimingsTest, AreCheckedAsClientGoDoes) {
  auto check = [](double lease, double renew, double retry) {
    auto of = [](double s) {
      return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(s));
    };
    return CheckTimings({of(lease), of(renew), of(retry)}).message();
  };
  EXPECT_EQ(check(15, 10, 2), "");
  EXPECT_EQ(check(2, 1, 0.5), "");
  EXPECT_EQ(check(15, 15, 2), "--lease_duration=15s: not above --renew_deadline=15s");
  EXPECT_EQ(check(15, 2.4, 2), "--renew_deadline=2.4s: not above --retry_period=2s times 1.2");
  EXPECT_EQ(check(15, 10, 0), "--retry_period: not above 0");
  EXPECT_EQ(check(1.5, 1, 0.5), "--lease_duration=1.5s: not whole seconds, at least 1s");
  EXPECT_EQ(check(0, 0, 0), "--lease_duration=0s: not whole seconds, at least 1s");
}

TEST(WritePermitTest, ClosesOnceAndForAll) {
  FakeClock clock;
  WritePermit permit(clock, clock.Now() + seconds(10));
  EXPECT_TRUE(permit.open());
  EXPECT_EQ(permit.left(), seconds(10));
  clock.Advance(seconds(9));
  EXPECT_TRUE(permit.Extend(clock.Now() + seconds(10)));
  clock.Advance(seconds(10));
  EXPECT_FALSE(permit.open());
  EXPECT_EQ(permit.left(), Duration(0));
  EXPECT_FALSE(permit.Extend(clock.Now() + seconds(10)));
  EXPECT_FALSE(permit.closed().stopped());
  permit.Close();
  EXPECT_TRUE(permit.closed().stopped());

  WritePermit endless(clock);
  clock.Advance(hours(10000));
  EXPECT_TRUE(endless.open());
  EXPECT_EQ(endless.left(), std::nullopt);
  endless.Close();
  EXPECT_FALSE(endless.open());
}

}  // namespace
}  // namespace podroute
