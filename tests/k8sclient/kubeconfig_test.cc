#include "k8sclient/kubeconfig.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/base/temp_dir.h"

namespace podroute {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string ServerOf(const Kubeconfig& config, const std::string& cluster) {
  auto it = config.clusters.find(cluster);
  return it == config.clusters.end() ? "none" : *it->second.Text("server");
}

TEST(KubeconfigTest, ReadsYamlAndJsonAlike) {
  const char* texts[] = {
      "apiVersion: v1\nkind: Config\npreferences: {}\ncurrent-context: x\nclusters:\n- name: c\n"
      "  cluster:\n    server: https://h\nusers:\n- name: u\n  user:\n    token: t\ncontexts:\n"
      "- context:\n    cluster: c\n    user: u\n  name: x\n",
      R"({"apiVersion":"v1","kind":"Config","current-context":"x","clusters":[{"name":"c",)"
      R"("cluster":{"server":"https://h"}}],"users":[{"name":"u","user":{"token":"t"}}],)"
      R"("contexts":[{"name":"x","context":{"cluster":"c","user":"u"}}],"unknown":[1]})",
  };
  for (const char* text : texts) {
    SCOPED_TRACE(text);
    Result<Kubeconfig> config = ParseKubeconfig(text, "/f");
    ASSERT_TRUE(config.ok()) << config.status().message();
    EXPECT_EQ(config->current_context, "x");
    EXPECT_EQ(ServerOf(*config, "c"), "https://h");
    EXPECT_EQ(*config->users.at("u").Text("token"), "t");
    EXPECT_EQ(*config->contexts.at("x").Text("user"), "u");
  }
}

TEST(KubeconfigTest, EmptyIsEmpty) {
  for (const char* text : {"", "# nothing\n", "---\n", "{}", "clusters: null\nusers: []\n"}) {
    Result<Kubeconfig> config = ParseKubeconfig(text, "/f");
    ASSERT_TRUE(config.ok()) << config.status().message();
    EXPECT_TRUE(config->clusters.empty());
    EXPECT_EQ(config->current_context, "");
  }
}

TEST(KubeconfigTest, WrongShapesAreNamedWithFileAndLine) {
  struct {
    const char* text;
    const char* message;
  } cases[] = {
      {"- a\n", "/f:1: kubeconfig: is not a mapping with clusters, users and contexts"},
      {"just text", "/f:1: kubeconfig: is not a mapping with clusters, users and contexts"},
      {"kind: Secret\n", "/f:1: kubeconfig: kind: is Secret; Config would be right"},
      {"\napiVersion: v2\n", "/f:2: kubeconfig: apiVersion: is v2; v1 would be right"},
      {"clusters: {}\n", "/f:1: kubeconfig: clusters: is a mapping; a list would be right"},
      {"current-context: [x]\n",
       "/f:1: kubeconfig: current-context: is a list; a text would be right"},
      {"users:\n- x\n", "/f:2: an entry of users: is not a mapping with a name"},
      {"users:\n- user: {}\n", "/f:2: an entry of users: name: is missing"},
      {"users:\n- name: a\n  user: x\n",
       "/f:3: user \"a\": user: is a text; a mapping would be right"},
      {"users:\n- name: a\n- name: a\n", "/f:3: an entry of users: name: \"a\" is there twice"},
      {"contexts: [\n", "/f:"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.text);
    Result<Kubeconfig> config = ParseKubeconfig(c.text, "/f");
    ASSERT_FALSE(config.ok());
    EXPECT_EQ(config.status().code(), StatusCode::kInvalidArgument);
    EXPECT_THAT(config.status().message(), HasSubstr(c.message));
  }
}

TEST(KubeconfigTest, TheFirstFileWinsPerWholeEntry) {
  TempDir dir;
  std::string a = dir.Write("a",
                            "clusters: [{name: both, cluster: {server: 'https://a'}}]\n"
                            "users: [{name: a, user: {token: a}}]\n");
  std::string b = dir.Write(
      "sub/b",
      "current-context: b\nclusters:\n- name: both\n  cluster: {server: 'https://b', "
      "tls-server-name: b}\n"
      "- name: b\n  cluster: {server: 'https://only-b', certificate-authority: ca.crt}\n");
  std::string c = dir.Write("c", "current-context: c\n");
  Result<Kubeconfig> config =
      ReadKubeconfigList(":" + dir.File("absent") + ":" + a + "::" + b + ":" + a + ":" + c + ":");
  ASSERT_TRUE(config.ok()) << config.status().message();
  EXPECT_THAT(config->files, ElementsAre(a, b, c));
  EXPECT_EQ(config->current_context, "b");
  EXPECT_EQ(ServerOf(*config, "both"), "https://a");
  EXPECT_FALSE(config->clusters.at("both").Has("tls-server-name"));
  EXPECT_EQ(ServerOf(*config, "b"), "https://only-b");
  EXPECT_EQ(*config->clusters.at("b").Path("certificate-authority"), dir.File("sub/ca.crt"));
  EXPECT_EQ(*config->users.at("a").Text("token"), "a");
}

TEST(KubeconfigTest, AListStopsAtAFileThatIsWrong) {
  TempDir dir;
  std::string good = dir.Write("good", "current-context: x\n");
  std::string bad = dir.Write("bad", "users: {}\n");
  EXPECT_THAT(ReadKubeconfigList(good + ":" + bad).status().message(), HasSubstr(bad + ":1: "));
  EXPECT_THAT(ReadKubeconfigList(good + ":" + dir.path()).status().message(),
              HasSubstr("Is a directory"));
}

TEST(KubeconfigTest, AListWithNoFileIsNotFound) {
  EXPECT_EQ(ReadKubeconfigList("/no/a:/no/b").status().code(), StatusCode::kNotFound);
  EXPECT_EQ(ReadKubeconfigList(":").status().code(), StatusCode::kNotFound);
}

TEST(ResolvePathTest, RelativePathsBelongToTheFile) {
  EXPECT_EQ(ResolvePath("/etc/kube/config", "ca.crt"), "/etc/kube/ca.crt");
  EXPECT_EQ(ResolvePath("/etc/kube/config", "../ca.crt"), "/etc/kube/../ca.crt");
  EXPECT_EQ(ResolvePath("/etc/kube/config", "/ca.crt"), "/ca.crt");
  EXPECT_EQ(ResolvePath("config", "ca.crt"), "ca.crt");
  EXPECT_EQ(ResolvePath("./config", "pki/ca.crt"), "./pki/ca.crt");
}

}  // namespace
}  // namespace podroute
