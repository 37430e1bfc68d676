// `podroute run --mode=router --backend=bird` with a real BIRD.
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <unistd.h>

#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "base/file.h"
#include "routing/bird_config.h"
#include "tests/controller/agent_test_util.h"
#include "tests/lab/bird_router.h"
#include "tests/lab/netns.h"

namespace podroute {
namespace {

class RouterBirdTest : public AgentTest {
 protected:
  void SetUp() override {
    AgentTest::SetUp();
    if (IsSkipped()) return;
    PODROUTE_NEED_BIRD_OR_SKIP();
    bird_ = std::make_unique<BirdRouter>();
    bird_->Start();
    StartServer();
    PutNodes({UsualNode(2), UsualNode(3)});
  }
  void TearDown() override {
    AgentTest::TearDown();
    bird_.reset();
  }

  std::vector<std::string> Flags() const {
    return {"--mode=router", "--backend=bird", "--bird_socket=" + bird_->socket_path(),
            "--bird_file=" + bird_->file_path()};
  }
  ChildProcess& StartRouter(std::vector<std::string> more = {}) {
    std::vector<std::string> arguments = {"run", "--resync_period=1h"};
    for (const std::string& flag : Flags()) arguments.push_back(flag);
    arguments.insert(arguments.end(), more.begin(), more.end());
    return Start(std::move(arguments));
  }
  // Of both protocols, as UsualRoutes shows them.
  std::string Table() const {
    std::istringstream text(bird_->Table("podroute4") + bird_->Table("podroute6"));
    std::set<std::string> lines;
    for (std::string line; std::getline(text, line);) lines.insert(line + "\n");
    std::string sorted;
    for (const std::string& line : lines) sorted += line;
    return sorted;
  }
  ::testing::AssertionResult TableBecomes(const std::string& routes) {
    if (Eventually("routes in BIRD", [&] { return Table() == routes; })) {
      return ::testing::AssertionSuccess();
    }
    return ::testing::AssertionFailure() << "BIRD has\n"
                                         << Table() << "and should have\n"
                                         << routes;
  }

