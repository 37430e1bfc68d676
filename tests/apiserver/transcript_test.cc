// Asks this server what the recorded real one was asked, and compares the answers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "base/file.h"
#include "tests/apiserver/json.h"
#include "tests/apiserver/server_process.h"

namespace podroute {
namespace {

using ::testing::HasSubstr;

constexpr char kFolder[] = "tests/testdata/api-transcripts/";

SimpleResponse Recorded(const std::string& name) {
  Result<std::string> text = ReadFile(kFolder + name + ".http");
  EXPECT_TRUE(text.ok()) << text.status().message();
  SimpleResponse response;
  if (!text.ok()) return response;
  size_t end = text->find("\r\n\r\n");
  response.status = std::atoi(text->c_str() + text->find(' '));
  response.body = text->substr(end + 4);
  for (size_t at = text->find("\r\n"); at < end; at = text->find("\r\n", at + 2)) {
    std::string line = text->substr(at + 2, text->find("\r\n", at + 2) - at - 2);
    size_t colon = line.find(": ");
    std::string header = line.substr(0, colon);
    std::transform(header.begin(), header.end(), header.begin(),
                   [](unsigned char c) { return std::tolower(c); });
    response.headers[header] = line.substr(colon + 2);
  }
  return response;
}

// Every number a "#".
std::string MaskDigits(std::string_view text) {
  std::string out;
  for (char c : text) {
    bool digit = c >= '0' && c <= '9';
    if (!digit) out += c;
    if (digit && (out.empty() || out.back() != '#')) out += '#';
  }
  return out;
}

// Empties the string values of that key in indented JSON. (std::regex does not build under
// -fsanitize=address with GCC 12's -Wmaybe-uninitialized.)
std::string MaskValues(std::string text, const std::string& key) {
  std::string begin = "\"" + key + "\": \"";
  for (size_t at = 0; (at = text.find(begin, at)) != std::string::npos;) {
    at += begin.size();
    text.erase(at, text.find('"', at) - at);
  }
  return text;
}

// Takes out what differs from run to run; keys in order, so that equal text is equal JSON.
void Normalise(JsonValue& value, JsonAllocator& allocator) {
  static const std::set<std::string_view> kVolatile = {"uid", "resourceVersion", "continue"};
  if (value.IsArray()) {
    for (JsonValue& element : value.GetArray()) Normalise(element, allocator);
  }
  if (!value.IsObject()) return;
  RemoveMember(value, "managedFields");
  SortMembers(value, allocator);
  for (auto& member : value.GetObject()) {
    std::string_view name = View(member.name);
    if (!member.value.IsString()) {
      Normalise(member.value, allocator);
      continue;
    }
    std::string text(View(member.value));
    if (kVolatile.contains(name)) text = "(" + std::string(name) + ")";
    if (name == "creationTimestamp") text = "(time)";
    if (name == "message") text = MaskDigits(text);
    if (text.starts_with("worker1.") && text.size() == 13) text = "worker1.(generated)";
    member.value = JsonString(text, allocator);
  }
}

std::string Normal(std::string_view json) {
  Result<JsonDocument> document = ParseJson(json);
  EXPECT_TRUE(document.ok()) << json;
  if (!document.ok()) return "";
  Normalise(*document, document->GetAllocator());
  return Prettify(ToText(*document));
}

// The events of a watch, one text each; repeated bookmarks once.
std::vector<std::string> Events(std::string_view body) {
  std::vector<std::string> events;
  while (!body.empty()) {
    size_t end = body.find('\n');
    events.push_back(Normal(body.substr(0, end)));
    body.remove_prefix(end == std::string_view::npos ? body.size() : end + 1);
    if (events.size() > 1 && events.back() == events[events.size() - 2]) events.pop_back();
  }
  return events;
}

class TranscriptTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string tokens = std::string(std::getenv("TEST_TMPDIR")) + "/tokens";
    ASSERT_TRUE(WriteFileAtomically(tokens, "nobody-token,nobody,1\n").ok());
    auto server =
        ServerProcess::Start({.tls = true,
                              .address = "127.0.0.1",
                              .token = "t",
                              .extra_flags = {"--dual_stack=false", "--bookmark_period=0.3",
                                              "--denied_users=nobody", "--token_file=" + tokens}});
    ASSERT_TRUE(server.ok()) << server.status().message();
    server_ = std::move(*server);
    ASSERT_TRUE(server_->Control("POST", "objects", Recorded("01-list").body).ok());
    version_ = Version(Get("/api/v1/nodes"));
  }

