// `podroute run` makes the pods' bridge, before any pod, and keeps it.

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>

#include <filesystem>
#include <string>

#include "base/file.h"
#include "tests/controller/agent_test_util.h"

namespace podroute {
namespace {

namespace fs = std::filesystem;

class AgentBridgeTest : public AgentTest {
 protected:
  void SetUp() override {
    AgentTest::SetUp();
    if (IsSkipped()) return;
    StartServer();
  }
  bool HasConflist() const { return fs::exists(Conflist()); }
  static bool Is(const std::string& command) { return TryShell(command) == 0; }
  // Up, with its address, which is ours and usable at once.
  static bool IsRight(const std::string& v4 = "10.244.1.1/24") {
    return Is("ip -br link show type bridge up | grep -q '^cni0 '") &&
           Is("ip -o -d address show dev cni0 | grep -q ' " + v4 + " '");
  }
  static bool HasV6(const std::string& v6 = "fd00:10:244:1::1/64") {
    return Is("ip -o address show dev cni0 -tentative | grep ' " + v6 + " ' | grep -q nodad");
  }
  static std::string Mtu() { return Shell("ip link show cni0 | grep -o 'mtu [0-9]*'"); }
  ::testing::AssertionResult BecomesRight() {
    return Eventually("cni0 is right", [] { return IsRight(); });
  }
  ::testing::AssertionResult Installs() {
    return Eventually("the conflist", [&] { return HasConflist(); });
  }
  ChildProcess& StartLocalAgent(std::vector<std::string> flags = {}) {
    flags.insert(flags.begin(), {"run", "--mode=local", "--node_name=node1", "--resync_period=1h"});
    return Start(std::move(flags));
  }
};

TEST_F(AgentBridgeTest, ItIsThereBeforeTheConflistAndAfterTheRoutes) {
  Shell("ip link set lan mtu 1400");
  PutNodes({UsualNode(1), UsualNode(2)});
  StartAgent();
  EXPECT_TRUE(Installs());
  EXPECT_TRUE(IsRight());
  EXPECT_TRUE(HasV6());
  EXPECT_TRUE(Says("CNI configuration written"));
  size_t routes = agent().log().find("route added dst=fd00:10:244:2::/64");
  size_t bridge = agent().log().find(
      "bridge put right bridge=cni0 addresses=10.244.1.1/24,fd00:10:244:1::1/64");
  EXPECT_LT(routes, bridge) << agent().log();
  EXPECT_LT(bridge, agent().log().find("CNI configuration written"));
  EXPECT_EQ(Mtu(), "mtu 1400\n");
  EXPECT_EQ(Shell("sysctl -n net.ipv6.conf.cni0.accept_ra"), "0\n");
  // Without a port it has no carrier, and answers even so. (NO-CARRIER is up to a second later.)
  EXPECT_FALSE(Is("ip link show cni0 | grep -q LOWER_UP"));
  Shell(AwaitIpv6());
  EXPECT_TRUE(Is("ping -c1 -W5 10.244.1.1 && ping -c1 -W5 fd00:10:244:1::1"));
}

TEST_F(AgentBridgeTest, InLocalModeToo) {
  PutNodes({UsualNode(1)});
  StartLocalAgent();
  EXPECT_TRUE(Installs());
  EXPECT_TRUE(IsRight());
  EXPECT_TRUE(HasV6());
  Shell("ip link del cni0");
  EXPECT_TRUE(BecomesRight());
}

TEST_F(AgentBridgeTest, WhatSomebodyDoesToItIsPutRightWithoutATimer) {
  PutNodes({UsualNode(1), UsualNode(2)});
  StartAgentAndWait();
  EXPECT_TRUE(Installs());
  for (const char* wrong :
       {"ip link del cni0", "ip link set cni0 down", "ip address del 10.244.1.1/24 dev cni0"}) {
    Shell(wrong);
    EXPECT_TRUE(BecomesRight()) << wrong;
    EXPECT_TRUE(Eventually("IPv6 too", [] { return HasV6(); })) << wrong;
  }
  EXPECT_EQ(OurRoutes(), UsualRoutes(2, 2));
}

TEST_F(AgentBridgeTest, OneThatIsRightIsLeftAsItIs) {
  PutNodes({UsualNode(1), UsualNode(2)});
  StartAgentAndWait();
  EXPECT_TRUE(Installs());
  EXPECT_EQ(StopAgent(), 0);
  Shell("ip link set cni0 mtu 1300; ip link set cni0 alias somebodys");
  const std::string before = LinkText("cni0");
  fs::remove(Conflist());
  StartAgentAndWait();
  EXPECT_TRUE(Installs());
  EXPECT_EQ(agent().Says("bridge put right"), 0);
  EXPECT_EQ(LinkText("cni0"), before);
}

// Flannel's is called so too, and its address is the same.
TEST_F(AgentBridgeTest, AnotherNetworksBridgeKeepsWhatItHas) {
  Shell(
      "ip link add cni0 mtu 1450 type bridge; ip link set cni0 up;"
      "ip address add 10.244.1.1/24 dev cni0; ip address add 10.55.0.1/24 dev cni0");
  PutNodes({UsualNodeV4(1), UsualNodeV4(2)});
  StartAgentAndWait();
  EXPECT_TRUE(Installs());
  EXPECT_TRUE(IsRight());
  EXPECT_TRUE(Is("ip -o address show dev cni0 | grep -q 10.55.0.1/24"));
  EXPECT_EQ(Mtu(), "mtu 1450\n");
  EXPECT_EQ(Shell("sysctl -n net.ipv6.conf.cni0.accept_ra"), "0\n");
}

TEST_F(AgentBridgeTest, ANewPodCidrHasItsAddressAndTheOldOneGoesWhereNoPodIs) {
  PutNodes({UsualNodeV4(1), UsualNodeV4(2)});
  StartAgentAndWait();
  EXPECT_TRUE(BecomesRight());
  TestNode moved = UsualNodeV4(1);
  moved.pod_cidrs = {"10.244.77.0/24"};
  PutNode(moved);
  EXPECT_TRUE(Eventually("the new address", [] { return IsRight("10.244.77.1/24"); }));
  EXPECT_TRUE(Eventually("the old one has gone", [] { return !IsRight(); }));
  // With a port in it somebody may still use it.
  Shell("ip link set lanp master cni0");
  PutNode(UsualNodeV4(1));
  EXPECT_TRUE(BecomesRight());
  EXPECT_TRUE(IsRight("10.244.77.1/24"));
}

// With it no pod could start: the node must not turn Ready.
TEST_F(AgentBridgeTest, ALinkOfThatNameThatIsNoBridgeIsSaidOnceAndHoldsTheConflistBack) {
  Shell(
      "ip link add cni0 type veth peer name other; ip link set cni0 up;"
      "ip address add 10.99.0.1/24 dev cni0");
  const std::string before = LinkText("cni0");
  PutNodes({UsualNodeV4(1), UsualNodeV4(2)});
  StartAgentAndWait();
  EXPECT_TRUE(Says("the link cni0 is no bridge, so no pod can start: delete or rename it"));
  PutNode(UsualNodeV4(3));
  EXPECT_TRUE(RoutesBecome(UsualRoutesV4(2, 3)));
  EXPECT_FALSE(HasConflist());
  EXPECT_EQ(LinkText("cni0"), before);
  EXPECT_EQ(agent().Says("is no bridge"), 1);
  Shell("ip link del cni0");
  EXPECT_TRUE(Installs());
  EXPECT_TRUE(IsRight());
}

TEST_F(AgentBridgeTest, OnResyncALinkOfThatNameIsLookedAtAgain) {
  Shell("ip link add cni0 type veth peer name other");  // Down and without an address: nothing
                                                        // tells of it.
  PutNodes({UsualNodeV4(1), UsualNodeV4(2)});
  StartAgentAndWait({"--resync_period=1s"});
  EXPECT_TRUE(Says("the link cni0 is no bridge"));
  Shell("ip link set cni0 name former");
  EXPECT_TRUE(BecomesRight());
  EXPECT_TRUE(Installs());
}

TEST_F(AgentBridgeTest, WhereNothingIsInstalledThereIsNoBridge) {
  PutNodes({UsualNodeV4(1), UsualNodeV4(2)});
  StartAgentAndWait({"--cni_conf_dir="});
  EXPECT_EQ(OurRoutes(), UsualRoutesV4(2, 2));
  EXPECT_FALSE(Is("ip link show cni0"));
}

// As in the DaemonSet's pod: /proc/sys is read-only, and the host's is somewhere else.
TEST_F(AgentBridgeTest, KernelSettingsAreWrittenWhereTheAgentIsTold) {
  const std::string elsewhere = dir_->File("sys");
  fs::create_directory(elsewhere);
  bool may = unshare(CLONE_NEWNS) == 0 &&
             mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
             mount("/proc/sys", elsewhere.c_str(), nullptr, MS_BIND, nullptr) == 0 &&
             mount("/proc/sys", "/proc/sys", nullptr, MS_BIND, nullptr) == 0 &&
             mount("none", "/proc/sys", nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY, nullptr) == 0;
  if (!may) GTEST_SKIP() << "may not mount here";
  PutNodes({UsualNode(1)});
  StartAgentAndWait({"--sysctl_dir=" + elsewhere});
  EXPECT_TRUE(Installs());
  EXPECT_TRUE(IsRight());
  EXPECT_EQ(agent().Says("is not as it should be"), 0);
  EXPECT_EQ(Shell("sysctl -n net.ipv6.conf.cni0.accept_ra net.ipv6.conf.cni0.accept_dad"),
            "0\n0\n");
  EXPECT_EQ(StopAgent(), 0);
  umount("/proc/sys");
  umount(elsewhere.c_str());
}

TEST_F(AgentBridgeTest, WithoutThePrivilegeTheConflistIsWrittenForThePluginMakesItToo) {
  PutNodes({UsualNodeV4(1)});
  Start({"run", "--mode=local", "--node_name=node1"}, /*unprivileged=*/true);
  EXPECT_TRUE(Installs());
  EXPECT_TRUE(
      Says("the bridge cni0 is not as it should be, the next pod's start will put it right"));
  EXPECT_EQ(StopAgent(), 0);
}

}  // namespace
}  // namespace podroute
