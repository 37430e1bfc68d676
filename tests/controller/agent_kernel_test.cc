// The agent while the kernel's side changes under it (DESIGN rule 2): nothing is polled, a resync
// is an hour away.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "tests/controller/agent_test_util.h"

namespace podroute {
namespace {

class AgentKernelTest : public AgentTest {
 protected:
  void SetUp() override {
    AgentTest::SetUp();
    if (IsSkipped()) return;
    StartServer();
    PutNodes({UsualNode(1), UsualNode(2), UsualNode(3)});
    StartAgentAndWait();
    kernel_->Clear();
  }

  // Everything is as it should be, by notifications alone, and the agent still listens.
  void IsWhole(const std::string& dev = "lan") {
    EXPECT_TRUE(RoutesBecome(UsualRoutes(2, 3)));
    // From one link to another nothing else changes about them.
    EXPECT_TRUE(Eventually("4 routes by " + dev, [&] {
      std::string all = Shell("ip route show proto 110; ip -6 route show proto 110");
      size_t on_dev = 0;
      for (size_t at = 0; (at = all.find(" dev " + dev + " ", at)) != std::string::npos; ++at) {
        ++on_dev;
      }
      return on_dev == 4;
    }));
    PutNode(UsualNode(4));
    EXPECT_TRUE(RoutesBecome(UsualRoutes(2, 4)));
    std::string objects = OurNexthops();
    EXPECT_LE(std::count(objects.begin(), objects.end(), '\n'), 6) << "orphans\n" << objects;
  }

