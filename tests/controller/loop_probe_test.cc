#include "controller/loop_probe.h"

#include <gtest/gtest.h>

#include <future>
#include <thread>

#include "tests/base/fake_clock.h"

namespace podroute {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration kLong = seconds(30);  // For what comes at once unless something is broken.

TEST(LoopProbeTest, ALoopThatTurnsAnswers) {
  auto loop = EventLoop::Create().value();
  auto probe = LoopProbe::Create(*loop, SystemClock(), seconds(0)).value();
  std::thread thread([&] { (void)loop->Run(); });
  for (int i = 0; i < 3; ++i) EXPECT_EQ(probe->Ask(kLong), "");
  loop->Stop();
  thread.join();
}

TEST(LoopProbeTest, ALoopThatIsBusyIsStuckOnceItHasBeenForLongerThanAllowed) {
  FakeClock clock;
  auto loop = EventLoop::Create().value();
  auto probe = LoopProbe::Create(*loop, clock, seconds(20)).value();
  std::promise<void> busy, release;
  auto work = Wakeup::Create(*loop, [&] {
                busy.set_value();
                release.get_future().wait();
              }).value();
  work->Signal();
  std::thread thread([&] { (void)loop->Run(); });
  busy.get_future().wait();

  EXPECT_EQ(probe->Ask(milliseconds(1)), "");  // Not answered, but not for long yet.
  clock.Advance(seconds(20));
  EXPECT_EQ(probe->Ask(milliseconds(1)), "");
  clock.Advance(seconds(1));
  EXPECT_EQ(probe->Ask(milliseconds(1)),
            "the event loop has not turned for 21 s; 20 s are allowed");

  release.set_value();
  EXPECT_EQ(probe->Ask(kLong), "");  // It goes on, and has answered what was asked before.
  loop->Stop();
  thread.join();
}

}  // namespace
}  // namespace podroute
