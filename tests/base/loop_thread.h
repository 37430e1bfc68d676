// An EventLoop that runs on a thread of its own, beside a test.
#ifndef PODROUTE_TESTS_BASE_LOOP_THREAD_H_
#define PODROUTE_TESTS_BASE_LOOP_THREAD_H_

#include <chrono>
#include <cstdlib>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "base/event_loop.h"

namespace podroute {

class LoopThread {
 public:
  LoopThread() : loop_(Made(EventLoop::Create())) {
    wakeup_ = Made(Wakeup::Create(*loop_, [this] { RunTasks(); }));
    thread_ = std::thread([this] {
      if (!loop_->Run().ok()) std::abort();
    });
  }
  ~LoopThread() {
    loop_->Stop();
    thread_.join();
  }
  LoopThread(const LoopThread&) = delete;
  LoopThread& operator=(const LoopThread&) = delete;

  EventLoop& loop() { return *loop_; }

  // Runs it on the loop, where all that lives on the loop is made, used and destroyed; returns when
  // it is done.
  void Do(std::function<void()> task) {
    std::packaged_task<void()> packaged(std::move(task));
    std::future<void> done = packaged.get_future();
    {
      std::lock_guard lock(mutex_);
      tasks_.push_back(std::move(packaged));
    }
    wakeup_->Signal();
    done.wait();
  }

 private:
  template <typename T>
  static T Made(Result<T> result) {
    if (!result.ok()) std::abort();
    return std::move(*result);
  }
  void RunTasks() {
    std::vector<std::packaged_task<void()>> tasks;
    {
      std::lock_guard lock(mutex_);
      tasks.swap(tasks_);
    }
    for (auto& task : tasks) task();
  }

  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<Wakeup> wakeup_;
  std::mutex mutex_;
  std::vector<std::packaged_task<void()>> tasks_;
  std::thread thread_;
};

// Looks until it is so, for half a minute at most.
inline bool BecomesTrue(const std::function<bool()>& so) {
  auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!so()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

}  // namespace podroute

#endif  // PODROUTE_TESTS_BASE_LOOP_THREAD_H_
