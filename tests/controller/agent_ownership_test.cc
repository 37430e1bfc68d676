// The agent beside other people's routes (DESIGN rules 1 to 3), end to end.
#include <gtest/gtest.h>

#include <string>

#include "tests/controller/agent_test_util.h"

namespace podroute {
namespace {

class AgentOwnershipTest : public AgentTest {
 protected:
  void SetUp() override {
    AgentTest::SetUp();
    if (!IsSkipped()) StartServer();
  }
};

// Of every sort, to destinations of ours and of nobody.
constexpr char kStrangersV4[] = R"(
  ip route add default via 192.168.0.254
  ip route add default via 192.168.0.253 proto 110 metric 4000
  ip route add 10.244.2.0/24 via 192.168.0.200 proto static metric 120
  ip route add 10.244.2.0/24 via 192.168.0.200 proto 110 metric 111
  ip route add 10.244.2.0/24 via 192.168.0.200 proto 110 metric 110 table 1000
  ip route add 10.244.9.0/24 via 192.168.0.200 proto bird metric 110
  ip route add 10.244.8.0/24 via 192.168.0.200 proto 110 metric 109
  ip route add 10.244.7.0/24 via 192.168.0.200 proto 110
  ip route add blackhole 10.244.10.0/24 proto 110 metric 110
  ip route add unreachable 10.244.11.0/24 proto bgp metric 110
  ip route add prohibit 10.245.0.0/16
  ip route add throw 10.246.0.0/16 table 1000
  ip nexthop add id 77 via 192.168.0.201 dev lan proto zebra
  ip route add 10.244.12.0/24 nhid 77 proto zebra metric 110
  ip nexthop add id 78 group 77 proto zebra
  ip route add 10.244.13.0/24 nhid 78 proto zebra metric 110
  ip route add 10.247.0.0/16 nexthop via 192.168.0.202 nexthop via 192.168.0.203
)";
constexpr char kStrangersV6[] = R"(
  ip -6 route add default via fd00:192:168::fe dev lan
  ip -6 route add fd00:10:244:2::/64 via fd00:192:168::c8 proto static metric 120
  ip -6 route add fd00:10:244:2::/64 via fd00:192:168::c8 proto 110 metric 111
  ip -6 route add fd00:10:244:2::/64 via fd00:192:168::c8 proto 110 metric 110 table 1000
  ip -6 route add fd00:10:244:9::/64 via fd00:192:168::c8 proto bird metric 110
  ip -6 route add blackhole fd00:10:244:a::/64 proto 110 metric 110
  ip nexthop add id 79 via fd00:192:168::c9 dev lan proto zebra
  ip -6 route add fd00:10:244:c::/64 nhid 79 proto zebra metric 110
)";

TEST_F(AgentOwnershipTest, NodesDeletedWhileItWasDownLoseTheirRoutesAndStrangersKeepTheirs) {
  Shell(std::string("set -e") + kStrangersV4 + kStrangersV6);
  std::string strangers = Strangers();
  for (int i = 1; i <= 5; ++i) PutNode(UsualNode(i));
  StartAgentAndWait();
  EXPECT_EQ(OurRoutes(), UsualRoutes(2, 5));
  EXPECT_EQ(StopAgent(), 0);
  EXPECT_EQ(OurRoutes(), UsualRoutes(2, 5));
  DeleteNode("node2");
  DeleteNode("node3");
  StartAgent();
  EXPECT_TRUE(RoutesBecome(UsualRoutes(4, 5)));
  EXPECT_TRUE(Says("routes are in place"));
  EXPECT_EQ(Strangers(), strangers);
  EXPECT_EQ(kernel_->Count("del 10.244.2.0/24 via 192.168.0.200"), 0);
}

