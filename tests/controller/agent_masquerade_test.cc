// `podroute run` as the one who masquerades what pods send to outside. The table itself, and
// traffic that it is about: tests/routing/masquerade_table_test, tests/cni/agent_masquerade_test.

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/controller/agent_test_util.h"

namespace podroute {
namespace {

class AgentMasqueradeTest : public AgentTest {
 protected:
  void SetUp() override {
    AgentTest::SetUp();
    if (IsSkipped()) return;
    if (TryShell("nft list tables") != 0) GTEST_SKIP() << "no nftables here";
    StartServer({.tls = true});  // kubectl sends no token over plain HTTP.
    PutNodes({UsualNode(1), UsualNode(2), UsualNode(3)});
  }
  ChildProcess& StartLocalAgent(std::vector<std::string> flags, bool unprivileged = false) {
    flags.insert(flags.begin(), {"run", "--mode=local", "--node_name=node1", "--resync_period=1h"});
    return Start(std::move(flags), unprivileged);
  }
  // What is in a set, separated by blanks; "none" where there is no such set.
  static std::string Set(const std::string& name) {
    std::string text =
        Shell("nft list set inet podroute " + name +
              " 2>/dev/null | tr -s '\\n\\t, ' ' ' | grep -o '{ [^{}]*}' || echo none");
    return text.substr(0, text.find('\n'));
  }
  ::testing::AssertionResult SetBecomes(const std::string& name, const std::string& elements) {
    auto has = Eventually(name + " is " + elements, [&] { return Set(name) == elements; });
    if (!has) return has << "\nit is: " << Set(name);
    return has;
  }
  static bool HasTable() { return TryShell("nft list table inet podroute 2>/dev/null") == 0; }
  static std::string Table() { return Shell("nft -a list table inet podroute"); }
};

constexpr char kRest4[] = "169.254.0.0/16 224.0.0.0/4 255.255.255.255 }";
constexpr char kRest6[] = "fe80::/10 ff00::/8 }";

std::string And4(const std::string& networks) { return "{ " + networks + " " + kRest4; }
std::string And6(const std::string& networks) { return "{ " + networks + " " + kRest6; }

TEST_F(AgentMasqueradeTest, ThePodsOfAllNodesAreReachedUnmasqueraded) {
  // One that is refused, whose pods nobody believes in.
  PutNode({"node9", {"10.244.2.0/25"}, {"192.168.0.9"}, "2026-02-01T00:00:00Z"});
  // One that no route leads to.
  PutNode({"node7", {"10.244.7.0/24"}, {"172.16.0.7"}});
  StartAgentAndWait();
  EXPECT_TRUE(SetBecomes("pods4", "{ 10.244.1.0/24 }"));
  EXPECT_TRUE(SetBecomes("pods6", "{ fd00:10:244:1::/64 }"));
  EXPECT_TRUE(SetBecomes("unmasqueraded4", And4("10.244.1.0-10.244.3.255 10.244.7.0/24")));
  EXPECT_TRUE(
      SetBecomes("unmasqueraded6", And6("fd00:10:244:1::-fd00:10:244:3:ffff:ffff:ffff:ffff")));
  DeleteNode("node2");  // Now node9 gets what it claims.
  PutNode(UsualNode(8));
  EXPECT_TRUE(SetBecomes("unmasqueraded4",
                         And4("10.244.1.0-10.244.2.127 10.244.3.0/24 10.244.7.0-10.244.8.255")));
  // Pods that run here keep their addresses whatever becomes of the Node.
  DeleteNode("node1");
  PutNode(UsualNode(2));
  ASSERT_TRUE(Eventually("the route of node2",
                         [&] { return OurRoutes().find("10.244.2.0/24") != std::string::npos; }));
  EXPECT_EQ(Set("pods4"), "{ 10.244.1.0/24 }");
  // And they reach pods of Nodes that come only now.
  PutNode(UsualNode(6));
  EXPECT_TRUE(Eventually("node6's pods", [&] {
    std::string networks = Set("unmasqueraded4");
    return networks.find("10.244.6.0-10.244.8.255") != std::string::npos &&
           networks.find(" 10.244.1.0") != std::string::npos;
  }));
}

// A Node that registers anew may get another podCIDR, and its pods go on.
TEST_F(AgentMasqueradeTest, PodsOfAFormerPodCidrAreMasqueradedAsLongAsThereAreAny) {
  StartAgentAndWait({"--cni_conf_dir=" + dir_->path(), "--cni_bin_dir=" + dir_->path()});
  ASSERT_TRUE(Eventually("cni0", [] { return TryShell("ip link show cni0 >/dev/null") == 0; }));
  Shell("ip link add pod type veth peer name podp; ip link set pod master cni0 up");
  DeleteNode("node1");
  PutNode({"node1", {"10.244.77.0/24", "fd00:10:244:77::/64"}, {"192.168.0.1", "fd00:192:168::1"}});
  EXPECT_TRUE(SetBecomes("pods4", "{ 10.244.1.0/24 10.244.77.0/24 }"));
  EXPECT_TRUE(SetBecomes("pods6", "{ fd00:10:244:1::/64 fd00:10:244:77::/64 }"));
  // The plugin takes the old gateway off with the first ADD behind the last such pod's end.
  Shell("ip address del 10.244.1.1/24 dev cni0");
  EXPECT_TRUE(SetBecomes("pods4", "{ 10.244.77.0/24 }"));
}

TEST_F(AgentMasqueradeTest, TheFlagsSayWhatIsReachedUnmasqueraded) {
  StartAgentAndWait({"--cluster_cidr=10.244.0.0/16,fd00:10:244::/48",
                     "--non_masquerade_cidrs=192.168.0.0/24,2000::/3"});
  EXPECT_TRUE(SetBecomes("unmasqueraded4",
                         "{ 10.244.0.0/16 169.254.0.0/16 192.168.0.0/24 224.0.0.0/4 "
                         "255.255.255.255 }"));
  EXPECT_TRUE(SetBecomes("unmasqueraded6", "{ 2000::/3 fd00:10:244::/48 fe80::/10 ff00::/8 }"));
  // An agent that starts again and finds it right does not touch it.
  const std::string before = Table();
  EXPECT_EQ(StopAgent(), 0);
  EXPECT_EQ(Table(), before);
  StartAgentAndWait({"--cluster_cidr=10.244.0.0/16,fd00:10:244::/48",
                     "--non_masquerade_cidrs=192.168.0.0/24,2000::/3"});
  ASSERT_TRUE(Says("pods are masqueraded to outside"));
  EXPECT_EQ(Table(), before);
}

TEST_F(AgentMasqueradeTest, WhateverSomebodyChangesIsPutRightAtOnce) {
  StartAgentAndWait();
  ASSERT_TRUE(SetBecomes("pods4", "{ 10.244.1.0/24 }"));
  const std::string before = Shell("nft list table inet podroute");
  int times = 0;
  for (const char* edit :
       {"delete table inet podroute", "flush ruleset", "flush chain inet podroute postrouting",
        "add element inet podroute pods4 '{ 10.9.0.0/24 }'",
        "add rule inet podroute postrouting counter", "flush set inet podroute unmasqueraded6"}) {
    Shell(std::string("nft ") + edit);
    EXPECT_TRUE(Says("by somebody and is put right", ++times)) << edit;
    EXPECT_EQ(Shell("nft list table inet podroute"), before) << edit;
  }
}

TEST_F(AgentMasqueradeTest, SomebodyWhoUndoesItInALoopKeepsNoProcessorBusy) {
  StartAgentAndWait();
  ASSERT_TRUE(SetBecomes("pods4", "{ 10.244.1.0/24 }"));
  ASSERT_TRUE(Eventually("it is said", [&] {
    TryShell("nft delete table inet podroute 2>/dev/null");
    return agent().log().find("it is put right once a second from now on") != std::string::npos;
  }));
  // Still it is.
  EXPECT_TRUE(Eventually("the table", [&] { return HasTable(); }));
  EXPECT_EQ(OurRoutes(), UsualRoutes(2, 3));
}

TEST_F(AgentMasqueradeTest, TurnedOffItTakesAwayWhatThereWas) {
  StartAgentAndWait();
  ASSERT_TRUE(SetBecomes("pods4", "{ 10.244.1.0/24 }"));
  Shell("nft add table ip podroute; nft add table inet others");
  EXPECT_EQ(StopAgent(), 0);
  EXPECT_TRUE(HasTable());
  StartAgentAndWait({"--masquerade=false"});
  EXPECT_FALSE(HasTable());
  EXPECT_EQ(agent().Says("masquerading of pods removed"), 1);
  EXPECT_EQ(Shell("nft list tables"), "table ip podroute\ntable inet others\n");
  PutNode(UsualNode(4));
  EXPECT_TRUE(RoutesBecome(UsualRoutes(2, 4)));
  EXPECT_FALSE(HasTable());
}

TEST_F(AgentMasqueradeTest, CleanupTakesItAway) {
  StartAgentAndWait();
  ASSERT_TRUE(SetBecomes("pods4", "{ 10.244.1.0/24 }"));
  EXPECT_EQ(StopAgent(), 0);
  Ran cleanup = Run({"cleanup"});
  EXPECT_EQ(cleanup.code, 0) << cleanup.err;
  EXPECT_NE(cleanup.out.find("removed nftables table inet podroute\n"), std::string::npos)
      << cleanup.out;
  EXPECT_FALSE(HasTable());
  StartAgentAndWait({"--cleanup_on_exit"});
  ASSERT_TRUE(SetBecomes("pods4", "{ 10.244.1.0/24 }"));
  EXPECT_EQ(StopAgent(), 0);
  EXPECT_FALSE(HasTable());
}

TEST_F(AgentMasqueradeTest, LocalModeHasToBeToldTheClustersNetworks) {
  StartLocalAgent({"--cluster_cidr=10.244.0.0/16,fd00:10:244::/48"});
  EXPECT_TRUE(SetBecomes("pods4", "{ 10.244.1.0/24 }"));
  EXPECT_TRUE(SetBecomes("unmasqueraded6", And6("fd00:10:244::/48")));
  EXPECT_EQ(StopAgent(), 0);
  StartLocalAgent({});
  EXPECT_TRUE(
      Says("pods are not masqueraded: --mode=local needs --cluster_cidr to know which addresses "
           "are other pods'"));
  EXPECT_TRUE(Says("masquerading of pods removed"));
  EXPECT_FALSE(HasTable());
}

// Local mode, for routes would fail too.
TEST_F(AgentMasqueradeTest, WithoutPermissionAllElseGoesOn) {
  StartLocalAgent({"--cluster_cidr=10.244.0.0/16,fd00:10:244::/48"}, /*unprivileged=*/true);
  EXPECT_TRUE(Says("pods cannot be masqueraded"));
  EXPECT_TRUE(Says("CNI configuration written"));
  EXPECT_TRUE(Eventually("an Event", [&] {
    return Shell("kubectl --kubeconfig=" + server_->kubeconfig() +
                 " --cache-dir=" + dir_->File("cache") + " describe node node1")
               .find("MasqueradeFailed") != std::string::npos;
  }));
  PutNode(UsualNode(1));
  EXPECT_EQ(StopAgent(), 0);
  EXPECT_EQ(agent().Says("pods cannot be masqueraded"), 1);
}

}  // namespace
}  // namespace podroute
