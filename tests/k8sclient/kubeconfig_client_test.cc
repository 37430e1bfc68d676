#include "k8sclient/kubeconfig_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "base/file.h"
#include "k8sclient/base64.h"
#include "tests/base/fake_clock.h"
#include "tests/base/temp_dir.h"

namespace podroute {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kCertificate = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----";
constexpr const char* kKey = "-----BEGIN EC PRIVATE KEY-----\nMHcC\n-----END EC PRIVATE KEY-----";

class KubeconfigClientTest : public testing::Test {
 protected:
  KubeconfigClientTest() {
    dir_.Write("ca.crt", kCertificate);
    dir_.Write("user.crt", kCertificate);
    dir_.Write("user.key", kKey);
    dir_.Write("token", "from-file\n");
    dir_.Write("garbage", "garbage");
  }

  // A kubeconfig with a context "lab"; the arguments are the inside of flow mappings.
  Result<ClientConfig> Load(const std::string& cluster, const std::string& user,
                            const std::string& context = "cluster: c, user: u") {
    std::string text = "current-context: lab\nclusters:\n- name: c\n  cluster: {" + cluster +
                       "}\nusers:\n- name: u\n  user: {" + user +
                       "}\ncontexts:\n- name: lab\n  context: {" + context +
                       "}\n- name: other\n  context: {cluster: absent, user: u}\n";
    Result<Kubeconfig> kubeconfig = ReadKubeconfig(dir_.Write("config", text));
    if (!kubeconfig.ok()) return kubeconfig.status();
    return ClientFromKubeconfig(
        *kubeconfig, context_,
        [this](const std::string& name) {
          auto it = environment_.find(name);
          return it == environment_.end() ? "" : it->second;
        },
        clock_);
  }

  TempDir dir_;
  FakeClock clock_;
  std::map<std::string, std::string> environment_;
  std::string context_;
};

constexpr const char* kServer = "server: 'https://h:6443'";

TEST_F(KubeconfigClientTest, FilesBesideTheKubeconfig) {
  Result<ClientConfig> config = Load(
      "server: 'https://[fd00::1]:6443/k8s', certificate-authority: ca.crt, tls-server-name: api",
      "client-certificate: user.crt, client-key: user.key", "cluster: c, user: u, namespace: ns");
  ASSERT_TRUE(config.ok()) << config.status().message();
  EXPECT_TRUE(config->https);
  EXPECT_EQ(config->host, "fd00::1");
  EXPECT_EQ(config->port, 6443);
  EXPECT_EQ(config->base_path, "/k8s");
  EXPECT_EQ(config->ca_file, dir_.File("ca.crt"));
  EXPECT_EQ(config->ca_pem, "");
  EXPECT_EQ(config->tls_server_name, "api");
  EXPECT_EQ(config->namespace_, "ns");
  EXPECT_EQ(config->source, "context \"lab\" in " + dir_.File("config"));
  Result<Credentials> credentials = config->credentials->Get();
  EXPECT_EQ(credentials->client_certificate_pem, kCertificate);
  EXPECT_EQ(credentials->client_key_pem, kKey);
}

TEST_F(KubeconfigClientTest, EmbeddedData) {
  Result<ClientConfig> config =
      Load(std::string(kServer) + ", certificate-authority-data: " + EncodeBase64(kCertificate),
           "client-certificate-data: " + EncodeBase64(kCertificate) +
               ", client-key-data: " + EncodeBase64(kKey));
  ASSERT_TRUE(config.ok()) << config.status().message();
  EXPECT_EQ(config->ca_pem, kCertificate);
  EXPECT_EQ(config->ca_file, "");
  EXPECT_EQ(config->credentials->Get()->client_key_pem, kKey);
  EXPECT_EQ(config->namespace_, "default");
}

TEST_F(KubeconfigClientTest, Users) {
  struct {
    const char* user;
    Credentials credentials;
  } cases[] = {
      {"", {}},
      {"token: abc",
       {.bearer_token = "abc",
        .username = "",
        .password = "",
        .client_certificate_pem = "",
        .client_key_pem = ""}},
      {"token: 12345",
       {.bearer_token = "12345",
        .username = "",
        .password = "",
        .client_certificate_pem = "",
        .client_key_pem = ""}},
      {"tokenFile: token",
       {.bearer_token = "from-file",
        .username = "",
        .password = "",
        .client_certificate_pem = "",
        .client_key_pem = ""}},
      {"tokenFile: token, token: abc",
       {.bearer_token = "from-file",
        .username = "",
        .password = "",
        .client_certificate_pem = "",
        .client_key_pem = ""}},
      {"username: me, password: 'p w'",
       {.bearer_token = "",
        .username = "me",
        .password = "p w",
        .client_certificate_pem = "",
        .client_key_pem = ""}},
      // A token goes before exec.
      {"token: abc, exec: {nonsense: true}",
       {.bearer_token = "abc",
        .username = "",
        .password = "",
        .client_certificate_pem = "",
        .client_key_pem = ""}},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.user);
    Result<ClientConfig> config = Load(kServer, c.user);
    ASSERT_TRUE(config.ok()) << config.status().message();
    Result<Credentials> credentials = config->credentials->Get();
    ASSERT_TRUE(credentials.ok());
    EXPECT_EQ(credentials->bearer_token, c.credentials.bearer_token);
    EXPECT_EQ(credentials->username, c.credentials.username);
    EXPECT_EQ(credentials->password, c.credentials.password);
  }
}

