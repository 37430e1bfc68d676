// What `podroute run` tells the API server of its node, end to end.
#include <gtest/gtest.h>

#include <string>

#include "tests/controller/report_test_util.h"

namespace podroute {
namespace {

using AgentReportTest = ReportTest;

TEST_F(AgentReportTest, TheConditionIsSetOnceAndOfThisNodeOnly) {
  StartServer({.tls = true});  // kubectl sends no token over plain HTTP.
  PutNodes({UsualNode(1), UsualNode(2), UsualNode(3)});
  StartAgentAndWait();
  ASSERT_TRUE(Says("condition set node=node1 type=NetworkUnavailable status=False"));
  EXPECT_EQ(Condition("node1"), "False RouteCreated");
  EXPECT_EQ(Condition("node2"), "");
  // Other Nodes' events, and passes, write nothing.
  DeleteNode("node3");
  ASSERT_TRUE(RoutesBecome(UsualRoutes(2, 2)));
  EXPECT_EQ(StopAgent(), 0);
  EXPECT_EQ(agent().Says("condition set"), 1);
  // Nor does another start.
  StartAgentAndWait();
  PutNode(UsualNode(4));
  ASSERT_TRUE(Eventually("a route",
                         [&] { return OurRoutes().find("10.244.4.0/24") != std::string::npos; }));
  EXPECT_EQ(StopAgent(), 0);
  EXPECT_EQ(agent().Says("condition set"), 0);
  EXPECT_EQ(Condition("node1"), "False RouteCreated");
}

TEST_F(AgentReportTest, TheStartupTaintGoesOnceTheNetworkWorksAndOthersStay) {
  StartServer({.tls = true});  // kubectl sends no token over plain HTTP.
  PutNodes({UsualNode(1), UsualNode(2)});
  Kubectl(
      "taint node node1 a=b:NoSchedule podroute.io/network-unavailable=:NoSchedule "
      "c=d:NoExecute");
  StartAgentAndWait();
  ASSERT_TRUE(Says("taint removed node=node1 key=podroute.io/network-unavailable"));
  EXPECT_EQ(Taints("node1").find("podroute.io"), std::string::npos);
  EXPECT_NE(Taints("node1").find("a"), std::string::npos);
  EXPECT_NE(Taints("node1").find("c"), std::string::npos);
  // It may be put there again.
  Kubectl("taint node node1 podroute.io/network-unavailable=:NoSchedule");
  EXPECT_TRUE(Says("taint removed node=node1 key=podroute.io/network-unavailable", 2));
}

TEST_F(AgentReportTest, ARefusalOfThisNodeIsAnEventThatDescribeShows) {
  StartServer({.tls = true});  // kubectl sends no token over plain HTTP.
  PutNodes({UsualNode(2)});
  // node1 is the younger one, and what it claims is node2's.
  TestNode self = UsualNode(1);
  self.pod_cidrs = {"10.244.2.0/24"};
  self.created = "2026-06-01T00:00:00Z";
  PutNode(self);
  StartAgent();
  ASSERT_TRUE(Eventually("an Event", [&] {
    return Kubectl("describe node node1").find("OverlapsNode") != std::string::npos;
  }));
  std::string described = Kubectl("describe node node1");
  EXPECT_NE(described.find("Warning"), std::string::npos) << described;
  EXPECT_NE(described.find("10.244.2.0/24 is already node2's"), std::string::npos) << described;
  EXPECT_NE(described.find("podroute"), std::string::npos) << described;
  EXPECT_EQ(Kubectl("describe node node2").find("OverlapsNode"), std::string::npos);
}

TEST_F(AgentReportTest, ANodeThatIsNotReachedHasAnEventThatSaysSo) {
  StartServer({.tls = true});  // kubectl sends no token over plain HTTP.
  TestNode elsewhere = UsualNode(2);
  elsewhere.pod_cidrs = {"10.244.2.0/24"};
  elsewhere.internal_ips = {"10.77.0.2"};
  PutNodes({UsualNode(1), elsewhere});
  StartAgent();
  EXPECT_TRUE(Eventually("an Event", [&] {
    std::string described = Kubectl("describe node node2");
    return described.find("NextHopNotConnected") != std::string::npos &&
           described.find("from node1: InternalIP 10.77.0.2 is on none") != std::string::npos;
  }));
  EXPECT_EQ(StopAgent(), 0);
}

TEST_F(AgentReportTest, ALinkInTheBridgesPlaceIsAnEvent) {
  Shell("ip link add cni0 type veth peer name cni0p");
  StartServer({.tls = true});
  PutNodes({UsualNode(1), UsualNode(2)});
  StartAgent();
  EXPECT_TRUE(Eventually("an Event", [&] {
    std::string described = Kubectl("describe node node1");
    return described.find("NodeSetupFailed") != std::string::npos &&
           described.find("the link cni0 is no bridge") != std::string::npos;
  }));
  EXPECT_EQ(StopAgent(), 0);
}

TEST_F(AgentReportTest, ACniDirectoryThatCannotBeWrittenIsAnEvent) {
  for (const char* mode : {"--mode=host", "--mode=local"}) {
    SCOPED_TRACE(mode);
    StartServer({.tls = true});
    PutNodes({UsualNode(1), UsualNode(2)});
    const std::string blocked = dir_->Write("blocked", "a file");
    StartAgent({mode, "--cni_conf_dir=" + blocked});
    EXPECT_TRUE(Eventually("an Event", [&] {
      std::string described = Kubectl("describe node node1");
      return described.find("CNIInstallFailed") != std::string::npos &&
             described.find("Not a directory") != std::string::npos;
    }));
    EXPECT_EQ(StopAgent(), 0);
  }
}

TEST_F(AgentReportTest, WithoutPermissionItGoesOnAndSaysSoOnce) {
  StartServer({.tls = true});  // kubectl sends no token over plain HTTP.
  PutNodes({UsualNode(1), UsualNode(2)});
  Order("POST",
        "faults?path=/api/v1/nodes/node1/status&method=PATCH&kind=status&status=403&count=-1");
  StartAgentAndWait();
  ASSERT_TRUE(Says("cannot set the condition NetworkUnavailable node=node1"));
  PutNode(UsualNode(3));
  ASSERT_TRUE(RoutesBecome(UsualRoutes(2, 3)));
  EXPECT_EQ(StopAgent(), 0);
  EXPECT_EQ(agent().Says("cannot set the condition"), 1);
}

// What each kind of write is refused does not keep the others.
TEST_F(AgentReportTest, APermissionThatIsMissingHoldsNothingElseUp) {
  struct Case {
    const char *denied, *says;
    std::vector<const char*> done;
  } cases[] = {
      {"path=/api/v1/nodes/node1/status", "cannot set the condition", {"taint removed", "event"}},
      {"path=/api/v1/nodes/node1", "cannot remove the start-up taint", {"event"}},
      {"path=/api/v1/namespaces/default/events",
       "cannot write an Event",
       {"taint removed", "condition set"}},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.denied);
    StartServer({.tls = true});
    // One podCIDR is node2's, which is worth an Event, and the other is its own.
    TestNode self = UsualNode(1);
    self.pod_cidrs = {"10.244.2.0/24", "fd00:10:244:1::/64"};
    self.created = "2026-06-01T00:00:00Z";
    PutNodes({UsualNode(2), self});
    Kubectl("taint node node1 podroute.io/network-unavailable=:NoSchedule");
    Order("POST",
          std::string("faults?kind=status&status=403&count=-1&") + c.denied +
              (std::string(c.says).find("Event") == std::string::npos ? "&method=PATCH" : ""));
    StartAgent();
    ASSERT_TRUE(Says(c.says));
    for (const char* done : c.done) {
      if (done == std::string("event")) {
        EXPECT_TRUE(Eventually("an Event", [&] {
          return Kubectl("get events").find("OverlapsNode") != std::string::npos;
        }));
      } else {
        EXPECT_TRUE(Says(done));
      }
    }
    EXPECT_EQ(StopAgent(), 0);
  }
}

// Who knows of the routes says so, on the router.
TEST_F(AgentReportTest, LocalModeLeavesItToTheRouter) {
  StartServer({.tls = true});  // kubectl sends no token over plain HTTP.
  PutNodes({UsualNode(1), UsualNode(2)});
  Kubectl("taint node node1 podroute.io/network-unavailable=:NoSchedule");
  int patches = Asked("patch nodes");
  // Its IPv6 podCIDR is refused, of which there is an Event: by then anything else would be told.
  StartAgent({"--mode=local", "--cluster_cidr=10.244.0.0/16"});
  ASSERT_TRUE(Says("10-podroute.conflist"));
  ASSERT_TRUE(Eventually("an Event", [&] {
    return Kubectl("get events").find("OutsideClusterCIDR") != std::string::npos;
  }));
  EXPECT_EQ(StopAgent(), 0);
  EXPECT_EQ(Condition("node1"), "");
  EXPECT_NE(Taints("node1").find("podroute.io"), std::string::npos);
  EXPECT_EQ(Asked("patch nodes"), patches);
}

}  // namespace
}  // namespace podroute
