// `podroute plan` against a real kernel: what it prints is what has to be done.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "tests/controller/agent_test_util.h"

namespace podroute {
namespace {

class AgentPlanTest : public AgentTest {
 protected:
  void SetUp() override {
    AgentTest::SetUp();
    if (!IsSkipped()) StartServer();
  }

  Ran Plan(std::vector<std::string> more = {}) {
    more.insert(more.begin(), {"plan", "--node_name=node1", "--detailed_exitcode"});
    return Run(more);
  }

  // Carries out what the plan says, in a shell, and has the plan looked at again.
  void PlanPipedToShellLeavesNothingToDo() {
    Ran before = Plan();
    ASSERT_EQ(before.code, 2) << before.out << before.err;
    std::string said = Shell("sh -e " + WriteTemp("plan.sh", before.out));
    EXPECT_EQ(said, "") << before.out;
    Ran after = Plan();
    EXPECT_EQ(after.code, 0) << before.out << after.out << after.err;
  }
};

TEST_F(AgentPlanTest, PipedToAShellItLeavesNothingToDo) {
  PutNodes({UsualNode(1), UsualNode(2), UsualNode(3)});
  PlanPipedToShellLeavesNothingToDo();
  EXPECT_EQ(OurRoutes(), UsualRoutes(2, 3));
}

TEST_F(AgentPlanTest, PipedToAShellItReplacesAndDeletesRoutesThatAShellMade) {
  PutNodes({UsualNode(1), UsualNode(2), UsualNode(3)});
  PlanPipedToShellLeavesNothingToDo();
  TestNode moved = UsualNode(2);
  moved.internal_ips = {"192.168.0.102", "fd00:192:168::102"};
  PutNode(moved);
  DeleteNode("node3");
  PlanPipedToShellLeavesNothingToDo();
  EXPECT_EQ(OurRoutes(), "10.244.2.0/24 192.168.0.102\nfd00:10:244:2::/64 fd00:192:168::102\n");
}

TEST_F(AgentPlanTest, PipedToAShellItReplacesAndDeletesRoutesThatTheAgentMade) {
  PutNodes({UsualNode(1), UsualNode(2), UsualNode(3)});
  StartAgentAndWait();
  StopAgent();
  TestNode moved = UsualNode(2);
  moved.internal_ips = {"192.168.0.102", "fd00:192:168::102"};
  PutNode(moved);
  DeleteNode("node3");
  PlanPipedToShellLeavesNothingToDo();
  EXPECT_EQ(OurRoutes(), "10.244.2.0/24 192.168.0.102\nfd00:10:244:2::/64 fd00:192:168::102\n");
}

TEST_F(AgentPlanTest, AnAgentTakesOverWhatAShellMadeAsItIs) {
  PutNodes({UsualNode(1), UsualNode(2), UsualNode(3)});
  PlanPipedToShellLeavesNothingToDo();
  kernel_->Clear();
  StartAgentAndWait();
  EXPECT_EQ(kernel_->text(), "");
  // And goes on from there: a replacement, a deletion, an addition.
  TestNode moved = UsualNode(2);
  moved.internal_ips = {"192.168.0.102", "fd00:192:168::102"};
  PutNodes({moved, UsualNode(4)});
  DeleteNode("node3");
  EXPECT_TRUE(
      RoutesBecome("10.244.2.0/24 192.168.0.102\n10.244.4.0/24 192.168.0.4\n"
                   "fd00:10:244:2::/64 fd00:192:168::102\nfd00:10:244:4::/64 fd00:192:168::4\n"));
}

TEST_F(AgentPlanTest, NeedsNoPrivilegesAndChangesNothing) {
  PutNodes({UsualNode(1), UsualNode(2), UsualNode(3)});
  StartAgentAndWait();
  StopAgent();
  PutNode(UsualNode(4));
  kernel_->Clear();
  Ran plan = Run({"plan", "--node_name=node1", "--detailed_exitcode", "--output=json"}, true);
  EXPECT_EQ(plan.code, 2) << plan.err;
  EXPECT_NE(plan.out.find(R"("action": "keep")"), std::string::npos) << plan.out;
  EXPECT_NE(plan.out.find(R"("dst": "10.244.4.0/24")"), std::string::npos) << plan.out;
  EXPECT_EQ(plan.err, "");
  EXPECT_EQ(kernel_->text(), "");
  // The control: without privileges nothing can be changed.
  Ran cleanup = Run({"cleanup"}, true);
  EXPECT_EQ(cleanup.code, 1);
  EXPECT_NE(cleanup.err.find("may not change routes"), std::string::npos) << cleanup.err;
  EXPECT_EQ(OurRoutes(), UsualRoutes(2, 3));
}

TEST_F(AgentPlanTest, SaysInOneLineThatTheServerIsNotThere) {
  Order("POST", "refuse?ms=-1");
  Ran plan = Plan();
  EXPECT_EQ(plan.code, 1);
  EXPECT_EQ(plan.out, "");
  EXPECT_EQ(std::count(plan.err.begin(), plan.err.end(), '\n'), 1) << plan.err;
  EXPECT_NE(plan.err.find("127.0.0.1"), std::string::npos) << plan.err;
}

}  // namespace
}  // namespace podroute
