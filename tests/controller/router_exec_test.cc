// `podroute run --mode=router --backend=exec`: the router is a file, and the command that writes it
// keeps a record of who did.
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>

#include <chrono>
#include <sstream>
#include <string>
#include <vector>

#include "base/file.h"
#include "tests/controller/agent_test_util.h"

namespace podroute {
namespace {

const std::vector<std::string> kQuick = {"--lease_duration=3s", "--renew_deadline=2s",
                                         "--retry_period=500ms"};

class RouterExecTest : public AgentTest {
 protected:
  void SetUp() override {
    AgentTest::SetUp();
    if (IsSkipped()) return;
    // Begun, and ended some time later, as a real router's command.
    push_ =
        dir_->WriteScript("push", "echo \"$1 begins\" >> " + File("record") + "\ncat > " +
                                      File("new.$1") + "\nmv " + File("new.$1") + " " +
                                      File("state") + "\necho \"$1 ends\" >> " + File("record"));
    dir_->Write("state", "");
    dir_->Write("record", "");
    StartServer();
    PutNodes({UsualNodeV4(2), UsualNodeV4(3)});
  }

  std::string File(const std::string& name) const { return dir_->File(name); }

  ChildProcess& StartReplica(const std::string& name, std::vector<std::string> more = kQuick) {
    std::vector<std::string> arguments = {"run",
                                          "--mode=router",
                                          "--backend=exec",
                                          "--resync_period=1h",
                                          "--push_command=" + push_ + " " + name,
                                          "--read_command=cat " + File("state")};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return Start(std::move(arguments));
  }
  bool Has(int node) { return HasText("10.244." + std::to_string(node) + ".0/24"); }
  bool HasText(const std::string& text) {
    return ReadFile(File("state")).value().find(text) != std::string::npos;
  }
  // More of them than an octet can tell apart.
  static TestNode BurstNode(int i) {
    std::string n = std::to_string(i / 250) + "." + std::to_string(1 + i % 250);
    return {.name = "burst" + std::to_string(i),
            .pod_cidrs = {"10." + std::to_string(100 + i / 250) + "." + std::to_string(i % 250) +
                          ".0/24"},
            .internal_ips = {"192.168." + n}};
  }
  // Who wrote, each once for as long as nobody else did: "a b a". Two at a time fail the test.
  std::string Writers() {
    std::istringstream record(ReadFile(File("record")).value());
    std::string writers, last, under_way;
    for (std::string name, what; record >> name >> what;) {
      if (what == "begins") {
        EXPECT_EQ(under_way, "") << name << " writes beside";
        under_way = name;
        if (name != last) writers += (writers.empty() ? "" : " ") + name;
        last = name;
      } else {
        EXPECT_EQ(under_way, name);
        under_way.clear();
      }
    }
    return writers;
  }
  int Writes() {
    std::string record = ReadFile(File("record")).value();
    int count = 0;
    for (size_t at = 0; (at = record.find(" ends\n", at)) != std::string::npos; ++at) ++count;
    return count;
  }

  std::string push_;
};

TEST_F(RouterExecTest, TheCommandGetsWhatShouldBe) {
  StartReplica("a", {});
  EXPECT_TRUE(Eventually("routes", [&] { return Has(2) && Has(3); }));
  PutNode(UsualNodeV4(4));
  EXPECT_TRUE(Eventually("a route", [&] { return Has(4); }));
  DeleteNode("node3");
  EXPECT_TRUE(Eventually("no route", [&] { return !Has(3); }));
  EXPECT_TRUE(Has(2) && Has(4));
}

TEST_F(RouterExecTest, ThroughLeaderChangesOfEverySortOneWritesAtATime) {
  ChildProcess& a = StartReplica("a");
  ASSERT_TRUE(Eventually("routes", [&] { return Has(3); }));
  ChildProcess& b = StartReplica("b");
  ASSERT_TRUE(Eventually("a standby", [&] { return b.Says("stands by") == 1; }));
  a.Signal(SIGTERM);
  PutNode(UsualNodeV4(4));
  ASSERT_TRUE(Eventually("a route by b", [&] { return Has(4); }));
  ChildProcess& c = StartReplica("c");
  ASSERT_TRUE(Eventually("a standby", [&] { return c.Says("stands by") == 1; }));
  b.Signal(SIGSTOP);
  PutNode(UsualNodeV4(5));
  ASSERT_TRUE(Eventually("a route by c", [&] { return Has(5); }));
  b.Signal(SIGCONT);
  PutNode(UsualNodeV4(6));
  ASSERT_TRUE(Eventually("a route by c", [&] { return Has(6); }));
  ASSERT_TRUE(Eventually("b knows", [&] { return b.Says("leads no longer") == 1; }));
  c.Signal(SIGKILL);
  PutNode(UsualNodeV4(7));
  ASSERT_TRUE(Eventually("a route by b", [&] { return Has(7); }));
  EXPECT_EQ(Writers(), "a b c b");
}

TEST_F(RouterExecTest, ABurstOfEventsIsAFewPushesAndNoneIsLost) {
  StartReplica("a", {});
  ASSERT_TRUE(Eventually("routes", [&] { return Has(3); }));
  int before = Writes();
  auto start = std::chrono::steady_clock::now();
  for (int i = 4; i < 504; i += 5) {
    std::vector<TestNode> five;
    for (int n = i; n < i + 5; ++n) five.push_back(BurstNode(n));
    PutNodes(five);
    poll(nullptr, 0, 5);
  }
  ASSERT_TRUE(Eventually("routes", [&] {
    for (int i = 4; i < 504; ++i) {
      if (!HasText(BurstNode(i).pod_cidrs[0])) return false;
    }
    return true;
  }));
  // One at once, and one for each 400 ms with events: four in a second. On a busy machine the last
  // events come long after they were sent.
  auto took = std::chrono::steady_clock::now() - start;
  EXPECT_LE(Writes() - before, 2 + took / std::chrono::milliseconds(400));
}

TEST_F(RouterExecTest, ACommandThatHangsIsEndedWhenSomebodySaysStop) {
  push_ = dir_->WriteScript("hang", "echo hangs >> " + File("hung") + "\nexec sleep 600");
  StartReplica("a", {});
  ASSERT_TRUE(Eventually("it hangs", [&] { return ReadFile(File("hung")).ok(); }));
  EXPECT_EQ(StopAgent(), 0);
  std::string lease =
      server_->Call("GET", "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/podroute")
          .value()
          .body;
  EXPECT_NE(lease.find("\"holderIdentity\":\"\""), std::string::npos) << lease;
}

TEST_F(RouterExecTest, WithoutAPushCommandItDoesNotStart) {
  Ran ran = Run({"run", "--mode=router", "--backend=exec"});
  EXPECT_EQ(ran.code, 1);
  EXPECT_NE(ran.err.find("podroute: --backend=exec needs --push_command\n"), std::string::npos)
      << ran.err;
}

}  // namespace
}  // namespace podroute
