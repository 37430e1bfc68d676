#include "base/clock.h"

#include <time.h>

namespace podroute {
namespace {

class RealClock final : public Clock {
 public:
  MonotonicTime Now() const override { return std::chrono::steady_clock::now(); }
  WallTime WallNow() const override { return std::chrono::system_clock::now(); }
  bool WaitFor(Duration duration, StopToken& stop) override { return !stop.WaitForStop(duration); }
};

class SuspendedTimeToo final : public Clock {
 public:
  MonotonicTime Now() const override {
    timespec now{};
    clock_gettime(CLOCK_BOOTTIME,
                  &now);  // Fails only for clocks that are not there (Linux 2.6.39).
    return MonotonicTime(std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec));
  }
  WallTime WallNow() const override { return std::chrono::system_clock::now(); }
  bool WaitFor(Duration duration, StopToken& stop) override { return !stop.WaitForStop(duration); }
};

}  // namespace

Clock& SystemClock() {
  static RealClock clock;
  return clock;
}

Clock& BootClock() {
  static SuspendedTimeToo clock;
  return clock;
}

}  // namespace podroute
