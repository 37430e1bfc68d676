#include "controller/status_server.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

#include "base/unique_fd.h"
#include "controller/status_address.h"

namespace podroute {
namespace {

// The whole answer of 127.0.0.1.
std::string Ask(int port, const std::string& request) {
  UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<uint16_t>(port));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(fd.get(), reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) return "no connection";
  std::string text = request + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
  if (write(fd.get(), text.data(), text.size()) < 0) return "not sent";
  std::string answer;
  char buffer[4096];
  ssize_t size;
  while ((size = read(fd.get(), buffer, sizeof buffer)) > 0) {
    answer.append(buffer, static_cast<size_t>(size));
  }
  return answer;
}

class StatusServerTest : public ::testing::Test {
 protected:
  void Start(const std::string& address = "127.0.0.1:0") {
    StatusPages pages;
    pages.metrics = [] { return std::string("podroute_nodes 3\n"); };
    pages.unhealthy = [this] { return unhealthy_; };
    pages.unready = [this] { return unready_; };
    auto server = StatusServer::Start(address, std::move(pages));
    ASSERT_TRUE(server.ok()) << server.status().message();
    server_ = std::move(*server);
  }
  std::string Get(const std::string& path) { return Ask(server_->port(), "GET " + path); }

  std::string unhealthy_, unready_;
  std::unique_ptr<StatusServer> server_;
};

TEST_F(StatusServerTest, MetricsAreInPrometheusTextFormat) {
  Start();
  std::string answer = Get("/metrics");
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 200 ")) << answer;
  EXPECT_NE(answer.find("Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"),
            std::string::npos)
      << answer;
  EXPECT_TRUE(answer.ends_with("\r\n\r\npodroute_nodes 3\n")) << answer;
}

TEST_F(StatusServerTest, WhatIsNotWellAnswers503AndSaysWhy) {
  Start();
  EXPECT_TRUE(Get("/healthz").starts_with("HTTP/1.1 200 "));
  EXPECT_TRUE(Get("/readyz").ends_with("\r\n\r\nok\n"));
  unhealthy_ = "the loop is stuck";
  unready_ = "not yet";
  EXPECT_TRUE(Get("/healthz").starts_with("HTTP/1.1 503 "));
  EXPECT_TRUE(Get("/healthz").ends_with("\r\n\r\nthe loop is stuck\n"));
  EXPECT_TRUE(Get("/readyz").ends_with("\r\n\r\nnot yet\n"));
}

TEST_F(StatusServerTest, AnyOtherPathOrMethodIsRefused) {
  Start();
  for (const char* path : {"/", "/metricsx", "/metrics/x", "/../etc/passwd"}) {
    EXPECT_FALSE(Get(path).starts_with("HTTP/1.1 200 ")) << path;
  }
  EXPECT_FALSE(Ask(server_->port(), "DELETE /metrics").starts_with("HTTP/1.1 200 "));
}

TEST_F(StatusServerTest, APortThatSomebodyHasIsNamed) {
  Start();
  std::string address = "127.0.0.1:" + std::to_string(server_->port());
  auto second = StatusServer::Start(address, {});
  ASSERT_FALSE(second.ok());
  EXPECT_NE(second.status().message().find(address), std::string::npos)
      << second.status().message();
  EXPECT_NE(second.status().message().find("Address already in use"), std::string::npos)
      << second.status().message();
}

TEST(StatusAddressTest, TheFormIsChecked) {
  for (const char* good : {"127.0.0.1:9434", "0.0.0.0:1", "[::1]:9434", "[fd00::1]:0"}) {
    EXPECT_TRUE(CheckStatusAddress(good).ok()) << good;
  }
  for (const char* bad : {"", ":9434", "127.0.0.1", "localhost:9434", "::1:9434", "[127.0.0.1]:1",
                          "127.0.0.1:", "127.0.0.1:99999", "127.0.0.1:x", "127.0.0.1:+1"}) {
    Status status = CheckStatusAddress(bad);
    EXPECT_FALSE(status.ok()) << bad;
    EXPECT_NE(status.message().find("127.0.0.1:9434"), std::string::npos) << status.message();
  }
}

}  // namespace
}  // namespace podroute