  std::unique_ptr<BirdRouter> bird_;
};

TEST_F(RouterBirdTest, KeepsTheRoutesInBirdAndPutsThemBackWhenItRestarts) {
  StartRouter();
  EXPECT_TRUE(TableBecomes(UsualRoutes(2, 3)));
  PutNode(UsualNode(4));
  EXPECT_TRUE(TableBecomes(UsualRoutes(2, 4)));
  DeleteNode("node4");
  EXPECT_TRUE(TableBecomes(UsualRoutes(2, 3)));
  bird_->Kill();
  ASSERT_EQ(unlink(bird_->file_path().c_str()), 0);
  PutNode(UsualNode(5));  // While it is away.
  bird_->Start();
  EXPECT_TRUE(Eventually("routes in BIRD",
                         [&] { return Table().find("10.244.5.0/24") != std::string::npos; }));
  EXPECT_NE(Table().find("10.244.2.0/24"), std::string::npos);
  EXPECT_EQ(StopAgent(), 0);
  EXPECT_NE(Table().find("10.244.2.0/24"), std::string::npos) << "routes stay";
}

TEST_F(RouterBirdTest, AStoppedLeaderIsFollowedAndItsRoutesAreTakenOver) {
  ChildProcess& a = StartRouter();
  ASSERT_TRUE(TableBecomes(UsualRoutes(2, 3)));
  ChildProcess& b = StartRouter();
  ASSERT_TRUE(Eventually("a standby", [&] { return b.Says("stands by") == 1; }));
  a.Signal(SIGTERM);
  EXPECT_EQ(a.Wait(), 0);
  PutNode(UsualNode(4));
  EXPECT_TRUE(TableBecomes(UsualRoutes(2, 4)));
  EXPECT_TRUE(Eventually("word of it", [&] { return b.Says("route added") >= 2; }));
  EXPECT_EQ(b.Says("route added"), 2) << "what was there already is not touched";
}

TEST_F(RouterBirdTest, PlanPrintsTheVeryFile) {
  StartRouter();
  ASSERT_TRUE(TableBecomes(UsualRoutes(2, 3)));
  Ran ran = Run({"plan", "--mode=router", "--output=bird"});
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_EQ(ran.out, ReadFile(bird_->file_path()).value());
  EXPECT_NE(ran.out.find("route fd00:10:244:3::/64 via fd00:192:168::3; # node3"),
            std::string::npos);
}

TEST_F(RouterBirdTest, WhatPlanPrintsIsByHandTheSameInBird) {
  StartRouter({"--owner=lab"});
  ASSERT_TRUE(Says("routes are in place"));
  EXPECT_EQ(StopAgent(), 0);
  auto all = [](const BirdRouter& bird) {
    return bird.Birdc("show static podroute4_lab") + bird.Birdc("show static podroute6_lab");
  };
  Ran plan = Run({"plan", "--mode=router", "--output=bird", "--owner=lab"});
  BirdRouter other;
  ASSERT_TRUE(WriteFileAtomically(other.file_path(), plan.out).ok());
  other.Start();
  EXPECT_EQ(all(other), all(*bird_));
  EXPECT_NE(all(other).find("10.244.3.0/24"), std::string::npos);
}

TEST_F(RouterBirdTest, AConfigurationThatBirdRefuses) {
  StartRouter();
  ASSERT_TRUE(TableBecomes(UsualRoutes(2, 3)));
  bird_->WriteConf(bird_->DefaultConf() + "protocol nonsense {}\n");
  PutNode(UsualNode(4));
  EXPECT_TRUE(
      Fails("bird", "Refused", "BIRD refuses its configuration: " + bird_->conf_path() + ":6:"));
  EXPECT_EQ(Table(), UsualRoutes(2, 3));
  bird_->WriteConf(bird_->DefaultConf());
  EXPECT_TRUE(TableBecomes(UsualRoutes(2, 4)));
}

TEST_F(RouterBirdTest, ABirdThatIsKilledAndStartedEmpty) {
  StartRouter({"--node_name=node2"});
  ASSERT_TRUE(TableBecomes(UsualRoutes(2, 3)));
  bird_->Kill();
  PutNode(UsualNode(4));
  EXPECT_TRUE(Fails("bird", "Unavailable", "connect to BIRD on " + bird_->socket_path()));
  EXPECT_TRUE(Eventually("an Event of the router's own Node", [&] {
    return Value(R"(podroute_node_writes_total{kind="event",result="ok"})") == 1;
  }));
  ASSERT_EQ(unlink(bird_->file_path().c_str()), 0);
  bird_->Start();
  EXPECT_TRUE(TableBecomes(UsualRoutes(2, 4)));
  // This time no Node has changed meanwhile.
  ASSERT_TRUE(Becomes(R"(podroute_routes{backend="bird",family="ipv4",state="installed"})", 3));
  bird_->Kill();
  const std::string file = ReadFile(bird_->file_path()).value();
  ASSERT_TRUE(WriteFileAtomically(bird_->file_path(), RenderBirdConfig({}, "")).ok());
  bird_->Start();
  EXPECT_TRUE(TableBecomes(UsualRoutes(2, 4)));
  EXPECT_TRUE(Eventually("that it was repaired", [&] {
    return Value(R"(podroute_drift_repaired_total{backend="bird",action="add"})") > 0;
  }));
  EXPECT_EQ(ReadFile(bird_->file_path()).value(), file);
}

TEST_F(RouterBirdTest, ABirdThatHangs) {
  StartRouter();
  ASSERT_TRUE(TableBecomes(UsualRoutes(2, 3)));
  bird_->Signal(SIGSTOP);
  PutNode(UsualNode(4));
  EXPECT_TRUE(Fails("bird", "DeadlineExceeded", "it hangs, or is very busy"));
  EXPECT_NE(Shell("ip route show proto bird").find("10.244.2.0/24"), std::string::npos);
  bird_->Signal(SIGCONT);
  EXPECT_TRUE(TableBecomes(UsualRoutes(2, 4)));
}

TEST_F(RouterBirdTest, ADiskThatIsFull) {
  if (unshare(CLONE_NEWNS) != 0 || mount("", "/", "", MS_REC | MS_PRIVATE, nullptr) != 0) {
    GTEST_SKIP() << "no mount namespaces here";
  }
  const std::string tiny = bird_->File("tiny");
  ASSERT_EQ(TryShell("mkdir " + tiny + " && mount -t tmpfs -o size=16k tiny " + tiny), 0);
  const std::string file = tiny + "/podroute.conf";
  bird_->WriteConf(bird_->DefaultConf() + "include \"" + tiny + "/podroute[.]conf\";\n");
  bird_->Kill();  // It has to see the same.
  bird_->Start();
  StartRouter({"--bird_file=" + file});
  ASSERT_TRUE(TableBecomes(UsualRoutes(2, 3)));
  ASSERT_TRUE(Says("routes are in place"));  // And no file is on its way out any more.
  EXPECT_NE(TryShell("cat /dev/zero >" + tiny + "/fill"), 0);
  PutNode(UsualNode(4));
  EXPECT_TRUE(Fails("bird", "DiskFull", tiny + "/.podroute.conf.new"));
  EXPECT_EQ(Table(), UsualRoutes(2, 3));
  Shell("rm " + tiny + "/fill");
  EXPECT_TRUE(TableBecomes(UsualRoutes(2, 4)));
  StopAgent();
  bird_->Kill();
  Shell("umount " + tiny);
}

TEST_F(RouterBirdTest, CleanupTakesAllOfOursAwayAndNothingElse) {
  StartRouter({"--owner=a"});
  ASSERT_TRUE(Eventually("routes in BIRD", [&] { return bird_->Table("podroute4_a") != ""; }));
  StopAgent();
  std::vector<std::string> arguments = Flags();
  arguments.insert(arguments.begin(), "cleanup");
  arguments.push_back("--owner=a");
  Ran ran = Run(arguments);
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_EQ(ran.out, "removed 4 routes\n");
  EXPECT_EQ(bird_->Table("podroute4_a"), "");
  // Of a BIRD that is away nothing can be removed, and nothing is made for it.
  bird_->Kill();
  const std::string file = dir_->File("never-there.conf");
  arguments.push_back("--bird_file=" + file);
  ran = Run(arguments);
  EXPECT_EQ(ran.code, 1) << ran.out;
  EXPECT_NE(TryShell("test -e " + file), 0);
}

}  // namespace
}  // namespace podroute
