#include "controller/node_reporter.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "tests/base/fake_clock.h"

namespace podroute {
namespace {

using std::chrono::seconds;

Node WithCondition(const std::string& status, const std::string& reason, bool ours) {
  Node node;
  if (!status.empty()) node.network_unavailable = NetworkUnavailableCondition{status, reason, ours};
  return node;
}

TEST(WantedConditionTest, OnlyOursBecomesTrueAndOnlyWhatIsNotFalseBecomesFalse) {
  struct Case {
    const char *status, *reason;
    bool works, ours;
    std::optional<bool> wanted;
  } cases[] = {
      {"", "", true, false, true},
      {"True", "NoRouteCreated", true, false, true},
      {"Unknown", "", true, false, true},
      {"True", "CalicoIsDown", true, false, true},
      {"False", "RouteCreated", true, false, std::nullopt},
      {"False", "CalicoIsUp", true, false, std::nullopt},
      {"False", "RouteCreated", false, true, false},
      {"False", "RouteCreated", false, false, std::nullopt},
      {"False", "FlannelIsUp", false, false, std::nullopt},
      {"True", "NoRouteCreated", false, true, std::nullopt},
      {"", "", false, false, std::nullopt},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(WantedCondition(WithCondition(c.status, c.reason, c.ours), c.works), c.wanted)
        << c.status << " " << c.reason << " works=" << c.works;
  }
}

// Answers each request by its path, and remembers them all.
class Api final : public HttpTransport {
 public:
  Result<HttpResponse> Send(const HttpRequest& request) override {
    std::lock_guard lock(mutex_);
    if (shut_down_) return Status(StatusCode::kCancelled, "shut down");
    std::string line = request.method + " " + request.target;
    std::string status =
        request.body.find("\"status\":\"True\"") != std::string::npos ? " True" : "";
    asked_.push_back(line + status);
    changed_.notify_all();
    HttpResponse response;
    auto at = statuses_.find(line);
    response.status = at == statuses_.end() ? 200 : at->second;
    response.body = std::make_unique<Body>();
    return response;
  }
  void ReloadCredentials() override {}
  void Shutdown() override {
    std::lock_guard lock(mutex_);
    shut_down_ = true;
  }

  void Answer(const std::string& line, int status) {
    std::lock_guard lock(mutex_);
    statuses_[line] = status;
  }
  // Waits until that many requests have come; returns them all.
  std::vector<std::string> Await(size_t count) {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(changed_.wait_for(lock, seconds(30), [&] { return asked_.size() >= count; }));
    return asked_;
  }
  size_t asked() {
    std::lock_guard lock(mutex_);
    return asked_.size();
  }

 private:
  class Body final : public BodyStream {
   public:
    Result<size_t> Read(std::span<char> buffer) override {
      std::string_view rest = std::string_view("{}").substr(at_);
      size_t n = std::min(rest.size(), buffer.size());
      std::copy_n(rest.begin(), n, buffer.begin());
      at_ += n;
      return n;
    }
    void SetIdleTimeout(Duration) override {}
    void Cancel() override {}

   private:
    size_t at_ = 0;
  };

  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, int> statuses_;
  std::vector<std::string> asked_;
  bool shut_down_ = false;
};

std::string Patch(const std::string& node) { return "PATCH /api/v1/nodes/" + node + "/status"; }

class NodeReporterTest : public ::testing::Test {
 protected:
  NodeReporterTest() { reporter_.Start(); }
  ~NodeReporterTest() override {
    api_.Shutdown();
    reporter_.Stop();
  }
  static std::shared_ptr<Node> MakeNode(const std::string& name) {
    auto node = std::make_shared<Node>();
    node->name = name;
    return node;
  }
  // As the API server tells it once the condition is written, by podroute or by somebody else.
  static std::shared_ptr<Node> Told(const Node& node, const std::string& status, bool ours = true) {
    auto told = std::make_shared<Node>(node);
    const char* reason = status == "False" ? "RouteCreated" : "NoRouteCreated";
    told->network_unavailable = {status, reason, ours};
    return told;
  }

  // What was asked is answered, and the answer accounted for.
  static void Await(const std::atomic<uint64_t>& counter, uint64_t value) {
    auto end = std::chrono::steady_clock::now() + seconds(30);
    while (counter != value && std::chrono::steady_clock::now() < end) std::this_thread::yield();
    EXPECT_EQ(counter, value);
  }

  // The same of all that has been asked so far.
  void AwaitAnswers() {
    const ReporterCounts::Writes& writes = reporter_.counts().condition;
    auto end = std::chrono::steady_clock::now() + seconds(30);
    while (writes.ok + writes.failed != api_.asked() && std::chrono::steady_clock::now() < end) {
      std::this_thread::yield();
    }
    EXPECT_EQ(writes.ok + writes.failed, api_.asked());
  }

