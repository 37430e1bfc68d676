#include "base/backoff.h"

#include <algorithm>

namespace podroute {

Backoff::Backoff(const BackoffOptions& options, const Clock& clock, uint64_t seed)
    : options_(options), clock_(clock), random_(seed), base_(options.initial) {}

Duration Backoff::Next() {
  MonotonicTime now = clock_.Now();
  if (used_ && now - healthy_since_ > options_.reset_after) Reset();
  double extra = std::uniform_real_distribution<double>(0, options_.jitter)(random_);
  Duration delay = base_ + std::chrono::duration_cast<Duration>(base_ * extra);
  base_ = std::min(options_.max, std::chrono::duration_cast<Duration>(base_ * options_.factor));
  used_ = true;
  healthy_since_ = now + delay;
  return delay;
}

void Backoff::Reset() {
  base_ = options_.initial;
  used_ = false;
}

}  // namespace podroute
