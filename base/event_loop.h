// One thread, one epoll: the loop that everything which touches routes runs on.
#ifndef PODROUTE_BASE_EVENT_LOOP_H_
#define PODROUTE_BASE_EVENT_LOOP_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "base/unique_fd.h"

namespace podroute {

// Level-triggered. Not thread-safe but for Wakeup::Signal and Stop. It wakes for nothing but what
// is registered: an idle loop makes no system call.
class EventLoop {
 public:
  using Callback = std::function<void()>;

  static Result<std::unique_ptr<EventLoop>> Create();
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  // Calls `on_readable` whenever `fd` is readable. The caller keeps owning fd, which must stay open
  // until Remove(fd) or the loop's end. The callback must read (level-triggered).
  Status Add(int fd, Callback on_readable);
  void Remove(int fd);

  // Called after each round of callbacks: what several of them asked for is done here once.
  void SetRoundEnd(Callback round_end) { round_end_ = std::move(round_end); }

  // Runs callbacks until Stop.
  Status Run();
  // Any thread, any time, also from a callback. Idempotent.
  void Stop();

 private:
  struct Watch;
  EventLoop() = default;
  static void Free(std::vector<std::unique_ptr<Watch>>& watches);

  UniqueFd epoll_;
  UniqueFd stop_;  // eventfd
  Callback round_end_;
  std::vector<std::unique_ptr<Watch>> watches_;
  std::vector<std::unique_ptr<Watch>> removed_;  // Freed after the round that may still name them.
  std::atomic<bool> stopping_{false};
};

// Wakes a loop from any thread; many signals before the loop gets to it are one call.
class Wakeup {
 public:
  static Result<std::unique_ptr<Wakeup>> Create(EventLoop& loop, EventLoop::Callback callback);
  ~Wakeup();
  // Any thread; async-signal-safe; never blocks.
  void Signal();

 private:
  Wakeup(EventLoop& loop, UniqueFd fd) : loop_(loop), fd_(std::move(fd)) {}
  EventLoop& loop_;
  UniqueFd fd_;
};

// A one-shot timer on CLOCK_MONOTONIC, re-armed by hand. Not thread-safe.
class Timer {
 public:
  static Result<std::unique_ptr<Timer>> Create(EventLoop& loop, EventLoop::Callback callback);
  ~Timer();
  // Fires once, `delay` from now (at once if not positive), instead of whatever was armed before.
  void Arm(Duration delay);
  // As Arm, unless it is armed to fire earlier already.
  void ArmNoLater(Duration delay);
  void Disarm();
  bool armed() const { return armed_; }

 private:
  Timer(EventLoop& loop, UniqueFd fd) : loop_(loop), fd_(std::move(fd)) {}
  EventLoop& loop_;
  UniqueFd fd_;
  bool armed_ = false;
  MonotonicTime due_;
};

// Signals as readable events. Blocks them in the calling thread (call before starting others, which
// inherit the mask). The callback gets the signal's number.
class SignalWatch {
 public:
  static Result<std::unique_ptr<SignalWatch>> Create(EventLoop& loop,
                                                     const std::vector<int>& signals,
                                                     std::function<void(int)> callback);
  ~SignalWatch();

 private:
  SignalWatch(EventLoop& loop, UniqueFd fd) : loop_(loop), fd_(std::move(fd)) {}
  EventLoop& loop_;
  UniqueFd fd_;
};

}  // namespace podroute

#endif  // PODROUTE_BASE_EVENT_LOOP_H_
