#include "routing/kernel_monitor.h"

#include <gtest/gtest.h>
#include <poll.h>

#include <memory>
#include <string>
#include <utility>

#include "tests/routing/kernel_test_util.h"

namespace podroute {
namespace {

class KernelMonitorTest : public ::testing::Test {
 protected:
  void SetUp() override {
    PODROUTE_ENTER_NETNS_OR_SKIP();
    lan_ = AddLan("lan", "192.168.0.1/16");
    Result<std::unique_ptr<KernelBackend>> backend = KernelBackend::Create({});
    ASSERT_TRUE(backend.ok()) << backend.status().message();
    backend_ = std::move(*backend);
    Watch({.own_port_id = backend_->port_id()});
    desired_ = {MakeRoute("10.244.1.0/24", "192.168.0.2", lan_),
                MakeRoute("fd01::/64", "fd00::2", lan_)};
  }
  void Watch(const KernelMonitorOptions& options) {
    Result<std::unique_ptr<KernelMonitor>> monitor = KernelMonitor::Create(options);
    ASSERT_TRUE(monitor.ok()) << monitor.status().message();
    monitor_ = std::move(*monitor);
    // The kernel says that a link's carrier is up in its own time: not in the middle of a test.
    monitor_->WatchLinks({});
  }
  // The kernel announces an IPv6 address once more in its own time: whoever has one looks only at
  // what is said of routes.
  void AddIpv6() { Shell("ip addr add fd00::1/64 dev lan nodad"); }
  bool RoutesChanged() {
    Result<KernelHints> hints = monitor_->Drain();
    EXPECT_TRUE(hints.ok()) << hints.status().message();
    return hints.ok() && hints->routes_changed;
  }
  // A notification is queued before the call that caused it returns.
  bool Readable(int within_ms = 0) const {
    pollfd ready = {monitor_->fd(), POLLIN, 0};
    return poll(&ready, 1, within_ms) == 1;
  }
  std::string Hints() {
    Result<KernelHints> hints = monitor_->Drain();
    if (!hints.ok()) return hints.status().message();
    std::string text;
    if (hints->routes_changed) text += "routes ";
    if (hints->local_network_changed) text += "local ";
    if (hints->overrun) text += "overrun ";
    return text;
  }

