// How the agent proves who it is, and goes on when that changes.
#include <gtest/gtest.h>

#include <cstdio>
#include <string>

#include "tests/controller/agent_test_util.h"
#include "tests/controller/fake_api.h"

namespace podroute {
namespace {

class AgentCredentialsTest : public AgentTest {
 protected:
  static std::string List(int last) {
    std::vector<std::string> nodes;
    for (int i = 1; i <= last; ++i) nodes.push_back(UsualNode(i).Json());
    return OkResponse(NodeListJson("10", nodes));
  }
  static std::string Added(int i) {
    std::string node = UsualNode(i).Json();
    node.insert(node.find("\"metadata\":{") + 12, "\"resourceVersion\":\"11\",");
    return R"({"type":"ADDED","object":)" + node + "}\n";
  }
  static std::string CopyOf(const std::string& file) { return Shell("cat " + file); }

  std::string TlsConfig(const ServerProcess& server, const std::string& ca,
                        const std::string& user) {
    return "--kubeconfig=" +
           WriteTemp("kubeconfig",
                     "current-context: c\nclusters: [{name: c, cluster: {server: \"" +
                         server.url() + "\", certificate-authority: " + ca +
                         "}}]\nusers: [{name: u, user: " + user +
                         "}]\ncontexts: [{name: c, context: {cluster: c, user: u}}]\n");
  }
};

TEST_F(AgentCredentialsTest, ATokenThatIsRotatedIsReadAnewWhenTheOldOneIsRefused) {
  FakeApi api([](const std::string&) { return List(3); });
  api.Require("Bearer one");
  std::string token = WriteTemp("token", "one\n");
  StartAgentAndWait(
      {"--kubeconfig=" + WriteTemp("kubeconfig", api.Kubeconfig("{tokenFile: " + token + "}"))});
  EXPECT_TRUE(Eventually("a watch", [&] { return api.watches() == 1; }));
  // The server changes its mind first: the file is late.
  kernel_->Clear();
  api.Require("Bearer two");
  api.DropWatches();
  EXPECT_TRUE(Says("reason=Unauthenticated"));
  EXPECT_EQ(api.Asked("Bearer two"), 0);
  WriteTemp("token", "two\n");
  EXPECT_TRUE(Eventually("a watch", [&] { return api.watches() == 1; }));
  EXPECT_EQ(kernel_->text(), "");
  api.Send(Added(4));
  EXPECT_TRUE(RoutesBecome(UsualRoutes(2, 4)));
}

TEST_F(AgentCredentialsTest, AServerWithANewAuthorityIsRefusedUntilTheFileHasIt) {
  StartServer({.tls = true});
  PutNodes({UsualNode(1), UsualNode(2)});
  std::string ca = WriteTemp("ca.crt", CopyOf(server_->ca_file()));
  std::string config = TlsConfig(*server_, ca, "{token: test-token}");
  StartAgentAndWait({config});
  ASSERT_TRUE(Eventually("a watch", [&] { return Asked("watch nodes") == 2; }));
  kernel_->Clear();
  uint16_t port = server_->port();
  server_->Terminate();
  StartServer({.tls = true, .extra_flags = {"--port=" + std::to_string(port)}});
  // Its versions begin where the old one's did; node3 comes at one that the old one never had.
  PutNodes({UsualNode(1), UsualNode(2), {"filler", {}, {}}, UsualNode(3)});
  EXPECT_TRUE(Says("certificate"));
  EXPECT_EQ(kernel_->text(), "");
  WriteTemp("ca.crt", CopyOf(server_->ca_file()));
  agent().Signal(SIGHUP);  // It would be read again within a minute.
  EXPECT_TRUE(RoutesBecome(UsualRoutes(2, 3)));
}

TEST_F(AgentCredentialsTest, AClientCertificateLogsIn) {
  StartServer({.tls = true});
  PutNodes({UsualNode(1), UsualNode(2)});
  StartAgentAndWait({TlsConfig(*server_, server_->ca_file(),
                               "{client-certificate: " + server_->client_cert_file() +
                                   ", client-key: " + server_->client_key_file() + "}")});
  EXPECT_EQ(OurRoutes(), UsualRoutes(2, 2));
  StopAgent();
  // The control: with nothing it is refused.
  StartAgent({TlsConfig(*server_, server_->ca_file(), "{}")});
  EXPECT_TRUE(Says("list failed"));
  EXPECT_EQ(agent().Says("listed nodes"), 0);
}

TEST_F(AgentCredentialsTest, TheServerIsReachedOverIpv6) {
  StartServer({.tls = true, .address = "::1"});
  PutNodes({UsualNode(1), UsualNode(2)});
  StartAgentAndWait();
  EXPECT_EQ(OurRoutes(), UsualRoutes(2, 2));
}

TEST_F(AgentCredentialsTest, ACredentialProgramIsRunAndRunAgainWhenItsTokenIsRefused) {
  FakeApi api([](const std::string&) { return List(2); });
  api.Require("Bearer one");
  std::string token = WriteTemp("token", "one"), runs = dir_->File("runs");
  std::string script = dir_->WriteScript(
      "plugin", "echo run >>" + runs +
                    "\nprintf '{\"apiVersion\":\"client.authentication.k8s.io/v1\",\"kind\":"
                    "\"ExecCredential\",\"status\":{\"token\":\"%s\"}}' \"$(cat " +
                    token + ")\"");
  std::string user =
      "{exec: {apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never, command: " +
      script + "}}";
  StartAgentAndWait({"--kubeconfig=" + WriteTemp("kubeconfig", api.Kubeconfig(user))});
  EXPECT_TRUE(Eventually("a watch", [&] { return api.watches() == 1; }));
  EXPECT_EQ(CopyOf(runs), "run\n");
  WriteTemp("token", "two");
  api.Require("Bearer two");
  api.DropWatches();
  EXPECT_TRUE(Eventually("the new token", [&] { return api.Asked("Bearer two") > 0; }));
  EXPECT_TRUE(Eventually("a watch", [&] { return api.watches() == 1; }));
  EXPECT_EQ(CopyOf(runs), "run\nrun\n");
  api.Send(Added(3));
  EXPECT_TRUE(RoutesBecome(UsualRoutes(2, 3)));
}

TEST_F(AgentCredentialsTest, ACredentialProgramThatFailsSaysWhyAndIsTriedAgain) {
  FakeApi api([](const std::string&) { return List(2); });
  std::string ready = dir_->File("ready");
  std::string script = dir_->WriteScript(
      "plugin", "[ -e " + ready + " ] || { echo 'log in first' >&2; exit 3; }\n" +
                    "printf '{\"apiVersion\":\"client.authentication.k8s.io/v1\",\"kind\":"
                    "\"ExecCredential\",\"status\":{\"token\":\"t\"}}'");
  std::string user =
      "{exec: {apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never, command: " +
      script + "}}";
  StartAgent({"--kubeconfig=" + WriteTemp("kubeconfig", api.Kubeconfig(user))});
  EXPECT_TRUE(Says("exit code 3: log in first"));
  EXPECT_EQ(api.connections(), 0);
  WriteTemp("ready", "");
  EXPECT_TRUE(RoutesBecome(UsualRoutes(2, 2)));
}

}  // namespace
}  // namespace podroute
