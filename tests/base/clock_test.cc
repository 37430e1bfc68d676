#include "base/clock.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "tests/base/fake_clock.h"

namespace podroute {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(StopTokenTest, StaysStopped) {
  StopToken stop;
  EXPECT_FALSE(stop.stopped());
  EXPECT_FALSE(stop.WaitForStop(Duration(0)));
  stop.Stop();
  stop.Stop();
  EXPECT_TRUE(stop.stopped());
  EXPECT_TRUE(stop.WaitForStop(std::chrono::hours(1)));
}

TEST(SystemClockTest, WaitsTheTimeItIsTold) {
  StopToken stop;
  MonotonicTime start = SystemClock().Now();
  EXPECT_TRUE(SystemClock().WaitFor(milliseconds(5), stop));
  EXPECT_GE(SystemClock().Now() - start, milliseconds(5));
}

TEST(SystemClockTest, ANegativeWaitIsOver) {
  StopToken stop;
  EXPECT_TRUE(SystemClock().WaitFor(seconds(-1), stop));
}

TEST(SystemClockTest, StopEndsAWaitOnAnotherThread) {
  StopToken stop;
  std::thread waiter([&] { EXPECT_FALSE(SystemClock().WaitFor(std::chrono::hours(10), stop)); });
  stop.Stop();
  waiter.join();
}

// It used to overflow, and be over at once.
TEST(SystemClockTest, TheLongestWaitThereIsWaits) {
  StopToken stop;
  std::atomic<bool> stopping{false};
  std::thread waiter([&] {
    EXPECT_FALSE(SystemClock().WaitFor(Duration::max(), stop));
    EXPECT_TRUE(stopping);
  });
  stopping = true;
  stop.Stop();
  waiter.join();
  StopToken other;
  std::thread stopper([&] { other.Stop(); });
  EXPECT_TRUE(other.WaitForStop(Duration::max()));
  stopper.join();
}

TEST(SystemClockTest, WallTimeIsAfterThisWasWritten) {
  EXPECT_GT(SystemClock().WallNow().time_since_epoch(), seconds(1767225600));
}

TEST(FakeClockTest, StandsStillUntilAdvanced) {
  FakeClock clock;
  MonotonicTime now = clock.Now();
  WallTime wall = clock.WallNow();
  EXPECT_EQ(clock.Now(), now);
  clock.Advance(seconds(7));
  EXPECT_EQ(clock.Now() - now, seconds(7));
  EXPECT_EQ(clock.WallNow() - wall, seconds(7));
  clock.SetWall(wall);
  EXPECT_EQ(clock.WallNow(), wall);
  EXPECT_EQ(clock.Now() - now, seconds(7));
}

TEST(FakeClockTest, WakesAWaiterWhenItsTimeHasCome) {
  FakeClock clock;
  StopToken stop;
  std::thread waiter([&] { EXPECT_TRUE(clock.WaitFor(seconds(10), stop)); });
  EXPECT_EQ(clock.AwaitWaiters(), seconds(10));
  clock.Advance(seconds(4));
  EXPECT_EQ(clock.AwaitWaiters(), seconds(6));
  clock.Advance(seconds(6));
  EXPECT_EQ(clock.waiting(), 0u);
  waiter.join();
  EXPECT_EQ(clock.Waits(), std::vector<Duration>{seconds(10)});
}

TEST(FakeClockTest, StopEndsAWait) {
  FakeClock clock;
  StopToken stop;
  std::thread waiter([&] { EXPECT_FALSE(clock.WaitFor(seconds(10), stop)); });
  clock.AwaitWaiters();
  stop.Stop();
  waiter.join();
  EXPECT_EQ(clock.waiting(), 0u);
  EXPECT_FALSE(clock.WaitFor(seconds(1), stop));
}

TEST(FakeClockTest, AutoAdvanceLetsSoManyWaitsPass) {
  FakeClock clock;
  StopToken stop;
  MonotonicTime start = clock.Now();
  clock.AutoAdvance(2);
  EXPECT_TRUE(clock.WaitFor(seconds(1), stop));
  EXPECT_TRUE(clock.WaitFor(seconds(2), stop));
  EXPECT_EQ(clock.Now() - start, seconds(3));
  std::thread waiter([&] { EXPECT_TRUE(clock.WaitFor(seconds(4), stop)); });
  EXPECT_EQ(clock.AwaitWaits(3), (std::vector<Duration>{seconds(1), seconds(2), seconds(4)}));
  EXPECT_EQ(clock.AwaitWaiters(), seconds(4));
  clock.Advance(seconds(4));
  waiter.join();
}

}  // namespace
}  // namespace podroute
