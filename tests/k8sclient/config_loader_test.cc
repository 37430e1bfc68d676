#include "k8sclient/config_loader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "tests/base/fake_clock.h"
#include "tests/base/temp_dir.h"

namespace podroute {
namespace {

using ::testing::HasSubstr;

constexpr const char* kCertificate =
    "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";

std::string KubeconfigFor(const std::string& server, const std::string& token) {
  return "apiVersion: v1\nkind: Config\ncurrent-context: lab\n"
         "clusters: [{name: c, cluster: {server: '" +
         server +
         "'}}]\n"
         "users: [{name: u, user: {token: " +
         token +
         "}}]\n"
         "contexts: [{name: lab, context: {cluster: c, user: u}}]\n";
}

class ConfigLoaderTest : public testing::Test {
 protected:
  ConfigLoaderTest() {
    options_.environment = [this](const std::string& name) {
      auto it = environment_.find(name);
      return it == environment_.end() ? "" : it->second;
    };
    options_.service_account_dir = dir_.File("sa");
    options_.clock = &clock_;
    environment_["HOME"] = dir_.File("home");
  }

  void BeInPod() {
    dir_.Write("sa/token", "pod-token\n");
    dir_.Write("sa/ca.crt", kCertificate);
    dir_.Write("sa/namespace", "kube-system");
    environment_["KUBERNETES_SERVICE_HOST"] = "10.96.0.1";
    environment_["KUBERNETES_SERVICE_PORT"] = "443";
  }

  // The host of what is loaded, or the error.
  std::string Host() {
    Result<ClientConfig> config = LoadClientConfig(options_);
    return config.ok() ? config->host : "error: " + config.status().message();
  }

  TempDir dir_;
  FakeClock clock_;
  std::map<std::string, std::string> environment_;
  LoadOptions options_;
};

TEST_F(ConfigLoaderTest, TheFlagComesFirst) {
  BeInPod();
  options_.kubeconfig = dir_.Write("flag", KubeconfigFor("https://flag", "t"));
  environment_["KUBECONFIG"] = dir_.Write("env", KubeconfigFor("https://env", "t"));
  dir_.Write("home/.kube/config", KubeconfigFor("https://home", "t"));
  EXPECT_EQ(Host(), "flag");
}

TEST_F(ConfigLoaderTest, ThenKubeconfigFromTheEnvironment) {
  BeInPod();
  environment_["KUBECONFIG"] = dir_.Write("env", KubeconfigFor("https://env", "t"));
  dir_.Write("home/.kube/config", KubeconfigFor("https://home", "t"));
  EXPECT_EQ(Host(), "env");
}

TEST_F(ConfigLoaderTest, ThenTheServiceAccount) {
  BeInPod();
  dir_.Write("home/.kube/config", KubeconfigFor("https://home", "t"));
  EXPECT_EQ(Host(), "10.96.0.1");
}

TEST_F(ConfigLoaderTest, ThenHome) {
  dir_.Write("home/.kube/config", KubeconfigFor("https://home", "t"));
  EXPECT_EQ(Host(), "home");
  // Half a pod is no pod.
  environment_["KUBERNETES_SERVICE_HOST"] = "10.96.0.1";
  EXPECT_EQ(Host(), "home");
}

TEST_F(ConfigLoaderTest, AnEmptyKubeconfigVariableIsNotSet) {
  dir_.Write("home/.kube/config", KubeconfigFor("https://home", "t"));
  environment_["KUBECONFIG"] = "";
  EXPECT_EQ(Host(), "home");
}

TEST_F(ConfigLoaderTest, AContextIsLookedForInFilesEvenInAPod) {
  BeInPod();
  options_.context = "lab";
  dir_.Write("home/.kube/config", KubeconfigFor("https://home", "t"));
  EXPECT_EQ(Host(), "home");
}

TEST_F(ConfigLoaderTest, AMissingFlagFileIsAnErrorWhateverElseIsThere) {
  BeInPod();
  dir_.Write("home/.kube/config", KubeconfigFor("https://home", "t"));
  options_.kubeconfig = dir_.File("absent");
  Result<ClientConfig> config = LoadClientConfig(options_);
  EXPECT_EQ(config.status().code(), StatusCode::kNotFound);
  EXPECT_EQ(config.status().message(),
            "--kubeconfig: open " + dir_.File("absent") + ": No such file or directory");
}

TEST_F(ConfigLoaderTest, AKubeconfigVariableWithNoFileIsAnError) {
  BeInPod();
  environment_["KUBECONFIG"] = dir_.File("a") + ":" + dir_.File("b");
  EXPECT_EQ(Host(),
            "error: KUBECONFIG=" + dir_.File("a") + ":" + dir_.File("b") + ": no such file");
}

TEST_F(ConfigLoaderTest, AnErrorDoesNotFallThrough) {
  BeInPod();
  dir_.Write("sa/ca.crt", "garbage");
  dir_.Write("home/.kube/config", KubeconfigFor("https://home", "t"));
  EXPECT_THAT(Host(), HasSubstr("sa/ca.crt holds no certificate"));
  environment_["KUBECONFIG"] = dir_.Write("env", "clusters: [");
  EXPECT_THAT(Host(), HasSubstr("env:1: not YAML or JSON"));
}

TEST_F(ConfigLoaderTest, NothingAtAllIsOneLineThatSaysWhatWasLookedFor) {
  Result<ClientConfig> config = LoadClientConfig(options_);
  EXPECT_EQ(config.status().code(), StatusCode::kNotFound);
  EXPECT_EQ(config.status().message(),
            "no cluster to talk to: neither --kubeconfig nor KUBECONFIG is set; not in a pod: "
            "KUBERNETES_SERVICE_HOST is not set; open " +
                dir_.File("home/.kube/config") +
                ": No such file or directory; --kubeconfig=FILE would be right");
}

TEST_F(ConfigLoaderTest, APodWithoutATokenIsToldSo) {
  environment_["KUBERNETES_SERVICE_HOST"] = "10.96.0.1";
  environment_.erase("HOME");
  EXPECT_THAT(Host(),
              HasSubstr("is automountServiceAccountToken false?): " + dir_.File("sa/token")));
  EXPECT_THAT(Host(), HasSubstr("HOME is not set"));
}

}  // namespace
}  // namespace podroute
