// What `podroute run` serves at --metrics_address, end to end.
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdlib>
#include <string>

#include "base/unique_fd.h"
#include "tests/controller/agent_test_util.h"

namespace podroute {
namespace {

class AgentMetricsTest : public AgentTest {
 protected:
  void StartIt(std::vector<std::string> flags = {}) {
    StartAgent(std::move(flags));
    ASSERT_TRUE(Says("metrics and health are served"));
  }
};

constexpr char kInstalled4[] =
    R"(podroute_routes{backend="kernel",family="ipv4",state="installed"})";

TEST_F(AgentMetricsTest, TheyFollowWhatHappens) {
  StartServer();
  PutNodes({UsualNode(1), UsualNode(2), UsualNode(3)});
  StartIt();
  ASSERT_TRUE(RoutesBecome(UsualRoutes(2, 3)));
  EXPECT_TRUE(Becomes(kInstalled4, 2));
  EXPECT_TRUE(Becomes(R"(podroute_routes{backend="kernel",family="ipv6",state="installed"})", 2));
  EXPECT_EQ(Value("podroute_nodes"), 3);
  EXPECT_EQ(Value(R"(podroute_cni_installed{file="plugin"})"), 1);
  EXPECT_TRUE(Becomes(R"(podroute_cni_installed{file="conflist"})", 1));
  EXPECT_EQ(Value(R"(podroute_build_info{mode="host",version="0.1.0"})"), 1);
  EXPECT_TRUE(Becomes(R"(podroute_node_writes_total{kind="condition",result="ok"})", 1));
  EXPECT_EQ(Value("podroute_leader"), -1);  // Nothing to lead.

  // A Node that is refused, and one that goes.
  PutNode({"node4", {"10.244.3.0/24"}, {"192.168.0.4"}, "2026-02-01T00:00:00Z"});
  EXPECT_TRUE(Becomes(R"(podroute_refused_pod_cidrs{reason="OverlapsNode"})", 1));
  double events = Value("podroute_event_to_route_seconds_count");
  DeleteNode("node4");
  EXPECT_TRUE(Becomes(R"(podroute_refused_pod_cidrs{reason="OverlapsNode"})", 0));
  EXPECT_GT(Value("podroute_event_to_route_seconds_count"), events);
  EXPECT_EQ(Value(R"(podroute_drift_repaired_total{backend="kernel",action="add"})"), -1);

  // Somebody deletes a route.
  Shell("ip route delete 10.244.2.0/24 proto 110 metric 110");
  ASSERT_TRUE(RoutesBecome(UsualRoutes(2, 3)));
  EXPECT_TRUE(Becomes(R"(podroute_drift_repaired_total{backend="kernel",action="add"})", 1));
  DeleteNode("node2");
  EXPECT_TRUE(Becomes(kInstalled4, 1));
  EXPECT_EQ(Value(R"(podroute_drift_repaired_total{backend="kernel",action="delete"})"), -1);

  // Somebody's route goes before one of ours.
  EXPECT_EQ(Value("podroute_watch_failures_total"), 0);
  Shell("ip route add 10.244.3.0/24 dev lan proto static metric 5");
  StopAgent();
  StartIt();
  EXPECT_TRUE(Becomes(R"(podroute_routes{backend="kernel",family="ipv4",state="shadowed"})", 1));

  // The API server goes.
  server_.reset();
  EXPECT_TRUE(Eventually("a failed watch", [&] {
    return Value("podroute_watch_failures_total") + Value("podroute_list_failures_total") > 0;
  }));
  EXPECT_EQ(Value(kInstalled4), 1);
  EXPECT_EQ(Get("/healthz"), "ok\n200");
  EXPECT_EQ(Get("/readyz"), "ok\n200");  // It keeps its routes, so it stays ready.
}

TEST_F(AgentMetricsTest, ReadyOnceTheFirstReconcileIsDone) {
  // Nobody answers there.
  UniqueFd silent(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof at;
  ASSERT_EQ(bind(silent.get(), reinterpret_cast<sockaddr*>(&at), size), 0);
  ASSERT_EQ(listen(silent.get(), 8), 0);
  ASSERT_EQ(getsockname(silent.get(), reinterpret_cast<sockaddr*>(&at), &size), 0);
  StartIt({"--kubeconfig=" +
           WriteTemp("kubeconfig",
                     "current-context: c\nclusters: [{name: c, cluster: {server: "
                     "\"http://127.0.0.1:" +
                         std::to_string(ntohs(at.sin_port)) +
                         "\"}}]\ncontexts: [{name: c, context: {cluster: c, user: \"\"}}]\n")});
  EXPECT_EQ(Get("/readyz"), "the first reconcile is not done yet\n503");
  EXPECT_EQ(Get("/healthz"), "ok\n200");
  EXPECT_EQ(Value("podroute_nodes"), 0);
  EXPECT_EQ(StopAgent(), 0);

  StartServer();
  PutNodes({UsualNode(1), UsualNode(2)});
  StartIt();
  EXPECT_TRUE(Eventually("ready", [&] { return Get("/readyz") == "ok\n200"; }));
}

TEST_F(AgentMetricsTest, LocalModeHasThemToo) {
  StartServer();
  PutNodes({UsualNode(1), UsualNode(2)});
  StartIt({"--mode=local"});
  EXPECT_TRUE(Eventually("ready", [&] { return Get("/readyz") == "ok\n200"; }));
  EXPECT_TRUE(Becomes(R"(podroute_cni_installed{file="conflist"})", 1));
  EXPECT_EQ(Value(kInstalled4), -1);
  EXPECT_EQ(Value("podroute_synced"), 1);
  EXPECT_EQ(Value("podroute_nodes"), 1);  // Its own.
}

TEST_F(AgentMetricsTest, AStandbyIsSyncedToo) {
  StartServer();
  PutNodes({UsualNode(1), UsualNode(2)});
  Start({"run", "--mode=router", "--identity=first"});
  ASSERT_TRUE(Eventually("a leader", [&] { return children_.front()->Says("leads lease") > 0; }));
  StartIt({"--mode=router", "--identity=second"});
  EXPECT_TRUE(Becomes("podroute_nodes", 2));
  EXPECT_EQ(Value("podroute_synced"), 1);
  EXPECT_EQ(Value("podroute_leader"), 0);
}

TEST_F(AgentMetricsTest, ABackendThatFailsIsCounted) {
  StartServer();
  PutNodes({UsualNode(1), UsualNode(2)});
  StartIt({"--mode=router", "--noleader_elect", "--backend=exec", "--format=json",
           "--push_command=false"});
  EXPECT_TRUE(Eventually("an error", [&] {
    return Get("/metrics")
               .find(
                   R"(podroute_backend_errors_total{backend="exec",operation="apply",reason="Unavailable"})") !=
           std::string::npos;
  }));
  EXPECT_EQ(Value("podroute_leader"), -1);  // There is no election.
  EXPECT_TRUE(Eventually("routes that failed", [&] {
    return Value(R"(podroute_routes{backend="exec",family="ipv4",state="failed"})") > 0;
  }));
}

TEST_F(AgentMetricsTest, NoAddressNoServer) {
  StartServer();
  PutNodes({UsualNode(1), UsualNode(2)});
  std::string listening = Shell("ss -Hltn | awk '{print $4}' | sort");
  StartAgentAndWait({"--metrics_address="});
  EXPECT_EQ(agent().Says("metrics and health are served"), 0);
  EXPECT_EQ(Shell("ss -Hltn | awk '{print $4}' | sort"), listening);
}

TEST_F(AgentMetricsTest, APortThatSomebodyHasIsOneClearLine) {
  StartServer();
  PutNodes({UsualNode(1), UsualNode(2)});
  StartIt();
  Ran second = Run(
      {"run", "--node_name=node1", "--metrics_address=127.0.0.1:" + std::to_string(MetricsPort())});
  EXPECT_EQ(second.code, 1);
  EXPECT_NE(
      second.err.find("--metrics_address: listen at 127.0.0.1:" + std::to_string(MetricsPort())),
      std::string::npos)
      << second.err;
  EXPECT_NE(second.err.find("in use"), std::string::npos) << second.err;
}

TEST_F(AgentMetricsTest, WhetherPodsAreMasqueraded) {
  if (TryShell("nft list tables") != 0) GTEST_SKIP() << "no nftables here";
  StartServer();
  PutNodes({UsualNode(1)});
  StartIt();
  EXPECT_TRUE(Becomes("podroute_masquerade_up", 1));
  EXPECT_EQ(Value("podroute_masquerade_repaired_total"), 0);
  Shell("nft flush ruleset");
  EXPECT_TRUE(Becomes("podroute_masquerade_repaired_total", 1));
  EXPECT_EQ(Value("podroute_masquerade_up"), 1);
  // Not wanted is neither.
  EXPECT_EQ(StopAgent(), 0);
  StartIt({"--masquerade=false"});
  EXPECT_TRUE(Becomes("podroute_synced", 1));
  EXPECT_EQ(Value("podroute_masquerade_up"), -1);
}

}  // namespace
}  // namespace podroute
