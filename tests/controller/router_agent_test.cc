// `podroute run --mode=router` with the kernel backend: a router in a network namespace. Replicas
// of one deployment are told apart by their metrics: so the kernel's log says who wrote.
#include <gtest/gtest.h>
#include <signal.h>

#include <string>
#include <vector>

#include "tests/controller/agent_test_util.h"

namespace podroute {
namespace {

constexpr char kLease[] = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/podroute";
const std::vector<std::string> kQuick = {"--lease_duration=3s", "--renew_deadline=2s",
                                         "--retry_period=500ms"};

class RouterAgentTest : public AgentTest {
 protected:
  void SetUp() override {
    AgentTest::SetUp();
    if (IsSkipped()) return;
    StartServer();
    PutNodes({UsualNodeV4(2), UsualNodeV4(3)});
  }

  ChildProcess& StartRouter(std::vector<std::string> flags = {}) {
    flags.insert(flags.begin(), {"run", "--mode=router", "--resync_period=1h"});
    return Start(std::move(flags));
  }
  // One of several, with a metric of its own.
  ChildProcess& StartReplica(int metric, std::vector<std::string> flags = {}) {
    flags.push_back("--route_metric=" + std::to_string(metric));
    return StartRouter(std::move(flags));
  }
  bool Logs(ChildProcess& child, const std::string& text, int times = 1) {
    return static_cast<bool>(
        Eventually("the log says " + text, [&] { return child.Says(text) >= times; }));
  }