  FakeClock clock_;
  Api api_;
  NodeReporter reporter_{api_, clock_, "router"};
};

TEST_F(NodeReporterTest, EachNodeThatWorksGetsItsConditionOnce) {
  auto a = MakeNode("a"), b = MakeNode("b"), c = MakeNode("c");
  reporter_.Update({{a, true}, {b, false}, {c, true}});
  EXPECT_EQ(api_.Await(2), (std::vector<std::string>{Patch("a"), Patch("c")}));
  // Told again, or told that it was written, it needs nothing more.
  reporter_.Update({{a, true}, {b, false}, {c, true}});
  reporter_.Update({{Told(*a, "False"), true}, {b, true}, {c, true}});
  EXPECT_EQ(api_.Await(3).back(), Patch("b"));
  Await(reporter_.counts().condition.ok, 3);
}

TEST_F(NodeReporterTest, OnlyWhatIsBrokenForAWhileAndWasOursBecomesTrue) {
  auto ours = MakeNode("ours");
  auto others = Told(*MakeNode("others"), "False", false);
  reporter_.Update({{ours, true}, {others, true}});
  api_.Await(1);
  auto told = Told(*ours, "False");
  reporter_.Update({{told, false}, {others, false}});
  // A moment later it works again, and nobody has heard of it.
  clock_.Advance(NodeReporter::kGrace - seconds(1));
  reporter_.Update({{told, true}, {others, true}});
  reporter_.Update({{told, false}, {others, false}});
  clock_.Advance(NodeReporter::kGrace - seconds(1));
  auto newcomer = MakeNode("newcomer");
  reporter_.Update({{told, false}, {others, false}, {newcomer, true}});
  EXPECT_EQ(api_.Await(2).back(), Patch("newcomer"));
  clock_.Advance(seconds(1));
  reporter_.Update({{told, false}, {others, false}, {MakeNode("another"), true}});
  std::vector<std::string> asked = api_.Await(4);
  EXPECT_EQ((std::set<std::string>{asked[2], asked[3]}),
            (std::set<std::string>{Patch("another"), Patch("ours") + " True"}));
  reporter_.Update({{Told(*ours, "True"), true}, {others, true}});
  EXPECT_EQ(api_.Await(5).back(), Patch("ours"));
}

TEST_F(NodeReporterTest, SomebodyWhoKeepsSettingItTrueIsNotAnsweredEachTime) {
  auto node = MakeNode("a");
  reporter_.Update({{node, true}});
  api_.Await(1);
  size_t asked = 1;
  for (int turn = 0; turn < NodeReporter::kConditionBurst - 1; ++turn) {
    AwaitAnswers();
    reporter_.Update({{Told(*node, "True", false), true}});
    asked = api_.Await(asked + 1).size();
  }
  AwaitAnswers();
  auto again = Told(*node, "True", false);
  reporter_.Update({{again, true}, {MakeNode("b"), true}});
  EXPECT_EQ(api_.Await(asked + 1).back(), Patch("b"));
  // Others are not held up, and it is not forgotten.
  AwaitAnswers();
  EXPECT_EQ(api_.asked(), asked + 1);
  clock_.Advance(NodeReporter::kConditionRest);
  reporter_.Update({{again, true}, {Told(*MakeNode("b"), "False"), true}});
  EXPECT_EQ(api_.Await(asked + 2).back(), Patch("a"));
  AwaitAnswers();
}

// What another process of podroute's has written is podroute's all the same.
TEST_F(NodeReporterTest, WhatAnEarlierProcessMadeFalseBecomesTrueToo) {
  auto node = Told(*MakeNode("a"), "False");
  reporter_.Update({{node, false}});
  clock_.Advance(NodeReporter::kGrace);
  reporter_.Update({{node, false}, {MakeNode("b"), true}});
  std::vector<std::string> asked = api_.Await(2);
  EXPECT_EQ((std::set<std::string>{asked[0], asked[1]}),
            (std::set<std::string>{Patch("a") + " True", Patch("b")}));
}

TEST_F(NodeReporterTest, NodesThatAreRefusedHoldNoOtherUp) {
  api_.Answer(Patch("a"), 422);
  api_.Answer(Patch("b"), 422);
  auto a = MakeNode("a"), b = MakeNode("b"), c = MakeNode("c"), d = MakeNode("d");
  reporter_.Update({{a, true}, {b, true}, {c, true}, {d, true}});
  // Each turn that fails leaves the next one to another.
  std::vector<std::string> asked = api_.Await(1);
  for (int turn = 0; turn < 3; ++turn) {
    AwaitAnswers();
    clock_.Advance(std::chrono::minutes(2));
    auto wakes = Told(*MakeNode("e" + std::to_string(turn)), "False");
    reporter_.Update({{a, true}, {b, true}, {c, true}, {d, true}, {wakes, true}});
    asked = api_.Await(asked.size() + 1);
  }
  // And those that were refused are tried again.
  asked = api_.Await(5);
  AwaitAnswers();
  EXPECT_EQ(std::count(asked.begin(), asked.end(), Patch("c")), 1);
  EXPECT_EQ(std::count(asked.begin(), asked.end(), Patch("d")), 1);
  EXPECT_EQ(reporter_.counts().condition.ok, 2u);
}

TEST_F(NodeReporterTest, ANodeThatIsGoneIsForgottenAndDelaysNobody) {
  api_.Answer(Patch("a"), 404);
  reporter_.Update({{MakeNode("a"), true}, {MakeNode("b"), true}});
  EXPECT_EQ(api_.Await(2), (std::vector<std::string>{Patch("a"), Patch("b")}));
  Await(reporter_.counts().condition.ok, 1);
  EXPECT_EQ(reporter_.counts().condition.failed, 0u);
}

TEST_F(NodeReporterTest, TheTaintGoesOnlyWhereTheNetworkWorks) {
  auto works = Told(*MakeNode("works"), "False");
  auto broken = Told(*MakeNode("broken"), "False");
  works->startup_taint = broken->startup_taint = 1;
  reporter_.Update({{broken, false}, {works, true}});
  EXPECT_EQ(api_.Await(1), std::vector<std::string>{"PATCH /api/v1/nodes/works"});
  reporter_.Update({{broken, true}, {works, true}});
  EXPECT_EQ(api_.Await(2).back(), "PATCH /api/v1/nodes/broken");
}

}  // namespace
}  // namespace podroute
