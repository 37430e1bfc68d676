#include "controller/metrics.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "base/file.h"
#include "tests/base/fake_clock.h"
#include "tests/controller/fake_backend.h"

namespace podroute {
namespace {

using std::chrono::seconds;

Node MakeNode(int i) {
  Node node;
  node.name = "n" + std::to_string(i);
  node.creation_seconds = 100 + i;
  node.pod_cidrs = {"10.0." + std::to_string(i) + ".0/24"};
  node.pod_cidrs_total = 1;
  node.internal_ips = {"192.168.0." + std::to_string(i)};
  node.addresses_total = 1;
  return node;
}

// A reconciler whose passes are told to the metrics.
class MetricsTest : public ::testing::Test {
 protected:
  MetricsTest() {
    ReconcilerWorld world;
    world.backend = &backend_;
    world.take_nodes = [this] { return store_.TakeSnapshot(); };
    world.request_consistent_list = [] {};
    world.clock = &clock_;
    reconciler_ = std::make_unique<Reconciler>(ReconcilerOptions(), world);
  }
  void Pass() { metrics_.Pass(reconciler_->RunPass(), *reconciler_, std::chrono::milliseconds(3)); }
  void List(int first, int last) {
    std::vector<Node> nodes;
    for (int i = first; i <= last; ++i) nodes.push_back(MakeNode(i));
    store_.Replace(std::move(nodes), false, clock_.Now());
  }
  // Of everything that there is a number for.
  void EverythingHappens() {
    List(1, 3);
    Pass();
    Node claims = MakeNode(4);
    claims.pod_cidrs = {"10.0.1.0/24"};
    store_.Upsert(claims, clock_.Now());
    Pass();
    backend_.world.clear();
    reconciler_->InvalidateRoutes();
    Pass();
    backend_.read_error = Status(StatusCode::kDeadlineExceeded, "it hangs");
    reconciler_->InvalidateRoutes();
    Pass();
    metrics_.SetShadowed(1, 0);
    metrics_.SetLeader(true);
    metrics_.SetMasquerade(true);
    metrics_.SetCniInstalled("plugin", true);
    metrics_.SetWatchSource(
        [] {
          ReflectorState state;
          state.lists = 2;
          state.last_heard = MonotonicTime();
          return state;
        },
        clock_);
    metrics_.SetReporterSource(reporter_counts_);
  }
  bool Has(const std::string& line) {
    return ("\n" + metrics_.Render()).find("\n" + line + "\n") != std::string::npos;
  }

  FakeClock clock_;
  FakeBackend backend_;
  NodeStore store_;
  std::unique_ptr<Reconciler> reconciler_;
  ReporterCounts reporter_counts_;
  Metrics metrics_{"router", "fake"};
};

TEST_F(MetricsTest, NothingIsKnownBeforeTheFirstList) {
  Pass();
  EXPECT_TRUE(Has("podroute_synced 0")) << metrics_.Render();
  EXPECT_EQ(metrics_.Render().find("podroute_routes{"), std::string::npos);
}

TEST_F(MetricsTest, RefusalsThatAreOverAreZero) {
  List(1, 2);
  Node claims = MakeNode(4);
  claims.pod_cidrs = {"10.0.1.0/24"};
  store_.Upsert(claims, clock_.Now());
  Pass();
  EXPECT_TRUE(Has(R"(podroute_refused_pod_cidrs{reason="OverlapsNode"} 1)")) << metrics_.Render();
  store_.Erase("n4", clock_.Now());
  Pass();
  EXPECT_TRUE(Has(R"(podroute_refused_pod_cidrs{reason="OverlapsNode"} 0)")) << metrics_.Render();
}

TEST_F(MetricsTest, OnlyWhatNobodyInTheClusterAskedForIsDrift) {
  List(1, 3);
  Pass();
  List(1, 2);
  Pass();
  EXPECT_EQ(metrics_.Render().find("podroute_drift_repaired_total{"), std::string::npos);
  backend_.world.clear();
  reconciler_->InvalidateRoutes();
  Pass();
  EXPECT_TRUE(Has(R"(podroute_drift_repaired_total{backend="fake",action="add"} 2)"))
      << metrics_.Render();
}

TEST_F(MetricsTest, ABackendThatCannotBeReadIsCountedByItsError) {
  EverythingHappens();
  EXPECT_TRUE(Has(
      R"(podroute_backend_errors_total{backend="fake",operation="read",reason="DeadlineExceeded"} 1)"))
      << metrics_.Render();
}

TEST_F(MetricsTest, WhatTheApiServerWasToldIsCountedByKindAndResult) {
  EXPECT_EQ(metrics_.Render().find("podroute_node_writes_total{"), std::string::npos);
  metrics_.SetReporterSource(reporter_counts_);
  reporter_counts_.condition.ok = 2;
  reporter_counts_.event.failed = 3;
  reporter_counts_.events_dropped = 4;
  EXPECT_TRUE(Has(R"(podroute_node_writes_total{kind="condition",result="ok"} 2)"))
      << metrics_.Render();
  EXPECT_TRUE(Has(R"(podroute_node_writes_total{kind="taint",result="ok"} 0)"));
  EXPECT_TRUE(Has(R"(podroute_node_writes_total{kind="event",result="failed"} 3)"));
  EXPECT_TRUE(Has(R"(podroute_node_writes_total{kind="event",result="dropped"} 4)"));
  reporter_counts_.condition.ok = 5;
  EXPECT_TRUE(Has(R"(podroute_node_writes_total{kind="condition",result="ok"} 5)"));
}

// The metrics' names in a text, each where it stands behind `before`.
std::set<std::string> NamesIn(const std::string& text, const std::string& before) {
  constexpr char kLetters[] = "abcdefghijklmnopqrstuvwxyz_";
  std::set<std::string> names;
  const std::string wanted = before + "podroute_";
  for (size_t at = text.find(wanted); at != std::string::npos; at = text.find(wanted, at + 1)) {
    size_t begin = at + before.size();
    std::string name = text.substr(begin, text.find_first_not_of(kLetters, begin) - begin);
    for (const char* part : {"_bucket", "_count", "_sum"}) {
      if (name.ends_with(part)) name.resize(name.size() - std::string(part).size());
    }
    names.insert(name);
  }
  return names;
}

TEST_F(MetricsTest, EachIsInTheDocumentationAndNoOtherIs) {
  EverythingHappens();
  std::set<std::string> served = NamesIn(metrics_.Render(), "# TYPE ");
  EXPECT_EQ(served.size(), 23u);
  std::string docs = ReadFile("docs/metrics.md").value();
  EXPECT_EQ(NamesIn(docs, "`"), served);
}

TEST_F(MetricsTest, DashboardAndAlertsUseOnlyWhatThereIs) {
  EverythingHappens();
  std::set<std::string> served = NamesIn(metrics_.Render(), "# TYPE ");
  for (const char* file : {"dashboard.json", "alerts.yaml", "alerts_test.yaml"}) {
    std::string text = ReadFile(std::string("manifests/monitoring/") + file).value();
    std::set<std::string> used = NamesIn(text, "");
    EXPECT_GT(used.size(), 5u) << file;
    for (const std::string& name : used) EXPECT_TRUE(served.contains(name)) << file << ": " << name;
  }
}

}  // namespace
}  // namespace podroute
