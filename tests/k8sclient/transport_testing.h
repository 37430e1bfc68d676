// What the transport's tests share.
#ifndef PODROUTE_TESTS_K8SCLIENT_TRANSPORT_TESTING_H_
#define PODROUTE_TESTS_K8SCLIENT_TRANSPORT_TESTING_H_

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "k8sclient/client_config.h"
#include "k8sclient/cpprest_transport.h"
#include "tests/k8sclient/scripted_server.h"

namespace podroute {

class FakeCredentials final : public CredentialSource {
 public:
  Result<Credentials> Get() override {
    std::lock_guard lock(mutex_);
    ++gets_;
    if (!error_.ok()) return error_;
    return credentials_;
  }
  void Invalidate() override {
    std::lock_guard lock(mutex_);
    ++invalidations_;
  }

  void Set(Credentials credentials) {
    std::lock_guard lock(mutex_);
    credentials_ = std::move(credentials);
  }
  void SetToken(const std::string& token) {
    Credentials credentials;
    credentials.bearer_token = token;
    Set(credentials);
  }
  void SetBasic(const std::string& username, const std::string& password) {
    Credentials credentials;
    credentials.username = username;
    credentials.password = password;
    Set(credentials);
  }
  void SetCertificate(const TestCertificate& certificate) {
    Credentials credentials;
    credentials.client_certificate_pem = certificate.certificate_pem;
    credentials.client_key_pem = certificate.key_pem;
    Set(credentials);
  }
  void Fail(Status error) {
    std::lock_guard lock(mutex_);
    error_ = std::move(error);
  }
  int gets() const {
    std::lock_guard lock(mutex_);
    return gets_;
  }
  int invalidations() const {
    std::lock_guard lock(mutex_);
    return invalidations_;
  }

 private:
  mutable std::mutex mutex_;
  Credentials credentials_;
  Status error_;
  int gets_ = 0;
  int invalidations_ = 0;
};

// A value that one thread sets and another waits for.
template <typename T>
class Mailbox {
 public:
  void Put(T value) {
    std::lock_guard lock(mutex_);
    values_.push_back(std::move(value));
    changed_.notify_all();
  }
  // The oldest; waits for it (a test that waits for ever is ended by its timeout).
  T Take() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return !values_.empty(); });
    T value = std::move(values_.front());
    values_.erase(values_.begin());
    return value;
  }
  size_t size() {
    std::lock_guard lock(mutex_);
    return values_.size();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<T> values_;
};

inline ClientConfig ConfigFor(const ScriptedServer& server,
                              const std::shared_ptr<CredentialSource>& credentials = nullptr) {
  ClientConfig config;
  config.https = false;
  config.host = server.host();
  config.port = server.port();
  config.credentials = credentials ? credentials : std::make_shared<FakeCredentials>();
  config.source = "a test";
  return config;
}

inline ClientConfig TlsConfigFor(const ScriptedServer& server, const std::string& ca_pem) {
  ClientConfig config = ConfigFor(server);
  config.https = true;
  config.ca_pem = ca_pem;
  return config;
}

inline std::unique_ptr<HttpTransport> MustMake(ClientConfig config, TransportOptions options = {}) {
  auto transport = NewCpprestTransport(std::move(config), std::move(options));
  EXPECT_TRUE(transport.ok()) << transport.status().message();
  return transport.ok() ? std::move(transport).value() : nullptr;
}

inline HttpRequest Get(const std::string& target) {
  HttpRequest request;
  request.target = target;
  return request;
}

// The body of a GET, or its error.
inline Result<std::string> Fetch(HttpTransport& transport, const std::string& target = "/") {
  PODROUTE_ASSIGN_OR_RETURN(HttpResponse response, transport.Send(Get(target)));
  return ReadBody(*response.body, 1u << 30);
}

// Answers every request with the same body.
inline ScriptedServer::Script Answering(const std::string& body) {
  return [body](ServerConnection& connection) {
    while (!connection.ReadRequest().empty() && connection.Write(OkResponse(body))) {
    }
  };
}

}  // namespace podroute

#endif  // PODROUTE_TESTS_K8SCLIENT_TRANSPORT_TESTING_H_
