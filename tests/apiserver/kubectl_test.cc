// kubectl against this server. Skipped where there is no kubectl.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <memory>
#include <string>

#include "base/file.h"
#include "tests/apiserver/server_process.h"

namespace podroute {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

struct Outcome {
  int exit_status = -1;
  std::string output;  // Both streams.
};

Outcome Shell(const std::string& command) {
  Outcome outcome;
  FILE* pipe = popen(("exec 2>&1; " + command).c_str(), "r");
  if (pipe == nullptr) return outcome;
  Result<std::string> output = ReadAll(fileno(pipe), "kubectl");
  if (output.ok()) outcome.output = *output;
  int status = pclose(pipe);
  outcome.exit_status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return outcome;
}

class KubectlTest : public ::testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    if (Shell("command -v kubectl").exit_status != 0) GTEST_SKIP() << "no kubectl on PATH";
    // kubectl sends no token over plain HTTP.
    auto server = ServerProcess::Start({.tls = GetParam(), .token = GetParam() ? "t" : ""});
    ASSERT_TRUE(server.ok()) << server.status().message();
    server_ = std::move(*server);
    home_ = std::getenv("TEST_TMPDIR");
    manifest_ = home_ + "/node.yaml";
    WriteManifest("");
  }

  void WriteManifest(const std::string& more_labels) {
    ASSERT_TRUE(WriteFileAtomically(manifest_,
                                    "apiVersion: v1\nkind: Node\nmetadata:\n  name: worker1\n"
                                    "  labels:\n    node-role.kubernetes.io/worker: \"\"\n" +
                                        more_labels +
                                        "spec:\n  podCIDR: 10.244.2.0/24\n"
                                        "  podCIDRs: [10.244.2.0/24, \"fd00:10:244:2::/64\"]\n")
                    .ok());
  }

  Outcome Kubectl(const std::string& arguments) {
    return Shell("HOME=" + home_ + " KUBECONFIG=" + server_->kubeconfig() + " kubectl " +
                 arguments);
  }
  void ExpectWorks(const std::string& arguments, const std::string& output) {
    Outcome outcome = Kubectl(arguments);
    EXPECT_EQ(outcome.exit_status, 0) << arguments << ": " << outcome.output;
    EXPECT_THAT(outcome.output, HasSubstr(output)) << arguments;
  }

  std::unique_ptr<ServerProcess> server_;
  std::string home_, manifest_;
};

TEST_P(KubectlTest, CreatesShowsAndDeletesANode) {
  ExpectWorks("create -f " + manifest_, "node/worker1 created");
  EXPECT_THAT(
      Kubectl("get nodes").output,
      ContainsRegex("NAME +STATUS +ROLES +AGE +VERSION\nworker1 +Unknown +worker +[0-9]+s"));
  ExpectWorks("get node worker1 -o jsonpath='{.spec.podCIDRs[1]}'", "fd00:10:244:2::/64");
  Outcome again = Kubectl("create -f " + manifest_);
  EXPECT_EQ(again.exit_status, 1);
  EXPECT_THAT(again.output, HasSubstr("already exists"));
  ExpectWorks("describe node worker1", "PodCIDRs:");
  ExpectWorks("delete node worker1", "deleted");
  Outcome gone = Kubectl("get node worker1");
  EXPECT_EQ(gone.exit_status, 1);
  EXPECT_THAT(gone.output, HasSubstr("nodes \"worker1\" not found"));
}

TEST_P(KubectlTest, AppliesLabelsTaintsAndPatches) {
  ExpectWorks("apply -f " + manifest_, "node/worker1 created");
  ExpectWorks("apply -f " + manifest_, "node/worker1 unchanged");
  WriteManifest("    zone: a\n");
  ExpectWorks("apply -f " + manifest_, "node/worker1 configured");
  ExpectWorks("label node worker1 disk=ssd", "labeled");
  ExpectWorks("taint node worker1 a=b:NoSchedule", "tainted");
  ExpectWorks("cordon worker1", "cordoned");
  // Older kubectls cannot patch a subresource, which is no reason to test less with them.
  const std::string status =
      R"({"status":{"addresses":[{"type":"InternalIP","address":"192.168.0.2"}]}})";
  if (Kubectl("patch --help").output.find("--subresource") != std::string::npos) {
    ExpectWorks("patch node worker1 --subresource=status --type=merge -p '" + status + "'",
                "patched");
  } else {
    auto patched = server_->Call("PATCH", "/api/v1/nodes/worker1/status", status,
                                 "application/merge-patch+json");
    ASSERT_TRUE(patched.ok()) << patched.status().message();
    EXPECT_EQ(patched->status, 200) << patched->body;
  }
  ExpectWorks(
      "patch node worker1 --type=json -p "
      R"('[{"op":"remove","path":"/metadata/labels/disk"}]')",
      "patched");
  EXPECT_THAT(Kubectl("get nodes -o wide --show-labels").output,
              ContainsRegex("worker1 .*SchedulingDisabled.*192\\.168\\.0\\.2.*zone=a"));
  ExpectWorks("get nodes -l zone=a", "worker1");
  EXPECT_THAT(Kubectl("get nodes -l zone=b").output, Not(HasSubstr("worker1")));
  Outcome moved = Kubectl(R"(patch node worker1 -p '{"spec":{"podCIDR":"10.9.0.0/24"}}')");
  EXPECT_EQ(moved.exit_status, 1);
  EXPECT_THAT(moved.output, HasSubstr("node updates may not change podCIDR"));
}

TEST_P(KubectlTest, WatchesNodes) {
  ASSERT_TRUE(server_->Control("POST", "nodes?count=2").ok());
  std::string command = "HOME=" + home_ + " KUBECONFIG=" + server_->kubeconfig() +
                        " exec kubectl get nodes -w --output-watch-events";
  FILE* watch = popen(command.c_str(), "r");
  ASSERT_NE(watch, nullptr);
  auto next_line = [&]() -> std::string {
    char line[4096];
    return fgets(line, sizeof(line), watch) == nullptr ? "(end)" : line;
  };
  EXPECT_THAT(next_line(), ContainsRegex("EVENT +NAME +STATUS +ROLES +AGE +VERSION"));
  EXPECT_THAT(next_line(), ContainsRegex("ADDED +node0 +Ready"));
  EXPECT_THAT(next_line(), ContainsRegex("ADDED +node1 +Ready"));
  ExpectWorks("label node node0 a=b", "labeled");
  EXPECT_THAT(next_line(), ContainsRegex("MODIFIED +node0 +Ready"));
  ExpectWorks("delete node node1", "deleted");
  EXPECT_THAT(next_line(), ContainsRegex("DELETED +node1 +Ready"));
  server_.reset();  // kubectl ends with its watch.
  pclose(watch);
}

TEST_P(KubectlTest, KnowsTheOtherKinds) {
  ExpectWorks("api-resources", "leases");
  ExpectWorks("get namespaces", "kube-system");
  ExpectWorks("get leases -A", "No resources found");
  ExpectWorks("get events", "No resources found");
  ExpectWorks("version", "v1.20.2");
  EXPECT_EQ(Kubectl("get --raw /readyz").output, "ok");
}

INSTANTIATE_TEST_SUITE_P(PlainAndTls, KubectlTest, ::testing::Bool(),
                         [](const auto& info) { return info.param ? "Tls" : "Plain"; });

}  // namespace
}  // namespace podroute