TEST_F(AgentOwnershipTest, RoutesWhoseNodesAreUnknownStayUntilTheFirstCompleteList) {
  PutNodes({UsualNode(1), UsualNode(2), UsualNode(3)});
  StartAgentAndWait();
  StopAgent();
  DeleteNode("node3");
  Order("POST", "faults?kind=status&status=500&count=-1");
  kernel_->Clear();
  StartAgent();
  EXPECT_TRUE(Says("list failed"));
  // Told by the kernel that one of them is gone, it still knows nothing of what should be there.
  Shell("ip route del 10.244.2.0/24 proto 110");
  EXPECT_TRUE(Eventually("two lists", [&] { return Asked("list nodes") >= 2; }));
  EXPECT_EQ(kernel_->text(), "del 10.244.2.0/24 via 192.168.0.2 proto 110 metric 110\n");
  Order("DELETE", "faults");
  EXPECT_TRUE(RoutesBecome(UsualRoutes(2, 2)));
}

TEST_F(AgentOwnershipTest, CleanupRemovesAllThatIsOursAndNothingElse) {
  Shell(std::string("set -e") + kStrangersV4 + kStrangersV6);
  std::string strangers = Strangers();
  for (int i = 1; i <= 4; ++i) PutNode(UsualNode(i));
  StartAgentAndWait();
  StopAgent();
  Ran cleanup = Run({"cleanup"});
  EXPECT_EQ(cleanup.code, 0) << cleanup.err;
  EXPECT_NE(cleanup.out.find("removed 6 routes and 6 nexthop objects\n"), std::string::npos)
      << cleanup.out;
  EXPECT_EQ(OurRoutes(), "");
  EXPECT_EQ(OurNexthops(), "");
  EXPECT_EQ(Strangers(), strangers);
  EXPECT_EQ(Run({"cleanup"}).out, "nothing of podroute's is left here\n");
}

TEST_F(AgentOwnershipTest, CleanupOnExitRemovesAllThatIsOursAndNothingElse) {
  Shell(std::string("set -e") + kStrangersV4 + kStrangersV6);
  std::string strangers = Strangers();
  for (int i = 1; i <= 4; ++i) PutNode(UsualNode(i));
  StartAgentAndWait({"--cleanup_on_exit"});
  EXPECT_EQ(StopAgent(), 0);
  EXPECT_EQ(OurRoutes(), "");
  EXPECT_EQ(OurNexthops(), "");
  EXPECT_EQ(Strangers(), strangers);
}

TEST_F(AgentOwnershipTest, AStrangersRouteThroughANexthopObjectOfOursSurvivesTheNode) {
  PutNodes({UsualNodeV4(1), UsualNodeV4(2), UsualNodeV4(3)});
  StartAgentAndWait();
  Shell(
      "id=$(ip nexthop show proto 110 | sed -n 's/^id \\([0-9]*\\) via 192.168.0.2 .*/\\1/p');"
      " ip route add 172.20.0.0/16 nhid $id proto static");
  std::string route = Shell("ip route show 172.20.0.0/16");
  DeleteNode("node2");
  EXPECT_TRUE(RoutesBecome(UsualRoutesV4(3, 3)));
  StopAgent();
  EXPECT_EQ(Run({"cleanup"}).code, 1);  // The object is left.
  EXPECT_EQ(OurRoutes(), "");
  EXPECT_EQ(Shell("ip route show 172.20.0.0/16"), route);
}

TEST_F(AgentOwnershipTest, AStrangersRouteInTheWayIsReportedOnceAndWaitedForAndTheOthersAreThere) {
  Shell(
      "ip route add 10.244.2.0/24 via 192.168.0.200 proto bird metric 110;"
      " ip -6 route add fd00:10:244:3::/64 via fd00:192:168::c8 proto bird metric 110");
  std::string strangers = Strangers();
  for (int i = 1; i <= 4; ++i) PutNode(UsualNode(i));
  StartAgent();
  std::string without =
      "10.244.3.0/24 192.168.0.3\n10.244.4.0/24 192.168.0.4\n"
      "fd00:10:244:2::/64 fd00:192:168::2\nfd00:10:244:4::/64 fd00:192:168::4\n";
  EXPECT_TRUE(RoutesBecome(without));
  EXPECT_TRUE(Says("route failed action=add dst=10.244.2.0/24"));
  EXPECT_TRUE(Says("route failed action=add dst=fd00:10:244:3::/64"));
  EXPECT_TRUE(Says("is in the way; delete it or set another --route_metric"));
  // Other nodes come and go meanwhile.
  PutNode(UsualNode(5));
  DeleteNode("node4");
  EXPECT_TRUE(
      RoutesBecome("10.244.3.0/24 192.168.0.3\n10.244.5.0/24 192.168.0.5\n"
                   "fd00:10:244:2::/64 fd00:192:168::2\nfd00:10:244:5::/64 fd00:192:168::5\n"));
  EXPECT_EQ(Strangers(), strangers);
  EXPECT_EQ(agent().Says("routes are in place"), 0);
  Shell("ip route del 10.244.2.0/24 proto bird; ip -6 route del fd00:10:244:3::/64 proto bird");
  EXPECT_TRUE(RoutesBecome(
      "10.244.2.0/24 192.168.0.2\n10.244.3.0/24 192.168.0.3\n10.244.5.0/24 192.168.0.5\n"
      "fd00:10:244:2::/64 fd00:192:168::2\nfd00:10:244:3::/64 fd00:192:168::3\n"
      "fd00:10:244:5::/64 fd00:192:168::5\n"));
  EXPECT_TRUE(Says("routes are in place"));
  EXPECT_EQ(agent().Says("route failed"), 2);
}

