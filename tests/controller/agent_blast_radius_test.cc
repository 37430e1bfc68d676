// Mass deletion is confirmed by a second, consistent list (DESIGN rule 4), end to end.
#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <vector>

#include "tests/controller/agent_test_util.h"
#include "tests/controller/fake_api.h"

namespace podroute {
namespace {

class AgentBlastRadiusTest : public AgentTest {
 protected:
  static std::vector<std::string> Nodes(int first, int last) {
    std::vector<std::string> nodes;
    for (int i = first; i <= last; ++i) nodes.push_back(UsualNode(i).Json());
    return nodes;
  }

  // As an agent left them that has been stopped.
  void LeaveRoutes(int last) {
    StartServer();
    PutJson(NodeListJson("1", Nodes(1, last)));
    StartAgentAndWait();
    StopAgent();
    children_.clear();
    kernel_->Clear();
  }

  // Where there is nftables.
  ::testing::AssertionResult Unmasqueraded(const std::string& networks) {
    if (TryShell("nft list tables") != 0) return ::testing::AssertionSuccess();
    return Eventually(networks + " is not masqueraded", [&] {
      return Shell("nft list set inet podroute unmasqueraded4").find(networks) != std::string::npos;
    });
  }
};

TEST_F(AgentBlastRadiusTest, MostNodesGoneIsCarriedOutOnceAConsistentListSaysSoToo) {
  LeaveRoutes(30);
  for (int i = 6; i <= 30; ++i) DeleteNode("node" + std::to_string(i));
  Order("POST", "stats/reset");
  StartAgent();
  EXPECT_TRUE(Says("deletes withheld until a second, consistent list confirms them deletes=50"));
  EXPECT_TRUE(RoutesBecome(UsualRoutes(2, 5)));
  std::string stats = Order("GET", "stats");
  EXPECT_NE(stats.find("\"list nodes\":2"), std::string::npos) << stats;
  EXPECT_NE(stats.find("\"target\":\"/api/v1/nodes?limit=500\""), std::string::npos) << stats;
  EXPECT_EQ(agent().Says("deletes withheld"), 1);
}

TEST_F(AgentBlastRadiusTest, AFewNodesGoneNeedNoSecondList) {
  LeaveRoutes(6);
  for (int i = 2; i <= 6; ++i) DeleteNode("node" + std::to_string(i));
  Order("POST", "stats/reset");
  StartAgent();
  EXPECT_TRUE(RoutesBecome(""));
  EXPECT_EQ(Asked("list nodes"), 1);
}

TEST_F(AgentBlastRadiusTest, AnEmptyClusterIsBelievedOnceAConsistentListSaysSoToo) {
  LeaveRoutes(3);
  Order("DELETE", "objects");
  Order("POST", "stats/reset");
  StartAgent();
  EXPECT_TRUE(Says("deletes withheld"));
  EXPECT_TRUE(RoutesBecome(""));
  EXPECT_EQ(Asked("list nodes"), 2);
  // And it goes on.
  PutNodes({UsualNode(1), UsualNode(2)});
  EXPECT_TRUE(RoutesBecome(UsualRoutes(2, 2)));
}

TEST_F(AgentBlastRadiusTest, TheLastNodesDeletionUnderAWatchIsConfirmedToo) {
  StartServer();
  PutNodes({UsualNode(2)});  // This machine is not registered.
  StartAgentAndWait();
  EXPECT_TRUE(Says("no Node has this machine's name"));
  DeleteNode("node2");
  EXPECT_TRUE(Says("deletes withheld"));
  EXPECT_TRUE(RoutesBecome(""));
}

TEST_F(AgentBlastRadiusTest, AStaleListIsOverruledAndNoRouteIsTouched) {
  LeaveRoutes(30);
  std::string stale = NodeListJson("10", Nodes(1, 5)), fresh = NodeListJson("50", Nodes(1, 30));
  FakeApi api([&](const std::string& line) {
    return OkResponse(line.find("resourceVersion=0") != std::string::npos ? stale : fresh);
  });
  StartAgent({"--kubeconfig=" + WriteTemp("kubeconfig", api.Kubeconfig("{token: t}"))});
  EXPECT_TRUE(Says("deletes withheld"));
  EXPECT_TRUE(Says("routes are in place routes=58"));
  EXPECT_TRUE(Eventually("a watch", [&] { return api.watches() == 1; }));
  EXPECT_EQ(kernel_->text(), "");
  EXPECT_EQ(agent().Says("deletes withheld"), 1);
}

TEST_F(AgentBlastRadiusTest, WithNoSecondListNothingIsDeletedButAdditionsAreMade) {
  LeaveRoutes(30);
  std::vector<std::string> nodes = Nodes(1, 5);
  nodes.push_back(UsualNode(40).Json());
  std::string stale = NodeListJson("10", nodes);
  std::atomic<bool> answer = false;
  FakeApi api([&](const std::string& line) {
    if (line.find("resourceVersion=0") != std::string::npos || answer) return OkResponse(stale);
    return ErrorResponse(500, "InternalError");
  });
  StartAgent({"--kubeconfig=" + WriteTemp("kubeconfig", api.Kubeconfig("{token: t}"))});
  EXPECT_TRUE(Says("deletes withheld"));
  EXPECT_TRUE(Says("route added dst=10.244.40.0/24"));
  EXPECT_TRUE(Says("list failed"));
  // A route that is lost meanwhile comes back, wanted by the stale list; one that is not does not.
  Shell("ip route del 10.244.2.0/24 proto 110");
  EXPECT_TRUE(Eventually("it is back",
                         [&] { return kernel_->Count("new 10.244.2.0/24 via 192.168.0.2") == 1; }));
  EXPECT_TRUE(Eventually("asked twice", [&] { return api.Asked("limit=500 HTTP") >= 2; }));
  EXPECT_EQ(kernel_->Count("del"), 1) << "more than what the test deleted";
  // Their pods may still be there, and are reached unmasqueraded.
  EXPECT_TRUE(Unmasqueraded("10.244.1.0-10.244.30.255"));
  answer = true;
  EXPECT_TRUE(Says("route deleted dst=10.244.30.0/24"));
  EXPECT_TRUE(Eventually("25 nodes are gone", [&] { return kernel_->Count("del 10.244.") == 26; }));
  EXPECT_TRUE(Unmasqueraded("10.244.1.0-10.244.5.255"));
}

}  // namespace
}  // namespace podroute