  SimpleResponse Send(const std::string& method, const std::string& target,
                      const std::string& body = "",
                      const std::string& content_type = "application/json",
                      const std::string& token = "t") {
    std::vector<std::string> headers = {"User-Agent: curl/7.88.1", "Accept: */*"};
    if (!token.empty()) headers.push_back("Authorization: Bearer " + token);
    if (!body.empty()) headers.push_back("Content-Type: " + content_type);
    Result<SimpleResponse> response = HttpCall(server_->host(), server_->port(), method, target,
                                               headers, body, server_->ca_file());
    EXPECT_TRUE(response.ok()) << method << " " << target << ": " << response.status().message();
    return response.ok() ? *response : SimpleResponse();
  }
  SimpleResponse Get(const std::string& target) { return Send("GET", target); }

  static std::string Version(const SimpleResponse& response) {
    Result<JsonDocument> document = ParseJson(response.body);
    return document.ok() ? std::string(StringAt(*document, {"metadata", "resourceVersion"})) : "";
  }

  static void ExpectHead(const std::string& name, const SimpleResponse& ours) {
    SimpleResponse real = Recorded(name);
    EXPECT_EQ(ours.status, real.status);
    for (const char* header :
         {"content-type", "cache-control", "retry-after", "x-content-type-options"}) {
      EXPECT_EQ(ours.headers.contains(header), real.headers.contains(header)) << header;
      if (real.headers.contains(header)) {
        EXPECT_EQ(ours.headers.at(header), real.headers.at(header));
      }
    }
    EXPECT_EQ(ours.headers.contains("content-length"), real.headers.contains("content-length"));
    EXPECT_NE(ours.headers.contains("content-length"), ours.headers.contains("transfer-encoding"));
  }

  static void ExpectSame(const std::string& name, const SimpleResponse& ours) {
    SCOPED_TRACE(name);
    ExpectHead(name, ours);
    EXPECT_EQ(Normal(ours.body), Normal(Recorded(name).body));
  }

  // The real server's cache answers in no order.
  static void ExpectSameItems(const std::string& name, const SimpleResponse& ours) {
    SCOPED_TRACE(name);
    ExpectHead(name, ours);
    auto items = [](const std::string& body) {
      std::multiset<std::string> items;
      Result<JsonDocument> list = ParseJson(body);
      if (!list.ok()) return items;
      for (const JsonValue& item : (*list)["items"].GetArray()) {
        items.insert(Normal(ToText(item)));
      }
      (*list)["items"].Clear();
      items.insert(Normal(ToText(*list)));
      return items;
    };
    EXPECT_EQ(items(ours.body), items(Recorded(name).body));
  }

  static void ExpectSameEvents(const std::string& name, const SimpleResponse& ours,
                               bool ordered = true) {
    SCOPED_TRACE(name);
    ExpectHead(name, ours);
    std::vector<std::string> got = Events(ours.body), want = Events(Recorded(name).body);
    if (!ordered) {  // The real server's cache answers in no order.
      std::sort(got.begin(), got.end());
      std::sort(want.begin(), want.end());
    }
    EXPECT_EQ(got, want);
  }

