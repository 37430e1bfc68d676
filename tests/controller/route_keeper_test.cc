// How often a daemon is told, on a real loop and clock.
#include "controller/route_keeper.h"

#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/unique_fd.h"
#include "tests/controller/fake_backend.h"

namespace podroute {
namespace {

using std::chrono::milliseconds;

// A daemon with a descriptor for its events.
class FakeDaemon : public RouteBackend {
 public:
  FakeDaemon(FakeBackend& world, int event_fd) : world_(world), event_fd_(event_fd) {}
  std::string_view name() const override { return "daemon"; }
  Result<RouteSet> ReadOwned() override { return world_.ReadOwned(); }
  std::vector<RouteResult> Apply(const RoutePlan& plan, const RouteSet& desired) override {
    return world_.Apply(plan, desired);
  }
  int event_fd() const override { return event_fd_; }
  void DrainEvents() override {
    uint64_t count = 0;
    EXPECT_EQ(read(event_fd_, &count, sizeof count), static_cast<ssize_t>(sizeof count));
  }

 private:
  FakeBackend& world_;
  const int event_fd_;
};

class RouteKeeperTest : public ::testing::Test {
 protected:
  static constexpr Duration kGap = milliseconds(250);

  void SetUp() override {
    loop_ = EventLoop::Create().value();
    RouteKeeperSetup setup;
    setup.take_nodes = [this] { return nodes_; };
    setup.request_consistent_list = [] {};
    setup.may_pass = [this] { return may_pass_; };
    setup.after_pass = [this](const PassReport&) {
      if (done_ && done_()) loop_->Stop();
    };
    setup.min_gap = kGap;
    nodes_.synced = true;
    nodes_.consistent_lists = 1;
    keeper_ = RouteKeeper::For(*loop_, SystemClock(), std::move(setup),
                               std::make_unique<FakeDaemon>(world_, event_.get()))
                  .value();
    loop_->SetRoundEnd([this] { keeper_->RoundEnd(); });
    patience_ = Timer::Create(*loop_, [this] {
                  ADD_FAILURE() << "not in half a minute";
                  loop_->Stop();
                }).value();
    patience_->Arm(std::chrono::seconds(30));
  }

  void AddNode() {
    auto node = std::make_shared<Node>();
    int i = static_cast<int>(nodes_.nodes.size());
    std::string n = std::to_string(i / 256) + "." + std::to_string(i % 256);
    node->name = "node" + std::to_string(10000 + i);
    node->pod_cidrs = {"10." + n + ".0/24"};
    node->internal_ips = {"172.16." + n};
    node->resource_version = "1";
    nodes_.nodes.push_back(node);
    keeper_->PassDue();
  }
  void RunUntil(std::function<bool()> done) {
    done_ = std::move(done);
    ASSERT_TRUE(loop_->Run().ok());
  }

  UniqueFd event_{eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  std::unique_ptr<EventLoop> loop_;
  FakeBackend world_;
  NodeSnapshot nodes_;
  bool may_pass_ = true;
  std::function<bool()> done_;
  std::unique_ptr<RouteKeeper> keeper_;
  std::unique_ptr<Timer> patience_;
};

TEST_F(RouteKeeperTest, ABurstOfEventsIsAFewReconfigurationsAndNoneIsLost) {
  keeper_->SetApiServer({});
  auto start = std::chrono::steady_clock::now();
  std::unique_ptr<Timer> events;
  events = Timer::Create(*loop_, [&] {
             AddNode();
             if (nodes_.nodes.size() < 500) events->Arm(milliseconds(2));
           }).value();
  events->Arm(Duration(0));
  RunUntil([&] { return world_.world.size() == 500; });
  auto elapsed = std::chrono::steady_clock::now() - start;
  // The first at once, and one for each gap that has passed: 5 in a second.
  EXPECT_LE(world_.applies, 2 + elapsed / kGap);
  EXPECT_GE(world_.applies, 2);
}

TEST_F(RouteKeeperTest, WhatTheDaemonHintsAtIsReadAndPutRight) {
  AddNode();
  auto known = Timer::Create(*loop_, [this] { keeper_->SetApiServer({}); }).value();
  known->Arm(Duration(0));
  bool hinted = false;
  RunUntil([&] {
    if (world_.world.size() != 1) return false;
    if (std::exchange(hinted, true)) return true;
    world_.world.clear();  // It has restarted.
    EXPECT_EQ(eventfd_write(event_.get(), 1), 0);
    return false;
  });
  EXPECT_EQ(world_.reads, 2);
  EXPECT_EQ(world_.applies, 2);
}

TEST_F(RouteKeeperTest, NothingIsReadOrWrittenWithoutPermissionOrBeforeTheApiServerIsKnown) {
  may_pass_ = false;
  AddNode();
  auto after = Timer::Create(*loop_, [this] {
                 EXPECT_EQ(world_.reads + world_.applies, 0);
                 may_pass_ = true;
                 keeper_->PassDue();
               }).value();
  auto known = Timer::Create(*loop_, [&] {
                 EXPECT_EQ(world_.reads + world_.applies, 0);
                 keeper_->SetApiServer({});
                 after->Arm(milliseconds(1));
               }).value();
  known->Arm(milliseconds(1));
  RunUntil([&] { return world_.world.size() == 1; });
  EXPECT_EQ(world_.applies, 1);
}

}  // namespace
}  // namespace podroute
