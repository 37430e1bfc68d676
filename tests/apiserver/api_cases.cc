#include "tests/apiserver/api_cases.h"

#include <gtest/gtest.h>

#include "tests/apiserver/json.h"

namespace podroute {

namespace {

constexpr char kNodes[] = "/api/v1/nodes";
constexpr char kLeases[] = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases";
constexpr char kJson[] = "application/json";
constexpr char kMerge[] = "application/merge-patch+json";
constexpr char kStrategic[] = "application/strategic-merge-patch+json";

struct Answer {
  int status = 0;
  std::string body;
  std::string reason, version, continue_token;
  size_t items = 0;
};

Answer Do(const ApiCall& call, const std::string& method, const std::string& target,
          const std::string& body = "", const std::string& type = kJson) {
  Result<SimpleResponse> response = call(method, target, body, type);
  EXPECT_TRUE(response.ok()) << method << " " << target << ": " << response.status().message();
  Answer answer;
  if (!response.ok()) return answer;
  answer.status = response->status;
  answer.body = response->body;
  Result<JsonDocument> json = ParseJson(answer.body);
  if (!json.ok()) return answer;  // A watch.
  answer.reason = StringAt(*json, {"reason"});
  answer.version = StringAt(*json, {"metadata", "resourceVersion"});
  answer.continue_token = StringAt(*json, {"metadata", "continue"});
  const JsonValue* items = Find(*json, "items");
  if (items != nullptr && items->IsArray()) answer.items = items->Size();
  return answer;
}

std::string NodeBody(const std::string& name, const std::string& cidr) {
  return R"({"kind":"Node","apiVersion":"v1","metadata":{"name":")" + name +
         R"("},"spec":{"podCIDR":")" + cidr + R"(","podCIDRs":[")" + cidr + "\"]}}";
}

std::string CaseName(int i) { return "case-" + std::to_string(i); }

void MakeNodes(const ApiCall& call, int count) {
  for (int i = 0; i < count; ++i) {
    Answer answer =
        Do(call, "POST", kNodes, NodeBody(CaseName(i), "10.244." + std::to_string(i) + ".0/24"));
    EXPECT_EQ(answer.status, 201) << answer.body;
  }
}

void RemoveNodes(const ApiCall& call, int count) {
  for (int i = 0; i < count; ++i) Do(call, "DELETE", std::string(kNodes) + "/" + CaseName(i));
}

void ListsInPagesOfOneVersion(const ApiCall& call) {
  MakeNodes(call, 5);
  Answer first = Do(call, "GET", std::string(kNodes) + "?limit=2");
  EXPECT_EQ(first.items, 2u);
  ASSERT_FALSE(first.continue_token.empty());
  // What comes between two pages is not in the second.
  Do(call, "POST", kNodes, NodeBody("case-zz", "10.245.0.0/24"));
  Answer rest = Do(call, "GET", std::string(kNodes) + "?continue=" + first.continue_token);
  EXPECT_EQ(rest.items, 3u);
  EXPECT_EQ(rest.version, first.version);
  EXPECT_EQ(Do(call, "GET", kNodes).items, 6u);
  Do(call, "DELETE", std::string(kNodes) + "/case-zz");
  RemoveNodes(call, 5);
}

void WatchesFromAListsVersion(const ApiCall& call) {
  std::string version = Do(call, "GET", kNodes).version;
  MakeNodes(call, 1);
  Answer patched = Do(call, "PATCH", std::string(kNodes) + "/case-0",
                      R"({"metadata":{"labels":{"a":"b"}}})", kMerge);
  EXPECT_EQ(patched.status, 200) << patched.body;
  RemoveNodes(call, 1);
  Answer watch =
      Do(call, "GET", std::string(kNodes) + "?watch=1&timeoutSeconds=1&resourceVersion=" + version);
  size_t added = watch.body.find(R"({"type":"ADDED")");
  size_t modified = watch.body.find(R"({"type":"MODIFIED")");
  size_t deleted = watch.body.find(R"({"type":"DELETED")");
  EXPECT_LT(added, modified) << watch.body;
  EXPECT_LT(modified, deleted) << watch.body;
  EXPECT_NE(deleted, std::string::npos) << watch.body;
}

void SaysThatAVersionIsTooOld(const ApiCall& call) {
  Answer watch =
      Do(call, "GET", std::string(kNodes) + "?watch=1&timeoutSeconds=5&resourceVersion=1");
  bool as_status = watch.status == 410;
  bool as_event = watch.status == 200 &&
                  watch.body.find(R"("type":"ERROR")") != std::string::npos &&
                  watch.body.find(R"("code":410)") != std::string::npos;
  EXPECT_TRUE(as_status || as_event) << watch.status << " " << watch.body;
}

void SaysThatAVersionIsTooLarge(const ApiCall& call) {
  Answer list = Do(call, "GET", std::string(kNodes) + "?resourceVersion=99999999999");
  EXPECT_EQ(list.status, 504);
  EXPECT_EQ(list.reason, "Timeout");
  EXPECT_NE(list.body.find("Too large resource version"), std::string::npos);
}

void MergesStatusConditionsByType(const ApiCall& call) {
  MakeNodes(call, 1);
  std::string status = std::string(kNodes) + "/case-0/status";
  for (const char* type : {"Ready", "NetworkUnavailable"}) {
    Answer answer = Do(call, "PATCH", status,
                       R"({"status":{"conditions":[{"type":")" + std::string(type) +
                           R"(","status":"False","reason":"R","message":"m"}]}})",
                       kStrategic);
    EXPECT_EQ(answer.status, 200) << answer.body;
  }
  Result<JsonDocument> node = ParseJson(Do(call, "GET", std::string(kNodes) + "/case-0").body);
  ASSERT_TRUE(node.ok());
  const JsonValue* conditions = FindPath(*node, {"status", "conditions"});
  ASSERT_NE(conditions, nullptr);
  EXPECT_EQ(conditions->Size(), 2u);
  EXPECT_EQ(Do(call, "PATCH", status, "{}", "application/json").status, 415);
  RemoveNodes(call, 1);
}

