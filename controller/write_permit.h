// The permission to change the router.
#ifndef PODROUTE_CONTROLLER_WRITE_PERMIT_H_
#define PODROUTE_CONTROLLER_WRITE_PERMIT_H_

#include <algorithm>
#include <mutex>
#include <optional>

#include "base/clock.h"

namespace podroute {

// Open from the start; closes once and for all: at its deadline, unless that is extended before, or
// by Close. Whoever leads again has another one, so that nothing begun under the last goes on.
// Thread-safe.
class WritePermit {
 public:
  // Without a deadline: until Close. The clock must outlive this and count the time that the
  // machine was suspended (BootClock).
  explicit WritePermit(const Clock& clock) : clock_(clock) {}
  WritePermit(const Clock& clock, MonotonicTime until) : clock_(clock), until_(until) {}

  // To be asked immediately before each step that changes the router. False from the deadline on,
  // by the clock and not by somebody noticing.
  bool open() const {
    std::lock_guard lock(mutex_);
    return OpenLocked();
  }

  // Ends the waits of whoever writes: stopped by Close, which follows soon after the deadline.
  StopToken& closed() { return closed_token_; }

  // False, and nothing is changed, when it is closed.
  bool Extend(MonotonicTime until) {
    std::lock_guard lock(mutex_);
    if (!OpenLocked()) return false;
    until_ = until;
    return true;
  }

  void Close() {
    {
      std::lock_guard lock(mutex_);
      closed_ = true;
    }
    closed_token_.Stop();
  }

  // How long it stays open, from now, if it is not extended; nullopt: without end.
  std::optional<Duration> left() const {
    std::lock_guard lock(mutex_);
    if (closed_) return Duration(0);
    if (!until_) return std::nullopt;
    return std::max(Duration(*until_ - clock_.Now()), Duration(0));
  }

 private:
  bool OpenLocked() const { return !closed_ && (!until_ || clock_.Now() < *until_); }

  const Clock& clock_;
  mutable std::mutex mutex_;
  std::optional<MonotonicTime> until_;
  bool closed_ = false;
  StopToken closed_token_;
};

}  // namespace podroute

#endif  // PODROUTE_CONTROLLER_WRITE_PERMIT_H_
