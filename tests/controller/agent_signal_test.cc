// Signals, whatever the agent is waiting for at that moment: it ends at once, and its routes stay.
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <string>

#include "base/unique_fd.h"
#include "tests/controller/agent_test_util.h"
#include "tests/controller/fake_api.h"

namespace podroute {
namespace {

class AgentSignalTest : public AgentTest {
 protected:
  void SetUp() override {
    AgentTest::SetUp();
    if (IsSkipped()) return;
    // Routes of an agent that was here before.
    StartServer();
    PutNodes({UsualNode(1), UsualNode(2), UsualNode(3)});
    StartAgentAndWait();
    EXPECT_EQ(StopAgent(), 0);
    children_.clear();
    server_.reset();
    kernel_->Clear();
  }

  std::string ConfigFor(const std::string& url, const std::string& user = "{token: t}") {
    return "--kubeconfig=" +
           WriteTemp("kubeconfig",
                     "current-context: c\nclusters: [{name: c, cluster: {server: \"" + url +
                         "\", insecure-skip-tls-verify: true}}]\nusers: [{name: u, user: " + user +
                         "}]\ncontexts: [{name: c, context: {cluster: c, user: u}}]\n");
  }
  std::string ConfigFor(const ScriptedServer& server, const std::string& scheme) {
    return ConfigFor(scheme + "://127.0.0.1:" + std::to_string(server.port()));
  }

