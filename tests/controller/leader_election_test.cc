// How the Lease is had, kept and lost.
#include <gtest/gtest.h>

#include <limits>
#include <string>

#include "controller/write_permit.h"
#include "tests/controller/election_testing.h"

namespace podroute {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;
using Kind = ElectionStep::Kind;

TEST_F(ElectionTest, TheFirstOneMakesTheLeaseAndLeads) {
  ElectionStep get = Next();
  EXPECT_EQ(get.kind, Kind::kGet);
  Answer(get, server_.Do(get));
  ElectionStep create = Next();
  ASSERT_EQ(create.kind, Kind::kCreate);
  EXPECT_EQ(create.record, (LeaseRecord{.holder = "me",
                                        .duration_seconds = 15,
                                        .acquire_time = "2026-01-01T00:00:00.000000Z",
                                        .renew_time = "2026-01-01T00:00:00.000000Z",
                                        .transitions = 0}));
  Answer(create, server_.Do(create));
  EXPECT_TRUE(election().leading());
}

TEST_F(ElectionTest, TheLeaderRenewsEveryRetryPeriodAndKeepsTheRest) {
  Settle();
  LeaseRecord first = server_.lease->record;
  Run(seconds(2) - milliseconds(1));
  EXPECT_EQ(server_.lease->record, first);
  Run(milliseconds(2));
  LeaseRecord renewed = first;
  renewed.renew_time = "2026-01-01T00:00:02.000000Z";
  EXPECT_EQ(server_.lease->record, renewed);
  Run(hours(1));
  EXPECT_TRUE(election().leading());
  EXPECT_EQ(requests_, 1801) << "one request a renewal";
}

TEST_F(ElectionTest, MayWriteUntilTheDeadlineAfterTheRenewalWasSent) {
  Settle();
  clock_.Advance(seconds(2));
  MonotonicTime sent = clock_.Now();
  ElectionStep step = Next();
  Answer(step, server_.Do(step), seconds(3));
  EXPECT_EQ(election().leading_until(), sent + seconds(10));
}

TEST_F(ElectionTest, ALeaseThatNobodyHoldsIsTakenAtOnce) {
  server_.Put({.duration_seconds = 1, .renew_time = kLongAgo, .transitions = 4});
  Settle();
  EXPECT_TRUE(election().leading());
  EXPECT_EQ(server_.lease->record.transitions, 5);
  EXPECT_EQ(server_.lease->record.acquire_time, "2026-01-01T00:00:00.000000Z");
}

// What the record's times say does not matter, however wrong the clocks are.
TEST_F(ElectionTest, AnotherHoldersLeaseIsWaitedForFromWhenItWasSeenLast) {
  for (const char* renew_time :
       {"", "garbage", kLongAgo, "2025-12-31T22:00:00.000000Z", "2026-01-01T00:00:00.000000Z",
        "2026-01-01T03:00:00.000000Z", "9999-12-31T23:59:59.000000Z"}) {
    server_.Put(HeldBy("other", renew_time));
    Restart("me");
    Duration after = LeadsAfter();
    EXPECT_GE(after, seconds(15)) << renew_time;
    EXPECT_LE(after, seconds(16)) << renew_time;
    EXPECT_EQ(server_.lease->record.transitions, 5);
  }
}

TEST_F(ElectionTest, ALeaseThatIsRenewedIsNeverTaken) {
  for (int i = 0; i < 100; ++i) {
    server_.Put(HeldBy("other", std::to_string(i)));
    Run(seconds(10));
    ASSERT_FALSE(election().leading());
  }
}

TEST_F(ElectionTest, TheHoldersOwnDurationCounts) {
  struct Case {
    int64_t in_record;
    Duration least;
  };
  for (const Case& c :
       {Case{60, seconds(60)}, Case{3, seconds(3)}, Case{0, seconds(15)}, Case{-7, seconds(15)}}) {
    LeaseRecord record = HeldBy("other", std::to_string(c.in_record));
    record.duration_seconds = c.in_record;
    server_.Put(record);
    Restart("me");
    Duration after = LeadsAfter();
    EXPECT_GE(after, c.least) << c.in_record;
    EXPECT_LE(after, c.least + seconds(1)) << c.in_record;
  }
  LeaseRecord record = HeldBy("other");
  record.duration_seconds = std::numeric_limits<int64_t>::max();
  server_.Put(record);
  Restart("me");
  Run(hours(24));
  EXPECT_FALSE(election().leading());
}

TEST_F(ElectionTest, AChangeOfLabelsIsNoSignOfLife) {
  server_.Put(HeldBy("other"));
  for (int i = 0; i < 15; ++i) {
    Run(seconds(1));
    server_.Put(HeldBy("other"));  // Another version, the same record.
  }
  EXPECT_LE(LeadsAfter(), seconds(3));
}

TEST_F(ElectionTest, AReleaseThatAWatchTellsOfIsTakenAtOnce) {
  server_.Put(HeldBy("other"));
  Settle();
  server_.Put({.duration_seconds = 1, .renew_time = "x", .transitions = 4});
  election().Seen({.lease = *server_.lease}, clock_.Now());
  Settle();
  EXPECT_TRUE(election().leading());
  EXPECT_EQ(server_.lease->record.transitions, 5);
}

TEST_F(ElectionTest, AReleaseIsNoticedWithoutAWatchWithinARetryPeriod) {
  server_.Put(HeldBy("other"));
  Settle();
  server_.Put({.duration_seconds = 1, .renew_time = "x", .transitions = 4});
  EXPECT_LE(LeadsAfter(), seconds(2));
}

TEST_F(ElectionTest, AReleaseDuringALookIsNotForgotten) {
  server_.Put(HeldBy("other"));
  Settle();
  clock_.Advance(seconds(2));
  ElectionStep get = Next();
  ASSERT_EQ(get.kind, Kind::kGet);
  LeaseAnswer older = server_.Do(get);
  server_.Put({.duration_seconds = 1, .renew_time = "x", .transitions = 4});
  election().Seen({.lease = *server_.lease}, clock_.Now());
  Answer(get, older);
  Settle();
  EXPECT_TRUE(election().leading());
}

TEST_F(ElectionTest, AReleaseAfterAFailureIsNotWaitedFor) {
  ElectionStep get = Next();
  Answer(get, LeaseModel::Error(StatusCode::kUnavailable));
  EXPECT_EQ(Next().kind, Kind::kWait);
  server_.Put({.duration_seconds = 1, .renew_time = "x"});
  election().Seen({.lease = *server_.lease}, clock_.Now());
  Settle();
  EXPECT_TRUE(election().leading());
}

TEST_F(ElectionTest, TheSameIdentityAfterARestartTakesItsLeaseAtOnceAndIsNoNewHolder) {
  server_.Put(HeldBy("me"));
  Settle();
  EXPECT_TRUE(election().leading());
  EXPECT_EQ(server_.lease->record.transitions, 4);
  EXPECT_EQ(server_.lease->record.acquire_time, kLongAgo);
  EXPECT_EQ(server_.lease->record.renew_time, "2026-01-01T00:00:00.000000Z");
}

TEST_F(ElectionTest, ATwinWithOurIdentityIsYieldedTo) {
  Settle();
  server_.Put(HeldBy("me", "twin 1"));
  Run(seconds(3));
  EXPECT_FALSE(election().leading());
  EXPECT_NE(election().loss().find("another process has the identity me"), std::string::npos)
      << election().loss();
  for (int i = 0; i < 10; ++i) {
    server_.Put(HeldBy("me", "twin " + std::to_string(i)));
    Run(seconds(10));
    ASSERT_FALSE(election().leading());
  }
  Duration after = LeadsAfter();  // It has died.
  EXPECT_GE(after, seconds(3));
  EXPECT_LE(after, seconds(16));
  EXPECT_EQ(server_.lease->record.transitions, 5);
}

TEST_F(ElectionTest, AConflictIsLookedAtAtOnceAndSomeoneElsesLeaseIsLost) {
  Settle();
  server_.Put(HeldBy("other"));
  clock_.Advance(seconds(2));
  Settle();
  EXPECT_FALSE(election().leading());
  EXPECT_EQ(election().loss(), "the holder is other");
}

TEST_F(ElectionTest, AConflictOverALabelIsGotOver) {
  Settle();
  for (int i = 0; i < 10; ++i) {
    server_.Put(server_.lease->record);
    Run(seconds(2));
    ASSERT_TRUE(election().leading());
  }
  EXPECT_GT(election().leading_until(), clock_.Now() + seconds(6));
}

TEST_F(ElectionTest, WhoLosesTheRaceToCreateStandsBy) {
  ElectionStep get = Next();
  Answer(get, server_.Do(get));
  ElectionStep create = Next();
  ASSERT_EQ(create.kind, Kind::kCreate);
  server_.Put(HeldBy("other"));
  Answer(create, server_.Do(create));
  Settle();
  EXPECT_FALSE(election().leading());
  EXPECT_EQ(election().holder(), "other");
  EXPECT_EQ(server_.lease->record.holder, "other");
}

TEST_F(ElectionTest, WhoLosesTheRaceForAnExpiredLeaseStandsBy) {
  server_.Put(HeldBy("dead"));
  Settle();
  clock_.Advance(seconds(15));
  ElectionStep update = Next();
  ASSERT_EQ(update.kind, Kind::kUpdate);
  server_.Put(HeldBy("other"));
  Answer(update, server_.Do(update));
  Run(seconds(14));
  EXPECT_FALSE(election().leading());
  EXPECT_EQ(server_.lease->record.holder, "other");
}

TEST_F(ElectionTest, ConflictsWithoutEndAreNotAskedAboutWithoutEnd) {
  server_.Put({});
  for (int i = 0; i < 1000 && clock_.Now() < MonotonicTime(hours(1)) + seconds(60); ++i) {
    ElectionStep step = Next();
    if (step.kind == Kind::kWait) {
      clock_.Advance(step.until - clock_.Now());
      continue;
    }
    ++requests_;
    Answer(step,
           step.kind == Kind::kGet ? server_.Do(step) : LeaseModel::Error(StatusCode::kConflict));
  }
  EXPECT_GE(clock_.Now(), MonotonicTime(hours(1)) + seconds(60));
  EXPECT_LT(requests_, 70);
}

TEST_F(ElectionTest, AServerThatIsAwayForNineSecondsCostsNothing) {
  Settle();
  WritePermit permit(clock_, election().leading_until());
  Run(seconds(9), /*server_up=*/false);
  EXPECT_TRUE(election().leading());
  EXPECT_TRUE(permit.open());
  Run(seconds(3));
  EXPECT_TRUE(election().leading());
  EXPECT_EQ(election().loss(), "");
}

TEST_F(ElectionTest, AServerThatIsAwayForElevenSecondsEndsItAfterTen) {
  Settle();
  WritePermit permit(clock_, election().leading_until());
  Run(seconds(10) - milliseconds(1), /*server_up=*/false);
  EXPECT_TRUE(election().leading());
  EXPECT_TRUE(permit.open());
  Run(milliseconds(2), /*server_up=*/false);
  EXPECT_FALSE(election().leading());
  EXPECT_FALSE(permit.open());
  EXPECT_EQ(election().loss(), "not renewed within 10s: as ordered");
  Run(seconds(1), /*server_up=*/false);
  // The record is still ours: nobody else has it, so it is taken again, and is no new holder's.
  LeadsAfter();
  EXPECT_EQ(server_.lease->record.transitions, 0);
  EXPECT_FALSE(permit.Extend(election().leading_until())) << "an old permit is opened again";
}

TEST_F(ElectionTest, SlowAnswersShortenThePermitAndStopNothing) {
  Settle();
  for (int i = 0; i < 20; ++i) {
    ElectionStep step = Next();
    if (step.kind == Kind::kWait) {
      clock_.Advance(step.until - clock_.Now());
      continue;
    }
    EXPECT_LE(step.idle_timeout, seconds(5));
    Answer(step, server_.Do(step), milliseconds(4900));
    ASSERT_TRUE(election().leading());
  }
  EXPECT_EQ(election().loss(), "");
}

TEST_F(ElectionTest, AnAnswerThatComesAfterTheDeadlineIsANewBeginning) {
  Settle();
  clock_.Advance(seconds(9));
  ElectionStep step = Next();
  ASSERT_EQ(step.kind, Kind::kUpdate);
  WritePermit permit(clock_, election().leading_until());
  Answer(step, server_.Do(step), seconds(2));
  EXPECT_TRUE(election().leading());
  EXPECT_FALSE(permit.Extend(election().leading_until()));
  EXPECT_NE(election().loss(), "");
  clock_.Advance(seconds(2));
  step = Next();
  Answer(step, server_.Do(step), seconds(11));
  EXPECT_FALSE(election().leading()) << "sent eleven seconds ago";
}

TEST_F(ElectionTest, ARenewalWhoseAnswerIsLostIsKnownAgain) {
  Settle();
  clock_.Advance(seconds(2));
  ElectionStep step = Next();
  server_.Do(step);
  Answer(step, LeaseModel::Error(StatusCode::kDeadlineExceeded));
  Run(seconds(10));
  EXPECT_TRUE(election().leading());
  EXPECT_EQ(election().loss(), "");
}

TEST_F(ElectionTest, ALeaseThatIsDeletedIsMadeAgainByItsHolderAsItWas) {
  server_.Put(HeldBy("me"));
  Settle();
  server_.lease.reset();
  election().Seen({.deleted = true}, clock_.Now());
  Settle();
  EXPECT_TRUE(election().leading());
  ASSERT_TRUE(server_.lease.has_value());
  EXPECT_EQ(server_.lease->record.transitions, 4);
  EXPECT_EQ(server_.lease->record.acquire_time, kLongAgo);
}

TEST_F(ElectionTest, ALeaseThatIsDeletedFreesNobodyFromWaiting) {
  server_.Put(HeldBy("other"));
  Settle();
  Run(seconds(5));
  server_.lease.reset();
  election().Seen({.deleted = true}, clock_.Now());
  requests_ = 0;
  Duration after = LeadsAfter();
  EXPECT_GE(after, seconds(10) - milliseconds(1));
  EXPECT_LE(after, seconds(11));
  EXPECT_LT(requests_, 10);
}

// Events may be late: what was true before we led is no reason to stop.
TEST_F(ElectionTest, AnOldEventMakesTheLeaderLookAndNothingElse) {
  Settle();
  Lease old;
  old.resource_version = "1";
  old.record = HeldBy("other");
  election().Seen({.lease = old}, clock_.Now());
  EXPECT_TRUE(election().leading());
  EXPECT_EQ(Next().kind, Kind::kGet);
  Settle();
  EXPECT_TRUE(election().leading());
}

TEST_F(ElectionTest, ANewHolderThatAWatchTellsOfEndsItAtOnce) {
  Settle();
  server_.Put(HeldBy("other"));
  election().Seen({.lease = *server_.lease}, clock_.Now());
  Settle();
  EXPECT_FALSE(election().leading());
}

TEST_F(ElectionTest, OneWhoMayNotCreateAsksOnceInAWhile) {
  MonotonicTime start = clock_.Now();
  while (clock_.Now() - start < seconds(60)) {
    ElectionStep step = Next();
    if (step.kind == Kind::kWait) {
      clock_.Advance(step.until - clock_.Now());
      continue;
    }
    ++requests_;
    Answer(step, step.kind == Kind::kGet
                     ? server_.Do(step)
                     : LeaseModel::Error(requests_ % 2 != 0 ? StatusCode::kPermissionDenied
                                                            : StatusCode::kNotFound));
  }
  EXPECT_LE(requests_, 62);
  EXPECT_FALSE(election().leading());
}

TEST_F(ElectionTest, RenewTimeChangesAlsoWhenTheClockStandsStill) {
  Settle();
  std::string before;
  for (int i = 0; i < 5; ++i) {
    clock_.Advance(seconds(2));
    clock_.SetWall(WallTime(seconds(1767225600)));
    Settle();
    EXPECT_NE(server_.lease->record.renew_time, before);
    before = server_.lease->record.renew_time;
  }
}

TEST_F(ElectionTest, TransitionsStopAtWhatTheApiCanHold) {
  LeaseRecord record = HeldBy("");
  record.transitions = 2147483647;
  server_.Put(record);
  Settle();
  EXPECT_EQ(server_.lease->record.transitions, 2147483647);
}

}  // namespace
}  // namespace podroute
