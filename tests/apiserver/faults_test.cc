// The orders to misbehave, over real sockets.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <memory>
#include <string>

#include "tests/apiserver/json.h"
#include "tests/apiserver/server_process.h"

namespace podroute {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class FaultsTest : public ::testing::Test {
 protected:
  void SetUp() override { Start({}); }

  void Start(std::vector<std::string> flags) {
    auto server = ServerProcess::Start({.tls = false, .address = "::1", .extra_flags = flags});
    ASSERT_TRUE(server.ok()) << server.status().message();
    server_ = std::move(*server);
  }
  Result<SimpleResponse> List() { return server_->Call("GET", "/api/v1/nodes"); }
  std::string Order(const std::string& order) {
    Result<std::string> answer = server_->Control("POST", order);
    return answer.ok() ? *answer : answer.status().message();
  }
  int64_t Count(const std::string& kind) {
    Result<JsonDocument> stats = ParseJson(server_->Control("GET", "stats").value());
    const JsonValue* count = FindPath(*stats, {"requests", kind});
    return count == nullptr ? 0 : count->GetInt64();
  }

  std::unique_ptr<ServerProcess> server_;
};

TEST_F(FaultsTest, AnswersTheNextRequestsWithAnError) {
  Order("faults?kind=status&status=429&retry_after=7&path=/api/v1/nodes&count=2");
  for (int i = 0; i < 2; ++i) {
    Result<SimpleResponse> response = List();
    ASSERT_TRUE(response.ok());
    EXPECT_EQ(response->status, 429);
    EXPECT_EQ(response->headers["retry-after"], "7");
    EXPECT_THAT(response->body, HasSubstr("TooManyRequests"));
  }
  EXPECT_EQ(List()->status, 200);
  EXPECT_EQ(Count("list nodes"), 3);
}

TEST_F(FaultsTest, KeepsToMethodAndKindUntilCleared) {
  Order("faults?kind=status&status=500&method=GET&watch=1&count=-1");
  EXPECT_EQ(List()->status, 200);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(server_->Call("GET", "/api/v1/nodes?watch=1&timeoutSeconds=1")->status, 500);
  }
  ASSERT_TRUE(server_->Control("DELETE", "faults").ok());
  EXPECT_EQ(server_->Call("GET", "/api/v1/nodes?watch=1&timeoutSeconds=1")->status, 200);
}

TEST_F(FaultsTest, AnswersNonsense) {
  Order("nodes?count=3");
  Order("faults?kind=garbage");
  EXPECT_FALSE(ParseJson(List()->body).ok());
  Order("faults?kind=html");
  EXPECT_EQ(List()->headers["content-type"], "text/html; charset=utf-8");
  Order("faults?kind=empty");
  EXPECT_THAT(List()->body, HasSubstr("\"items\":[]"));
  Order("faults?kind=truncate");
  EXPECT_EQ(List().status().code(), StatusCode::kUnavailable);
  Order("faults?kind=close");
  EXPECT_EQ(List().status().code(), StatusCode::kUnavailable);
  Order("faults?kind=delay&delay_ms=1");
  EXPECT_THAT(List()->body, HasSubstr("node2"));
}

TEST_F(FaultsTest, RefusesConnectionsUntilToldToAccept) {
  Order("refuse");
  EXPECT_EQ(List().status().code(), StatusCode::kUnavailable);
  Order("accept");
  EXPECT_EQ(List()->status, 200);
}

TEST_F(FaultsTest, ForgetsHistory) {
  Order("nodes?count=4");
  Result<JsonDocument> page = ParseJson(server_->Call("GET", "/api/v1/nodes?limit=2")->body);
  std::string token(StringAt(*page, {"metadata", "continue"}));
  std::string version(StringAt(*page, {"metadata", "resourceVersion"}));
  Order("nodes?count=1&start=9");
  Order("compact");
  Result<SimpleResponse> rest = server_->Call("GET", "/api/v1/nodes?limit=2&continue=" + token);
  EXPECT_EQ(rest->status, 410);
  // The token that comes with it goes on, inconsistently.
  Result<JsonDocument> gone = ParseJson(rest->body);
  std::string other(StringAt(*gone, {"metadata", "continue"}));
  EXPECT_THAT(server_->Call("GET", "/api/v1/nodes?continue=" + other)->body, HasSubstr("node9"));
  EXPECT_THAT(server_->Call("GET", "/api/v1/nodes?watch=1&resourceVersion=" + version)->body,
              HasSubstr("\"code\":410"));
}