  int lan_ = 0;
  std::unique_ptr<KernelBackend> backend_;
  std::unique_ptr<KernelMonitor> monitor_;
  RouteSet desired_;
};

TEST_F(KernelMonitorTest, OurOwnChangesWakeNobody) {
  AddIpv6();
  ASSERT_TRUE(AllOk(Reconcile(*backend_, desired_)));
  RouteSet moved = desired_;
  moved[0].via.gateway = A("192.168.0.9");
  ASSERT_TRUE(AllOk(Reconcile(*backend_, moved)));
  ASSERT_TRUE(AllOk(Reconcile(*backend_, {})));
  EXPECT_FALSE(RoutesChanged());
}

TEST_F(KernelMonitorTest, OtherProtocolsRoutesAndObjectsWakeNobody) {
  AddIpv6();
  Shell(
      "ip route add 10.9.0.0/24 via 192.168.0.9 proto bgp; ip route del 10.9.0.0/24;"
      "ip -6 route add fd09::/64 via fd00::9 proto static; ip -6 route del fd09::/64;"
      "ip nexthop add id 5 via 192.168.0.9 dev lan proto zebra; ip nexthop del id 5");
  EXPECT_FALSE(RoutesChanged());
}

TEST_F(KernelMonitorTest, SomebodyElsesChangesToOurRoutesAreHints) {
  AddIpv6();
  ASSERT_TRUE(AllOk(Reconcile(*backend_, desired_)));
  for (const char* command :
       {"ip route del 10.244.1.0/24", "ip -6 route del fd01::/64",
        "ip route add 10.244.7.0/24 via 192.168.0.2 proto 110 metric 110",
        "ip nexthop add id 9 via 192.168.0.2 dev lan proto 110", "ip nexthop del id 9"}) {
    Shell(command);
    EXPECT_TRUE(Readable()) << command;
    EXPECT_TRUE(RoutesChanged()) << command;
    EXPECT_FALSE(RoutesChanged()) << command;
  }
}

TEST_F(KernelMonitorTest, ADeletedRouteIsBackAfterTheNextPass) {
  AddIpv6();
  ASSERT_TRUE(AllOk(Reconcile(*backend_, desired_)));
  Shell("ip route del 10.244.1.0/24 proto 110");
  ASSERT_TRUE(RoutesChanged());
  EXPECT_TRUE(AllOk(Reconcile(*backend_, desired_)));
  EXPECT_EQ(ToText(ReadOrDie(*backend_)), ToText(desired_));
  EXPECT_FALSE(RoutesChanged());
}

TEST_F(KernelMonitorTest, ARouteOfOursThatSomebodyReplacedWithTheirsIsAHint) {
  AddIpv6();
  ASSERT_TRUE(AllOk(Reconcile(*backend_, desired_)));
  for (const char* command : {"ip route replace 10.244.1.0/24 via 192.168.0.77 metric 110",
                              "ip -6 route replace fd01::/64 via fd00::77 metric 110"}) {
    Shell(command);
    EXPECT_TRUE(RoutesChanged()) << command;
  }
  // Nobody's business: they replace their own.
  Shell("ip route add 10.9.0.0/24 via 192.168.0.9; ip route replace 10.9.0.0/24 via 192.168.0.8");
  EXPECT_FALSE(RoutesChanged());
}

TEST_F(KernelMonitorTest, ADeletedRouteOfOursIsNamed) {
  AddIpv6();
  ASSERT_TRUE(AllOk(Reconcile(*backend_, desired_)));
  Shell(
      "ip route add 10.9.0.0/24 via 192.168.0.2 proto 110 metric 7;"
      "ip route add 10.9.0.0/24 via 192.168.0.2 proto 110 metric 110 table 7");
  EXPECT_FALSE(RoutesChanged()) << "the mark is table, protocol and metric";
  Shell(
      "ip route del 10.244.1.0/24 proto 110; ip -6 route del fd01::/64;"
      "ip route del 10.9.0.0/24 metric 7; ip route del 10.9.0.0/24 table 7");
  Result<KernelHints> hints = monitor_->Drain();
  ASSERT_TRUE(hints.ok());
  EXPECT_TRUE(hints->routes_changed);
  ASSERT_EQ(hints->deleted.size(), 2u);
  EXPECT_EQ(hints->deleted[0], desired_[0].dst);
  EXPECT_EQ(hints->deleted[1], desired_[1].dst);
}

TEST_F(KernelMonitorTest, LinksAndAddressesAreHints) {
  monitor_->WatchLinks({lan_});
  Shell("ip addr add 192.168.99.1/24 dev lan");
  EXPECT_EQ(Hints(), "local ");
  Shell("ip -6 addr add fd77::1/64 dev lan nodad");
  // From a worker of the kernel's, some time after the route to its neighbours, which is no hint.
  std::string hints;
  while (hints.empty() && Readable(10'000)) hints = Hints();
  EXPECT_EQ(hints, "local ");
  Shell("ip link set lan down");
  EXPECT_NE(Hints().find("local"), std::string::npos);
}

TEST_F(KernelMonitorTest, AllLinksMatterUntilToldWhich) {
  monitor_ = std::move(*KernelMonitor::Create({}));
  Shell("ip link add br9 type bridge");
  EXPECT_NE(Hints().find("local"), std::string::npos);
}

TEST_F(KernelMonitorTest, AnOverrunIsAHintForEverythingAndIsOverWhenDrained) {
  AddIpv6();
  Watch({.own_port_id = backend_->port_id(), .receive_buffer_bytes = 4096});
  Shell(
      "i=0; while [ $i -lt 500 ]; do echo route add 10.$((i / 250)).$((i % 250)).0/24 via "
      "192.168.0.2 proto 110 metric 110; i=$((i + 1)); done | ip -batch -");
  EXPECT_EQ(Hints(), "routes local overrun ");
  EXPECT_FALSE(RoutesChanged());
  // Everything is read again, and what nobody asked for goes.
  EXPECT_TRUE(AllOk(Reconcile(*backend_, desired_)));
  EXPECT_EQ(ToText(ReadOrDie(*backend_)), ToText(desired_));
  Shell("ip route del 10.244.1.0/24 proto 110");
  EXPECT_TRUE(RoutesChanged());
}

TEST_F(KernelMonitorTest, AnotherProtocolIsWatchedWhenAsked) {
  Watch({.mark = {.protocol = 42}});
  Shell("ip route add 10.9.0.0/24 via 192.168.0.9 proto 110");
  EXPECT_EQ(Hints(), "");
  Shell("ip route add 10.8.0.0/24 via 192.168.0.9 proto 42 metric 110");
  EXPECT_EQ(Hints(), "routes ");
}

// A node where pods' links come and go: only the link with addresses is watched.
TEST_F(KernelMonitorTest, APodsLinkComingAndGoingIsNoHint) {
  Shell(
      "ip link add veth1 type veth peer name veth1p; ip link set veth1 up; ip link set veth1p up;"
      "ip link set veth1 down; ip link del veth1");
  EXPECT_EQ(Hints(), "");
}

TEST_F(KernelMonitorTest, ALinkThatWentDownIsAHintEvenWhenItIsUpAgain) {
  monitor_->WatchLinks({lan_});
  Shell("ip link set lan down; ip link set lan up");
  EXPECT_EQ(Hints(), "routes local ");
}

TEST_F(KernelMonitorTest, ALinkThatLostItsCarrierIsAHintForItsRoutes) {
  desired_.pop_back();
  ASSERT_TRUE(AllOk(Reconcile(*backend_, desired_)));
  monitor_->WatchLinks({lan_});
  RoutesChanged();
  Shell("ip link set lanp down");
  bool hinted = false;
  while (!hinted && Readable(10'000)) hinted = RoutesChanged();
  EXPECT_TRUE(hinted);
}

TEST_F(KernelMonitorTest, AnAddressIsAHintAndItsLossTakesRoutes) {
  monitor_->WatchLinks({lan_});
  Shell("ip addr add 192.168.7.1/24 dev lanp");
  EXPECT_EQ(Hints(), "local ");
  Shell("ip addr del 192.168.7.1/24 dev lanp");
  EXPECT_EQ(Hints(), "routes local ");
}

}  // namespace
}  // namespace podroute
