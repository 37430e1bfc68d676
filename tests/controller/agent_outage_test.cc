// The agent while its API server is gone or out of its mind: routes stay, and it recovers by
// itself.
#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "tests/controller/agent_test_util.h"
#include "tests/controller/fake_api.h"

namespace podroute {
namespace {

class AgentOutageTest : public AgentTest {
 protected:
  void SetUp() override {
    AgentTest::SetUp();
    if (IsSkipped()) return;
    StartServer();
    PutNodes({UsualNode(1), UsualNode(2), UsualNode(3)});
    StartAgentAndWait();
    // The first was for a watch-list, which this server does not have.
    EXPECT_TRUE(Eventually("a watch", [&] { return Asked("watch nodes") == 2; }));
    EXPECT_TRUE(Says("condition set"));  // Or that would be tried in the outage too.
    kernel_->Clear();
  }

  // A node that comes now is served, and nothing else has happened meanwhile.
  void HasRecoveredAndChangedNothing() {
    EXPECT_EQ(kernel_->text(), "");
    PutNode(UsualNode(4));
    EXPECT_TRUE(RoutesBecome(UsualRoutes(2, 4)));
    EXPECT_EQ(kernel_->Count("del"), 0);
    EXPECT_EQ(kernel_->Count("\n"), 4) << "more than a node's two objects and two routes";
  }
};

// What is ordered, and what the log has to say about it.
struct Misbehaviour {
  const char* name;
  std::vector<std::string> orders;
  const char* log;
};
void PrintTo(const Misbehaviour& it, std::ostream* out) { *out << it.name; }

// After "gone" it lists at once.
std::vector<std::string> AList(const std::string& fault) {
  return {"faults?method=GET&watch=0&" + fault, "watches?action=gone"};
}
std::vector<std::string> AWatch(const std::string& fault) {
  return {"faults?watch=1&" + fault, "watches?action=drop"};
}

class AgentMisbehaviourTest : public AgentOutageTest,
                              public ::testing::WithParamInterface<Misbehaviour> {};

TEST_P(AgentMisbehaviourTest, ChangesNoRouteAndIsGotOver) {
  for (const std::string& order : GetParam().orders) Order("POST", order);
  EXPECT_TRUE(Says(GetParam().log));
  EXPECT_TRUE(Eventually("it has been asked in vain, and then with success", [&] {
    std::string stats = Order("GET", "stats");
    return stats.find("\"faults\":0,") != std::string::npos &&
           stats.find("\"watches\":1,") != std::string::npos;
  }));
  HasRecoveredAndChangedNothing();
}

INSTANTIATE_TEST_SUITE_P(
    Servers, AgentMisbehaviourTest,
    ::testing::Values(
        Misbehaviour{"BreaksTheWatch", {"watches?action=drop"}, "watch failed"},
        Misbehaviour{"SendsHalfALine", {"watches?action=half"}, "watch failed"},
        Misbehaviour{"SaysGoneInTheStream", {"watches?action=gone"}, "reason=Gone"},
        Misbehaviour{"HasCompactedItsHistory", {"restart?versions=keep"}, "watch failed"},
        Misbehaviour{"SaysGoneByItsStatus", AWatch("kind=status&status=410"), "reason=Gone"},
        Misbehaviour{"AnswersGarbageToAWatch", AWatch("kind=garbage"), "watch failed"},
        Misbehaviour{"AnswersHtmlToAWatch", AWatch("kind=html"), "text/html"},
        Misbehaviour{"AnswersErrorsToAWatch", AWatch("kind=status&status=500"), "500"},
        Misbehaviour{"AnswersGarbageToAList", AList("kind=garbage"), "list failed"},
        Misbehaviour{"AnswersHtmlToAList", AList("kind=html"), "list failed"},
        Misbehaviour{"AnswersErrorsToAList", AList("kind=status&status=500"), "list failed"},
        Misbehaviour{"TruncatesAList", AList("kind=truncate"), "list failed"},
        // Twice: a connection that was kept is given the benefit of the doubt and the GET sent
        // again.
        Misbehaviour{"ClosesWithoutAnAnswer", AList("kind=close&count=2"), "list failed"},
        Misbehaviour{"ForbidsAList", AList("kind=status&status=403"), "list failed"},
        Misbehaviour{"AnswersAnEmptyListOnce", AList("kind=empty"), "deletes withheld"}),
    [](const auto& info) { return std::string(info.param.name); });

TEST_F(AgentOutageTest, TooManyRequestsIsHeededForAsLongAsTheServerSays) {
  Order("POST", "stats/reset");
  Order("POST", "faults?kind=status&status=429&retry_after=4&watch=1");
  Order("POST", "watches?action=drop");
  EXPECT_TRUE(Says("retry_in=4s: HTTP 429"));
  EXPECT_TRUE(Eventually("two watches", [&] { return Asked("watch nodes") == 2; }));
  // When it asked, by the server's own clock; a list between the two would be wrong.
  std::string stats = Order("GET", "stats");
  std::vector<int> watched;
  for (size_t at = 0; (at = stats.find("{\"ms\":", at)) != std::string::npos; ++at) {
    std::string entry = stats.substr(at, stats.find('}', at) - at);
    bool list = entry.find("list nodes") != std::string::npos;
    EXPECT_FALSE(list && !watched.empty()) << stats;
    if (entry.find("watch nodes") == std::string::npos) continue;
    watched.push_back(std::atoi(entry.c_str() + 6));
  }
  ASSERT_EQ(watched.size(), 2u) << stats;
  EXPECT_GE(watched[1] - watched[0], 4000) << stats;
  HasRecoveredAndChangedNothing();
}

TEST_F(AgentOutageTest, AServerThatLostItsHistoryAndCountsFromTheStartIsListedAgain) {
  Order("POST", "faults?watch=1&kind=status&status=500");  // Leads to a list.
  Order("POST", "restart?versions=lose");
  EXPECT_TRUE(Says("list failed reason=TooLarge"));
  EXPECT_TRUE(Says("list works again"));
  HasRecoveredAndChangedNothing();
}

TEST_F(AgentOutageTest, AServerThatRefusesConnectionsIsTriedAgainUntilItAccepts) {
  Order("POST", "refuse?ms=-1&drop=1");
  EXPECT_TRUE(Says("Connection refused"));
  // The kernel is still looked after.
  Shell("ip route del 10.244.2.0/24 proto 110");
  EXPECT_TRUE(RoutesBecome(UsualRoutes(2, 3)));
  kernel_->Clear();
  Order("POST", "accept");
  HasRecoveredAndChangedNothing();
}

// Connections that failed in this network namespace since it was made.
int ConnectionsFailed() {
  std::ifstream file("/proc/thread-self/net/snmp");
  for (std::string line, before; std::getline(file, line); before = line) {
    if (!line.starts_with("Tcp:") || line.find("AttemptFails") != std::string::npos) continue;
    // Tcp: RtoAlgorithm RtoMin RtoMax MaxConn ActiveOpens PassiveOpens AttemptFails
    int fails = -1;
    std::sscanf(line.c_str(), "Tcp: %*s %*s %*s %*s %*s %*s %d", &fails);
    return fails;
  }
  return -1;
}

TEST_F(AgentOutageTest, AServerThatIsKilledIsTriedOnceInEachBackoffStepAndFoundAgain) {
  int before = ConnectionsFailed();
  ASSERT_GE(before, 0);
  auto killed = std::chrono::steady_clock::now();
  uint16_t port = server_->port();
  std::string kubeconfig = server_->kubeconfig();
  kill(server_->pid(), SIGKILL);
  server_->Terminate();
  int attempts = 0;
  EXPECT_TRUE(Eventually("two attempts", [&] {
    attempts = ConnectionsFailed() - before;
    double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - killed).count();
    // Steps of at least 0.8 s, 1.6 s, 3.2 s, ...: so many attempts take at least so long.
    EXPECT_GE(seconds, 0.8 * ((1 << attempts) - 1)) << attempts << " attempts";
    return attempts >= 2 || HasFailure();
  }));
  EXPECT_EQ(agent().Says("failed reason=Unavailable"), 2) << "the break, and the refusals once";
  EXPECT_EQ(kernel_->text(), "");
  // Another process, which knows nothing of the old versions.
  auto again = ServerProcess::Start({.extra_flags = {"--port=" + std::to_string(port)}});
  ASSERT_TRUE(again.ok()) << again.status().message();
  server_ = std::move(*again);
  // Its versions begin where the old one's did; node4 comes at one that the old one never had.
  PutNodes({UsualNode(1), UsualNode(2), UsualNode(3), {"filler", {}, {}}, UsualNode(4)});
  EXPECT_TRUE(RoutesBecome(UsualRoutes(2, 4)));
  EXPECT_EQ(kernel_->Count("del"), 0);
}

TEST_F(AgentOutageTest, AServerThatStallsStopsNothingAndIsHeardWhenItGoesOn) {
  Order("POST", "watches?action=stall");
  PutNode(UsualNode(4));
  Shell("ip route del 10.244.2.0/24 proto 110");
  EXPECT_TRUE(RoutesBecome(UsualRoutes(2, 3)));
  Order("POST", "watches?action=resume");
  EXPECT_TRUE(RoutesBecome(UsualRoutes(2, 4)));
}

}  // namespace
}  // namespace podroute
