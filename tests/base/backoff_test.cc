#include "base/backoff.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/base/fake_clock.h"

namespace podroute {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

BackoffOptions Exact() {
  BackoffOptions options;
  options.jitter = 0;
  return options;
}

TEST(BackoffTest, DoublesUpToItsMaximum) {
  FakeClock clock;
  Backoff backoff(Exact(), clock);
  std::vector<Duration> delays(8);
  for (Duration& delay : delays) delay = backoff.Next();
  EXPECT_EQ(delays,
            (std::vector<Duration>{milliseconds(800), milliseconds(1600), milliseconds(3200),
                                   milliseconds(6400), milliseconds(12800), milliseconds(25600),
                                   seconds(30), seconds(30)}));
}

TEST(BackoffTest, JitterLengthensByAtMostItsShare) {
  FakeClock clock;
  BackoffOptions options;
  options.jitter = 0.5;
  options.factor = 1;
  Backoff backoff(options, clock, 1);
  Duration least = Duration::max(), most = Duration::min();
  for (int i = 0; i < 10'000; ++i) {
    Duration delay = backoff.Next();
    least = std::min(least, delay);
    most = std::max(most, delay);
  }
  EXPECT_GE(least, milliseconds(800));
  EXPECT_LT(least, milliseconds(810));
  EXPECT_LE(most, milliseconds(1200));
  EXPECT_GT(most, milliseconds(1190));
}

TEST(BackoffTest, EqualSeedsGiveEqualDelays) {
  FakeClock clock;
  Backoff a({}, clock, 7), b({}, clock, 7), c({}, clock, 8);
  Duration first = a.Next();
  EXPECT_EQ(first, b.Next());
  EXPECT_NE(first, c.Next());
}

TEST(BackoffTest, ResetStartsAgain) {
  FakeClock clock;
  Backoff backoff(Exact(), clock);
  backoff.Next();
  backoff.Next();
  backoff.Reset();
  EXPECT_EQ(backoff.Next(), milliseconds(800));
}

TEST(BackoffTest, HealthForgivesAfterTwoMinutesFromTheEndOfTheDelay) {
  FakeClock clock;
  Backoff backoff(Exact(), clock);
  backoff.Next();
  Duration delay = backoff.Next();
  clock.Advance(delay + minutes(2));
  EXPECT_EQ(backoff.Next(), milliseconds(3200));
  clock.Advance(milliseconds(3200) + minutes(2) + milliseconds(1));
  EXPECT_EQ(backoff.Next(), milliseconds(800));
}

TEST(BackoffTest, WaitingOutALongDelayIsNoHealth) {
  FakeClock clock;
  BackoffOptions options = Exact();
  options.max = minutes(10);
  Backoff backoff(options, clock);
  Duration delay{};
  for (int i = 0; i < 20; ++i) {
    delay = backoff.Next();
    clock.Advance(delay);
  }
  EXPECT_EQ(delay, minutes(10));
}

}  // namespace
}  // namespace podroute
