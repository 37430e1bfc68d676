#include "tests/bench/node_server.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string_view>

namespace podroute {
namespace {

constexpr size_t kNodesInChunk = 20;

std::string AsChunk(std::string_view bytes) {
  char size[32];
  snprintf(size, sizeof size, "%zx\r\n", bytes.size());
  return std::string(size).append(bytes).append("\r\n");
}

}  // namespace

NodeServer::NodeServer(size_t nodes, bool tls, bool dual_stack)
    : nodes_(nodes), dual_stack_(dual_stack) {
  ScriptedServer::Options options;
  std::string trust;
  if (tls) {
    TestAuthority authority("bench authority");
    options.tls = authority.Issue({.common_name = "bench", .names = {"127.0.0.1"}});
    trust = ", certificate-authority: " + files_.Write("ca.crt", authority.pem());
  }
  server_ = std::make_unique<ScriptedServer>(
      options, [this](ServerConnection& connection) { Serve(connection); });
  kubeconfig_ = files_.Write(
      "kubeconfig", "apiVersion: v1\nkind: Config\nclusters: [{name: bench, cluster: {server: \"" +
                        std::string(tls ? "https" : "http") +
                        "://127.0.0.1:" + std::to_string(server_->port()) + "\"" + trust +
                        "}}]\ncontexts: [{name: bench, context: {cluster: bench, user: bench}}]\n"
                        "users: [{name: bench, user: {token: bench}}]\ncurrent-context: bench\n");
}

NodeServer::~NodeServer() {
  {
    std::lock_guard lock(mutex_);
    closing_ = true;
  }
  changed_.notify_all();
  server_.reset();
}

void NodeServer::Serve(ServerConnection& connection) {
  for (;;) {
    std::string request = connection.ReadRequest();
    if (request.empty()) return;
    std::string_view line = std::string_view(request).substr(0, request.find('\r'));
    if (line.find("sendInitialEvents") != std::string_view::npos) {
      connection.Write("HTTP/1.1 422 Unprocessable Entity\r\nContent-Length: 2\r\n\r\n{}");
      continue;
    }
    if (line.find("watch=") != std::string_view::npos) return HoldWatch(connection);
    AnswerList(connection);
  }
}

void NodeServer::AnswerList(ServerConnection& connection) const {
  connection.Write(ChunkedHead());
  connection.WriteChunk(
      R"({"kind":"NodeList","apiVersion":"v1","metadata":{"resourceVersion":"5000000"},"items":[)");
  for (size_t i = 0; i < nodes_;) {
    std::string piece;
    for (size_t end = std::min(nodes_, i + kNodesInChunk); i < end; ++i) {
      piece += (i > 0 ? "," : "") + NodeJson(MakeBenchNode(i, dual_stack_));
    }
    if (!connection.WriteChunk(piece)) return;
  }
  connection.WriteChunk("]}");
  connection.WriteChunk("");
}

void NodeServer::HoldWatch(ServerConnection& connection) {
  connection.Write(ChunkedHead());
  std::unique_lock lock(mutex_);
  watch_ = &connection;
  changed_.notify_all();
  changed_.wait(lock, [&] { return closing_; });
}

void NodeServer::AwaitWatch() {
  std::unique_lock lock(mutex_);
  Check(changed_.wait_for(lock, std::chrono::seconds(30), [&] { return watch_ != nullptr; }),
        "nobody watches");
}

BenchClock::time_point NodeServer::Send(const std::string& type, const BenchNode& node) {
  const std::string chunk = AsChunk(EventJson(type, node));
  std::lock_guard lock(mutex_);
  BenchClock::time_point start = BenchClock::now();
  Check(watch_ != nullptr && watch_->Write(chunk), "the watch is gone");
  return start;
}

}  // namespace podroute
