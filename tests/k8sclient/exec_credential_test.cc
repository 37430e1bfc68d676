#include "k8sclient/exec_credential.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "base/file.h"
#include "tests/base/fake_clock.h"
#include "tests/base/temp_dir.h"

namespace podroute {
namespace {

using std::chrono::seconds;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr const char* kV1 = "client.authentication.k8s.io/v1";

// Prints an ExecCredential whose status is `status`, and counts its runs in the file "runs".
std::string Plugin(const std::string& status, const std::string& version = kV1) {
  return "cd \"$(dirname \"$0\")\"; echo run >> runs\n"
         "cat <<END\n{\"kind\":\"ExecCredential\",\"apiVersion\":\"" +
         version + "\",\"status\":" + status + "}\nEND";
}

class ExecCredentialTest : public testing::Test {
 protected:
  ExecCredentialTest() {
    options_.origin = "config: user \"lab\": exec";
    options_.api_version = kV1;
  }

  ExecCredentialSource& Source() {
    if (source_ == nullptr) source_ = std::make_unique<ExecCredentialSource>(options_, clock_);
    return *source_;
  }
  void UseScript(const std::string& body) {
    options_.argv.assign(1, dir_.WriteScript("plugin", body));
  }
  std::string Token() {
    Result<Credentials> credentials = Source().Get();
    return credentials.ok() ? credentials->bearer_token
                            : "error: " + credentials.status().message();
  }
  size_t Runs() {
    Result<std::string> runs = ReadFile(dir_.File("runs"));
    return runs.ok() ? runs->size() / 4 : 0;
  }

  TempDir dir_;
  FakeClock clock_;
  ExecCredentialOptions options_;
  std::unique_ptr<ExecCredentialSource> source_;
};

TEST_F(ExecCredentialTest, RunsOnceForAsLongAsItIsGood) {
  UseScript(Plugin(R"({"token":"t1"})"));
  EXPECT_EQ(Token(), "t1");
  clock_.Advance(std::chrono::hours(1000));
  EXPECT_EQ(Token(), "t1");
  EXPECT_EQ(Runs(), 1u);
}

TEST_F(ExecCredentialTest, RunsAgainOnceExpired) {
  // The fake clock starts at midnight.
  UseScript(Plugin(R"({"token":"t1","expirationTimestamp":"2026-01-01T00:10:00Z"})"));
  EXPECT_EQ(Token(), "t1");
  clock_.Advance(seconds(599));
  Token();
  EXPECT_EQ(Runs(), 1u);
  clock_.Advance(seconds(1));
  Token();
  EXPECT_EQ(Runs(), 2u);
}

TEST_F(ExecCredentialTest, RunsAgainWhenInvalidated) {
  UseScript(Plugin(R"({"token":"t1"})"));
  Token();
  UseScript(Plugin(R"({"token":"t2"})"));
  Source().Invalidate();
  Source().Invalidate();
  EXPECT_EQ(Token(), "t2");
  EXPECT_EQ(Token(), "t2");
  EXPECT_EQ(Runs(), 2u);
}

TEST_F(ExecCredentialTest, ManyCallersShareOneRun) {
  UseScript(Plugin(R"({"token":"t1"})"));
  ExecCredentialSource& source = Source();
  std::vector<std::thread> threads;
  threads.reserve(8);
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] { EXPECT_EQ(source.Get()->bearer_token, "t1"); });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(Runs(), 1u);
}

TEST_F(ExecCredentialTest, YieldsCertificates) {
  options_.fixed.client_certificate_pem = "fixed";
  options_.fixed.client_key_pem = "fixed";
  UseScript(Plugin(R"({"clientCertificateData":"CERT\\nX","clientKeyData":"KEY"})"));
  Result<Credentials> credentials = Source().Get();
  ASSERT_TRUE(credentials.ok()) << credentials.status().message();
  EXPECT_EQ(credentials->client_certificate_pem, "CERT\nX");
  EXPECT_EQ(credentials->client_key_pem, "KEY");
  EXPECT_EQ(credentials->bearer_token, "");
}

TEST_F(ExecCredentialTest, ATokenLeavesTheFixedCertificate) {
  options_.fixed.client_certificate_pem = "fixed";
  UseScript(Plugin(R"({"token":"t"})"));
  Result<Credentials> credentials = Source().Get();
  ASSERT_TRUE(credentials.ok());
  EXPECT_EQ(credentials->client_certificate_pem, "fixed");
  EXPECT_EQ(credentials->bearer_token, "t");
}

TEST_F(ExecCredentialTest, SpeaksV1Beta1) {
  options_.api_version = "client.authentication.k8s.io/v1beta1";
  UseScript(Plugin(R"({"token":"t"})", options_.api_version));
  EXPECT_EQ(Token(), "t");
}

TEST_F(ExecCredentialTest, GetsItsArgumentsAndEnvironmentAsTheyAre) {
  UseScript(
      "[ \"$1\" = 'a  b' ] && [ \"$2\" = '$(id)*' ] && [ -z \"$3\" ] && [ $# = 3 ] || exit 7\n" +
      Plugin("{\"token\":\"$GREETING-$(cat)\"}"));
  options_.argv.insert(options_.argv.end(), {"a  b", "$(id)*", ""});
  options_.environment = {{"GREETING", "first"}, {"GREETING", "hello"}};
  EXPECT_EQ(Token(), "hello-");  // And its standard input is empty.
}

