// What tests of LeaderElection share.
#ifndef PODROUTE_TESTS_CONTROLLER_ELECTION_TESTING_H_
#define PODROUTE_TESTS_CONTROLLER_ELECTION_TESTING_H_

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>

#include "controller/leader_election.h"
#include "tests/base/fake_clock.h"
#include "tests/controller/lease_model.h"

namespace podroute {

inline constexpr char kLongAgo[] = "2020-01-01T00:00:00.000000Z";

inline LeaseRecord HeldBy(const std::string& holder, const std::string& renew_time = kLongAgo) {
  return {.holder = holder,
          .duration_seconds = 15,
          .acquire_time = kLongAgo,
          .renew_time = renew_time,
          .transitions = 4};
}

// A candidate "me" on a clock of its own, and a server.
class ElectionTest : public ::testing::Test {
 protected:
  // A candidate that knows nothing.
  void Restart(const std::string& identity) { started_.emplace(identity, ElectionTimings(), 1); }
  LeaderElection& election() {
    if (!started_) Restart("me");
    return *started_;
  }

  ElectionStep Next() { return election().Next(clock_.Now(), clock_.WallNow()); }

  void Answer(const ElectionStep& step, const LeaseAnswer& answer, Duration takes = Duration(0)) {
    MonotonicTime sent = clock_.Now();
    clock_.Advance(takes);
    election().Answered(step, answer, sent, clock_.Now());
  }

  // Does what is to do until there is nothing to do at this time.
  void Settle() {
    for (int i = 0; i < 20; ++i) {
      ElectionStep step = Next();
      if (step.kind == ElectionStep::Kind::kWait) return;
      Answer(step, server_.Do(step));
    }
    FAIL() << "no end";
  }

  // Follows it for `duration`; with `server_up` false every request fails.
  void Run(Duration duration, bool server_up = true) {
    MonotonicTime end = clock_.Now() + duration;
    while (true) {
      ElectionStep step = Next();
      if (step.kind == ElectionStep::Kind::kWait) {
        ASSERT_GT(step.until, clock_.Now()) << "a wait of no time";
        clock_.Advance(std::min(step.until, end) - clock_.Now());
        if (clock_.Now() >= end) return;
        continue;
      }
      ++requests_;
      Answer(step, server_up ? server_.Do(step) : LeaseModel::Error(StatusCode::kUnavailable));
    }
  }

  // After how long it leads, in steps of a quarter of a second.
  Duration LeadsAfter() {
    MonotonicTime start = clock_.Now();
    while (!election().leading() && clock_.Now() - start < std::chrono::hours(1))
      Run(std::chrono::milliseconds(250));
    return clock_.Now() - start;
  }

  FakeClock clock_;
  LeaseModel server_;
  std::optional<LeaderElection> started_;
  int requests_ = 0;
};

}  // namespace podroute

#endif  // PODROUTE_TESTS_CONTROLLER_ELECTION_TESTING_H_
