// `podroute run` as the one who makes a node Ready: plugin, conflist, kernel settings.

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "base/file.h"
#include "tests/controller/agent_test_util.h"

namespace podroute {
namespace {

namespace fs = std::filesystem;

class AgentCniTest : public AgentTest {
 protected:
  void SetUp() override {
    AgentTest::SetUp();
    if (IsSkipped()) return;
    StartServer();
  }
  static std::string Content(const std::string& path) {
    Result<std::string> content = ReadFile(path);
    return content.ok() ? *content : "";
  }
  std::string Conflist() const { return Content(AgentTest::Conflist()); }
  ::testing::AssertionResult ConflistHas(const std::string& text) {
    auto has = Eventually("the conflist has " + text,
                          [&] { return Conflist().find(text) != std::string::npos; });
    if (!has) return has << "\nit is: " << Conflist();
    return has;
  }
  bool HasConflist() const { return fs::exists(AgentTest::Conflist()); }
  ChildProcess& StartLocalAgent(std::vector<std::string> flags = {}) {
    flags.insert(flags.begin(), {"run", "--mode=local", "--node_name=node1", "--resync_period=1h"});
    return Start(std::move(flags));
  }
  static std::string Sysctl(const std::string& name) {
    std::string value = Shell("sysctl -n " + name);
    return value.substr(0, value.find('\n'));
  }
};

TEST_F(AgentCniTest, InstallsThePluginAndAConflistOfTheNodesOwnPodCidrs) {
  PutNodes({UsualNode(1), UsualNode(2)});
  StartAgentAndWait();
  EXPECT_TRUE(
      ConflistHas(R"("ranges":[[{"subnet":"10.244.1.0/24"}],[{"subnet":"fd00:10:244:1::/64"}]])"));
  EXPECT_NE(Conflist().find(R"("mtu":1500)"), std::string::npos) << Conflist();
  EXPECT_EQ(Content(BinDir() + "/podroute-cni"), Content(DataPath("cni/podroute-cni")));
  EXPECT_EQ(Content(BinDir() + "/loopback"), Content(DataPath("cni/podroute-cni")));
  EXPECT_EQ(Shell("CNI_COMMAND=VERSION " + BinDir() + "/podroute-cni </dev/null | grep -c 1.0.0"),
            "1\n");
}

// The file appears when the last route is there, not before: a node is Ready when its network
// works.
TEST_F(AgentCniTest, TheConflistComesAfterTheRoutes) {
  std::vector<TestNode> nodes;
  for (int i = 1; i <= 250; ++i) nodes.push_back(UsualNodeV4(i));
  PutNodes(nodes);
  StartAgent();
  EXPECT_TRUE(Eventually("the conflist", [&] { return HasConflist(); }));
  EXPECT_EQ(OurRoutes(), UsualRoutesV4(2, 250));
  // And in the log, which is written in order.
  EXPECT_TRUE(Says("CNI configuration written"));
  size_t added = agent().log().find("routes changed added=249");
  size_t written = agent().log().find("CNI configuration written");
  ASSERT_NE(added, std::string::npos);
  EXPECT_LT(added, written);
}

TEST_F(AgentCniTest, WithoutTheApiServerNoConflistIsWrittenAndAnOldOneStays) {
  fs::create_directories(ConfDir());
  std::ofstream(AgentTest::Conflist()) << "an earlier life's";
  Order("POST", "refuse?ms=-1");
  PutNodes({UsualNode(1), UsualNode(2)});
  StartAgent();
  EXPECT_TRUE(Says("CNI plugin installed"));
  EXPECT_TRUE(Says("list failed"));
  EXPECT_EQ(Conflist(), "an earlier life's");
}

TEST_F(AgentCniTest, OneNodeWhoseRouteTheKernelRefusesForEverDoesNotKeepThisOneNotReady) {
  PutNodes({UsualNodeV4(1), UsualNodeV4(2), UsualNodeV4(3)});
  // Somebody else's route of our metric is in the way of node3's.
  Shell("ip route add 10.244.3.0/24 via 192.168.0.9 proto static metric 110");
  StartAgent();
  EXPECT_TRUE(Says("route failed action=add dst=10.244.3.0/24"));
  EXPECT_TRUE(Says("routes are there but for some that failed, pods may start"));
  EXPECT_TRUE(ConflistHas("10.244.1.0/24"));
  EXPECT_EQ(OurRoutes(), UsualRoutesV4(2, 2));
}

TEST_F(AgentCniTest, WhenEveryRouteFailsPodsWait) {
  PutNodes({UsualNodeV4(1), UsualNodeV4(2)});
  Shell("ip route add 10.244.2.0/24 via 192.168.0.9 proto static metric 110");
  StartAgent();
  EXPECT_TRUE(Says("route failed action=add dst=10.244.2.0/24"));
  EXPECT_FALSE(HasConflist());
  Shell("ip route del 10.244.2.0/24 via 192.168.0.9 proto static metric 110");
  EXPECT_TRUE(ConflistHas("10.244.1.0/24"));
}

TEST_F(AgentCniTest, ANodeAloneIsReady) {
  PutNode(UsualNode(1));
  StartAgentAndWait();
  EXPECT_TRUE(ConflistHas("10.244.1.0/24"));
}

TEST_F(AgentCniTest, WhileItsLinkIsDownANodeIsNotReady) {
  PutNodes({UsualNodeV4(1), UsualNodeV4(2)});
  Shell("ip link set lan down");
  StartAgent();
  EXPECT_TRUE(Says("reason=LinkDown"));
  EXPECT_FALSE(HasConflist());
  Shell("ip link set lan up");
  EXPECT_TRUE(ConflistHas("10.244.1.0/24"));
  EXPECT_EQ(OurRoutes(), UsualRoutesV4(2, 2));
}

TEST_F(AgentCniTest, APodCidrThatComesLateIsWrittenThenAndAChangedOneToo) {
  TestNode self = UsualNodeV4(1);
  self.pod_cidrs.clear();
  PutNodes({self, UsualNodeV4(2)});
  StartAgentAndWait();
  EXPECT_TRUE(Says("no usable podCIDR"));
  EXPECT_FALSE(HasConflist());
  PutNode(UsualNodeV4(1));
  EXPECT_TRUE(ConflistHas("10.244.1.0/24"));
  self.pod_cidrs = {"10.244.77.0/24"};
  PutNode(self);
  EXPECT_TRUE(ConflistHas("10.244.77.0/24"));
  EXPECT_EQ(Conflist().find("10.244.1.0/24"), std::string::npos);
}

TEST_F(AgentCniTest, AConflictedDeletedOrEmptiedNodeKeepsItsConflist) {
  PutNodes({UsualNodeV4(1), UsualNodeV4(2)});
  StartAgentAndWait();
  EXPECT_TRUE(ConflistHas("10.244.1.0/24"));
  std::string before = Conflist();
  TestNode self = UsualNodeV4(1);
  self.pod_cidrs.clear();
  PutNode(self);
  EXPECT_TRUE(Says("no usable podCIDR"));
  EXPECT_EQ(Conflist(), before);
  DeleteNode("node1");
  EXPECT_TRUE(Says("no Node has this machine's name"));
  EXPECT_EQ(Conflist(), before);
  fs::remove(AgentTest::Conflist());
  EXPECT_TRUE(Eventually("it is back", [&] { return Conflist() == before; }));
}

TEST_F(AgentCniTest, APodCidrThatIsAnOlderNodesIsNotGivenToPods) {
  TestNode older = UsualNodeV4(2);
  older.created = "2025-01-01T00:00:00Z";
  older.pod_cidrs = {"10.244.1.0/24"};
  PutNodes({UsualNodeV4(1), older});
  StartAgentAndWait();
  EXPECT_TRUE(Says("no usable podCIDR"));
  EXPECT_FALSE(HasConflist());
  DeleteNode("node2");
  EXPECT_TRUE(ConflistHas("10.244.1.0/24"));
}

TEST_F(AgentCniTest, WhatSomebodyDeletesOrEditsIsPutRightWithoutATimer) {
  PutNodes({UsualNodeV4(1), UsualNodeV4(2)});
  StartAgentAndWait();
  EXPECT_TRUE(ConflistHas("10.244.1.0/24"));
  for (const std::string& path :
       {AgentTest::Conflist(), BinDir() + "/podroute-cni", BinDir() + "/loopback"}) {
    std::string right = Content(path);
    fs::remove(path);
    EXPECT_TRUE(Eventually(path, [&] { return Content(path) == right; }));
    std::ofstream(path, std::ios::app) << "garbage";
    EXPECT_TRUE(Eventually(path, [&] { return Content(path) == right; }));
  }
}

TEST_F(AgentCniTest, AConflistEditedWhileItWasDownIsPutRight) {
  PutNodes({UsualNodeV4(1), UsualNodeV4(2)});
  StartAgentAndWait();
  EXPECT_TRUE(ConflistHas("10.244.1.0/24"));
  EXPECT_EQ(StopAgent(), 0);
  EXPECT_TRUE(HasConflist());
  std::string right = Conflist();
  std::ofstream(AgentTest::Conflist(), std::ios::trunc) << "edited";
  StartAgentAndWait();
  EXPECT_TRUE(Eventually("it is put right", [&] { return Conflist() == right; }));
}

TEST_F(AgentCniTest, TheMtuIsTheUplinksAndFollowsIt) {
  Shell("ip link set lan mtu 1400; ip link set lanp mtu 1400");
  PutNodes({UsualNode(1), UsualNode(2)});
  StartAgentAndWait();
  EXPECT_TRUE(ConflistHas(R"("mtu":1400)"));
  Shell("ip link set lan mtu 1480");
  EXPECT_TRUE(ConflistHas(R"("mtu":1480)"));
  EXPECT_EQ(OurRoutes(), UsualRoutes(2, 2));
}

TEST_F(AgentCniTest, WithoutAnInternalIpOfOursTheDefaultRoutesLinkIsTheUplink) {
  AddLan("wan", "10.9.0.1/24");
  Shell("ip link set wan mtu 1300; ip route add default via 10.9.0.254");
  TestNode self = UsualNodeV4(1);
  self.internal_ips = {"203.0.113.7"};
  PutNodes({self, UsualNodeV4(2)});
  StartAgentAndWait();
  EXPECT_TRUE(ConflistHas(R"("mtu":1300)"));
}

TEST_F(AgentCniTest, AnMtuThatIsToldIsTaken) {
  PutNodes({UsualNode(1), UsualNode(2)});
  StartAgentAndWait({"--cni_mtu=1380"});
  EXPECT_TRUE(ConflistHas(R"("mtu":1380)"));
}

TEST_F(AgentCniTest, ANetworkThatIsToldIsTaken) {
  PutNodes({UsualNode(1), UsualNode(2)});
  StartAgentAndWait({"--cni_network_name=cbr0", "--cni_data_dir=/var/lib/cni/networks"});
  EXPECT_TRUE(ConflistHas(R"("name":"cbr0")"));
  EXPECT_TRUE(ConflistHas(R"("dataDir":"/var/lib/cni/networks")"));
}

TEST_F(AgentCniTest, EmptyDirectoriesInstallNothing) {
  PutNodes({UsualNode(1), UsualNode(2)});
  StartAgentAndWait({"--cni_bin_dir=", "--cni_conf_dir="});
  EXPECT_FALSE(fs::exists(BinDir()));
  EXPECT_FALSE(fs::exists(ConfDir()));
}

TEST_F(AgentCniTest, AConfigurationOfAnotherCniIsNamedAndLeft) {
  fs::create_directories(ConfDir());
  std::ofstream(ConfDir() + "/05-foo.conf") << "{}";
  PutNodes({UsualNodeV4(1), UsualNodeV4(2)});
  StartAgentAndWait();
  EXPECT_TRUE(Says("/05-foo.conf"));
  EXPECT_TRUE(ConflistHas("10.244.1.0/24"));
  EXPECT_EQ(Content(ConfDir() + "/05-foo.conf"), "{}");
}

TEST_F(AgentCniTest, CleanupOnExitTakesTheConflistAndThenTheRoutes) {
  PutNodes({UsualNodeV4(1), UsualNodeV4(2)});
  StartAgentAndWait({"--cleanup_on_exit"});
  EXPECT_TRUE(ConflistHas("10.244.1.0/24"));
  EXPECT_EQ(StopAgent(), 0);
  EXPECT_FALSE(HasConflist());
  EXPECT_EQ(OurRoutes(), "");
  EXPECT_LT(agent().log().find("CNI configuration removed"), agent().log().find("cleaned up"));
}

TEST_F(AgentCniTest, ForwardingIsTurnedOnForTheFamiliesThatPodsHave) {
  Shell("sysctl -qw net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0");
  PutNodes({UsualNodeV4(1), UsualNodeV4(2)});
  StartAgentAndWait();
  EXPECT_TRUE(ConflistHas("10.244.1.0/24"));
  EXPECT_EQ(Sysctl("net.ipv4.ip_forward"), "1");
  EXPECT_EQ(Sysctl("net.ipv6.conf.all.forwarding"), "0");
  PutNode(UsualNode(1));
  EXPECT_TRUE(ConflistHas("fd00:10:244:1::/64"));
  EXPECT_EQ(Sysctl("net.ipv6.conf.all.forwarding"), "1");
}

// A kernel that forwards drops what routers have announced, unless accept_ra is 2.
TEST_F(AgentCniTest, ADefaultRouteThatARouterAnnouncedOutlivesForwarding) {
  Shell("sysctl -qw net.ipv6.conf.all.forwarding=0 net.ipv6.conf.lan.accept_ra=1");
  AddLan("other", "10.8.0.1/24");
  Shell("sysctl -qw net.ipv6.conf.other.accept_ra=1");
  PutNodes({UsualNode(1), UsualNode(2)});
  StartAgentAndWait();
  EXPECT_TRUE(ConflistHas("fd00:10:244:1::/64"));
  EXPECT_EQ(Sysctl("net.ipv6.conf.all.forwarding"), "1");
  EXPECT_EQ(Sysctl("net.ipv6.conf.lan.accept_ra"), "2");
  EXPECT_EQ(Sysctl("net.ipv6.conf.other.accept_ra"), "1");
}

TEST_F(AgentCniTest, WhatCannotBeSetIsNamedWithTheCommandThatMendsItAndTheRestGoesOn) {
  Shell("sysctl -qw net.ipv4.ip_forward=0");
  // As in a container that is not privileged.
  bool may = unshare(CLONE_NEWNS) == 0 &&
             mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
             mount("/proc/sys", "/proc/sys", nullptr, MS_BIND, nullptr) == 0 &&
             mount("none", "/proc/sys", nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY, nullptr) == 0;
  if (!may) GTEST_SKIP() << "may not mount here";
  PutNodes({UsualNodeV4(1), UsualNodeV4(2)});
  StartAgentAndWait();
  EXPECT_TRUE(ConflistHas("10.244.1.0/24"));
  EXPECT_EQ(agent().Says("run: sysctl -w net.ipv4.ip_forward=1 error="), 1);
  EXPECT_TRUE(Says("Read-only file system"));
  umount("/proc/sys");
}

TEST_F(AgentCniTest, LocalModeInstallsForItsOwnNodeAndMakesNoRoute) {
  PutNodes({UsualNode(1), UsualNode(2), UsualNode(3)});
  StartLocalAgent();
  EXPECT_TRUE(ConflistHas(R"([[{"subnet":"10.244.1.0/24"}],[{"subnet":"fd00:10:244:1::/64"}]])"));
  EXPECT_EQ(OurRoutes(), "");
  EXPECT_EQ(OurNexthops(), "");
  EXPECT_EQ(StopAgent(), 0);
  EXPECT_TRUE(HasConflist());
}

TEST_F(AgentCniTest, LocalModeAsksForItsOwnNodeOnly) {
  PutNodes({UsualNode(1), UsualNode(2)});
  StartLocalAgent();
  EXPECT_TRUE(ConflistHas("10.244.1.0/24"));
  std::string stats = Order("GET", "stats");
  size_t asked = 0;
  for (size_t at = 0; (at = stats.find("/api/v1/nodes?", at)) != std::string::npos; ++at) {
    ++asked;
    std::string target = stats.substr(at, stats.find('"', at) - at);
    EXPECT_NE(target.find("fieldSelector=metadata.name=node1"), std::string::npos) << target;
  }
  EXPECT_GE(asked, 1u) << stats;
  TestNode self = UsualNode(1);
  self.pod_cidrs = {"10.244.9.0/24"};
  PutNode(self);
  EXPECT_TRUE(ConflistHas("10.244.9.0/24"));
}

TEST_F(AgentCniTest, LocalModeWaitsForItsNodeAndItsPodCidr) {
  PutNode(UsualNodeV4(2));
  StartLocalAgent();
  EXPECT_TRUE(Says("no Node has this machine's name"));
  EXPECT_FALSE(HasConflist());
  TestNode self = UsualNodeV4(1);
  self.pod_cidrs.clear();
  PutNode(self);
  EXPECT_TRUE(Says("reason=NoPodCIDR"));
  EXPECT_FALSE(HasConflist());
  PutNode(UsualNodeV4(1));
  EXPECT_TRUE(ConflistHas("10.244.1.0/24"));
  Shell("ip link set lan mtu 1450");
  EXPECT_TRUE(ConflistHas(R"("mtu":1450)"));
  DeleteNode("node1");
  EXPECT_TRUE(Says("no Node has this machine's name", 2));
  EXPECT_TRUE(HasConflist());
}

TEST_F(AgentCniTest, LocalModeNeedsNoPrivilegesWhereTheKernelIsSetUpAlready) {
  PutNode(UsualNode(1));
  Start({"run", "--mode=local", "--node_name=node1"}, /*unprivileged=*/true);
  EXPECT_TRUE(ConflistHas("10.244.1.0/24"));
  EXPECT_EQ(agent().Says("sysctl"), 0);
  EXPECT_EQ(StopAgent(), 0);
}

TEST_F(AgentCniTest, LocalModeLeavesRoutesAloneAlsoWhenItCleansUp) {
  PutNodes({UsualNode(1), UsualNode(2)});
  StartAgentAndWait();
  EXPECT_EQ(StopAgent(), 0);
  StartLocalAgent({"--cleanup_on_exit"});
  EXPECT_TRUE(Says("listed nodes count=1"));
  EXPECT_EQ(StopAgent(), 0);
  EXPECT_FALSE(HasConflist());
  EXPECT_EQ(OurRoutes(), UsualRoutes(2, 2));
}

}  // namespace
}  // namespace podroute