void KeepsWhatStatusAndSpecOwnApart(const ApiCall& call) {
  MakeNodes(call, 1);
  Do(call, "PATCH", std::string(kNodes) + "/case-0/status",
     R"({"spec":{"unschedulable":true},"status":{"phase":"Running"}})", kMerge);
  Answer node = Do(call, "GET", std::string(kNodes) + "/case-0");
  EXPECT_EQ(node.body.find("unschedulable"), std::string::npos);
  EXPECT_NE(node.body.find("Running"), std::string::npos);
  Do(call, "PATCH", std::string(kNodes) + "/case-0", R"({"status":{"phase":"Terminated"}})",
     kMerge);
  EXPECT_NE(Do(call, "GET", std::string(kNodes) + "/case-0").body.find("Running"),
            std::string::npos);
  RemoveNodes(call, 1);
}

void NeverChangesAPodCidr(const ApiCall& call) {
  MakeNodes(call, 1);
  Answer answer = Do(call, "PATCH", std::string(kNodes) + "/case-0",
                     R"({"spec":{"podCIDR":"10.99.0.0/24","podCIDRs":["10.99.0.0/24"]}})", kMerge);
  EXPECT_EQ(answer.status, 422);
  EXPECT_EQ(answer.reason, "Invalid");
  RemoveNodes(call, 1);
}

void RefusesBadNodes(const ApiCall& call) {
  EXPECT_EQ(Do(call, "POST", kNodes, NodeBody("case-Bad_Name", "10.1.0.0/24")).status, 422);
  EXPECT_EQ(Do(call, "POST", kNodes, NodeBody("case-0", "garbage")).status, 422);
  EXPECT_EQ(Do(call, "POST", kNodes, "{").status, 400);
}

void LeasesArePassedOnByTheirVersion(const ApiCall& call) {
  auto lease = [](const std::string& version, const std::string& holder) {
    return R"({"kind":"Lease","apiVersion":"coordination.k8s.io/v1","metadata":{"name":"case")" +
           (version.empty() ? "" : R"(,"resourceVersion":")" + version + "\"") +
           R"(},"spec":{"holderIdentity":")" + holder +
           R"(","leaseDurationSeconds":15,"renewTime":"2026-11-22T21:00:00.000000Z"}})";
  };
  Answer created = Do(call, "POST", kLeases, lease("", "a"));
  EXPECT_EQ(created.status, 201) << created.body;
  EXPECT_EQ(Do(call, "POST", kLeases, lease("", "b")).reason, "AlreadyExists");
  std::string path = std::string(kLeases) + "/case";
  EXPECT_EQ(Do(call, "PUT", path, lease(created.version, "b")).status, 200);
  Answer stale = Do(call, "PUT", path, lease(created.version, "a"));
  EXPECT_EQ(stale.status, 409);
  EXPECT_EQ(stale.reason, "Conflict");
  EXPECT_EQ(Do(call, "PUT", path, lease("", "a")).status, 422);
  EXPECT_EQ(Do(call, "DELETE", path).status, 200);
  EXPECT_EQ(Do(call, "GET", path).status, 404);
}

void TimesOfLeasesHaveMicroseconds(const ApiCall& call) {
  Answer answer = Do(call, "POST", kLeases,
                     R"({"metadata":{"name":"case"},"spec":{"holderIdentity":"a",)"
                     R"("leaseDurationSeconds":15,"renewTime":"2026-11-22T21:00:00Z"}})");
  EXPECT_EQ(answer.status, 400) << answer.body;
}

void EventsOfNodesLiveInDefault(const ApiCall& call) {
  auto event = [](const std::string& name) {
    return R"({"kind":"Event","apiVersion":"v1","metadata":{"name":")" + name +
           R"("},"involvedObject":{"kind":"Node","name":"case-0"},"reason":"R","message":"m",)"
           R"("source":{"component":"podroute"},"type":"Normal"})";
  };
  EXPECT_EQ(Do(call, "POST", "/api/v1/namespaces/default/events", event("case")).status, 201);
  EXPECT_EQ(Do(call, "POST", "/api/v1/namespaces/kube-system/events", event("case")).status, 422);
  EXPECT_EQ(Do(call, "DELETE", "/api/v1/namespaces/default/events/case").status, 200);
}

}  // namespace

const std::vector<ApiCase>& AllApiCases() {
  static const std::vector<ApiCase> kCases = {
      {"ListsInPagesOfOneVersion", ListsInPagesOfOneVersion},
      {"WatchesFromAListsVersion", WatchesFromAListsVersion},
      {"SaysThatAVersionIsTooOld", SaysThatAVersionIsTooOld},
      {"SaysThatAVersionIsTooLarge", SaysThatAVersionIsTooLarge},
      {"MergesStatusConditionsByType", MergesStatusConditionsByType},
      {"KeepsWhatStatusAndSpecOwnApart", KeepsWhatStatusAndSpecOwnApart},
      {"NeverChangesAPodCidr", NeverChangesAPodCidr},
      {"RefusesBadNodes", RefusesBadNodes},
      {"LeasesArePassedOnByTheirVersion", LeasesArePassedOnByTheirVersion},
      {"TimesOfLeasesHaveMicroseconds", TimesOfLeasesHaveMicroseconds},
      {"EventsOfNodesLiveInDefault", EventsOfNodesLiveInDefault},
  };
  return kCases;
}

}  // namespace podroute
