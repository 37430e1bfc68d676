// A TCP or TLS server on loopback that does exactly what a test says, byte by byte.
#ifndef PODROUTE_TESTS_K8SCLIENT_SCRIPTED_SERVER_H_
#define PODROUTE_TESTS_K8SCLIENT_SCRIPTED_SERVER_H_

#include <openssl/types.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/ip_prefix.h"
#include "base/unique_fd.h"
#include "tests/k8sclient/test_certificates.h"

namespace podroute {

// The server's end of one connection. Used by the script's thread; Close by any.
class ServerConnection {
 public:
  ServerConnection(UniqueFd fd, int number, SSL_CTX* tls);
  ~ServerConnection();

  // The TLS handshake came to its end (always, without TLS).
  bool established() const { return established_; }
  int number() const { return number_; }  // 0 for the first connection that was accepted.
  std::string sni() const;                // Empty: none was sent.
  std::string tls_version() const;
  std::string client_common_name() const;  // Of the client's certificate; empty: none.

  // One request, head and body as they came; empty when the client has closed the connection.
  std::string ReadRequest();
  // False when the client is gone.
  bool Write(std::string_view bytes);
  bool WriteChunk(std::string_view bytes);  // In HTTP's chunked encoding; "" is the last.
  // Write fails when the client has taken nothing for so long.
  void GiveUpWritingAfter(std::chrono::milliseconds time);
  // Returns when the client has closed or reset the connection; what it sends until then is
  // dropped.
  void WaitForClose();
  // Sends a reset instead of an end.
  void Reset();
  void Shutdown();
  // Goes on in TLS (after a proxy's CONNECT).
  bool StartTls(SSL_CTX* tls);
  // Says goodbye in TLS, if there is TLS.
  void EndTls();
  int fd() const { return fd_.get(); }

 private:
  int Receive(char* buffer, size_t size);

  UniqueFd fd_;
  const int number_;
  SSL* ssl_ = nullptr;
  bool established_ = false;
  std::string unread_;
};

class ScriptedServer {
 public:
  struct Options {
    IpFamily family = IpFamily::kV4;
    std::optional<TestCertificate> tls;
    std::string client_authority_pem;  // Ask for a client certificate of this authority.
    int max_tls_version = 0;           // TLS1_1_VERSION and the like; 0: the newest.
  };
  // Runs for each connection in a thread of its own; the connection is closed when it returns.
  using Script = std::function<void(ServerConnection&)>;

  ScriptedServer(Options options, Script script);
  // Closes all connections and waits for the scripts.
  ~ScriptedServer();

  uint16_t port() const { return port_; }
  std::string host() const;  // "127.0.0.1" or "::1"
  int connections() const { return accepted_; }
  SSL_CTX* tls() { return tls_.get(); }

 private:
  void AcceptLoop();

  const Options options_;
  const Script script_;
  std::shared_ptr<SSL_CTX> tls_;
  UniqueFd listener_;
  uint16_t port_ = 0;
  std::atomic<int> accepted_{0};
  std::mutex mutex_;
  bool closing_ = false;
  std::vector<int> open_;  // Descriptors of connections under way.
  std::vector<std::thread> threads_;
  std::thread acceptor_;
};

// "HTTP/1.1 200 OK" with this body and its length.
std::string OkResponse(std::string_view body);
// The value of a header (written as given) of an HTTP message; empty: it has none.
std::string HeaderOf(const std::string& message, const std::string& name);
// The head of a response in chunks.
std::string ChunkedHead();

}  // namespace podroute

#endif  // PODROUTE_TESTS_K8SCLIENT_SCRIPTED_SERVER_H_
