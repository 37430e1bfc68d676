// `podroute run --mode=router --backend=bird` with a real BIRD.
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "base/file.h"
#include "tests/controller/agent_test_util.h"
#include "tests/lab/bird_router.h"

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
}

}  // namespace
}  // namespace podroute
