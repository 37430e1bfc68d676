// Exponential backoff with jitter.
#ifndef PODROUTE_BASE_BACKOFF_H_
#define PODROUTE_BASE_BACKOFF_H_

#include <cstdint>
#include <random>

#include "base/clock.h"

namespace podroute {

struct BackoffOptions {
  Duration initial = std::chrono::milliseconds(800);
  Duration max = std::chrono::seconds(30);
  double factor = 2.0;
  // A delay d becomes one drawn evenly from [d, d * (1 + jitter)].
  double jitter = 1.0;
  // Next() after this long without a call starts from `initial` again: that much health forgives.
  Duration reset_after = std::chrono::minutes(2);
};

// Not thread-safe: one owner.
class Backoff {
 public:
  // The clock must outlive this. Equal seeds give equal delays.
  Backoff(const BackoffOptions& options, const Clock& clock,
          uint64_t seed = std::random_device()());

  // How long to wait before the next attempt. Each call counts as one failure.
  Duration Next();
  void Reset();

 private:
  const BackoffOptions options_;
  const Clock& clock_;
  std::mt19937_64 random_;
  Duration base_;
  MonotonicTime healthy_since_;  // When the last delay that was handed out ends.
  bool used_ = false;
};

}  // namespace podroute

#endif  // PODROUTE_BASE_BACKOFF_H_
