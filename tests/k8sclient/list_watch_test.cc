#include "k8sclient/list_watch.h"

#include <gtest/gtest.h>

#include "tests/k8sclient/fake_transport.h"

namespace podroute {
namespace {

TEST(ListWatchTest, TargetsAreWhatTheApiExpects) {
  EXPECT_EQ(ListTarget("0", 500, ""), "/api/v1/nodes?limit=500&resourceVersion=0");
  EXPECT_EQ(ListTarget("217", 0, ""), "/api/v1/nodes?resourceVersion=217");
  EXPECT_EQ(ListTarget("", 500, ""), "/api/v1/nodes?limit=500");
  EXPECT_EQ(ListTarget("", 0, ""), "/api/v1/nodes");
  EXPECT_EQ(ListTarget("217", 500, "a=b+c"), "/api/v1/nodes?limit=500&continue=a%3Db%2Bc");
  EXPECT_EQ(WatchTarget("2 1&7", 301),
            "/api/v1/nodes?watch=1&resourceVersion=2%201%267&allowWatchBookmarks=true"
            "&timeoutSeconds=301");
  EXPECT_EQ(WatchListTarget("", 301),
            "/api/v1/nodes?watch=1&resourceVersion=&allowWatchBookmarks=true&timeoutSeconds=301"
            "&sendInitialEvents=true&resourceVersionMatch=NotOlderThan");
}

TEST(ListWatchTest, AFieldSelectorGoesIntoEveryTarget) {
  EXPECT_EQ(ListTarget("0", 500, "", "metadata.name=a"),
            "/api/v1/nodes?fieldSelector=metadata.name%3Da&limit=500&resourceVersion=0");
  EXPECT_EQ(WatchTarget("7", 301, "metadata.name=a"),
            "/api/v1/nodes?watch=1&resourceVersion=7&allowWatchBookmarks=true&timeoutSeconds=301"
            "&fieldSelector=metadata.name%3Da");
  EXPECT_EQ(WatchListTarget("7", 301, "metadata.name=a"),
            "/api/v1/nodes?watch=1&resourceVersion=7&allowWatchBookmarks=true&timeoutSeconds=301"
            "&fieldSelector=metadata.name%3Da&sendInitialEvents=true"
            "&resourceVersionMatch=NotOlderThan");
}

TEST(ListWatchTest, EncodesAllButUnreservedCharacters) {
  EXPECT_EQ(PercentEncode("azAZ09-._~"), "azAZ09-._~");
  EXPECT_EQ(PercentEncode("/?#[]@!$&'()*+,;=% \"\xc3\xbc\n"),
            "%2F%3F%23%5B%5D%40%21%24%26%27%28%29%2A%2B%2C%3B%3D%25%20%22%C3%BC%0A");
}

TEST(ListWatchTest, OpensOnlyJson) {
  struct Case {
    std::string type;
    StatusCode code;
  };
  for (const Case& c : {Case{"application/json", StatusCode::kOk},
                        Case{"application/json;stream=watch", StatusCode::kOk},
                        Case{"text/html; charset=utf-8", StatusCode::kInternal},
                        Case{"application/vnd.kubernetes.protobuf", StatusCode::kInternal}}) {
    FakeTransport transport;
    FakeResponse response = FakeResponse::Body("{}");
    response.headers["content-type"] = c.type;
    transport.Add(response);
    std::unique_ptr<BodyStream> body;
    ApiError error = OpenBody(transport, "/x", std::chrono::seconds(1), &body);
    EXPECT_EQ(error.status.code(), c.code) << error.status.message();
    EXPECT_EQ(body != nullptr, error.ok());
    EXPECT_EQ(transport.requests()[0].idle_timeout, std::chrono::seconds(1));
  }
}

TEST(ListWatchTest, OtherStatusesAreErrors) {
  for (int status : {100, 204, 301, 400, 404, 500, 0}) {
    FakeTransport transport;
    FakeResponse response = FakeResponse::Body("{}");
    response.status = status;
    transport.Add(response);
    std::unique_ptr<BodyStream> body;
    EXPECT_FALSE(OpenBody(transport, "/x", std::chrono::seconds(1), &body).ok());
    EXPECT_EQ(body, nullptr);
  }
}

}  // namespace
}  // namespace podroute
