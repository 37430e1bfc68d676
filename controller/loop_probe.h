// Whether an event loop still turns, asked from another thread.
#ifndef PODROUTE_CONTROLLER_LOOP_PROBE_H_
#define PODROUTE_CONTROLLER_LOOP_PROBE_H_

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/event_loop.h"
#include "base/status.h"

namespace podroute {

// Nobody asks, nothing runs: an idle loop stays idle.
class LoopProbe {
 public:
  // On the loop's thread. The loop and the clock must outlive this. A loop that is busy for up to
  // `limit` is not stuck: choose it longer than the longest step that is legitimate.
  static Result<std::unique_ptr<LoopProbe>> Create(EventLoop& loop, const Clock& clock,
                                                   Duration limit);

  // Any thread. Why the loop counts as stuck; empty when it turns, or has been busy for less than
  // the limit. Waits for `patience` at most.
  std::string Ask(Duration patience);

 private:
  LoopProbe(const Clock& clock, Duration limit) : clock_(clock), limit_(limit) {}
  void Answer();

  const Clock& clock_;
  const Duration limit_;
  std::mutex mutex_;
  std::condition_variable answered_;
  std::optional<MonotonicTime> asked_at_;  // Of the oldest question that waits for its answer.
  std::unique_ptr<Wakeup> wakeup_;
};

}  // namespace podroute

#endif  // PODROUTE_CONTROLLER_LOOP_PROBE_H_