  static std::string ObjectOf(const std::string& gateway) {
    std::string id =
        Shell("ip nexthop show proto 110 | awk '$4 == \"" + gateway + "\" {print $2}'");
    if (!id.empty()) id.pop_back();
    return id;
  }
};

TEST_F(AgentKernelTest, ARouteDeletedByHandComesBack) {
  Shell("ip route del 10.244.2.0/24; ip -6 route del fd00:10:244:3::/64");
  EXPECT_TRUE(Eventually("back", [&] {
    return kernel_->Count("new 10.244.2.0/24 via 192.168.0.2") == 1 &&
           kernel_->Count("new fd00:10:244:3::/64 via fd00:192:168::3") == 1;
  }));
  IsWhole();
}

TEST_F(AgentKernelTest, AllRoutesFlushedComeBack) {
  Shell("for d in 2 3; do ip route del 10.244.$d.0/24; ip -6 route del fd00:10:244:$d::/64; done");
  IsWhole();
}

TEST_F(AgentKernelTest, ARouteReplacedByHandIsPutRight) {
  Shell("ip route replace 10.244.2.0/24 via 192.168.0.99 proto 110 metric 110");
  Shell("ip -6 route replace fd00:10:244:2::/64 via fd00:192:168::99 proto 110 metric 110");
  IsWhole();
}

TEST_F(AgentKernelTest, ARouteWithOurMarkAddedByHandIsRemoved) {
  Shell(
      "ip route add 10.244.77.0/24 via 192.168.0.77 proto 110 metric 110;"
      "ip -6 route add fd00:10:244:77::/64 via fd00:192:168::77 proto 110 metric 110;"
      "ip route add 10.244.78.0/24 dev lan proto 110 metric 110;"
      "ip route add 10.244.79.0/24 proto 110 metric 110"
      " nexthop via 192.168.0.77 nexthop via 192.168.0.78");
  IsWhole();
}

TEST_F(AgentKernelTest, ANexthopObjectDeletedByHandComesBackWithItsRoutes) {
  Shell("ip nexthop del id " + ObjectOf("192.168.0.2"));
  Shell("ip nexthop del id " + ObjectOf("fd00:192:168::3"));
  IsWhole();
}

TEST_F(AgentKernelTest, ANexthopObjectReplacedByHandIsPutRight) {
  Shell("ip nexthop replace id " + ObjectOf("192.168.0.2") + " via 192.168.0.99 dev lan proto 110");
  IsWhole();
}

TEST_F(AgentKernelTest, AllNexthopObjectsFlushedComeBack) {
  Shell("ip nexthop flush");
  IsWhole();
}

TEST_F(AgentKernelTest, AStrangersObjectInPlaceOfOursIsLeftToHim) {
  std::string id = ObjectOf("192.168.0.2");
  Shell("ip nexthop del id " + id + "; ip nexthop add id " + id +
        " via 192.168.0.99 dev lan proto zebra");
  IsWhole();
  EXPECT_EQ(Shell("ip nexthop show id " + id),
            "id " + id + " via 192.168.0.99 dev lan scope link proto zebra \n");
}

TEST_F(AgentKernelTest, ALinkThatWentDownAndUpHasItsRoutesBack) {
  Shell("ip link set lan down");
  EXPECT_TRUE(RoutesBecome(""));
  EXPECT_TRUE(Says("reason=LinkDown", 2));
  // The kernel does not bring IPv6 addresses back itself.
  Shell("ip link set lan up; ip addr add fd00:192:168::1/64 dev lan nodad");
  IsWhole();
}

TEST_F(AgentKernelTest, ALinkThatFlapsHasItsRoutesBack) {
  Shell(
      "for i in 1 2 3 4 5 6 7 8; do ip link set lan down; ip link set lan up;"
      " ip addr add fd00:192:168::1/64 dev lan nodad; done");
  IsWhole();
}

// With nexthop objects the kernel (6.18) takes the routes away, IPv4 without a word, and lets
// nobody make them again before the carrier is back; after which the link looks as it did.
TEST_F(AgentKernelTest, ACableThatWasOutHasItsRoutesBack) {
  Shell("ip link set lanp down");
  EXPECT_TRUE(RoutesBecome(""));
  EXPECT_TRUE(Says("route failed action=add dst=10.244.2.0/24"));
  Shell("ip link set lanp up");
  IsWhole();
}

TEST_F(AgentKernelTest, ACableThatWasOutHasItsRoutesBackWithIpv4Alone) {
  PutNodes({UsualNodeV4(1), UsualNodeV4(2), UsualNodeV4(3)});
  EXPECT_TRUE(RoutesBecome(UsualRoutesV4(2, 3)));
  Shell("ip link set lanp down");
  EXPECT_TRUE(Says("route failed action=add dst=10.244.3.0/24"));
  Shell("ip link set lanp up");
  EXPECT_TRUE(RoutesBecome(UsualRoutesV4(2, 3)));
}

TEST_F(AgentKernelTest, ACableThatIsOutAndInAgainHasItsRoutesBack) {
  for (int i = 0; i < 5; ++i) Shell("ip link set lanp down; ip link set lanp up");
  EXPECT_TRUE(RoutesBecome(UsualRoutes(2, 3)));
}

TEST_F(AgentKernelTest, AnAddressRemovedAndAddedAgainHasItsRoutesBack) {
  Shell("ip addr del 192.168.0.1/24 dev lan; ip addr del fd00:192:168::1/64 dev lan");
  EXPECT_TRUE(RoutesBecome(""));
  EXPECT_TRUE(Says("reason=NextHopNotConnected", 4));
  Shell("ip addr add 192.168.0.1/24 dev lan; ip addr add fd00:192:168::1/64 dev lan nodad");
  IsWhole();
}

TEST_F(AgentKernelTest, AnAddressThatMovesToAnotherLinkTakesTheRoutesAlong) {
  AddLan("lan2", "");
  Shell(
      "ip addr del 192.168.0.1/24 dev lan; ip addr del fd00:192:168::1/64 dev lan;"
      "ip addr add 192.168.0.1/24 dev lan2; ip addr add fd00:192:168::1/64 dev lan2 nodad");
  IsWhole("lan2");
}

TEST_F(AgentKernelTest, ARenamedLinkKeepsItsRoutes) {
  Shell(
      "ip link set lan down; ip link set lan name wan; ip link set wan up;"
      "ip addr add fd00:192:168::1/64 dev wan nodad");
  IsWhole("wan");
}

TEST_F(AgentKernelTest, ALinkDeletedAndMadeAgainHasItsRoutesBack) {
  Shell("ip link del lan");
  EXPECT_TRUE(RoutesBecome(""));
  AddLan("lan", "192.168.0.1/24 fd00:192:168::1/64");
  IsWhole();
}

TEST_F(AgentKernelTest, ALinkThatComesAfterTheAgentGetsItsRoutes) {
  StopAgent();
  Shell("ip link del lan");
  StartAgent();
  EXPECT_TRUE(Says("reason=NextHopNotConnected"));
  AddLan("lan", "192.168.0.1/24 fd00:192:168::1/64");
  IsWhole();
}

TEST_F(AgentKernelTest, PodsLinksComingAndGoingChangeNothing) {
  Shell(
      "for i in 1 2 3 4 5 6 7 8 9; do ip link add pod$i type veth peer name peer$i;"
      " ip link set pod$i up; ip link set peer$i up; done;"
      "for i in 1 2 3 4 5 6 7 8 9; do ip link del pod$i; done");
  EXPECT_EQ(kernel_->Count("10.244."), 0);
  IsWhole();
}

// More notifications than its buffer holds while it could not read them: what they said is lost,
// what is true is read.
TEST_F(AgentKernelTest, AnOverrunOfNotificationsIsHealed) {
  agent().Signal(SIGSTOP);
  kernel_->Stop();
  std::string batch;
  for (int i = 0; i < 30'000; ++i) {
    batch += "route append blackhole 172." + std::to_string(16 + i / 65536) + "." +
             std::to_string(i / 256 % 256) + "." + std::to_string(i % 256) +
             "/32 proto 110 metric 4\n";
  }
  Shell("ip -batch " + WriteTemp("batch", batch));
  // The notification of this one is lost.
  Shell("ip route del 10.244.2.0/24; ip nexthop del id " + ObjectOf("fd00:192:168::3"));
  agent().Signal(SIGCONT);
  EXPECT_TRUE(Says("kernel notifications were lost"));
  IsWhole();
}

}  // namespace
}  // namespace podroute