  // Half a minute is the most that this waits; what the agent waits for takes longer, or would be
  // tried again for ever.
  void EndsAndLeavesItsRoutes(int signal = SIGTERM) {
    agent().Signal(signal);
    ASSERT_TRUE(Eventually("it ends", [&] { return !agent().running(); }));
    EXPECT_EQ(agent().Wait(), 0);
    EXPECT_EQ(agent().Says("stopping signal="), 1);
    EXPECT_EQ(OurRoutes(), UsualRoutes(2, 3));
    EXPECT_EQ(kernel_->text(), "");
  }
};

std::string List() {
  return OkResponse(
      NodeListJson("10", {UsualNode(1).Json(), UsualNode(2).Json(), UsualNode(3).Json()}));
}

TEST_F(AgentSignalTest, SigtermDuringAWatchEndsItAndLeavesRoutes) {
  FakeApi api([](const std::string&) { return List(); });
  StartAgentAndWait({ConfigFor("http://127.0.0.1:" + std::to_string(api.port()))});
  EXPECT_TRUE(Eventually("a watch", [&] { return api.watches() == 1; }));
  EndsAndLeavesItsRoutes();
}

TEST_F(AgentSignalTest, SigintDoesTheSame) {
  FakeApi api([](const std::string&) { return List(); });
  StartAgentAndWait({ConfigFor("http://127.0.0.1:" + std::to_string(api.port()))});
  EndsAndLeavesItsRoutes(SIGINT);
}

TEST_F(AgentSignalTest, SigtermDuringAConnectThatHangs) {
  // A host that never answers: its link address leads nowhere.
  Shell("ip neigh add 192.168.0.250 lladdr 02:00:00:00:00:fa dev lan");
  StartAgent({ConfigFor("https://192.168.0.250:6443")});
  EXPECT_TRUE(Eventually("a connection under way", [] {
    return Shell("cat /proc/net/tcp").find("FA00A8C0:192B 02") != std::string::npos;
  }));
  EndsAndLeavesItsRoutes();
}

TEST_F(AgentSignalTest, SigtermDuringAHandshakeThatHangs) {
  ScriptedServer server({}, [](ServerConnection& connection) { connection.WaitForClose(); });
  StartAgent({ConfigFor(server, "https")});
  EXPECT_TRUE(Eventually("a connection", [&] { return server.connections() == 1; }));
  EndsAndLeavesItsRoutes();
}

TEST_F(AgentSignalTest, SigtermDuringAListThatIsNotAnswered) {
  std::atomic<bool> asked = false;
  ScriptedServer server({}, [&](ServerConnection& connection) {
    connection.ReadRequest();
    asked = true;
    connection.WaitForClose();
  });
  StartAgent({ConfigFor(server, "http")});
  EXPECT_TRUE(Eventually("a request", [&] { return asked.load(); }));
  EndsAndLeavesItsRoutes();
}

TEST_F(AgentSignalTest, SigtermInTheMiddleOfAList) {
  std::atomic<bool> answered = false;
  ScriptedServer server({}, [&](ServerConnection& connection) {
    connection.ReadRequest();
    connection.Write(List().substr(0, 300));
    answered = true;
    connection.WaitForClose();
  });
  StartAgent({ConfigFor(server, "http")});
  EXPECT_TRUE(Eventually("half an answer", [&] { return answered.load(); }));
  EndsAndLeavesItsRoutes();
}

TEST_F(AgentSignalTest, SigtermWhileItWaitsToTryAgain) {
  StartAgent({ConfigFor("http://127.0.0.1:1")});
  EXPECT_TRUE(Says("Connection refused"));
  EndsAndLeavesItsRoutes();
}

// A name server that takes every question and answers none.
TEST_F(AgentSignalTest, SigtermDuringALookupThatHangs) {
  std::ifstream file("/etc/resolv.conf");
  for (std::string word; file >> word;) {
    if (word != "nameserver" || !(file >> word)) continue;
    TryShell("ip addr add " + word + " dev lo");
  }
  UniqueFd udp(socket(AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  sockaddr_in6 any{};
  any.sin6_family = AF_INET6;
  any.sin6_port = htons(53);
  ASSERT_EQ(bind(udp.get(), reinterpret_cast<sockaddr*>(&any), sizeof any), 0);
  StartAgent({ConfigFor("http://api.example.invalid:6443")});
  EXPECT_TRUE(Eventually("a question", [&] {
    char buffer[512];
    return recv(udp.get(), buffer, sizeof buffer, 0) > 0;
  }));
  EndsAndLeavesItsRoutes();
}

TEST_F(AgentSignalTest, SigtermDuringACredentialProgramThatHangsEndsBoth) {
  std::string pid_file = dir_->File("pid");
  std::string script = dir_->WriteScript("plugin", "echo $$ >" + pid_file + ".new; mv " + pid_file +
                                                       ".new " + pid_file + "; exec sleep 1000");
  StartAgent({ConfigFor("http://127.0.0.1:1",
                        "{exec: {apiVersion: client.authentication.k8s.io/v1, "
                        "interactiveMode: Never, command: " +
                            script + "}}")});
  int pid = 0;
  EXPECT_TRUE(Eventually("the program runs", [&] {
    std::ifstream(pid_file) >> pid;
    return pid > 0;
  }));
  EndsAndLeavesItsRoutes();
  EXPECT_TRUE(Eventually("so has the program", [&] { return kill(pid, 0) != 0; }));
}

TEST_F(AgentSignalTest, SigtermAtAnyMomentOfItsStartLeavesRoutes) {
  for (int i = 0; i < 8; ++i) {
    StartAgent({ConfigFor("http://127.0.0.1:1")});
    // Sooner or later on its way, without a clock: after so many looks at it.
    for (int k = 0; k < 40 * i; ++k) agent().log();
    agent().Signal(SIGTERM);
    ASSERT_TRUE(Eventually("it ends", [&] { return !agent().running(); }));
    int code = agent().Wait();
    EXPECT_TRUE(code == 0 || code == 128 + SIGTERM) << code;
  }
  EXPECT_EQ(kernel_->text(), "");
}

TEST_F(AgentSignalTest, SighupReadsTheTokenFileAgain) {
  FakeApi api([](const std::string&) { return List(); });
  std::string token = WriteTemp("token", "old\n");
  StartAgentAndWait(
      {"--kubeconfig=" + WriteTemp("kubeconfig", api.Kubeconfig("{tokenFile: " + token + "}"))});
  EXPECT_TRUE(Eventually("a watch", [&] { return api.watches() == 1; }));
  EXPECT_TRUE(Says("condition set"));  // Nobody asks for anything just now.
  WriteTemp("token", "new\n");
  agent().Signal(SIGHUP);
  EXPECT_TRUE(Says("credentials are read again"));
  int before = api.Asked("Bearer old");
  api.DropWatches();
  EXPECT_TRUE(Eventually("the new token", [&] { return api.Asked("Bearer new") > 0; }));
  EXPECT_EQ(api.Asked("Bearer old"), before);
  EXPECT_EQ(kernel_->text(), "");
  for (int i = 0; i < 100; ++i) agent().Signal(SIGHUP);
  EndsAndLeavesItsRoutes();
}

}  // namespace
}  // namespace podroute
