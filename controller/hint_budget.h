// How often the kernel's hints may cause a pass: somebody who undoes our routes as fast as we make
// them (a second agent with other options, say) must not keep a processor busy and fill the log.
#ifndef PODROUTE_CONTROLLER_HINT_BUDGET_H_
#define PODROUTE_CONTROLLER_HINT_BUDGET_H_

#include <algorithm>

#include "base/clock.h"

namespace podroute {

// A token bucket, full at first. One thread.
class HintBudget {
 public:
  static constexpr double kBurst = 2000;
  static constexpr double kPerSecond = 10;

  // The clock must outlive this.
  explicit HintBudget(const Clock& clock) : clock_(clock), at_(clock.Now()) {}

  // True: heed the hint now. False: later will do.
  bool Take() {
    MonotonicTime now = clock_.Now();
    left_ = std::min(kBurst, left_ + std::chrono::duration<double>(now - at_).count() * kPerSecond);
    at_ = now;
    if (left_ < 1) return false;
    left_ -= 1;
    return true;
  }

 private:
  const Clock& clock_;
  MonotonicTime at_;
  double left_ = kBurst;
};

}  // namespace podroute

#endif  // PODROUTE_CONTROLLER_HINT_BUDGET_H_