TEST_F(ExecCredentialTest, IsToldWhatItIsFor) {
  options_.cluster_json = R"({"server":"https://h"})";
  UseScript("echo \"$KUBERNETES_EXEC_INFO\" > \"$0.info\"\n" + Plugin(R"({"token":"t"})"));
  Token();
  EXPECT_EQ(
      *ReadFile(dir_.File("plugin.info")),
      "{\"kind\":\"ExecCredential\",\"apiVersion\":\"client.authentication.k8s.io/v1\",\"spec\":"
      "{\"cluster\":{\"server\":\"https://h\"},\"interactive\":false}}\n");
}

TEST_F(ExecCredentialTest, AProgramThatIsNotThereComesWithItsHint) {
  options_.argv = {"podroute-no-such-plugin"};
  options_.install_hint = "\n  Install it with:\n\n  apt install x\n";
  EXPECT_EQ(Token(),
            "error: config: user \"lab\": exec: start podroute-no-such-plugin: No such file or "
            "directory; Install it with: apt install x");
  EXPECT_EQ(Source().Get().status().code(), StatusCode::kUnauthenticated);
}

TEST_F(ExecCredentialTest, AProgramThatMayNotBeRunIsAnError) {
  options_.argv = {dir_.Write("data", "#!/bin/sh\n", 0644)};
  EXPECT_THAT(Token(), HasSubstr("Permission denied"));
}

TEST_F(ExecCredentialTest, AFailureShowsTheExitCodeAndWhatItSaid) {
  UseScript("echo 'please log in:' >&2; echo '   run: login' >&2; echo secret; exit 3");
  EXPECT_EQ(Token(), "error: config: user \"lab\": exec: " + dir_.File("plugin") +
                         ": exit code 3: please log in: run: login");
}

TEST_F(ExecCredentialTest, ALongComplaintIsCutAtItsFront) {
  UseScript("i=0; while [ $i -lt 500 ]; do echo line $i >&2; i=$((i+1)); done; exit 1");
  EXPECT_THAT(Token(), EndsWith("line 498 line 499"));
  EXPECT_LT(Token().size(), 600u);
}

TEST_F(ExecCredentialTest, ASignalIsAFailure) {
  UseScript("kill -9 $$");
  EXPECT_THAT(Token(), HasSubstr(": signal 9 (Killed)"));
}

TEST_F(ExecCredentialTest, WhatIsKnownIsSaidWithoutRunningTheProgram) {
  UseScript(Plugin(R"({"token":"t1"})"));
  options_.fixed.client_certificate_pem = "c";
  EXPECT_EQ(Source().Known()->client_certificate_pem, "c");
  EXPECT_EQ(Runs(), 0u);
}

TEST_F(ExecCredentialTest, AfterAFailureItIsTriedAgain) {
  UseScript("exit 1");
  EXPECT_THAT(Token(), HasSubstr("exit code 1"));
  UseScript(Plugin(R"({"token":"t"})"));
  EXPECT_EQ(Token(), "t");
}

TEST_F(ExecCredentialTest, AHungProgramIsKilledWithItsChildren) {
  options_.timeout = std::chrono::milliseconds(100);
  UseScript("sleep 1000 & sleep 1000");
  EXPECT_THAT(Token(), EndsWith("plugin: did not end within 0.1 s"));
}

TEST_F(ExecCredentialTest, CancelEndsARunFromAnotherThreadAndForEver) {
  UseScript("echo > \"$0.started\"; sleep 1000");
  ExecCredentialSource& source = Source();
  std::thread getter([&] { EXPECT_EQ(source.Get().status().code(), StatusCode::kCancelled); });
  while (access(dir_.File("plugin.started").c_str(), F_OK) != 0) std::this_thread::yield();
  source.Cancel();
  getter.join();
  EXPECT_EQ(source.Get().status().code(), StatusCode::kCancelled);
}

TEST_F(ExecCredentialTest, BadOutputSaysWhatIsWrongAndKeepsItsSecrets) {
  struct {
    const char* output;
    const char* why;
  } cases[] = {
      {"", "its output is not an ExecCredential object"},
      {"secret", "its output is not an ExecCredential object"},
      {"{\"token\":", "standard output"},
      {"{\"kind\":\"Secret\"}", "its output is not an ExecCredential object"},
      {R"({"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1beta1",)"
       R"("status":{"token":"secret"}})",
       "its output has apiVersion \"client.authentication.k8s.io/v1beta1\"; "
       "client.authentication.k8s.io/v1 is what the kubeconfig asks for"},
      {R"({"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1"})",
       "its output has no status"},
      {R"({"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","status":{}})",
       "neither status.token nor"},
      {R"({"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1",)"
       R"("status":{"clientKeyData":"secret"}})",
       "only one of"},
      {R"({"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1",)"
       R"("status":{"token":"secret\r\nX: y"}})",
       "a status.token with characters no token has"},
      {R"({"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1",)"
       R"("status":{"token":"secret","expirationTimestamp":"tomorrow"}})",
       "status.expirationTimestamp \"tomorrow\"; RFC 3339"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.output);
    dir_.Write("output", c.output);
    UseScript("cat \"$(dirname \"$0\")/output\"");
    std::string token = Token();
    EXPECT_THAT(token, StartsWith("error: config: user \"lab\": exec: "));
    EXPECT_THAT(token, HasSubstr(c.why));
    EXPECT_THAT(token, Not(HasSubstr("secret")));
    EXPECT_THAT(token, Not(HasSubstr("\n")));
  }
}

TEST_F(ExecCredentialTest, EndlessOutputIsStopped) {
  UseScript("yes");
  EXPECT_THAT(Token(), HasSubstr("wrote more than 1048576 bytes"));
}

}  // namespace
}  // namespace podroute
