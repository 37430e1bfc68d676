#include "routing/kernel_monitor.h"

#include <gtest/gtest.h>

#include "routing/kernel_backend.h"
#include "tests/lab/netns.h"

namespace podroute {
namespace {

class KernelMonitorTest : public testing::Test {
 protected:
  void SetUp() override {
    PODROUTE_ENTER_NETNS_OR_SKIP();
    eth0_ = AddLan("eth0", "192.168.0.1/24 fd00::1/64");
    backend_ = KernelBackend::Create({}).value();
    monitor_ = KernelMonitor::Create({.own_port_id = backend_->port_id()}).value();
    monitor_->WatchLinks({eth0_});
  }

  // What the kernel has said by now: notifications are queued before what causes them returns.
  KernelHints Hints() { return monitor_->Drain().value(); }

  int eth0_ = 0;
  std::unique_ptr<KernelBackend> backend_;
  std::unique_ptr<KernelMonitor> monitor_;
};

TEST_F(KernelMonitorTest, OurOwnChangesAreNoHints) {
  Hints();
  Route route;
  route.dst = IpPrefix::Parse("10.244.1.0/24").value();
  route.via = {IpAddress::Parse("192.168.0.2").value(), eth0_};
  RouteSet desired = {route};
  ASSERT_TRUE(backend_->Apply(Plan({}, desired), desired).at(0).status.ok());
  ASSERT_TRUE(backend_->Apply(Plan(desired, {}), {}).at(0).status.ok());
  KernelHints hints = Hints();
  EXPECT_FALSE(hints.routes_changed);
  EXPECT_FALSE(hints.local_network_changed);
}

TEST_F(KernelMonitorTest, OthersRoutesAreNoHintsButOursChangedByOthersAre) {
  Hints();
  Shell("ip route add 10.9.0.0/24 via 192.168.0.9 proto 99");
  EXPECT_FALSE(Hints().routes_changed);
  Shell("ip route add 10.8.0.0/24 via 192.168.0.9 proto 110 metric 110");
  EXPECT_TRUE(Hints().routes_changed);
  Shell("ip route del 10.8.0.0/24 proto 110 metric 110");
  EXPECT_TRUE(Hints().routes_changed);
  Shell("ip nexthop add id 5 via 192.168.0.9 dev eth0 proto 99");
  EXPECT_FALSE(Hints().routes_changed);
  Shell("ip nexthop add id 6 via 192.168.0.9 dev eth0 proto 110");
  EXPECT_TRUE(Hints().routes_changed);
}

TEST_F(KernelMonitorTest, APodsLinkComingAndGoingIsNoHint) {
  Hints();
  Shell("ip link add veth1 type veth peer name veth1p");
  Shell("ip link set veth1 up; ip link set veth1p up");
  Shell("ip link set veth1 down; ip link del veth1");
  KernelHints hints = Hints();
  EXPECT_FALSE(hints.routes_changed);
  EXPECT_FALSE(hints.local_network_changed);
}

TEST_F(KernelMonitorTest, ALinkThatWentDownIsAHintEvenWhenItIsUpAgain) {
  Hints();
  Shell("ip link set eth0 down; ip link set eth0 up");
  KernelHints hints = Hints();
  EXPECT_TRUE(hints.routes_changed);
  EXPECT_TRUE(hints.local_network_changed);
}

TEST_F(KernelMonitorTest, AnAddressIsAHintAndItsLossTakesRoutes) {
  Hints();
  Shell("ip addr add 192.168.7.1/24 dev eth0p");
  KernelHints hints = Hints();
  EXPECT_TRUE(hints.local_network_changed);
  EXPECT_FALSE(hints.routes_changed);
  Shell("ip addr del 192.168.7.1/24 dev eth0p");
  hints = Hints();
  EXPECT_TRUE(hints.local_network_changed);
  EXPECT_TRUE(hints.routes_changed);
}

TEST_F(KernelMonitorTest, AnOverrunMeansThatEverythingMayHaveChanged) {
  monitor_ = KernelMonitor::Create({.receive_buffer_bytes = 4096}).value();
  std::string commands;
  for (int i = 0; i < 200; ++i) {
    commands +=
        "route add 10.1." + std::to_string(i) + ".0/24 via 192.168.0.9 proto 110 metric 110\n";
  }
  Shell("printf '" + commands + "' | ip -batch -");
  KernelHints hints = Hints();
  EXPECT_TRUE(hints.overrun);
  EXPECT_TRUE(hints.routes_changed);
  EXPECT_TRUE(hints.local_network_changed);
  EXPECT_FALSE(Hints().overrun);
}

}  // namespace
}  // namespace podroute