TEST_F(KubeconfigClientTest, AContextWithoutAUserIsAnonymous) {
  for (const char* context : {"cluster: c", "cluster: c, user: ", "cluster: c, user: ''"}) {
    Result<ClientConfig> config = Load(kServer, "token: abc", context);
    ASSERT_TRUE(config.ok()) << config.status().message();
    EXPECT_EQ(*config->credentials->Get(), Credentials());
  }
}

TEST_F(KubeconfigClientTest, InsecureAndPlainHttpAreTakenAtTheirWord) {
  EXPECT_TRUE(Load(std::string(kServer) + ", insecure-skip-tls-verify: true", "")
                  ->insecure_skip_tls_verify);
  EXPECT_FALSE(Load("server: 'http://h:8080'", "")->https);
}

TEST_F(KubeconfigClientTest, ProxyUrlStandsAboveTheEnvironment) {
  environment_ = {{"HTTPS_PROXY", "http://env:1"}, {"NO_PROXY", "*"}};
  EXPECT_EQ(Load(kServer, "")->proxy_host, "");
  Result<ClientConfig> config = Load(std::string(kServer) + ", proxy-url: 'http://own:3128'", "");
  ASSERT_TRUE(config.ok()) << config.status().message();
  EXPECT_EQ(config->proxy_host, "own");
  EXPECT_EQ(config->proxy_port, 3128);
  environment_.erase("NO_PROXY");
  EXPECT_EQ(Load(kServer, "")->proxy_host, "env");
}

TEST_F(KubeconfigClientTest, ContextsThatDoNotWorkOut) {
  struct {
    const char* chosen;
    const char* context;
    const char* message;
  } cases[] = {
      {"nope", "cluster: c, user: u",
       "config: --context names \"nope\", which is not among the contexts; there are lab, other"},
      {"other", "cluster: c",
       ": context \"other\": cluster: \"absent\" is not among the clusters; there are c"},
      {"", "cluster: c, user: absent",
       ": context \"lab\": user: \"absent\" is not among the users; there are u"},
      {"", "user: u", ": context \"lab\": cluster: is missing; there are c"},
      {"", "cluster: c, namespace: [x]",
       ": context \"lab\": namespace: is a list; a text would be right"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.message);
    context_ = c.chosen;
    EXPECT_THAT(Load(kServer, "", c.context).status().message(), HasSubstr(c.message));
  }
}