TEST_F(AgentOwnershipTest, AStrangersRouteOfALowerMetricIsReportedAndLeftAlone) {
  Shell(
      "ip route add 10.244.2.0/24 via 192.168.0.200 proto static metric 50;"
      " ip -6 route add fd00:10:244:2::/64 via fd00:192:168::c8 proto static metric 50");
  std::string strangers = Strangers();
  PutNodes({UsualNode(1), UsualNode(2), UsualNode(3)});
  StartAgentAndWait({"--resync_period=1s"});
  EXPECT_TRUE(
      Says("route is shadowed by one that is not ours dst=10.244.2.0/24 protocol=4 metric=50"));
  EXPECT_TRUE(Says(
      "route is shadowed by one that is not ours dst=fd00:10:244:2::/64 protocol=4 metric=50"));
  // One that comes later is found by the timer.
  Shell("ip route add 10.244.3.0/24 via 192.168.0.200 proto static metric 50");
  EXPECT_TRUE(Says("route is shadowed by one that is not ours dst=10.244.3.0/24"));
  Shell("ip route del 10.244.3.0/24 proto static metric 50");
  EXPECT_EQ(OurRoutes(), UsualRoutes(2, 3));
  EXPECT_EQ(Strangers(), strangers);
  EXPECT_EQ(agent().Says("shadowed"), 3);
}

TEST_F(AgentOwnershipTest, TwoAgentsOnOneNodeDoNotFight) {
  PutNodes({UsualNode(1), UsualNode(2), UsualNode(3)});
  StartAgent();
  ChildProcess& first = agent();
  StartAgent();
  ChildProcess& second = agent();
  EXPECT_TRUE(RoutesBecome(UsualRoutes(2, 3)));
  for (int i = 4; i <= 23; ++i) PutNode(UsualNode(i));
  EXPECT_TRUE(RoutesBecome(UsualRoutes(2, 23)));
  for (int i = 2; i <= 6; ++i) DeleteNode("node" + std::to_string(i));
  EXPECT_TRUE(RoutesBecome(UsualRoutes(7, 23)));
  TestNode moved = UsualNode(7);
  moved.internal_ips = {"192.168.0.107", "fd00:192:168::107"};
  PutNode(moved);
  EXPECT_TRUE(Eventually("the new address", [&] {
    return OurRoutes().find("fd00:10:244:7::/64 fd00:192:168::107\n") != std::string::npos &&
           OurRoutes().find("10.244.7.0/24 192.168.0.107\n") != std::string::npos;
  }));
  // Both know of one more node; a fight would not have ended by then.
  PutNode(UsualNode(30));
  for (ChildProcess* one : {&first, &second}) {
    EXPECT_TRUE(Eventually("quiet", [&] {
      int changes = kernel_->Count("\n");
      for (int i = 0; i < 3; ++i) OurRoutes();
      return one->running() && kernel_->Count("\n") == changes;
    }));
  }
  // Each of 25 nodes has two routes and two objects; two agents may get in each other's way once or
  // twice, but not for ever.
  EXPECT_LT(kernel_->Count("\n"), 1000);
}

}  // namespace
}  // namespace podroute
