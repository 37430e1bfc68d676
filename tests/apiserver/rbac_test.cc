#include "tests/apiserver/rbac.h"

#include <gtest/gtest.h>

#include "tests/apiserver/api.h"

namespace podroute {
namespace {

constexpr char kAgent[] = "system:serviceaccount:kube-system:agent";

constexpr char kRules[] = R"({"kind":"List","items":[
  {"kind":"ConfigMap","metadata":{"name":"passed-over"}},
  {"kind":"ClusterRole","metadata":{"name":"nodes"},"rules":[
    {"apiGroups":[""],"resources":["nodes"],"verbs":["list","watch"]},
    {"apiGroups":[""],"resources":["nodes/status"],"verbs":["patch"]}]},
  {"kind":"ClusterRoleBinding","metadata":{"name":"b"},
   "roleRef":{"kind":"ClusterRole","name":"nodes"},
   "subjects":[{"kind":"ServiceAccount","name":"agent","namespace":"kube-system"}]},
  {"kind":"Role","metadata":{"name":"leader","namespace":"kube-system"},"rules":[
    {"apiGroups":["coordination.k8s.io"],"resources":["leases"],"verbs":["create"]},
    {"apiGroups":["coordination.k8s.io"],"resources":["leases"],"resourceNames":["podroute"],
     "verbs":["get","list"]}]},
  {"kind":"RoleBinding","metadata":{"name":"b","namespace":"kube-system"},
   "roleRef":{"kind":"Role","name":"leader"},
   "subjects":[{"kind":"ServiceAccount","name":"agent","namespace":"kube-system"}]}]})";

class RbacTest : public ::testing::Test {
 protected:
  RbacTest() {
    authenticator_.AddToken("agent", kAgent);
    authenticator_.AddToken("other", "system:serviceaccount:kube-system:other");
    authenticator_.AddToken("admin", "admin");
    authenticator_.SetRules(&rules_);
    ApiOptions options;
    options.objects.now_seconds = [] { return int64_t{1795382673}; };
    options.objects.random_bits = [] { return uint64_t{1}; };
    api_.emplace(&store_, &authenticator_, options);
    api_->CreateDefaultNamespaces();
  }

  ApiResponse Do(const std::string& token, const std::string& method, const std::string& target,
                 const std::string& body = "") {
    ApiRequest request;
    request.method = method;
    ParseTarget(target, &request);
    request.authorization = "Bearer " + token;
    request.content_type = method == "PATCH" ? "application/merge-patch+json" : "application/json";
    request.body = body;
    return api_->Handle(request);
  }
  int Ask(const std::string& method, const std::string& target, const std::string& body = "") {
    return Do("agent", method, target, body).status;
  }

  Rbac rules_ = Rbac::Parse(kRules).value();
  Store store_{100};
  Authenticator authenticator_;
  std::optional<Api> api_;
};

TEST_F(RbacTest, AServiceAccountMayDoWhatItsRulesSayAndNothingElse) {
  EXPECT_EQ(Do("admin", "POST", "/api/v1/nodes", R"({"metadata":{"name":"n1"}})").status, 201);
  EXPECT_EQ(Ask("GET", "/api/v1/nodes"), 200);
  EXPECT_EQ(Ask("GET", "/api/v1/nodes?watch=1"), 200);
  EXPECT_EQ(Ask("GET", "/api/v1/nodes?fieldSelector=metadata.name%3Dn1"), 200);
  EXPECT_EQ(Ask("GET", "/api/v1/nodes/n1"), 403);
  EXPECT_EQ(Ask("PATCH", "/api/v1/nodes/n1/status", "{}"), 200);
  EXPECT_EQ(Ask("PATCH", "/api/v1/nodes/n1", "{}"), 403);
  EXPECT_EQ(Ask("PUT", "/api/v1/nodes/n1/status", "{}"), 403);
  EXPECT_EQ(Ask("DELETE", "/api/v1/nodes/n1"), 403);
  EXPECT_EQ(Ask("DELETE", "/api/v1/nodes"), 403);
  EXPECT_EQ(Do("other", "GET", "/api/v1/nodes").status, 403);
}