  // What happened between the recorded lists and the recorded watches.
  void RepeatChanges() {
    EXPECT_EQ(Send("PATCH", "/api/v1/nodes/worker1", R"({"metadata":{"labels":{"zone":"a"}}})",
                   "application/merge-patch+json")
                  .status,
              200);
    EXPECT_EQ(Send("DELETE", "/api/v1/nodes/worker2").status, 200);
    EXPECT_EQ(
        Send("POST", "/api/v1/nodes",
             R"({"kind":"Node","apiVersion":"v1","metadata":{"name":"worker3"},"spec":{)"
             R"("podCIDR":"10.244.4.0/24","podCIDRs":["10.244.4.0/24","fd00:10:244:4::/64"]}})")
            .status,
        201);
  }

  SimpleResponse PatchStatus(const std::string& content_type) {
    return Send("PATCH", "/api/v1/nodes/worker1/status",
                R"({"status":{"conditions":[{"type":"NetworkUnavailable","status":"False",)"
                R"("lastHeartbeatTime":"2026-11-22T21:00:00Z",)"
                R"("lastTransitionTime":"2026-11-22T21:00:00Z","reason":"RouteCreated",)"
                R"("message":"podroute programmed all routes"}]}})",
                content_type);
  }

  std::unique_ptr<ServerProcess> server_;
  std::string version_;
};

TEST_F(TranscriptTest, ListsAsTheRealServer) {
  ExpectSame("01-list", Get("/api/v1/nodes"));
  SimpleResponse page = Get("/api/v1/nodes?limit=2");
  ExpectSame("02-list-limit2", page);
  Result<JsonDocument> document = ParseJson(page.body);
  ASSERT_TRUE(document.ok());
  std::string token(StringAt(*document, {"metadata", "continue"}));
  EXPECT_EQ(token.substr(0, 30), "eyJ2IjoibWV0YS5rOHMuaW8vdjEiLC") << "another form of token";
  ExpectSame("03-list-continue", Get("/api/v1/nodes?limit=2&continue=" + token));
  ExpectSameItems("04-list-rv0", Get("/api/v1/nodes?resourceVersion=0"));
}

// managedFields too, and the form of empty objects: what a reader of bytes could trip over.
TEST_F(TranscriptTest, ListIsTheSameByteForByteButForVersions) {
  std::string ours = Get("/api/v1/nodes").body, real = Recorded("01-list").body;
  EXPECT_EQ(MaskValues(ours, "resourceVersion"), MaskValues(real, "resourceVersion"));
}

TEST_F(TranscriptTest, WatchesAsTheRealServer) {
  RepeatChanges();
  ExpectSameEvents("10-watch-no-rv", Get("/api/v1/nodes?watch=1&timeoutSeconds=1"));
  ExpectSameEvents("11-watch-rv0", Get("/api/v1/nodes?watch=1&resourceVersion=0&timeoutSeconds=1"),
                   false);
  PatchStatus("application/strategic-merge-patch+json");
  ExpectSameEvents("05-watch-events-bookmark",
                   Get("/api/v1/nodes?watch=1&resourceVersion=" + version_ +
                       "&allowWatchBookmarks=true&timeoutSeconds=1"));
  ExpectSameEvents("06-watch-rv-too-old", Get("/api/v1/nodes?watch=1&resourceVersion=1"));
  ExpectSameEvents("07-watch-rv-future",
                   Get("/api/v1/nodes?watch=1&resourceVersion=99999999&timeoutSeconds=1"));
}

TEST_F(TranscriptTest, RefusesVersionsAsTheRealServer) {
  ExpectSame("08-list-rv-future", Get("/api/v1/nodes?resourceVersion=99999999"));
  ExpectSame("09-watch-rv-invalid", Get("/api/v1/nodes?watch=1&resourceVersion=abc"));
  ExpectSame("12-watchlist-on-old-server",
             Get("/api/v1/nodes?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"));
}

