// Time, injected, so that tests own it.
#ifndef PODROUTE_BASE_CLOCK_H_
#define PODROUTE_BASE_CLOCK_H_

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>

namespace podroute {

// A latch that ends waits: set once, never unset. Thread-safe. A Clock's WaitFor returns early on
// it.
class StopToken;

using Duration = std::chrono::nanoseconds;
using MonotonicTime = std::chrono::time_point<std::chrono::steady_clock, Duration>;
using WallTime = std::chrono::time_point<std::chrono::system_clock, Duration>;

// Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual MonotonicTime Now() const = 0;  // CLOCK_MONOTONIC: for durations and deadlines.
  virtual WallTime WallNow() const = 0;   // CLOCK_REALTIME: for what is shown or sent.
  // Waits for `duration` or until `stop` is set, whichever comes first. True when the whole time
  // went by, false when stopped.
  virtual bool WaitFor(Duration duration, StopToken& stop) = 0;
};

// The machine's clock. The returned object lives for ever.
Clock& SystemClock();

// As SystemClock, but Now counts the time that the machine was suspended too (CLOCK_BOOTTIME): for
// deadlines that others rely on. Its times are not SystemClock's; never mix them. WaitFor does not
// count it, and so may end late after a suspension.
Clock& BootClock();

class StopToken {
 public:
  void Stop() {
    {
      std::lock_guard lock(mutex_);
      stopped_ = true;
    }
    changed_.notify_all();
  }
  bool stopped() const {
    std::lock_guard lock(mutex_);
    return stopped_;
  }
  // True when stopped within `duration` of real time.
  bool WaitForStop(Duration duration) {
    std::unique_lock lock(mutex_);
    // Now plus the longest Duration would overflow; nobody sees a century pass.
    duration = std::min<Duration>(duration, std::chrono::hours(24 * 365 * 100));
    return changed_.wait_for(lock, duration, [&] { return stopped_; });
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool stopped_ = false;
};

}  // namespace podroute

#endif  // PODROUTE_BASE_CLOCK_H_