TEST_F(FaultsTest, LosesVersionsWithARestart) {
  Order("nodes?count=2");
  EXPECT_THAT(Order("restart?versions=lose"), Not(HasSubstr("error")));
  EXPECT_EQ(server_->Call("GET", "/api/v1/nodes?resourceVersion=207")->status, 504);
  EXPECT_THAT(List()->body, HasSubstr("node1"));
}

TEST_F(FaultsTest, LetsHostileNodesIn) {
  ASSERT_TRUE(server_
                  ->Control("POST", "objects",
                            R"({"kind":"Node","apiVersion":"v1","metadata":{"name":")" +
                                std::string(1 << 20, 'x') +
                                R"("},"spec":{"podCIDR":"0.0.0.0/0","podCIDRs":[7,"garbage"]}})")
                  .ok());
  EXPECT_GT(List()->body.size(), 1u << 20);
  Start({"--validate=false"});
  EXPECT_EQ(server_
                ->Call("POST", "/api/v1/nodes",
                       R"({"metadata":{"name":"A B"},"spec":{"podCIDR":"0.0.0.0/0"}})")
                ->status,
            201);
}

TEST_F(FaultsTest, OrdersReachOpenWatches) {
  std::string version(StringAt(ParseJson(Order("nodes?count=1")).value(), {"resourceVersion"}));
  // A watch of what comes after `version`, under which `orders` are given.
  auto watch = [&](const std::vector<std::string>& orders) {
    auto answer = std::async(std::launch::async, [&] {
      return server_->Call(
          "GET", "/api/v1/nodes?watch=1&allowWatchBookmarks=1&resourceVersion=" + version);
    });
    while (server_->Control("GET", "stats").value().find("\"watches\":1") == std::string::npos) {
    }
    for (const std::string& order : orders) {
      EXPECT_THAT(Order(order), HasSubstr("resourceVersion"));
    }
    return answer.get();
  };
  EXPECT_EQ(watch({"watches?action=drop"}).status().code(), StatusCode::kUnavailable);
  EXPECT_EQ(watch({"watches?action=half"}).status().code(), StatusCode::kUnavailable);
  EXPECT_EQ(watch({"restart"}).status().code(), StatusCode::kUnavailable);
  version = StringAt(ParseJson(Order("compact")).value(), {"resourceVersion"});
  EXPECT_EQ(watch({"watches?action=close"})->body, "");
  EXPECT_THAT(watch({"watches?action=gone"})->body, HasSubstr("\"code\":410"));
  EXPECT_THAT(
      watch({"nodes?count=1&start=5", "watches?action=bookmark", "watches?action=close"})->body,
      HasSubstr("BOOKMARK"));
  // What happens while it is stalled comes after it.
  EXPECT_THAT(watch({"watches?action=stall", "nodes?count=1&start=6", "watches?action=resume",
                     "watches?action=close"})
                  ->body,
              HasSubstr("node6"));
}

TEST_F(FaultsTest, SaysWhatIsWrongWithAnOrder) {
  EXPECT_THAT(Order("faults?kind=nope"), HasSubstr("is none of"));
  EXPECT_THAT(Order("faults?kind=status&count=x"), HasSubstr("count=x is no number"));
  EXPECT_THAT(Order("watches?action=x"), HasSubstr("none of"));
  EXPECT_THAT(Order("nonsense"), HasSubstr("no such order"));
}

TEST_F(FaultsTest, EndsAtOnceOnSigterm) { EXPECT_EQ(server_->Terminate(), 0); }

}  // namespace
}  // namespace podroute
