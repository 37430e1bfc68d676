// An API server that answers what a test wrote down, and remembers what it was asked.
#ifndef PODROUTE_TESTS_CONTROLLER_FAKE_API_H_
#define PODROUTE_TESTS_CONTROLLER_FAKE_API_H_

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "tests/k8sclient/scripted_server.h"

namespace podroute {

// An error as an API server words it.
inline std::string ErrorResponse(int status, const std::string& reason) {
  std::string body = R"({"kind":"Status","apiVersion":"v1","status":"Failure","reason":")" +
                     reason + R"(","code":)" + std::to_string(status) + "}";
  return "HTTP/1.1 " + std::to_string(status) +
         " Error\r\nContent-Type: application/json\r\nContent-Length: " +
         std::to_string(body.size()) + "\r\n\r\n" + body;
}

// Lists are answered by `list`, called with the request's first line; watches are accepted and say
// what Send is given, to all that are open; there are no watch-lists. Threads of its own call
// `list`.
class FakeApi {
 public:
  using ListAnswer = std::function<std::string(const std::string& request_line)>;

  explicit FakeApi(ListAnswer list, ScriptedServer::Options options = {})
      : list_(std::move(list)),
        server_(std::make_unique<ScriptedServer>(
            std::move(options), [this](ServerConnection& connection) { Serve(connection); })) {}
  ~FakeApi() { server_.reset(); }

  // A kubeconfig; `user` is YAML in braces, `cluster` what follows the server's URL in them.
  std::string Kubeconfig(const std::string& user, const std::string& cluster = "",
                         const std::string& host = "") const {
    std::string scheme = cluster.find("certificate-authority") != std::string::npos ? "s" : "";
    return "apiVersion: v1\nkind: Config\ncurrent-context: c\n"
           "clusters: [{name: c, cluster: {server: \"http" +
           scheme + "://" + (host.empty() ? server_->host() : host) + ":" +
           std::to_string(server_->port()) + "\"" + (cluster.empty() ? "" : ", " + cluster) +
           "}}]\nusers: [{name: u, user: " + user +
           "}]\ncontexts: [{name: c, context: {cluster: c, user: u}}]\n";
  }

  // From now on a request without this in its head is answered 401.
  void Require(const std::string& text) {
    std::lock_guard lock(mutex_);
    required_ = text;
  }

  uint16_t port() const { return server_->port(); }
  int connections() const { return server_->connections(); }

  // The requests so far, heads and all.
  std::vector<std::string> requests() {
    std::lock_guard lock(mutex_);
    return requests_;
  }
  // How many of them have this in them.
  int Asked(const std::string& text) {
    std::lock_guard lock(mutex_);
    int count = 0;
    for (const std::string& request : requests_) count += request.find(text) != std::string::npos;
    return count;
  }

  // Bytes to all open watches, as one chunk.
  void Send(const std::string& bytes) {
    std::lock_guard lock(mutex_);
    for (ServerConnection* watch : watches_) watch->WriteChunk(bytes);
  }
  size_t watches() {
    std::lock_guard lock(mutex_);
    return watches_.size();
  }
  // Breaks all open watches.
  void DropWatches() {
    std::lock_guard lock(mutex_);
    for (ServerConnection* watch : watches_) watch->Shutdown();
  }

 private:
  void Serve(ServerConnection& connection) {
    for (std::string request; !(request = connection.ReadRequest()).empty();) {
      {
        std::lock_guard lock(mutex_);
        requests_.push_back(request);
        if (request.find(required_) == std::string::npos) {
          connection.Write(ErrorResponse(401, "Unauthorized"));
          continue;
        }
      }
      std::string line = request.substr(0, request.find("\r\n"));
      if (line.find("watch=1") == std::string::npos) {
        connection.Write(list_(line));
        continue;
      }
      if (line.find("sendInitialEvents") != std::string::npos) {
        connection.Write(ErrorResponse(422, "Invalid"));
        continue;
      }
      {
        std::lock_guard lock(mutex_);
        connection.Write(ChunkedHead());
        watches_.push_back(&connection);
      }
      connection.WaitForClose();
      std::lock_guard lock(mutex_);
      std::erase(watches_, &connection);
      return;
    }
  }

  const ListAnswer list_;
  std::mutex mutex_;
  std::string required_;
  std::vector<std::string> requests_;
  std::vector<ServerConnection*> watches_;
  std::unique_ptr<ScriptedServer> server_;
};

}  // namespace podroute

#endif  // PODROUTE_TESTS_CONTROLLER_FAKE_API_H_
