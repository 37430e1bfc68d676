// The kernel backend and a kernel that answers otherwise than the one we run on: the real one, with
// answers changed on the way.
#include <gtest/gtest.h>
#include <linux/rtnetlink.h>

#include <cerrno>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "routing/kernel_backend.h"
#include "tests/routing/kernel_test_util.h"

namespace podroute {
namespace {

class FaultyTransport : public NetlinkTransport {
 public:
  explicit FaultyTransport(std::unique_ptr<NetlinkSocket> socket) : socket_(std::move(socket)) {}

  using NetlinkTransport::Execute;
  Result<std::vector<NetlinkFailure>> Execute(NetlinkBatch& batch,
                                              const Handler& on_reply) override {
    if (!no_nexthops && !before_execute) return socket_->Execute(batch, on_reply);
    if (before_execute) std::exchange(before_execute, nullptr)(batch);
    std::vector<NetlinkFailure> failures;
    for (size_t i = 0; i < batch.size(); ++i) {
      if (no_nexthops && batch.header(i).nlmsg_type == RTM_NEWNEXTHOP) {
        failures.push_back({i, EOPNOTSUPP, {}});
      }
    }
    if (!failures.empty()) return failures;
    return socket_->Execute(batch, on_reply);
  }
  Result<DumpResult> Dump(NetlinkBatch& request, const Handler& on_entry) override {
    ++dumps;
    if (no_nexthop_dump && request.header(0).nlmsg_type == RTM_GETNEXTHOP) {
      return Status(StatusCode::kUnsupported, "netlink dump: Operation not supported");
    }
    Result<DumpResult> result = socket_->Dump(request, on_entry);
    if (result.ok() && interruptions > 0) {
      --interruptions;
      result->interrupted = true;
    }
    return result;
  }

  bool no_nexthops = false;
  bool no_nexthop_dump = false;
  std::function<void(NetlinkBatch&)> before_execute;  // Once.
  int interruptions = 0;
  int dumps = 0;

 private:
  std::unique_ptr<NetlinkSocket> socket_;
};

class KernelFaultsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    PODROUTE_ENTER_NETNS_OR_SKIP();
    lan_ = AddLan("lan", "192.168.0.1/16 fd00::1/64");
    auto transport = std::make_unique<FaultyTransport>(std::move(*NetlinkSocket::Create()));
    kernel_ = transport.get();
    backend_ = std::make_unique<KernelBackend>(KernelOptions(), std::move(transport));
    desired_ = {MakeRoute("10.244.1.0/24", "192.168.0.2", lan_),
                MakeRoute("10.244.2.0/24", "192.168.0.3", lan_),
                MakeRoute("fd01::/64", "fd00::2", lan_)};
  }

  int lan_ = 0;
  FaultyTransport* kernel_ = nullptr;
  std::unique_ptr<KernelBackend> backend_;
  RouteSet desired_;
};

TEST_F(KernelFaultsTest, FallsBackToPlainRoutesWhereTheKernelKnowsNoNexthopDump) {
  kernel_->no_nexthop_dump = kernel_->no_nexthops = true;
  EXPECT_TRUE(AllOk(Reconcile(*backend_, desired_)));
  EXPECT_FALSE(backend_->uses_nexthop_objects());
  EXPECT_EQ(ToText(ReadOrDie(*backend_)), ToText(desired_));
  EXPECT_EQ(Shell("ip nexthop"), "");
  RouteSet moved = desired_;
  moved[0].via.gateway = A("192.168.0.9");
  moved[2].via.gateway = A("fd00::9");
  EXPECT_TRUE(AllOk(Reconcile(*backend_, moved)));
  EXPECT_EQ(ToText(ReadOrDie(*backend_)), ToText(moved));
}

TEST_F(KernelFaultsTest, FallsBackToPlainRoutesWhereTheKernelTakesNoNexthop) {
  kernel_->no_nexthops = true;
  EXPECT_TRUE(AllOk(Reconcile(*backend_, desired_)));
  EXPECT_FALSE(backend_->uses_nexthop_objects());
  EXPECT_EQ(ToText(ReadOrDie(*backend_)), ToText(desired_));
  EXPECT_EQ(Shell("ip nexthop"), "");
}

TEST_F(KernelFaultsTest, AnIdThatSomebodyTakesMeanwhileIsGivenUp) {
  ReadOrDie(*backend_);
  kernel_->before_execute = [](NetlinkBatch&) {
    for (int i = 0; i < 2; ++i) {
      Shell("ip nexthop add id " + std::to_string(kFirstNexthopId + i) +
            " via 192.168.0.77 dev lan proto zebra");
    }
  };
  EXPECT_TRUE(AllOk(backend_->Apply(Plan({}, desired_), desired_)));
  RouteSet actual = ReadOrDie(*backend_);
  EXPECT_EQ(ToText(actual), ToText(desired_));
  for (const Route& route : actual) EXPECT_GE(route.nexthop_id, kFirstNexthopId + 2);
  EXPECT_FALSE(backend_->HasOrphans());
  EXPECT_EQ(Shell("ip nexthop | grep -c 192.168.0.77"), "2\n");
  EXPECT_TRUE(AllOk(Reconcile(*backend_, {})));
  EXPECT_EQ(Shell("ip nexthop | grep -vc 192.168.0.77; true"), "0\n");
}

TEST_F(KernelFaultsTest, InterruptedDumpsAreTakenAgainBoundedTimes) {
  ASSERT_TRUE(AllOk(Reconcile(*backend_, desired_)));
  kernel_->interruptions = 3;
  EXPECT_EQ(ToText(ReadOrDie(*backend_)), ToText(desired_));
  kernel_->interruptions = 1000000;
  kernel_->dumps = 0;
  EXPECT_EQ(ToText(ReadOrDie(*backend_)), ToText(desired_));
  EXPECT_LT(kernel_->dumps, 100);
}

TEST_F(KernelFaultsTest, ChangesFromWhatIsRememberedDumpNothing) {
  ReadOrDie(*backend_);
  kernel_->dumps = 0;
  EXPECT_TRUE(AllOk(backend_->Apply(Plan({}, desired_), desired_)));
  EXPECT_TRUE(AllOk(backend_->Apply(Plan(desired_, {}), {})));
  EXPECT_EQ(kernel_->dumps, 0);
}

TEST_F(KernelFaultsTest, OneRouteMoreIsTwoMessages) {
  ASSERT_TRUE(AllOk(Reconcile(*backend_, desired_)));
  uint64_t before = backend_->change_messages();
  Route more = MakeRoute("10.244.9.0/24", "192.168.0.9", lan_);
  EXPECT_TRUE(AllOk(backend_->Apply(Plan({}, {more}), {})));
  EXPECT_EQ(backend_->change_messages() - before, 2u);
}

TEST_F(KernelFaultsTest, AfterAFailureTheNextApplyReadsFirst) {
  ReadOrDie(*backend_);
  Route bad = MakeRoute("10.244.9.0/24", "172.31.0.1", lan_);
  std::vector<RouteResult> results = backend_->Apply(Plan({}, {bad}), {bad});
  ASSERT_FALSE(results[0].status.ok());
  kernel_->dumps = 0;
  EXPECT_TRUE(AllOk(backend_->Apply(Plan({}, desired_), desired_)));
  EXPECT_GT(kernel_->dumps, 0);
  EXPECT_EQ(ToText(ReadOrDie(*backend_)), ToText(desired_));
}

}  // namespace
}  // namespace podroute
