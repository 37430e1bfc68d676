// How often a hint that something of ours has been changed may be heeded: somebody who undoes our
// work as fast as we do it (a second agent with other options, say) must not keep a processor busy
// and fill the log.
#ifndef PODROUTE_CONTROLLER_HINT_BUDGET_H_
#define PODROUTE_CONTROLLER_HINT_BUDGET_H_

#include <algorithm>

#include "base/clock.h"

namespace podroute {

// A token bucket, full at first. One thread.
class HintBudget {
 public:
  // For the kernel's hints about routes.
  static constexpr double kBurst = 2000;
  static constexpr double kPerSecond = 10;

  // The clock must outlive this.
  explicit HintBudget(const Clock& clock, double burst = kBurst, double per_second = kPerSecond)
      : clock_(clock), burst_(burst), per_second_(per_second), at_(clock.Now()), left_(burst) {}

  // True: heed the hint now. False: later will do.
  bool Take() {
    MonotonicTime now = clock_.Now();
    left_ =
        std::min(burst_, left_ + std::chrono::duration<double>(now - at_).count() * per_second_);
    at_ = now;
    if (left_ < 1) return false;
    left_ -= 1;
    return true;
  }

 private:
  const Clock& clock_;
  const double burst_, per_second_;
  MonotonicTime at_;
  double left_;
};

}  // namespace podroute

#endif  // PODROUTE_CONTROLLER_HINT_BUDGET_H_
