#include "cni/store_lock.h"

#include <signal.h>
#include <sys/file.h>
#include <sys/time.h>

#include <cerrno>

namespace podroute {
namespace {

void Interrupt(int) {}

// Interrupts a system call of this thread after `delay` and every 100 ms from then on: the first
// signal may come before the call has begun.
class Alarm {
 public:
  explicit Alarm(std::chrono::milliseconds delay) {
    struct sigaction action {};
    action.sa_handler = Interrupt;  // Without SA_RESTART.
    sigaction(SIGALRM, &action, &old_action_);
    auto us = std::chrono::duration_cast<std::chrono::microseconds>(delay).count();
    if (us <= 0) us = 1;
    itimerval timer{{0, 100'000}, {us / 1'000'000, us % 1'000'000}};
    setitimer(ITIMER_REAL, &timer, &old_timer_);
  }
  ~Alarm() {
    setitimer(ITIMER_REAL, &old_timer_, nullptr);
    sigaction(SIGALRM, &old_action_, nullptr);
  }
  Alarm(const Alarm&) = delete;
  Alarm& operator=(const Alarm&) = delete;

 private:
  struct sigaction old_action_ {};
  itimerval old_timer_{};
};

}  // namespace

Status LockWithin(int fd, const std::string& name, std::chrono::milliseconds timeout) {
  if (flock(fd, LOCK_EX | LOCK_NB) == 0) return Status::Ok();
  if (errno != EWOULDBLOCK && errno != EINTR) return Status::FromErrno(errno, "lock " + name);
  auto deadline = std::chrono::steady_clock::now() + timeout;
  Alarm alarm(timeout);
  while (flock(fd, LOCK_EX) != 0) {
    if (errno != EINTR) return Status::FromErrno(errno, "lock " + name);
    if (std::chrono::steady_clock::now() < deadline) continue;  // Another signal.
    return Status(StatusCode::kDeadlineExceeded, "lock " + name +
                                                     ": another process keeps it since " +
                                                     std::to_string(timeout.count() / 1000) + " s");
  }
  return Status::Ok();
}

}  // namespace podroute
