#include "base/event_loop.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/eventfd.h>

#include <memory>
#include <thread>
#include <vector>

namespace podroute {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

class EventLoopTest : public testing::Test {
 protected:
  void SetUp() override {
    auto loop = EventLoop::Create();
    ASSERT_TRUE(loop.ok()) << loop.status().message();
    loop_ = std::move(*loop);
  }
  std::unique_ptr<Timer> NewTimer(EventLoop::Callback callback) {
    return std::move(*Timer::Create(*loop_, std::move(callback)));
  }
  std::unique_ptr<Wakeup> NewWakeup(EventLoop::Callback callback) {
    return std::move(*Wakeup::Create(*loop_, std::move(callback)));
  }
  // Runs until everything that is due by now has been called.
  void RunUntilIdle() {
    auto end = NewTimer([&] { loop_->Stop(); });
    end->Arm(milliseconds(5));
    ASSERT_TRUE(loop_->Run().ok());
  }

  std::unique_ptr<EventLoop> loop_;
};

TEST_F(EventLoopTest, StopBeforeRunEndsItAtOnce) {
  loop_->Stop();
  loop_->Stop();
  EXPECT_TRUE(loop_->Run().ok());
}

TEST_F(EventLoopTest, StopsFromAnotherThread) {
  std::thread stopper([&] { loop_->Stop(); });
  EXPECT_TRUE(loop_->Run().ok());
  stopper.join();
}

TEST_F(EventLoopTest, SignalsFromAnotherThreadWakeIt) {
  int calls = 0;
  auto end = NewWakeup([&] { loop_->Stop(); });
  auto wakeup = NewWakeup([&] { ++calls; });
  std::thread signaller([&] {
    for (int i = 0; i < 1000; ++i) wakeup->Signal();
    end->Signal();
  });
  EXPECT_TRUE(loop_->Run().ok());
  signaller.join();
  // The last ones may have come after the round that ended the loop.
  EXPECT_LE(calls, 1000);
}

TEST_F(EventLoopTest, SignalsBeforeTheLoopRunsAreOneCall) {
  int calls = 0;
  auto wakeup = NewWakeup([&] { ++calls; });
  for (int i = 0; i < 10; ++i) wakeup->Signal();
  RunUntilIdle();
  EXPECT_EQ(calls, 1);
}

TEST_F(EventLoopTest, CallsForReadableDescriptorsOnly) {
  UniqueFd quiet(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      loud(eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK));
  int quiet_calls = 0, loud_calls = 0;
  ASSERT_TRUE(loop_->Add(quiet.get(), [&] { ++quiet_calls; }).ok());
  ASSERT_TRUE(loop_
                  ->Add(loud.get(),
                        [&] {
                          if (++loud_calls == 3)
                            loop_->Stop();  // Level-triggered: not read, so called again.
                        })
                  .ok());
  EXPECT_TRUE(loop_->Run().ok());
  EXPECT_EQ(loud_calls, 3);
  EXPECT_EQ(quiet_calls, 0);
}

TEST_F(EventLoopTest, AddingADescriptorTwiceOrABadOneIsAnError) {
  UniqueFd fd(eventfd(0, EFD_CLOEXEC));
  EXPECT_TRUE(loop_->Add(fd.get(), [] {}).ok());
  EXPECT_EQ(loop_->Add(fd.get(), [] {}).code(), StatusCode::kAlreadyExists);
  EXPECT_FALSE(loop_->Add(-1, [] {}).ok());
  loop_->Remove(fd.get());
  loop_->Remove(fd.get());
  EXPECT_TRUE(loop_->Add(fd.get(), [] {}).ok());
}

TEST_F(EventLoopTest, WhatACallbackRemovesIsNotCalledInTheSameRound) {
  UniqueFd a(eventfd(1, EFD_CLOEXEC)), b(eventfd(1, EFD_CLOEXEC));
  int calls = 0;
  ASSERT_TRUE(
      loop_->Add(a.get(), [&] { ++calls, loop_->Remove(a.get()), loop_->Remove(b.get()); }).ok());
  ASSERT_TRUE(
      loop_->Add(b.get(), [&] { ++calls, loop_->Remove(a.get()), loop_->Remove(b.get()); }).ok());
  RunUntilIdle();
  EXPECT_EQ(calls, 1);
}

// Freeing one removed callback used to change the list of removed ones while that was being freed.
TEST_F(EventLoopTest, ARemovedCallbackMayOwnAnotherWatch) {
  UniqueFd fd(eventfd(1, EFD_CLOEXEC));
  std::shared_ptr<Wakeup> owned = NewWakeup([] {});
  std::shared_ptr<Wakeup> also_owned = NewWakeup([] {});
  ASSERT_TRUE(
      loop_->Add(fd.get(), [this, raw = fd.get(), owned, also_owned] { loop_->Remove(raw); }).ok());
  owned.reset();
  also_owned.reset();
  RunUntilIdle();
}

TEST_F(EventLoopTest, ATimerMayDestroyItself) {
  std::unique_ptr<Timer> timer;
  int calls = 0;
  timer = NewTimer([&] { ++calls, timer.reset(); });
  timer->Arm(Duration(0));
  RunUntilIdle();
  EXPECT_EQ(calls, 1);
}

TEST_F(EventLoopTest, TimersFireOnceAndInOrder) {
  std::vector<int> order;
  auto second = NewTimer([&] { order.push_back(2), loop_->Stop(); });
  auto first = NewTimer([&] { order.push_back(1); });
  second->Arm(milliseconds(20));
  first->Arm(Duration(-5));
  EXPECT_TRUE(first->armed());
  EXPECT_TRUE(loop_->Run().ok());
  EXPECT_FALSE(first->armed());
  EXPECT_EQ(order, (std::vector<int>{1, 2}));
}

TEST_F(EventLoopTest, ATimerIsNeverEarly) {
  MonotonicTime start = SystemClock().Now();
  auto timer = NewTimer([&] { loop_->Stop(); });
  timer->Arm(milliseconds(10));
  EXPECT_TRUE(loop_->Run().ok());
  EXPECT_GE(SystemClock().Now() - start, milliseconds(10));
}

TEST_F(EventLoopTest, ArmingAgainReplacesAndDisarmingEnds) {
  int calls = 0;
  auto later = NewTimer([&] { ++calls; });
  later->Arm(Duration(0));
  later->Arm(hours(1));
  auto never = NewTimer([&] { ++calls; });
  never->Arm(Duration(0));
  never->Disarm();
  EXPECT_FALSE(never->armed());
  RunUntilIdle();
  EXPECT_EQ(calls, 0);
  EXPECT_TRUE(later->armed());
}

TEST_F(EventLoopTest, ArmNoLaterKeepsTheEarlierTime) {
  int calls = 0;
  auto timer = NewTimer([&] { ++calls, loop_->Stop(); });
  timer->ArmNoLater(hours(1));
  timer->ArmNoLater(Duration(0));
  timer->ArmNoLater(hours(2));
  EXPECT_TRUE(loop_->Run().ok());
  EXPECT_EQ(calls, 1);
}

// Both are due in one round of the loop: the one called first disarms the other, which used to be
// called all the same.
TEST_F(EventLoopTest, ATimerDisarmedInTheRoundItIsDueIsNotCalled) {
  int calls = 0;
  std::unique_ptr<Timer> a, b;
  auto disarm_both = [&] { ++calls, a->Disarm(), b->Disarm(); };
  a = NewTimer(disarm_both);
  b = NewTimer(disarm_both);
  auto start = NewWakeup([&] {
    a->Arm(Duration(0));
    b->Arm(Duration(0));
    MonotonicTime due = SystemClock().Now() + milliseconds(2);
    while (SystemClock().Now() < due) {
    }
  });
  start->Signal();
  RunUntilIdle();
  EXPECT_EQ(calls, 1);
}

TEST_F(EventLoopTest, ATimerPutOffInTheRoundItIsDueIsCalledLater) {
  int calls = 0;
  std::unique_ptr<Timer> a, b;
  a = NewTimer([&] { ++calls, b->Arm(hours(1)); });
  b = NewTimer([&] { ++calls, a->Arm(hours(1)); });
  a->Arm(Duration(0));
  b->Arm(Duration(0));
  RunUntilIdle();
  EXPECT_EQ(calls, 1);
  EXPECT_NE(a->armed(), b->armed());
}

TEST_F(EventLoopTest, SignalsBecomeCalls) {
  std::vector<int> seen;
  auto watch = SignalWatch::Create(*loop_, {SIGUSR1, SIGUSR2}, [&](int number) {
    seen.push_back(number);
    if (seen.size() == 2) loop_->Stop();
  });
  ASSERT_TRUE(watch.ok());
  kill(getpid(), SIGUSR2);
  kill(getpid(), SIGUSR1);
  EXPECT_TRUE(loop_->Run().ok());
  EXPECT_EQ(seen, (std::vector<int>{SIGUSR1, SIGUSR2}));  // The kernel hands out the lowest first.
}

// It used to go on reading its descriptor, which by then could be somebody else's.
TEST_F(EventLoopTest, ASignalWatchMayDestroyItself) {
  std::unique_ptr<SignalWatch> watch;
  int calls = 0;
  UniqueFd read_end, write_end;
  const std::string data(1000, 'x');
  watch = std::move(*SignalWatch::Create(*loop_, {SIGUSR1}, [&](int) {
    ++calls;
    watch.reset();
    int fds[2];
    ASSERT_EQ(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);  // Gets the number that was given up.
    read_end.reset(fds[0]);
    write_end.reset(fds[1]);
    ASSERT_EQ(write(write_end.get(), data.data(), data.size()), 1000);
    loop_->Stop();
  }));
  kill(getpid(), SIGUSR1);
  EXPECT_TRUE(loop_->Run().ok());
  EXPECT_EQ(calls, 1);
  char buffer[2000];
  EXPECT_EQ(read(read_end.get(), buffer, sizeof buffer), 1000);
}

}  // namespace
}  // namespace podroute