TEST_F(TranscriptTest, RefusesUsersAsTheRealServer) {
  ExpectSame("13-anonymous-403", Send("GET", "/api/v1/nodes", "", "", ""));
  ExpectSame("14-bad-token-401", Send("GET", "/api/v1/nodes", "", "", "wrong"));
  ExpectSame("15-forbidden-403", Send("GET", "/api/v1/nodes", "", "", "nobody-token"));
}

TEST_F(TranscriptTest, LeasesAsTheRealServer) {
  const std::string leases = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases";
  auto lease = [](const std::string& version, const std::string& renewed) {
    return R"({"kind":"Lease","apiVersion":"coordination.k8s.io/v1","metadata":{"name":"podroute")" +
           version +
           R"(},"spec":{"holderIdentity":"a","leaseDurationSeconds":15,)"
           R"("acquireTime":"2026-11-22T21:00:00.000000Z","renewTime":"2026-11-22T21:00:)" +
           renewed + R"(.000000Z","leaseTransitions":0}})";
  };
  SimpleResponse created = Send("POST", leases, lease("", "00"));
  ExpectSame("20-lease-create-201", created);
  ExpectSame("21-lease-create-conflict-409", Send("POST", leases, lease("", "00")));
  ExpectSame("22-lease-get", Get(leases + "/podroute"));
  ExpectSame("23-lease-get-404", Get(leases + "/none"));
  std::string seen = R"(,"resourceVersion":")" + Version(created) + "\"";
  ExpectSame("24-lease-update-200", Send("PUT", leases + "/podroute", lease(seen, "02")));
  ExpectSame("25-lease-update-stale-409", Send("PUT", leases + "/podroute", lease(seen, "04")));
}

TEST_F(TranscriptTest, PatchesAndEventsAsTheRealServer) {
  RepeatChanges();
  ExpectSame("26-node-status-patch", PatchStatus("application/strategic-merge-patch+json"));
  ExpectSame(
      "27-event-create",
      Send("POST", "/api/v1/namespaces/default/events",
           R"({"kind":"Event","apiVersion":"v1","metadata":{"generateName":"worker1."},)"
           R"("involvedObject":{"kind":"Node","name":"worker1","uid":"worker1"},)"
           R"("reason":"FailedToCreateRoute","message":"x","source":{"component":"podroute"},)"
           R"("firstTimestamp":"2026-11-22T21:00:00Z","lastTimestamp":"2026-11-22T21:00:00Z",)"
           R"("count":1,"type":"Warning"})"));
  ExpectSame("28-patch-415", PatchStatus("application/json"));
  ExpectSame("30-node-404", Get("/api/v1/nodes/none"));
}

TEST_F(TranscriptTest, SaysItsVersionAsTheRealServer) {
  SimpleResponse ours = Get("/version");
  ExpectHead("29-version", ours);
  auto shape = [](std::string body) {  // Which build it is differs.
    for (const char* key : {"gitCommit", "buildDate", "goVersion"}) body = MaskValues(body, key);
    return body;
  };
  EXPECT_EQ(shape(ours.body), shape(Recorded("29-version").body));
}

TEST_F(TranscriptTest, SpeaksHttp11AsTheRealServer) {
  for (const auto& [name, target] :
       {std::pair("31-list-http1.1-headers", "/api/v1/nodes"),
        std::pair("32-watch-http1.1-headers", "/api/v1/nodes?watch=1&timeoutSeconds=1")}) {
    SCOPED_TRACE(name);
    SimpleResponse ours = Get(target);
    SimpleResponse real = Recorded(name);
    EXPECT_EQ(ours.headers["transfer-encoding"], real.headers["transfer-encoding"]);
    EXPECT_EQ(ours.headers["cache-control"], real.headers["cache-control"]);
    EXPECT_EQ(ours.headers["content-type"], real.headers["content-type"]);
    EXPECT_THAT(ours.headers["date"], HasSubstr(" GMT"));
  }
}

}  // namespace
}  // namespace podroute