TEST_F(KubeconfigClientTest, NoCurrentContextListsThem) {
  Result<Kubeconfig> kubeconfig = ParseKubeconfig("contexts: [{name: a}, {name: b}]", "/f");
  ASSERT_TRUE(kubeconfig.ok());
  auto none = [](const std::string&) { return ""; };
  EXPECT_EQ(ClientFromKubeconfig(*kubeconfig, "", none, clock_).status().message(),
            "/f: no current-context is set, and no --context is given; there are a, b");
  EXPECT_EQ(ClientFromKubeconfig(*ParseKubeconfig("current-context: x", "/f"), "", none, clock_)
                .status()
                .message(),
            "/f: current-context names \"x\", which is not among the contexts; there are none");
}

TEST_F(KubeconfigClientTest, BadClustersAreOneLineThatNamesTheField) {
  struct {
    std::string cluster;
    const char* message;
  } cases[] = {
      {"", "config:4: cluster \"c\": server: is missing; https://HOST:PORT would be right"},
      {"server: [x]", "config:4: cluster \"c\": server: is a list; a text would be right"},
      {"server: h:6443",
       "cluster \"c\": server: \"h:6443\" is not a server URL: it has no https://"},
      {"server: 'https://h', insecure-skip-tls-verify: 'true'",
       "insecure-skip-tls-verify: is no boolean; true or false, without quotes, would be right"},
      {"server: 'https://h', certificate-authority: absent.crt",
       "absent.crt: No such file or directory"},
      {"server: 'https://h', certificate-authority: garbage",
       "garbage holds no certificate; PEM, which"},
      {"server: 'https://h', certificate-authority-data: '%%'",
       "certificate-authority-data: is not base64: character 1 is none of its letters"},
      {"server: 'https://h', certificate-authority-data: Zm9v",
       "certificate-authority-data: holds no cert"},
      {"server: 'https://h', certificate-authority: ca.crt, certificate-authority-data: Zm9v",
       "certificate-authority: and certificate-authority-data are both there; one of them"},
      {"server: 'https://h', certificate-authority: ca.crt, insecure-skip-tls-verify: true",
       "insecure-skip-tls-verify: and a certificate-authority are both there; one of them"},
      {"server: 'https://h', proxy-url: 'socks5://p'",
       "proxy-url: \"socks5://p\" is not a usable proxy"},
      {"server: 'https://h', tls-server-name: {a: b}",
       "tls-server-name: is a mapping; a text would be"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.cluster);
    Status status = Load(c.cluster, "").status();
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
    EXPECT_THAT(status.message(), HasSubstr(dir_.File("config") + ":4: cluster \"c\": "));
    EXPECT_THAT(status.message(), HasSubstr(c.message));
    EXPECT_THAT(status.message(), Not(HasSubstr("\n")));
  }
}

TEST_F(KubeconfigClientTest, BadUsersAreOneLineThatNamesTheField) {
  struct {
    std::string user;
    const char* message;
  } cases[] = {
      {"auth-provider: {name: gcp}", "auth-provider: is not supported"},
      {"as: admin", "as: impersonation is not supported"},
      {"as-groups: [a]", "as-groups: impersonation is not supported"},
      {"token: 'a b'", "token: has white space"},
      {"token: {a: b}", "token: is a mapping; a text would be right"},
      {"token: a, username: b", "has a token and a username; one of them would be right"},
      {"tokenFile: absent", "absent: No such file or directory"},
      {"client-certificate: user.crt", "has a client-certificate and no client-key"},
      {"client-key: user.key", "has a client-key and no client-certificate"},
      {"client-certificate: user.crt, client-key: garbage", "client-key: holds no private key"},
      {"client-certificate: garbage, client-key: user.key",
       "client-certificate: holds no certificate"},
      {"client-certificate: user.crt, client-certificate-data: Zm9v, client-key: user.key",
       "client-certificate: and client-certificate-data are both there"},
      {"client-certificate: user.crt, client-key: user.key, client-key-data: Zm9v",
       "client-key: and client-key-data are both there"},
      {"client-certificate-data: '!', client-key: user.key",
       "client-certificate-data: is not base64"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.user);
    Status status = Load(kServer, c.user).status();
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
    EXPECT_THAT(status.message(), HasSubstr(dir_.File("config") + ":7: user \"u\": "));
    EXPECT_THAT(status.message(), HasSubstr(c.message));
    EXPECT_THAT(status.message(), Not(HasSubstr("\n")));
  }
}

