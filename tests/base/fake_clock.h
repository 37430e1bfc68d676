// Time that stands still until a test moves it.
#ifndef PODROUTE_TESTS_BASE_FAKE_CLOCK_H_
#define PODROUTE_TESTS_BASE_FAKE_CLOCK_H_

#include <algorithm>
#include <condition_variable>
#include <cstddef>
#include <limits>
#include <mutex>
#include <set>
#include <vector>

#include "base/clock.h"

namespace podroute {

// Thread-safe. Starts at a monotonic time of one hour and a wall time of 2026-01-01T00:00:00Z; both
// move together.
class FakeClock final : public Clock {
 public:
  static constexpr size_t kEveryWait = std::numeric_limits<size_t>::max();

  MonotonicTime Now() const override {
    std::lock_guard lock(mutex_);
    return now_;
  }

  WallTime WallNow() const override {
    std::lock_guard lock(mutex_);
    return wall_;
  }

  // Recorded, whatever becomes of it. A wait of no time, or under a token already stopped, never
  // blocks.
  bool WaitFor(Duration duration, StopToken& stop) override {
    std::unique_lock lock(mutex_);
    waits_.push_back(duration);
    changed_.notify_all();
    if (stop.stopped()) return false;
    if (auto_waits_ > 0) {
      if (auto_waits_ != kEveryWait) --auto_waits_;
      AdvanceLocked(std::max(duration, Duration(0)));
      return true;
    }
    auto deadline = deadlines_.insert(now_ + duration);
    changed_.notify_all();
    // A token cannot tell us that it was stopped, so look now and then.
    while (now_ < *deadline && !stop.stopped()) {
      changed_.wait_for(lock, std::chrono::milliseconds(1));
    }
    bool whole = now_ >= *deadline;
    deadlines_.erase(deadline);
    changed_.notify_all();
    return whole;
  }

  // Ends the waits that are over by then.
  void Advance(Duration duration) {
    std::lock_guard lock(mutex_);
    AdvanceLocked(duration);
  }

  // The wall clock alone is set, as by NTP or an operator.
  void SetWall(WallTime wall) {
    std::lock_guard lock(mutex_);
    wall_ = wall;
  }

  // The next `waits` calls of WaitFor move the time by what they ask for and return at once; later
  // ones block again. Those that block already stay so.
  void AutoAdvance(size_t waits = kEveryWait) {
    std::lock_guard lock(mutex_);
    auto_waits_ = waits;
  }

  // Blocks until at least `count` threads wait for a time that has not come yet. Returns how long,
  // from now, the one to be woken first still has to wait.
  Duration AwaitWaiters(size_t count = 1) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return WaitingLocked() >= count; });
    auto first = deadlines_.upper_bound(now_);
    return first == deadlines_.end() ? Duration(0) : *first - now_;
  }

  // Blocks until WaitFor has been called `count` times in all, then as Waits.
  std::vector<Duration> AwaitWaits(size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return waits_.size() >= count; });
    return waits_;
  }

  // What every WaitFor so far was asked to wait, in order.
  std::vector<Duration> Waits() const {
    std::lock_guard lock(mutex_);
    return waits_;
  }

  // How many threads wait for a time that has not come yet.
  size_t waiting() const {
    std::lock_guard lock(mutex_);
    return WaitingLocked();
  }

 private:
  void AdvanceLocked(Duration duration) {
    now_ += duration;
    wall_ += duration;
    changed_.notify_all();
  }

  // A thread whose time has come but which has not run yet waits no longer.
  size_t WaitingLocked() const {
    return static_cast<size_t>(std::distance(deadlines_.upper_bound(now_), deadlines_.end()));
  }

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  MonotonicTime now_{std::chrono::hours(1)};
  WallTime wall_{std::chrono::seconds(1767225600)};
  size_t auto_waits_ = 0;
  std::multiset<MonotonicTime> deadlines_;
  std::vector<Duration> waits_;
};

}  // namespace podroute

#endif  // PODROUTE_TESTS_BASE_FAKE_CLOCK_H_
