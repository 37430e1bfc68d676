// The plugin may be killed at any moment: at every single system call of ADD and of DEL, one run
// for each (before the call, and after it). The short form leaves out four of five.
#include <gtest/gtest.h>
#include <sched.h>

#include <cstdio>
#include <memory>
#include <string>

#include "tests/base/temp_dir.h"
#include "tests/cni/cni_process.h"
#include "tests/cni/robustness_util.h"
#include "tests/cni/traced_process.h"

namespace podroute {
namespace {

constexpr char kDualStack[] = R"([[{"subnet":"10.1.0.0/24"}],[{"subnet":"fd00::/64"}]])";

struct Case {
  const char* name;
  const char* fields;
};

class KillTest : public ::testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    PODROUTE_ENTER_NETNS_OR_SKIP();
    pod_ = std::make_unique<TestPod>();
    conf_ = PodsConf(dir_.path(), kDualStack, GetParam().fields);
    SubprocessResult first = Call("ADD");
    if (first.out.find("is not supported") != std::string::npos) {
      GTEST_SKIP() << "this plugin refuses the configuration: " << first.out;
    }
    ASSERT_EQ(first.exit_code, 0) << first.out;
    Result<Trace> traced = Trace1("CHECK", 0);
    if (!traced.ok()) GTEST_SKIP() << traced.status().message();
    MustCall("DEL");
  }
  SubprocessResult Call(const std::string& command) {
    return CniProcess(PluginPath(), PluginVariables(command, "c1", pod_->path()), conf_).Wait();
  }
  void MustCall(const std::string& command) {
    SubprocessResult result = Call(command);
    ASSERT_EQ(result.exit_code, 0) << command << ": " << result.out;
  }
  Result<Trace> Trace1(const std::string& command, int kill_at) {
    TraceOptions options;
    options.kill_at_stop = kill_at;
    return RunTraced(PluginPath(), PluginVariables(command, "c1", pod_->path()), conf_, options);
  }
  // Kills `command` at one stop after the other until it ends by itself; how many stops it has.
  int KillEverywhere(const std::string& command) {
    const int step = FullProofs() ? 1 : 5;
    for (int stop = 1;; stop += step) {
      SCOPED_TRACE(command + " killed at stop " + std::to_string(stop));
      if (command == "DEL") MustCall("ADD");
      Result<Trace> trace = Trace1(command, stop);
      EXPECT_TRUE(trace.ok());
      if (!trace.ok()) return stop;
      bool done = !trace->killed;
      if (done) {
        EXPECT_EQ(trace->result.exit_code, 0) << trace->result.out;
      }
      MustCall("DEL");
      MustCall("ADD");
      MustCall("DEL");
      std::string left = LeftBehind(dir_.path(), pod_.get());
      EXPECT_EQ(left, "");
      if (done || HasFailure()) return stop;
    }
  }

  TempDir dir_;
  std::unique_ptr<TestPod> pod_;
  std::string conf_;
};

TEST_P(KillTest, AnAddThatIsKilledAnywhereIsUndoneByDel) {
  int stops = KillEverywhere("ADD");
  EXPECT_GT(stops, 50);
  std::printf("ADD was killed at each of %d stops\n", stops - 1);
}

TEST_P(KillTest, ADelThatIsKilledAnywhereIsFinishedByDel) {
  int stops = KillEverywhere("DEL");
  EXPECT_GT(stops, 20);
  std::printf("DEL was killed at each of %d stops\n", stops - 1);
}

TEST_P(KillTest, AddsThatAreKilledAndNeverDeletedLoseNoAddress) {
  // Five addresses, and far more kills than that.
  conf_ = PodsConf(dir_.path(), R"([[{"subnet":"10.1.0.0/29"}],[{"subnet":"fd00::/64"}]])",
                   GetParam().fields);
  const int step = FullProofs() ? 1 : 5;
  bool done = false;
  for (int stop = 1; !done && !HasFailure(); stop += step) {
    SCOPED_TRACE("killed at stop " + std::to_string(stop));
    pod_ = std::make_unique<TestPod>();
    TraceOptions options;
    options.kill_at_stop = stop;
    std::string container = "c" + std::to_string(stop);
    CniVariables variables = PluginVariables("ADD", container, pod_->path());
    Result<Trace> trace = RunTraced(PluginPath(), variables, conf_, options);
    ASSERT_TRUE(trace.ok());
    done = !trace->killed;
    if (done) {
      EXPECT_EQ(trace->result.exit_code, 0) << trace->result.out;
    }
    pod_.reset();
    // The kernel takes a namespace down in its own time.
    while (Shell("ip -o link show type veth") != "") sched_yield();
  }
  EXPECT_TRUE(done);
}

constexpr char kPortFields[] = R"("ipMasq":true,"runtimeConfig":{"portMappings":[)"
                               R"({"hostPort":8080,"containerPort":80,"protocol":"tcp"},)"
                               R"({"hostPort":5353,"containerPort":53,"protocol":"udp"}]},)";

INSTANTIATE_TEST_SUITE_P(Configurations, KillTest,
                         ::testing::Values(Case{"Plain", ""},
                                           Case{"HostPortsAndIpMasq", kPortFields}),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace podroute
