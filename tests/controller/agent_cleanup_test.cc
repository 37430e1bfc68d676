// `podroute cleanup` on a node that had pods.

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "base/file.h"
#include "tests/cni/cni_test_util.h"
#include "tests/controller/agent_test_util.h"

namespace podroute {
namespace {

namespace fs = std::filesystem;

class AgentCleanupTest : public AgentTest {
 protected:
  void SetUp() override {
    AgentTest::SetUp();
    if (IsSkipped()) return;
    StartServer();
    PutNodes({UsualNode(1), UsualNode(2), UsualNode(3)});
    StartAgentAndWait();
    ASSERT_TRUE(Eventually("the conflist", [&] { return fs::exists(Conflist()); }));
    ASSERT_EQ(StopAgent(), 0);
  }
  std::string Plugin() const { return BinDir() + "/podroute-cni"; }
  std::string Loopback() const { return BinDir() + "/loopback"; }

  // As a container runtime does, with the plugin that is installed and the conflist's own entry.
  void CallPlugin(const std::string& command, const TestPod& pod) {
    std::string conflist = ReadFile(Conflist()).value();
    size_t begin = conflist.find("{\"type\"");
    std::string conf = R"({"cniVersion":"1.0.0","name":"podroute",)" +
                       conflist.substr(begin + 1, conflist.rfind("]}") - begin - 1);
    Shell("CNI_COMMAND=" + command + " CNI_CONTAINERID=c1 CNI_NETNS=" + pod.path() +
          " CNI_IFNAME=eth0 CNI_PATH=" + BinDir() + " " + Plugin() + " <" +
          WriteTemp("conf", conf));
  }
  // Where this kernel has it.
  static std::string Masquerading() {
    return TryShell("nft list tables") == 0 ? "removed nftables table inet podroute\n" : "";
  }
  std::string Store() const { return DataDir() + "/podroute"; }
  static bool HasBridge() { return TryShell("ip link show cni0") == 0; }
};

TEST_F(AgentCleanupTest, RemovesAllThatIsOursAndSaysWhat) {
  Ran cleanup = Run({"cleanup"});
  EXPECT_EQ(cleanup.code, 0) << cleanup.err;
  EXPECT_EQ(cleanup.out, "removed " + Conflist() + "\nremoved 4 routes and 4 nexthop objects\n" +
                             Masquerading() + "removed cni0\nremoved " + Loopback() + "\nremoved " +
                             Plugin() + "\n");
  EXPECT_EQ(OurRoutes(), "");
  EXPECT_TRUE(fs::is_empty(BinDir()));
  EXPECT_TRUE(fs::is_empty(ConfDir()));
}

TEST_F(AgentCleanupTest, ASecondRunSaysThatNothingIsLeft) {
  Run({"cleanup"});
  Ran again = Run({"cleanup"});
  EXPECT_EQ(again.code, 0) << again.err;
  EXPECT_EQ(again.out, "nothing of podroute's is left here\n");
}

// Whatever is written first is gone first: what cannot be removed keeps all that comes after it.
TEST_F(AgentCleanupTest, TheConflistGoesBeforeTheFirstRoute) {
  fs::remove(Conflist());
  fs::create_directory(Conflist());  // unlink(2) does not take it.
  kernel_->Clear();
  Ran cleanup = Run({"cleanup"});
  EXPECT_EQ(cleanup.code, 1);
  EXPECT_EQ(cleanup.out, "");
  EXPECT_EQ(cleanup.err, "podroute: remove " + Conflist() + ": Is a directory\n");
  EXPECT_EQ(kernel_->text(), "");
  EXPECT_EQ(OurRoutes(), UsualRoutes(2, 3));
  EXPECT_TRUE(fs::exists(Plugin()));
}

TEST_F(AgentCleanupTest, WhilePodsAreAttachedTheirBridgeAndPluginStay) {
  TestPod pod;
  CallPlugin("ADD", pod);
  const std::string conflist = ReadFile(Conflist()).value();
  Ran cleanup = Run({"cleanup"});
  EXPECT_EQ(cleanup.code, 1);
  EXPECT_EQ(cleanup.err,
            "podroute: cleanup is not complete, left cni0 and the plugin: 1 pod is attached still; "
            "delete them, then run this again\n");
  EXPECT_NE(cleanup.out.find("left cni0 and the plugin: 1 pod is attached still"),
            std::string::npos)
      << cleanup.out;
  EXPECT_TRUE(fs::exists(Store() + "/10.244.1.2"));
  EXPECT_FALSE(fs::exists(Conflist()));
  EXPECT_EQ(OurRoutes(), "");
  EXPECT_TRUE(HasBridge());
  EXPECT_TRUE(fs::exists(Plugin()));
  EXPECT_TRUE(fs::exists(Loopback()));
  // The plugin is there for the pod's end.
  dir_->Write("cni/net.d/10-podroute.conflist", conflist);
  CallPlugin("DEL", pod);
  fs::remove(Conflist());
  cleanup = Run({"cleanup"});
  EXPECT_EQ(cleanup.code, 0) << cleanup.err;
  EXPECT_EQ(cleanup.out, "removed cni0\nremoved " + Loopback() + "\nremoved " + Plugin() +
                             "\nremoved " + Store() + "\n");
  EXPECT_FALSE(HasBridge());
  EXPECT_FALSE(fs::exists(DataDir()));
}

// A pod that is gone without a DEL, its namespace and its link with it.
TEST_F(AgentCleanupTest, ReservationsOfPodsThatAreGoneGoWithTheirStore) {
  {
    TestPod pod;
    CallPlugin("ADD", pod);
  }
  ASSERT_TRUE(Eventually("the pod's link is gone",
                         [] { return Shell("ip -br link show master cni0").empty(); }));
  ASSERT_TRUE(fs::exists(Store() + "/10.244.1.2"));
  Ran cleanup = Run({"cleanup"});
  EXPECT_EQ(cleanup.code, 0) << cleanup.err;
  EXPECT_NE(cleanup.out.find("removed " + Store() + "\n"), std::string::npos) << cleanup.out;
  EXPECT_FALSE(fs::exists(DataDir()));
}

// Another network that shares the store has pods; and somebody has put files beside it.
TEST_F(AgentCleanupTest, ReservationsOfAnotherPluginsPodsStay) {
  {
    TestPod pod;
    CallPlugin("ADD", pod);
  }
  ASSERT_TRUE(Eventually("the pod's link is gone",
                         [] { return Shell("ip -br link show master cni0").empty(); }));
  const std::string theirs = Store() + "/10.244.1.77";
  std::ofstream(theirs) << "theirs\r\neth0";
  std::ofstream(DataDir() + "/others") << "";
  Ran cleanup = Run({"cleanup"});
  EXPECT_EQ(cleanup.code, 0) << cleanup.err;
  EXPECT_NE(cleanup.out.find("kept " + Store() + ": 1 address is reserved in it by another"),
            std::string::npos)
      << cleanup.out;
  EXPECT_TRUE(fs::exists(theirs));
  EXPECT_FALSE(fs::exists(Store() + "/10.244.1.2"));
  EXPECT_FALSE(fs::exists(DataDir() + "/.podroute"));
  // When they have gone the rest is ours to remove, but for what is not.
  fs::remove(theirs);
  cleanup = Run({"cleanup"});
  EXPECT_EQ(cleanup.out, "removed " + Store() + "\n");
  EXPECT_TRUE(fs::exists(DataDir() + "/others"));
}

TEST_F(AgentCleanupTest, WhileAnAgentRunsNothingIsRemoved) {
  StartAgentAndWait();
  kernel_->Clear();
  Ran cleanup = Run({"cleanup"});
  EXPECT_EQ(cleanup.code, 1);
  EXPECT_EQ(cleanup.out, "");
  EXPECT_EQ(cleanup.err,
            "podroute: podroute run is running on this machine and would put everything back: stop "
            "it first\n");
  EXPECT_EQ(kernel_->text(), "");
  EXPECT_TRUE(fs::exists(Conflist()));
  // However it ends.
  agent().Signal(SIGKILL);
  agent().Wait();
  cleanup = Run({"cleanup"});
  EXPECT_EQ(cleanup.code, 0) << cleanup.err;
  EXPECT_FALSE(HasBridge());
}

TEST_F(AgentCleanupTest, WhileOneOfTwoAgentsRunsNothingIsRemoved) {
  ChildProcess& first = StartAgent();
  EXPECT_TRUE(Says("routes are in place"));
  StartAgentAndWait();
  first.Signal(SIGTERM);
  first.Wait();
  EXPECT_EQ(Run({"cleanup"}).code, 1);
  EXPECT_EQ(StopAgent(), 0);
  EXPECT_EQ(Run({"cleanup"}).code, 0);
}

// docs/operate.md: the new mark first, and then the old one's routes.
TEST_F(AgentCleanupTest, BesideAnAgentWithAnotherMarkOnlyTheOldMarksRoutesGo) {
  StartAgentAndWait({"--route_metric=111"});
  Ran cleanup = Run({"cleanup"});
  EXPECT_EQ(cleanup.code, 0) << cleanup.err;
  EXPECT_EQ(cleanup.out, "removed 4 routes and 4 nexthop objects\n");
  EXPECT_EQ(OurRoutes(), "");
  EXPECT_EQ(Shell("ip route show metric 111 | grep -c via"), "2\n");
  EXPECT_TRUE(fs::exists(Conflist()));
  EXPECT_TRUE(HasBridge());
  EXPECT_EQ(agent().Says("CNI configuration written"), 0);
}

TEST_F(AgentCleanupTest, ARoutersAgentIsInTheWayOfItsOwnersCleanupOnly) {
  Start({"run", "--mode=router", "--owner=a", "--leader_elect=false"});
  EXPECT_TRUE(Says("routes are in place"));
  Ran cleanup = Run({"cleanup", "--mode=router", "--owner=a"});
  EXPECT_EQ(cleanup.code, 1);
  EXPECT_NE(cleanup.err.find("stop it first"), std::string::npos) << cleanup.err;
  cleanup = Run({"cleanup", "--mode=router", "--owner=b"});
  EXPECT_EQ(cleanup.code, 0) << cleanup.err;
  cleanup = Run({"cleanup"});
  EXPECT_EQ(cleanup.code, 0) << cleanup.err;
}

TEST_F(AgentCleanupTest, WhoMayNotRemoveItAllRemovesNothing) {
  const std::string bridge = LinkText("cni0");
  Ran cleanup = Run({"cleanup"}, /*unprivileged=*/true);
  EXPECT_EQ(cleanup.code, 1);
  EXPECT_EQ(cleanup.out, "");
  EXPECT_EQ(cleanup.err,
            "podroute: this process may not change routes: run it as root or with "
            "CAP_NET_ADMIN\n");
  EXPECT_EQ(OurRoutes(), UsualRoutes(2, 3));
  EXPECT_TRUE(fs::exists(Conflist()));
  EXPECT_TRUE(fs::exists(Plugin()));
  EXPECT_EQ(LinkText("cni0"), bridge);
}

TEST_F(AgentCleanupTest, TablesOfNftablesThatAreOursGoAndOthersStay) {
  if (TryShell("nft add table inet podroute-cni") != 0) GTEST_SKIP() << "no nftables here";
  Shell(
      "set -e; nft add chain inet podroute-cni c; nft add rule inet podroute-cni c accept;"
      "nft add table bridge podroute-cni; nft add table inet others");
  Ran cleanup = Run({"cleanup"});
  EXPECT_EQ(cleanup.code, 0) << cleanup.err;
  EXPECT_NE(cleanup.out.find("removed nftables table inet podroute-cni\n"), std::string::npos);
  EXPECT_NE(cleanup.out.find("removed nftables table bridge podroute-cni\n"), std::string::npos);
  EXPECT_EQ(Shell("nft list tables"), "table inet others\n");
}

TEST_F(AgentCleanupTest, SomebodyElsesBridgeAndPortsStay) {
  TestPod pod;
  CallPlugin("ADD", pod);
  CallPlugin("DEL", pod);
  // Ours, but somebody else uses it.
  Shell("ip link set lanp master cni0");
  Ran cleanup = Run({"cleanup"});
  EXPECT_EQ(cleanup.code, 1);
  EXPECT_NE(cleanup.out.find("left cni0: links that are not ours are attached to it\n"),
            std::string::npos)
      << cleanup.out;
  EXPECT_TRUE(HasBridge());
  EXPECT_FALSE(fs::exists(Plugin()));
  // One of that name that is not ours, as flannel has it.
  Shell("ip link del cni0; ip link add cni0 type bridge; ip address add 10.244.1.1/24 dev cni0");
  EXPECT_EQ(Run({"cleanup"}).out, "nothing of podroute's is left here\n");
  EXPECT_TRUE(HasBridge());
}

TEST_F(AgentCleanupTest, SomebodyElsesLoopbackAndConfigurationsStay) {
  fs::remove(Loopback());
  std::ofstream(Loopback()) << "somebody else's";
  std::ofstream(ConfDir() + "/05-foo.conf") << "{}";
  std::ofstream(Conflist()) << "ours, whatever is in it";
  Ran cleanup = Run({"cleanup"});
  EXPECT_EQ(cleanup.code, 0) << cleanup.err;
  EXPECT_TRUE(fs::exists(Loopback()));
  EXPECT_TRUE(fs::exists(ConfDir() + "/05-foo.conf"));
  EXPECT_FALSE(fs::exists(Plugin()));
  EXPECT_FALSE(fs::exists(Conflist()));
}

TEST_F(AgentCleanupTest, WithoutDirectoriesFilesStay) {
  Ran cleanup = Run({"cleanup", "--cni_bin_dir=", "--cni_conf_dir="});
  EXPECT_EQ(cleanup.out,
            "removed 4 routes and 4 nexthop objects\n" + Masquerading() + "removed cni0\n");
  EXPECT_TRUE(fs::exists(Plugin()));
  EXPECT_TRUE(fs::exists(Conflist()));
}

}  // namespace
}  // namespace podroute
