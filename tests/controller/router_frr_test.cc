// `podroute run --mode=router --backend=frr` with a real FRR.
#include <gtest/gtest.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/base/temp_dir.h"
#include "tests/controller/agent_test_util.h"
#include "tests/lab/frr_router.h"
#include "tests/lab/netns.h"

namespace podroute {
namespace {

class RouterFrrTest : public AgentTest {
 protected:
  void SetUp() override {
    PODROUTE_NEED_FRR_OR_SKIP();
    AgentTest::SetUp();
    if (IsSkipped()) return;
    frr_ = std::make_unique<FrrRouter>();
    frr_->StartStatic();
    StartServer();
    PutNodes({UsualNode(2), UsualNode(3)});
  }
  void TearDown() override {
    AgentTest::TearDown();
    frr_.reset();
  }

  std::vector<std::string> Arguments(const std::string& verb) const {
    return {verb, "--mode=router", "--backend=frr", "--frr_vty_socket=" + frr_->dir()};
  }
  bool Has(const std::string& line) const {
    return frr_->RunningConfig().find(line) != std::string::npos;
  }

  std::unique_ptr<FrrRouter> frr_;
};

TEST_F(RouterFrrTest, KeepsTheRoutesInFrrPutsThemBackAndCleansUp) {
  std::vector<std::string> run = Arguments("run");
  run.push_back("--resync_period=1h");
  Start(run);
  const std::string two = "ip route 10.244.2.0/24 192.168.0.2 tag 110";
  EXPECT_TRUE(Eventually("a route", [&] { return Has(two); }));
  EXPECT_TRUE(Eventually(
      "a route", [&] { return Has("ipv6 route fd00:10:244:3::/64 fd00:192:168::3 tag 110"); }));
  PutNode(UsualNode(4));
  EXPECT_TRUE(
      Eventually("a route", [&] { return Has("ip route 10.244.4.0/24 192.168.0.4 tag 110"); }));
  frr_->Kill("staticd");
  frr_->Start("staticd");
  EXPECT_TRUE(Eventually("the routes again", [&] { return Has(two); }));
  EXPECT_EQ(StopAgent(), 0);
  EXPECT_TRUE(Has(two)) << "routes stay";
  Ran plan = Run({"plan", "--mode=router", "--output=frr"});
  EXPECT_NE(plan.out.find(two + "\n"), std::string::npos) << plan.out;
  Ran ran = Run(Arguments("cleanup"));
  EXPECT_EQ(ran.out, "removed 6 routes\n") << ran.err;
  EXPECT_FALSE(Has("tag 110"));
}

TEST_F(RouterFrrTest, PlanPrintsExactlyWhatIsEntered) {
  PutNode({"node9", {"10.244.9.0/24", "fd00:10:244:9::/64"}, {"192.168.0.9", "fd00:192:168::9"}});
  std::vector<std::string> run = Arguments("run");
  run.push_back("--owner=lab");
  Start(run);
  ASSERT_TRUE(Says("routes are in place"));
  EXPECT_EQ(StopAgent(), 0);
  Ran plan = Run({"plan", "--mode=router", "--output=frr", "--owner=lab"});
  ASSERT_EQ(plan.code, 0) << plan.err;
  EXPECT_NE(plan.out.find("ipv6 route fd00:10:244:9::/64 fd00:192:168::9 tag "), std::string::npos);
  // By hand, into one that has nothing.
  FrrRouter other;
  other.StartStatic();
  EXPECT_NE(other.RunningConfig(), frr_->RunningConfig());
  other.Configure(plan.out);
  EXPECT_EQ(other.RunningConfig(), frr_->RunningConfig());
}

class RouterFrrFailuresTest : public RouterFrrTest {
 protected:
  void StartAndWait(const std::string& more = "--noleader_elect") {
    std::vector<std::string> run = Arguments("run");
    run.insert(run.end(), {"--resync_period=1h", "--noleader_elect", more});
    Start(run);
    ASSERT_TRUE(Says("routes are in place"));
    ASSERT_TRUE(Has(kTwo));
  }
  ::testing::AssertionResult Gets(const std::string& line) {
    return Eventually(line, [&] { return Has(line); });
  }
  static constexpr char kTwo[] = "ip route 10.244.2.0/24 192.168.0.2 tag 110";
  static constexpr char kFour[] = "ip route 10.244.4.0/24 192.168.0.4 tag 110";
};

// A tag of 0 is none: what a FRR says that knows our lines no longer.
TEST_F(RouterFrrFailuresTest, ARouteThatFrrRefuses) {
  const std::string vtysh =
      dir_->WriteScript("vtysh",
                        "case \"$*\" in *-f*) sed '/10.244.4.0/s/tag 110/tag 0/' | vtysh \"$@\";; "
                        "*) exec vtysh \"$@\";; esac");
  StartAndWait("--vtysh=" + vtysh);
  PutNodes({UsualNodeV4(4), UsualNodeV4(5)});
  EXPECT_TRUE(Fails("frr", "Refused",
                    "FRR refuses it: % Unknown command[4]: ip route 10.244.4.0/24 192.168.0.4 "
                    "tag 0"));
  EXPECT_TRUE(Gets("ip route 10.244.5.0/24 192.168.0.5 tag 110"));
  EXPECT_TRUE(Has(kTwo));
}

TEST_F(RouterFrrFailuresTest, AStaticdThatIsKilledAndStartedEmpty) {
  StartAndWait();
  frr_->Kill("staticd");
  PutNode(UsualNodeV4(4));
  EXPECT_TRUE(Fails("frr", "Unavailable", "connect to staticd on " + frr_->dir() + "/staticd.vty"));
  frr_->Start("staticd");
  EXPECT_TRUE(Gets(kTwo));
  EXPECT_TRUE(Gets(kFour));
  // This time no Node has changed meanwhile.
  ASSERT_TRUE(Becomes(R"(podroute_routes{backend="frr",family="ipv4",state="installed"})", 3));
  frr_->Kill("staticd");
  frr_->Start("staticd");
  EXPECT_TRUE(Gets(kTwo));
  EXPECT_TRUE(Eventually("that it was repaired", [&] {
    return Value(R"(podroute_drift_repaired_total{backend="frr",action="add"})") > 0;
  }));
}

TEST_F(RouterFrrFailuresTest, AStaticdThatHangs) {
  StartAndWait();
  frr_->Signal("staticd", SIGSTOP);
  PutNode(UsualNodeV4(4));
  EXPECT_TRUE(Fails("frr", "DeadlineExceeded", "does not answer"));
  EXPECT_NE(Shell("ip route show proto 196").find("10.244.2.0/24"), std::string::npos);
  frr_->Signal("staticd", SIGCONT);
  EXPECT_TRUE(Gets(kFour));
}

// Nothing of a change is written to a disk, neither by podroute nor by FRR.
TEST_F(RouterFrrFailuresTest, AFullDiskHoldsNothingUp) {
  if (unshare(CLONE_NEWNS) != 0 || mount("", "/", "", MS_REC | MS_PRIVATE, nullptr) != 0) {
    GTEST_SKIP() << "no mount namespaces here";
  }
  // With the daemons' configuration, sockets and logs on it.
  frr_ = std::make_unique<FrrRouter>();
  const std::string& full = frr_->dir();
  const passwd* user = getpwnam("frr");
  const std::string options = "size=256k,mode=755,uid=" + std::to_string(user->pw_uid) +
                              ",gid=" + std::to_string(user->pw_gid);
  ASSERT_EQ(mount("full", full.c_str(), "tmpfs", 0, options.c_str()), 0);
  frr_->StartStatic();
  StartAndWait();
  EXPECT_NE(TryShell("cat /dev/zero >" + full + "/fill"), 0);
  EXPECT_NE(TryShell("echo x >" + full + "/more"), 0);
  PutNode(UsualNodeV4(4));
  EXPECT_TRUE(Says("route added dst=10.244.4.0/24"));
  EXPECT_TRUE(Has(kFour));
  umount2(full.c_str(), MNT_DETACH);
}

}  // namespace
}  // namespace podroute
