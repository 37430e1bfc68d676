#include "tests/apiserver/api.h"

#include <gtest/gtest.h>

#include "tests/apiserver/continue_token.h"
#include "tests/apiserver/json.h"
#include "tests/apiserver/table.h"

namespace podroute {
namespace {

class ApiTest : public ::testing::Test {
 protected:
  ApiTest() {
    authenticator_.AllowAnonymous();
    api_.CreateDefaultNamespaces();
  }

  ApiResponse Do(const std::string& method, const std::string& target, const std::string& body = "",
                 const std::string& type = "application/json") {
    ApiRequest request;
    request.method = method;
    ParseTarget(target, &request);
    request.body = body;
    request.content_type = type;
    return api_.Handle(request);
  }

  ApiOptions Options() {
    ApiOptions options;
    options.objects.now_seconds = [] { return int64_t{1795382673}; };
    options.objects.random_bits = [this] { return ++random_ * 0x9e3779b97f4a7c15u; };
    return options;
  }

  uint64_t random_ = 0;
  Store store_{100};
  Authenticator authenticator_;
  Api api_{&store_, &authenticator_, Options()};
};

TEST_F(ApiTest, MakesTheTwoFormsOfPodCidrAgree) {
  struct Case {
    const char* spec;
    const char* want;
  };
  for (const Case& c : {
           Case{R"({"podCIDR":"10.1.0.0/24"})",
                R"("podCIDR":"10.1.0.0/24","podCIDRs":["10.1.0.0/24"])"},
           Case{R"({"podCIDRs":["10.1.0.0/24","fd00::/64"]})",
                R"("podCIDR":"10.1.0.0/24","podCIDRs":["10.1.0.0/24","fd00::/64"])"},
           Case{R"({"podCIDR":"10.1.0.0/24","podCIDRs":["10.2.0.0/24"]})",
                R"("podCIDR":"10.1.0.0/24","podCIDRs":["10.1.0.0/24"])"},
       }) {
    ApiResponse response = Do("POST", "/api/v1/nodes",
                              R"({"metadata":{"name":"n"},"spec":)" + std::string(c.spec) + "}");
    EXPECT_EQ(response.status, 201);
    EXPECT_NE(response.body.find(c.want), std::string::npos) << response.body;
    EXPECT_EQ(Do("DELETE", "/api/v1/nodes/n").status, 200);
  }
}

TEST_F(ApiTest, RefusesWhatTheRealServerRefuses) {
  struct Case {
    const char* method;
    const char* target;
    const char* body;
    int status;
  };
  for (const Case& c : {
           Case{"POST", "/api/v1/nodes", R"({"metadata":{"name":"UPPER"}})", 422},
           Case{"POST", "/api/v1/nodes", R"({"metadata":{}})", 422},
           Case{"POST", "/api/v1/nodes", R"([])", 400},
           Case{"POST", "/api/v1/nodes", R"({"metadata":7})", 400},
           Case{"POST", "/api/v1/nodes", R"({"kind":"Pod","metadata":{"name":"n"}})", 400},
           Case{"POST", "/api/v1/nodes",
                R"({"metadata":{"name":"n"},"spec":{"podCIDRs":["10.0.0.0/8","11.0.0.0/8"]}})",
                422},
           Case{"POST", "/api/v1/nodes",
                R"({"metadata":{"name":"n"},"spec":{"podCIDR":"1.2.3.4/33"}})", 422},
           Case{"POST", "/api/v1/nodes/n", "{}", 405},
           Case{"POST", "/api/v1/configmaps", "{}", 405},
           Case{"POST", "/api/v1/namespaces/none/configmaps", R"({"metadata":{"name":"c"}})", 404},
           Case{"PUT", "/api/v1/nodes/n", R"({"metadata":{"name":"n"}})", 404},
           Case{"PUT", "/api/v1/nodes/n", "{", 400},
           Case{"GET", "/api/v1/nodes?fieldSelector=spec.x=1", "", 400},
           Case{"GET", "/api/v1/nodes?labelSelector=%20", "", 400},
           Case{"GET", "/api/v1/nodes?continue=nonsense", "", 400},
           Case{"GET", "/api/v1/nodes?resourceVersion=-1", "", 500},
           Case{"GET", "/api/v1/nodes?resourceVersionMatch=Exact", "", 422},
           Case{"GET", "/api/v1/nothing", "", 404},
           Case{"GET", "/", "", 404},
       }) {
    EXPECT_EQ(Do(c.method, c.target, c.body).status, c.status)
        << c.method << " " << c.target << " " << c.body;
  }
}

TEST_F(ApiTest, HasAnEmptyOpenApiV2WithWhichOldKubectlsValidateNothing) {
  ApiResponse response = Do("GET", "/openapi/v2?timeout=32s");
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.content_type, "application/octet-stream");
  EXPECT_EQ(response.body, "");
}

TEST_F(ApiTest, KeepsAnObjectUntilItsFinalizersAreGone) {
  Do("POST", "/api/v1/nodes", R"({"metadata":{"name":"n","finalizers":["a/b"]}})");
  Do("DELETE", "/api/v1/nodes/n");
  EXPECT_NE(Do("GET", "/api/v1/nodes/n").body.find("deletionTimestamp"), std::string::npos);
  Do("PATCH", "/api/v1/nodes/n", R"({"metadata":{"finalizers":null}})",
     "application/merge-patch+json");
  EXPECT_EQ(Do("GET", "/api/v1/nodes/n").status, 404);
}

TEST_F(ApiTest, ChangesNoVersionWhenNothingChanges) {
  Do("POST", "/api/v1/nodes", R"({"metadata":{"name":"n","labels":{"a":"b"}}})");
  uint64_t version = store_.version();
  EXPECT_EQ(Do("PATCH", "/api/v1/nodes/n", R"({"metadata":{"labels":{"a":"b"}}})",
               "application/merge-patch+json")
                .status,
            200);
  EXPECT_EQ(store_.version(), version);
}

TEST_F(ApiTest, SelectsByLabelAndField) {
  for (const char* name : {"a", "b", "c"}) {
    Do("POST", "/api/v1/nodes",
       R"({"metadata":{"name":")" + std::string(name) + R"(","labels":{"n":")" + name + "\"}}}");
  }
  for (const auto& [query, count] : std::vector<std::pair<std::string, size_t>>{
           {"labelSelector=n%3Da", 1},
           {"labelSelector=n!=a", 2},
           {"labelSelector=n+in+(a,b)", 2},
           {"labelSelector=n+notin+(a,b),n", 1},
           {"labelSelector=!n", 0},
           {"labelSelector=x!=1", 3},
           {"fieldSelector=metadata.name=b", 1},
           {"fieldSelector=metadata.name!=b", 2},
           {"fieldSelector=spec.unschedulable=false", 3},
       }) {
    EXPECT_EQ(Do("GET", "/api/v1/nodes?" + query).items.size(), count) << query;
  }
}

