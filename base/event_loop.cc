#include "base/event_loop.h"

#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace podroute {

struct EventLoop::Watch {
  int fd;
  Callback callback;
  bool removed = false;
};

namespace {

timespec ToTimespec(Duration duration) {
  auto seconds = std::chrono::duration_cast<std::chrono::seconds>(duration);
  return {.tv_sec = seconds.count(), .tv_nsec = (duration - seconds).count()};
}

// Reads a counter, whose value is of no interest. False: it was zero (EAGAIN).
bool Drain(int fd) {
  uint64_t count;
  ssize_t n;
  while ((n = read(fd, &count, sizeof count)) < 0 && errno == EINTR) {
  }
  return n == sizeof count;
}

void Bump(int fd) {
  uint64_t one = 1;
  // EAGAIN means the counter is full, so the loop will wake anyway.
  while (write(fd, &one, sizeof one) < 0 && errno == EINTR) {
  }
}

}  // namespace

// A callback may own a Wakeup or Timer, whose end calls Remove: let it find lists that are whole.
void EventLoop::Free(std::vector<std::unique_ptr<Watch>>& watches) {
  while (!watches.empty()) std::exchange(watches, {}).clear();
}

EventLoop::~EventLoop() {
  Free(watches_);
  Free(removed_);
}

Result<std::unique_ptr<EventLoop>> EventLoop::Create() {
  std::unique_ptr<EventLoop> loop(new EventLoop());
  loop->epoll_.reset(epoll_create1(EPOLL_CLOEXEC));
  if (!loop->epoll_) return Status::FromErrno(errno, "epoll_create1");
  loop->stop_.reset(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!loop->stop_) return Status::FromErrno(errno, "eventfd");
  PODROUTE_RETURN_IF_ERROR(loop->Add(loop->stop_.get(), [fd = loop->stop_.get()] { Drain(fd); }));
  return loop;
}

Status EventLoop::Add(int fd, Callback on_readable) {
  auto watch = std::make_unique<Watch>(Watch{.fd = fd, .callback = std::move(on_readable)});
  epoll_event event = {};
  event.events = EPOLLIN;
  event.data.ptr = watch.get();
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
    return Status::FromErrno(errno, "epoll_ctl add");
  }
  watches_.push_back(std::move(watch));
  return Status::Ok();
}

void EventLoop::Remove(int fd) {
  auto it = std::find_if(watches_.begin(), watches_.end(), [&](auto& w) { return w->fd == fd; });
  if (it == watches_.end()) return;
  epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);  // It is open: cannot fail.
  (*it)->removed = true;
  removed_.push_back(std::move(*it));
  watches_.erase(it);
}

Status EventLoop::Run() {
  epoll_event events[16];
  while (!stopping_.load()) {
    int n = epoll_wait(epoll_.get(), events, 16, -1);
    if (n < 0) {
      if (errno == EINTR) continue;
      return Status::FromErrno(errno, "epoll_wait");
    }
    for (int i = 0; i < n && !stopping_.load(); ++i) {
      Watch* watch = static_cast<Watch*>(events[i].data.ptr);
      if (!watch->removed) watch->callback();
    }
    Free(removed_);
    if (round_end_ && !stopping_.load()) round_end_();
  }
  return Status::Ok();
}

void EventLoop::Stop() {
  stopping_.store(true);
  Bump(stop_.get());
}

Result<std::unique_ptr<Wakeup>> Wakeup::Create(EventLoop& loop, EventLoop::Callback callback) {
  UniqueFd fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!fd) return Status::FromErrno(errno, "eventfd");
  PODROUTE_RETURN_IF_ERROR(loop.Add(fd.get(), [fd = fd.get(), callback = std::move(callback)] {
    Drain(fd);
    callback();
  }));
  return std::unique_ptr<Wakeup>(new Wakeup(loop, std::move(fd)));
}

Wakeup::~Wakeup() { loop_.Remove(fd_.get()); }

void Wakeup::Signal() { Bump(fd_.get()); }

Result<std::unique_ptr<Timer>> Timer::Create(EventLoop& loop, EventLoop::Callback callback) {
  UniqueFd fd(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
  if (!fd) return Status::FromErrno(errno, "timerfd_create");
  std::unique_ptr<Timer> timer(new Timer(loop, std::move(fd)));
  PODROUTE_RETURN_IF_ERROR(
      loop.Add(timer->fd_.get(), [timer = timer.get(), callback = std::move(callback)] {
        // Disarmed, or armed anew, by a callback of this same round: then nothing has expired.
        if (!Drain(timer->fd_.get())) return;
        timer->armed_ = false;
        callback();
      }));
  return timer;
}

Timer::~Timer() { loop_.Remove(fd_.get()); }

void Timer::Arm(Duration delay) {
  delay = std::max(delay, Duration(1));  // Zero would disarm it.
  itimerspec spec = {};
  spec.it_value = ToTimespec(delay);
  timerfd_settime(fd_.get(), 0, &spec, nullptr);  // A valid time on an open timer: cannot fail.
  armed_ = true;
  due_ = SystemClock().Now() + delay;
}

void Timer::ArmNoLater(Duration delay) {
  if (!armed_ || SystemClock().Now() + delay < due_) Arm(delay);
}

void Timer::Disarm() {
  itimerspec spec = {};
  timerfd_settime(fd_.get(), 0, &spec, nullptr);
  armed_ = false;
}

Result<std::unique_ptr<SignalWatch>> SignalWatch::Create(EventLoop& loop,
                                                         const std::vector<int>& signals,
                                                         std::function<void(int)> callback) {
  sigset_t mask;
  sigemptyset(&mask);
  for (int number : signals) sigaddset(&mask, number);
  if (int error = pthread_sigmask(SIG_BLOCK, &mask, nullptr)) {
    return Status::FromErrno(error, "pthread_sigmask");
  }
  UniqueFd fd(signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd) return Status::FromErrno(errno, "signalfd");
  PODROUTE_RETURN_IF_ERROR(loop.Add(fd.get(), [fd = fd.get(), callback = std::move(callback)] {
    signalfd_siginfo info;
    // One at a time: the callback may end this watch, and with it `fd`.
    if (read(fd, &info, sizeof info) == sizeof info) callback(static_cast<int>(info.ssi_signo));
  }));
  return std::unique_ptr<SignalWatch>(new SignalWatch(loop, std::move(fd)));
}

SignalWatch::~SignalWatch() { loop_.Remove(fd_.get()); }

}  // namespace podroute
