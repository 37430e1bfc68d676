// What router mode tells the API server of the Nodes whose routes it keeps, end to end.
#include <gtest/gtest.h>

#include <string>

#include "tests/controller/report_test_util.h"

namespace podroute {
namespace {

class RouterReportTest : public ReportTest {
 protected:
  void SetUp() override {
    ReportTest::SetUp();
    if (IsSkipped()) return;
    StartServer({.tls = true});  // kubectl sends no token over plain HTTP.
    PutNodes({UsualNode(2), UsualNode(3)});
  }
  ChildProcess& StartRouter(std::vector<std::string> flags = {}) {
    flags.insert(flags.begin(), {"run", "--mode=router"});
    return Start(std::move(flags));
  }
  ::testing::AssertionResult ConditionBecomes(const std::string& node, const std::string& wanted) {
    return Eventually("the condition of " + node, [&] { return Condition(node) == wanted; });
  }
};

TEST_F(RouterReportTest, EachNodesConditionAndTaintFollowItsRoutes) {
  Kubectl("taint node node3 a=b:NoSchedule podroute.io/network-unavailable=:NoSchedule");
  StartRouter();
  EXPECT_TRUE(ConditionBecomes("node2", "False RouteCreated"));
  EXPECT_TRUE(ConditionBecomes("node3", "False RouteCreated"));
  EXPECT_TRUE(Eventually("the taint to go", [&] { return Taints("node3") == "a"; }));
  // One that has no podCIDR yet, and then one.
  TestNode late = UsualNode(4);
  late.pod_cidrs.clear();
  PutNode(late);
  ASSERT_TRUE(Says("refused node=node4"));
  EXPECT_EQ(Condition("node4"), "");
  PutNode(UsualNode(4));
  EXPECT_TRUE(ConditionBecomes("node4", "False RouteCreated"));
  EXPECT_NE(OurRoutes().find("10.244.4.0/24"), std::string::npos);
}

TEST_F(RouterReportTest, ARouteThatCannotBeMadeIsAnEventOfItsNodeAlone) {
  // Somebody's route with all of our marks but the protocol.
  Shell("ip route add 10.244.3.0/24 dev lan proto static metric 110");
  StartRouter();
  EXPECT_TRUE(ConditionBecomes("node2", "False RouteCreated"));
  EXPECT_TRUE(Eventually("an Event", [&] {
    return Kubectl("describe node node3").find("RouteFailed") != std::string::npos;
  }));
  EXPECT_EQ(Condition("node3"), "");
  EXPECT_EQ(Kubectl("describe node node2").find("RouteFailed"), std::string::npos);
  Shell("ip route delete 10.244.3.0/24 proto static metric 110");
  EXPECT_TRUE(ConditionBecomes("node3", "False RouteCreated"));
}

TEST_F(RouterReportTest, EachRefusalIsAnEventOfItsNode) {
  PutNode({"node5", {"10.244.3.0/24"}, {"192.168.0.5"}, "2026-06-01T00:00:00Z"});
  StartRouter();
  EXPECT_TRUE(Eventually("an Event", [&] {
    return Kubectl("describe node node5").find("OverlapsNode") != std::string::npos;
  }));
  EXPECT_EQ(Condition("node5"), "");
}

TEST_F(RouterReportTest, OnlyTheLeaderSaysAnything) {
  ChildProcess& leader = StartRouter();
  ASSERT_TRUE(ConditionBecomes("node3", "False RouteCreated"));
  ChildProcess& standby = StartRouter();
  ASSERT_TRUE(Eventually("stands by", [&] { return standby.Says("stands by") > 0; }));
  PutNode(UsualNode(4));
  ASSERT_TRUE(ConditionBecomes("node4", "False RouteCreated"));
  EXPECT_EQ(standby.Says("condition set"), 0);
  // When it knows of a Node that came later it knows of node4's condition; that one gets none.
  PutNode({"witness", {}, {}});
  ASSERT_TRUE(Becomes("podroute_nodes", 4));
  leader.Signal(SIGTERM);
  leader.Wait();
  PutNode(UsualNode(5));
  ASSERT_TRUE(ConditionBecomes("node5", "False RouteCreated"));
  EXPECT_TRUE(Says("condition set node=node5"));
  EXPECT_EQ(standby.Says("condition set node=node5"), 1);
  EXPECT_EQ(standby.Says("condition set node=node4"), 0);  // It is as it should be.
}

}  // namespace
}  // namespace podroute