TEST(ContinueTokenTest, IsTheRealServers) {
  ContinueToken token{217, std::string("worker1") + '\0'};
  EXPECT_EQ(token.Encode(),
            "eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MjE3LCJzdGFydCI6IndvcmtlcjFcdTAwMDAifQ");
  EXPECT_EQ(ContinueToken::Decode(token.Encode()), token);
  for (const char* bad : {"", "!", "e30", "bnVsbA"})
    EXPECT_FALSE(ContinueToken::Decode(bad)) << bad;
}

TEST(HumanDurationTest, IsKubectls) {
  for (const auto& [seconds, text] :
       std::vector<std::pair<int64_t, std::string>>{{0, "0s"},
                                                    {119, "119s"},
                                                    {120, "2m"},
                                                    {125, "2m5s"},
                                                    {600, "10m"},
                                                    {10799, "179m"},
                                                    {10800, "3h"},
                                                    {10860, "3h1m"},
                                                    {86400, "24h"},
                                                    {172800, "2d"},
                                                    {176400, "2d1h"},
                                                    {691200, "8d"},
                                                    {63072000, "2y"},
                                                    {-5, "<invalid>"}}) {
    EXPECT_EQ(HumanDuration(seconds), text);
  }
}

TEST(PrettifyTest, IsGosForm) {
  EXPECT_EQ(Prettify(R"({"a":{},"b":[],"c":[1,"x,{"],"fieldsV1":{"f":{}}})"),
            "{\n  \"a\": {\n    \n  },\n  \"b\": [],\n  \"c\": [\n    1,\n    \"x,{\"\n  ],\n"
            "  \"fieldsV1\": {\"f\":{}}\n}");
}

}  // namespace
}  // namespace podroute