  // "new"s and "del"s of that replica.
  int Writes(int metric) { return kernel_->Count(" metric " + std::to_string(metric) + "\n"); }
  bool HasRoute(int node, int metric) {
    std::string n = std::to_string(node);
    return Shell("ip -o route show 10.244." + n + ".0/24 metric " + std::to_string(metric))
               .find("via 192.168.0." + n) != std::string::npos;
  }
  std::string Lease() { return server_->Call("GET", kLease).value().body; }
};

TEST_F(RouterAgentTest, KeepsARouteForEveryNodeAndFollowsChanges) {
  PutNodes({UsualNode(2), UsualNode(3)});
  StartRouter();
  EXPECT_TRUE(RoutesBecome(UsualRoutes(2, 3)));
  PutNode(UsualNode(4));
  EXPECT_TRUE(RoutesBecome(UsualRoutes(2, 4)));
  DeleteNode("node4");
  EXPECT_TRUE(RoutesBecome(UsualRoutes(2, 3)));
  Shell("ip route del 10.244.2.0/24 proto 110");
  EXPECT_TRUE(RoutesBecome(UsualRoutes(2, 3)));
  EXPECT_NE(Lease().find("\"leaseDurationSeconds\":15"), std::string::npos) << Lease();
}

TEST_F(RouterAgentTest, StoppingLeavesTheRoutesAndReleasesTheLease) {
  StartRouter();
  ASSERT_TRUE(RoutesBecome(UsualRoutesV4(2, 3)));
  EXPECT_EQ(StopAgent(), 0);
  EXPECT_EQ(OurRoutes(), UsualRoutesV4(2, 3));
  EXPECT_NE(Lease().find("\"holderIdentity\":\"\""), std::string::npos) << Lease();
  EXPECT_NE(Lease().find("\"leaseDurationSeconds\":1,"), std::string::npos) << Lease();
}

TEST_F(RouterAgentTest, CleanupOnExitRemovesTheRoutesBeforeTheLeaseIsReleased) {
  StartRouter({"--cleanup_on_exit"});
  ASSERT_TRUE(RoutesBecome(UsualRoutesV4(2, 3)));
  EXPECT_EQ(StopAgent(), 0);
  EXPECT_EQ(OurRoutes(), "");
  EXPECT_EQ(OurNexthops(), "");
  EXPECT_NE(Lease().find("\"holderIdentity\":\"\""), std::string::npos) << Lease();
}

TEST_F(RouterAgentTest, WithoutElectionItWritesAndAsksForNoLease) {
  StartRouter({"--noleader_elect"});
  EXPECT_TRUE(RoutesBecome(UsualRoutesV4(2, 3)));
  EXPECT_EQ(server_->Call("GET", kLease)->status, 404);
  EXPECT_EQ(StopAgent(), 0);
}

TEST_F(RouterAgentTest, OneOfThreeWritesAndAStoppedLeaderIsFollowedAtOnce) {
  // A poll would come after the test has given up.
  const std::vector<std::string> slow = {"--lease_duration=30m", "--renew_deadline=20m",
                                         "--retry_period=5m"};
  ChildProcess& a = StartReplica(111, slow);
  ASSERT_TRUE(Logs(a, "routes are in place"));
  ChildProcess& b = StartReplica(222, slow);
  ASSERT_TRUE(Logs(b, "stands by"));
  ChildProcess& c = StartReplica(333, slow);
  ASSERT_TRUE(Logs(c, "stands by"));
  PutNode(UsualNodeV4(4));
  ASSERT_TRUE(Eventually("a route", [&] { return HasRoute(4, 111); }));
  EXPECT_EQ(Writes(222) + Writes(333), 0);
  ASSERT_TRUE(Eventually("watches", [&] { return Asked("watch leases") >= 3; }));
  ASSERT_TRUE(Eventually("lists", [&] { return Asked("list nodes") >= 3; }));

  kernel_->Clear();
  int lists = Asked("list nodes");
  a.Signal(SIGTERM);
  ASSERT_TRUE(Eventually("a new leader's routes", [&] {
    return (HasRoute(4, 222) || HasRoute(4, 333)) && (HasRoute(2, 222) || HasRoute(2, 333));
  }));
  EXPECT_EQ(a.Wait(), 0);
  EXPECT_EQ(Asked("list nodes"), lists) << "taking over needs no list";
  EXPECT_EQ(Writes(111), 0);
  EXPECT_TRUE(Writes(222) == 0 || Writes(333) == 0) << kernel_->text();
}

TEST_F(RouterAgentTest, AKilledLeaderIsFollowedWhenItsLeaseHasExpired) {
  ChildProcess& a = StartReplica(111, kQuick);
  ASSERT_TRUE(Logs(a, "routes are in place"));
  ChildProcess& b = StartReplica(222, kQuick);
  ASSERT_TRUE(Logs(b, "stands by"));
  a.Signal(SIGKILL);
  EXPECT_TRUE(Eventually("the other's routes", [&] { return HasRoute(2, 222); }));
  EXPECT_NE(Lease().find("\"leaseTransitions\":1"), std::string::npos) << Lease();
}

TEST_F(RouterAgentTest, OneThatWasAsleepForLongerThanTheLeaseWritesNothingMore) {
  ChildProcess& a = StartReplica(111, kQuick);
  ASSERT_TRUE(Logs(a, "routes are in place"));
  ChildProcess& b = StartReplica(222, kQuick);
  ASSERT_TRUE(Logs(b, "stands by"));
  a.Signal(SIGSTOP);
  // It has a change to write, as soon as it wakes up.
  PutNode(UsualNodeV4(4));
  Shell("ip route del 10.244.2.0/24 metric 111");
  ASSERT_TRUE(Eventually("the other's routes", [&] { return HasRoute(4, 222); }));
  kernel_->Clear();
  a.Signal(SIGCONT);
  ASSERT_TRUE(Logs(a, "leads no longer"));
  PutNode(UsualNodeV4(5));
  ASSERT_TRUE(Eventually("the other's routes", [&] { return HasRoute(5, 222); }));
  EXPECT_EQ(Writes(111), 0) << kernel_->text();
  // It takes its turn again when the other goes.
  b.Signal(SIGTERM);
  EXPECT_TRUE(Eventually("its routes again", [&] { return HasRoute(5, 111); }));
}

TEST_F(RouterAgentTest, AnApiServerThatIsAwayEndsTheWritingAndLeavesTheRoutes) {
  ChildProcess& a = StartReplica(111, kQuick);
  ASSERT_TRUE(Logs(a, "routes are in place"));
  Order("POST", "refuse?ms=-1&drop=1");
  ASSERT_TRUE(Logs(a, "leads no longer"));
  kernel_->Clear();
  Shell("ip route del 10.244.2.0/24 metric 111");
  EXPECT_TRUE(HasRoute(3, 111));
  Order("POST", "accept");
  EXPECT_TRUE(Eventually("its routes again", [&] { return HasRoute(2, 111); }));
  EXPECT_NE(Lease().find("\"leaseTransitions\":0"), std::string::npos) << Lease();
  EXPECT_EQ(kernel_->Count("del "), 1) << kernel_->text();
}

TEST_F(RouterAgentTest, OwnersSideBySideNeverTouchEachOther) {
  ChildProcess& a = StartRouter({"--owner=cluster-a"});
  ASSERT_TRUE(Logs(a, "routes are in place"));
  ChildProcess& b = StartRouter({"--owner=cluster-b"});
  ASSERT_TRUE(Logs(b, "routes are in place"));
  ChildProcess& nameless = StartRouter();
  ASSERT_TRUE(Logs(nameless, "routes are in place"));
  EXPECT_EQ(Shell("ip -o route show 10.244.2.0/24 | wc -l"), "3\n");
  b.Signal(SIGTERM);
  b.Wait();
  // Another address of a node: every object is moved by its owner.
  TestNode moved = UsualNodeV4(2);
  moved.internal_ips = {"192.168.0.22"};
  PutNode(moved);
  auto via = [](const std::string& next_hop) {
    return Shell("ip -o route show 10.244.2.0/24 via " + next_hop + " | wc -l");
  };
  ASSERT_TRUE(Eventually("routes", [&] { return via("192.168.0.22") == "2\n"; }));
  EXPECT_EQ(via("192.168.0.2"), "1\n");
  Ran ran = Run({"cleanup", "--mode=router", "--owner=cluster-b"});
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_EQ(ran.out, "removed 2 routes and 2 nexthop objects\n");
  EXPECT_EQ(Shell("ip -o route show 10.244.2.0/24 | wc -l"), "2\n");
  EXPECT_EQ(Shell("ip -o route show 10.244.3.0/24 | wc -l"), "2\n");
  // Each has had a Lease of its own.
  for (const char* name : {"podroute", "podroute-cluster-a", "podroute-cluster-b"}) {
    EXPECT_EQ(server_
                  ->Call("GET", "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/" +
                                    std::string(name))
                  ->status,
              200)
        << name;
  }
}

TEST_F(RouterAgentTest, SaysWhichKernelSettingsKeepItFromForwarding) {
  Shell(
      "sysctl -qw net.ipv4.ip_forward=0 net.ipv4.conf.all.send_redirects=1"
      " net.ipv4.conf.lan.rp_filter=1");
  StartRouter();
  EXPECT_TRUE(Says("kernel setting net.ipv4.ip_forward=0: "));
  EXPECT_TRUE(Says("kernel setting net.ipv4.conf.all.send_redirects=1: "));
  EXPECT_TRUE(Says("kernel setting net.ipv4.conf.lan.rp_filter=1: "));
  EXPECT_EQ(Shell("sysctl -n net.ipv4.ip_forward"), "0\n");
}

TEST_F(RouterAgentTest, SetsThemWhenTold) {
  Shell(
      "sysctl -qw net.ipv4.ip_forward=0 net.ipv4.conf.all.send_redirects=1"
      " net.ipv4.conf.lan.send_redirects=1 net.ipv4.conf.lan.rp_filter=1");
  StartRouter({"--set_sysctls"});
  EXPECT_TRUE(Says("kernel setting changed net.ipv4.ip_forward=1 was=0"));
  ASSERT_TRUE(Says("kernel setting changed net.ipv4.conf.lan.rp_filter=2 was=1"));
  EXPECT_EQ(Shell("sysctl -n net.ipv4.ip_forward net.ipv4.conf.all.send_redirects"
                  " net.ipv4.conf.lan.send_redirects net.ipv4.conf.lan.rp_filter"),
            "1\n0\n0\n2\n");
}

TEST_F(RouterAgentTest, WhoMayNotChangeRoutesIsToldSoAtOnce) {
  Start({"run", "--mode=router"}, /*unprivileged=*/true);
  EXPECT_EQ(agent().Wait(), 1);
  EXPECT_EQ(agent().Says("may not change routes"), 1);
}

}  // namespace
}  // namespace podroute
