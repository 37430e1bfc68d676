// `podroute run --mode=router --backend=frr` with a real FRR.
#include <gtest/gtest.h>
#include <signal.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/controller/agent_test_util.h"
#include "tests/lab/frr_router.h"

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

}  // namespace
}  // namespace podroute