TEST_F(RbacTest, ARoleHoldsInItsNamespaceAndForTheNamesThatItNames) {
  const std::string leases = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases";
  EXPECT_EQ(Ask("POST", leases, R"({"metadata":{"name":"podroute"}})"), 201);
  EXPECT_EQ(Ask("POST", "/apis/coordination.k8s.io/v1/namespaces/default/leases",
                R"({"metadata":{"name":"podroute"}})"),
            403);
  EXPECT_EQ(Ask("GET", leases + "/podroute"), 200);
  EXPECT_EQ(Ask("GET", leases + "/other"), 403);
  EXPECT_EQ(Ask("GET", leases + "?fieldSelector=metadata.name%3Dpodroute"), 200);
  EXPECT_EQ(Ask("GET", leases), 403);
  EXPECT_EQ(Ask("GET", "/apis/coordination.k8s.io/v1/leases"), 403);
}

TEST_F(RbacTest, RefusesInTheRealServersWords) {
  EXPECT_EQ(Do("agent", "PATCH", "/api/v1/nodes/n1", "{}").body,
            R"({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure",)"
            R"("message":"nodes \"n1\" is forbidden: User )"
            R"(\"system:serviceaccount:kube-system:agent\" cannot patch resource \"nodes\" )"
            R"(in API group \"\" at the cluster scope","reason":"Forbidden",)"
            R"("details":{"name":"n1","kind":"nodes"},"code":403})"
            "\n");
}

TEST_F(RbacTest, KeepsAccountOfWhatWasRefusedAndGrantedInVain) {
  Ask("GET", "/api/v1/nodes");
  Ask("PATCH", "/api/v1/nodes/n1", "{}");
  Ask("PATCH", "/api/v1/nodes/n1", "{}");
  const std::string user = std::string("\"") + kAgent;
  EXPECT_EQ(rules_.Json(), "{\"denied\":[" + user + " patch nodes n1\"],\"used\":[" + user +
                               " list nodes\"]," + "\"unused\":[" + user +
                               " create leases.coordination.k8s.io in kube-system\"," + user +
                               " get leases.coordination.k8s.io podroute in kube-system\"," + user +
                               " list leases.coordination.k8s.io podroute in kube-system\"," +
                               user + " patch nodes/status\"," + user + " watch nodes\"]}");
}

TEST(RbacParseTest, RefusesWhatItWouldMisunderstand) {
  const std::string role = R"({"kind":"ClusterRole","metadata":{"name":"r"},"rules":[RULE]},)";
  const std::string binding =
      R"({"kind":"ClusterRoleBinding","metadata":{"name":"b"},)"
      R"("roleRef":{"kind":"ClusterRole","name":"r"},"subjects":[SUBJECT]})";
  const std::string good_rule = R"({"apiGroups":[""],"resources":["nodes"],"verbs":["list"]})";
  const std::string good_subject = R"({"kind":"ServiceAccount","name":"a","namespace":"n"})";
  auto error = [&](const std::string& rule, const std::string& subject, bool with_role = true) {
    std::string json = "{\"items\":[" + (with_role ? role : "") + binding + "]}";
    if (size_t at = json.find("RULE"); at != std::string::npos) json.replace(at, 4, rule);
    json.replace(json.find("SUBJECT"), 7, subject);
    return Rbac::Parse(json).status().message();
  };
  EXPECT_EQ(error(good_rule, good_subject), "");
  EXPECT_EQ(error(R"({"apiGroups":[""],"resources":["*"],"verbs":["list"]})", good_subject),
            "ClusterRoleBinding/b: rules: a wildcard: system:serviceaccount:n:a list *");
  EXPECT_EQ(error(R"({"resources":["nodes"],"verbs":["list"]})", good_subject),
            "ClusterRoleBinding/b: rules: one without apiGroups, resources or verbs");
  EXPECT_EQ(error(good_rule, R"({"kind":"Group","name":"g"})"),
            "ClusterRoleBinding/b: subjects: only a ServiceAccount with a namespace is understood");
  EXPECT_EQ(error(good_rule, good_subject, false),
            "ClusterRoleBinding/b: roleRef: there is no ClusterRole \"r\"");
}

}  // namespace
}  // namespace podroute
