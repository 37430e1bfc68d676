#include "k8sclient/in_cluster.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "tests/base/fake_clock.h"
#include "tests/base/temp_dir.h"

namespace podroute {
namespace {

using ::testing::HasSubstr;

class InClusterTest : public testing::Test {
 protected:
  InClusterTest() {
    dir_.Write("token", "pod-token\n");
    dir_.Write("ca.crt", "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n");
    dir_.Write("namespace", "kube-system\n");
    environment_ = {{"KUBERNETES_SERVICE_HOST", "10.96.0.1"}, {"KUBERNETES_SERVICE_PORT", "443"}};
  }
  std::string Lookup(const std::string& name) const {
    auto it = environment_.find(name);
    return it == environment_.end() ? "" : it->second;
  }
  Result<ClientConfig> Load() {
    return InClusterConfig(
        dir_.path(), [this](const std::string& name) { return Lookup(name); }, clock_);
  }
  StatusCode Check() {
    return CheckInCluster(dir_.path(), [this](const std::string& n) { return Lookup(n); }).code();
  }

  TempDir dir_;
  FakeClock clock_;
  std::map<std::string, std::string> environment_;
};

TEST_F(InClusterTest, IsWhatTheServiceAccountSays) {
  EXPECT_EQ(Check(), StatusCode::kOk);
  Result<ClientConfig> config = Load();
  ASSERT_TRUE(config.ok()) << config.status().message();
  EXPECT_TRUE(config->https);
  EXPECT_EQ(config->host, "10.96.0.1");
  EXPECT_EQ(config->port, 443);
  EXPECT_EQ(config->base_path, "");
  EXPECT_EQ(config->ca_file, dir_.File("ca.crt"));
  EXPECT_EQ(config->ca_pem, "");
  EXPECT_FALSE(config->insecure_skip_tls_verify);
  EXPECT_EQ(config->proxy_host, "");
  EXPECT_EQ(config->namespace_, "kube-system");
  EXPECT_EQ(config->source, "in-cluster");
  EXPECT_EQ(config->credentials->Get()->bearer_token, "pod-token");
}

TEST_F(InClusterTest, TheTokenRotates) {
  Result<ClientConfig> config = Load();
  ASSERT_TRUE(config.ok());
  dir_.Write("token", "new-token");
  clock_.Advance(std::chrono::seconds(60));
  EXPECT_EQ(config->credentials->Get()->bearer_token, "new-token");
}

TEST_F(InClusterTest, SpeaksIpv6) {
  environment_["KUBERNETES_SERVICE_HOST"] = "fd00:10:96::1";
  Result<ClientConfig> config = Load();
  ASSERT_TRUE(config.ok()) << config.status().message();
  EXPECT_EQ(config->host, "fd00:10:96::1");
}

TEST_F(InClusterTest, UsesTheProxyOfTheEnvironment) {
  environment_["HTTPS_PROXY"] = "http://proxy:3128";
  EXPECT_EQ(Load()->proxy_host, "proxy");
  EXPECT_EQ(Load()->proxy_port, 3128);
  environment_["NO_PROXY"] = "10.96.0.0/12";
  EXPECT_EQ(Load()->proxy_host, "");
}

TEST_F(InClusterTest, NoNamespaceFileMeansDefault) {
  std::filesystem::remove(dir_.File("namespace"));
  EXPECT_EQ(Load()->namespace_, "default");
}

TEST_F(InClusterTest, OutsideAPodItSaysWhy) {
  environment_.erase("KUBERNETES_SERVICE_HOST");
  EXPECT_EQ(Check(), StatusCode::kNotFound);
  environment_["KUBERNETES_SERVICE_HOST"] = "10.96.0.1";
  std::filesystem::remove(dir_.File("token"));
  EXPECT_EQ(Check(), StatusCode::kNotFound);
}

TEST_F(InClusterTest, WhatIsWrongIsNamed) {
  struct {
    const char* host;
    const char* port;
    const char* message;
  } cases[] = {
      {"10.96.0.1", "", "in-cluster: KUBERNETES_SERVICE_PORT is not set"},
      {"10.96.0.1", "tcp://10.96.0.1:443",
       "KUBERNETES_SERVICE_PORT \"tcp://10.96.0.1:443\" make no"},
      {"10.96.0.1", "443/x", "make no address"},
      {"a b", "443", "KUBERNETES_SERVICE_HOST \"a b\""},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.message);
    environment_["KUBERNETES_SERVICE_HOST"] = c.host;
    environment_["KUBERNETES_SERVICE_PORT"] = c.port;
    EXPECT_THAT(Load().status().message(), HasSubstr(c.message));
  }
}

TEST_F(InClusterTest, ABrokenServiceAccountIsNamed) {
  dir_.Write("token", "");
  EXPECT_EQ(Load().status().message(), "in-cluster: token: " + dir_.File("token") + " is empty");
  std::filesystem::remove(dir_.File("ca.crt"));
  EXPECT_EQ(Load().status().message(),
            "in-cluster: open " + dir_.File("ca.crt") + ": No such file or directory");
}

}  // namespace
}  // namespace podroute