TEST_F(KubeconfigClientTest, BadExecsAreOneLineThatNamesTheField) {
  const std::string v1 = "apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never";
  struct {
    std::string exec;
    const char* message;
  } cases[] = {
      {"command: x", "exec: apiVersion: is \"\"; client.authentication.k8s.io/v1 or"},
      {"apiVersion: client.authentication.k8s.io/v1alpha1, command: x",
       "exec: apiVersion: is \"client."},
      {"apiVersion: client.authentication.k8s.io/v1, command: x",
       "exec: interactiveMode: is missing"},
      {"apiVersion: client.authentication.k8s.io/v1beta1, command: x, interactiveMode: Always",
       "exec: interactiveMode: is Always, and nobody is there to answer"},
      {"apiVersion: client.authentication.k8s.io/v1beta1, command: x, interactiveMode: Now",
       "exec: interactiveMode: is Now; Never or IfAvailable"},
      {v1, "exec: command: is missing"},
      {v1 + ", command: x, args: y", "exec: args: is a text; a list would be right"},
      {v1 + ", command: x, args: [[y]]", "exec: args: is not a list of texts"},
      {v1 + ", command: x, env: {a: b}", "exec: env: is a mapping; a list would be right"},
      {v1 + ", command: x, env: [{value: b}]", "exec: env: name: is missing or has a ="},
      {v1 + ", command: x, env: [{name: a=b}]", "exec: env: name: is missing or has a ="},
      {v1 + ", command: x, provideClusterInfo: maybe", "exec: provideClusterInfo: is no boolean"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.exec);
    Status status = Load(kServer, "exec: {" + c.exec + "}").status();
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
    EXPECT_THAT(status.message(), HasSubstr(dir_.File("config") + ":7: user \"u\": "));
    EXPECT_THAT(status.message(), HasSubstr(c.message));
  }
  EXPECT_THAT(Load(kServer, "exec: [x]").status().message(),
              HasSubstr("exec: is a list; a mapping"));
}

TEST_F(KubeconfigClientTest, ExecIsRunBesideTheKubeconfigAndToldTheCluster) {
  dir_.WriteScript("bin/plugin",
                   "echo \"$KUBERNETES_EXEC_INFO\" > \"$0.info\"\n"
                   "echo '{\"kind\":\"ExecCredential\",\"apiVersion\":"
                   "\"client.authentication.k8s.io/v1beta1\",\"status\":{\"token\":\"'$1-$X'\"}}'");
  Result<ClientConfig> config = Load(
      std::string(kServer) +
          ", certificate-authority: ca.crt, tls-server-name: api, extensions: [{name: other}, "
          "{name: "
          "client.authentication.k8s.io/exec, extension: {audience: 'a\"b', n: 3}}]",
      "exec: {apiVersion: client.authentication.k8s.io/v1beta1, command: bin/plugin, args: [arg], "
      "env: [{name: X, value: env}], provideClusterInfo: true}");
  ASSERT_TRUE(config.ok()) << config.status().message();
  EXPECT_NE(access(dir_.File("bin/plugin.info").c_str(), F_OK), 0) << "ran while loading";
  Result<Credentials> credentials = config->credentials->Get();
  ASSERT_TRUE(credentials.ok()) << credentials.status().message();
  EXPECT_EQ(credentials->bearer_token, "arg-env");
  EXPECT_EQ(*ReadFile(dir_.File("bin/plugin.info")),
            "{\"kind\":\"ExecCredential\",\"apiVersion\":\"client.authentication.k8s.io/v1beta1\","
            "\"spec\":{\"cluster\":{\"server\":\"https://h:6443\",\"tls-server-name\":\"api\","
            "\"certificate-authority-data\":\"" +
                EncodeBase64(kCertificate) +
                "\",\"config\":{\"audience\":\"a\\\"b\",\"n\":3}},\"interactive\":false}}\n");
}

}  // namespace
}  // namespace podroute
