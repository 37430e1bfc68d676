// HTTP/1.1 over TCP and TLS for the API. Nothing of Boost is seen outside.
#ifndef PODROUTE_TESTS_APISERVER_HTTP_SERVER_H_
#define PODROUTE_TESTS_APISERVER_HTTP_SERVER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "tests/apiserver/api.h"

namespace podroute {

struct HttpServerOptions {
  std::vector<std::string> addresses;  // IP addresses, without brackets.
  uint16_t port = 0;                   // 0: a free one, the same on all addresses.
  int control_port =
      -1;  // A listener on 127.0.0.1 for /_test/ only, without TLS; 0: free; -1: none.
  bool control = false;           // /_test/ on the API's listeners too.
  std::string cert_pem, key_pem;  // Both or none: without them plain HTTP.
  std::string client_ca_pem;      // Client certificates that it signed are accepted.
  double bookmark_period_seconds = 60;
  double watch_timeout_seconds =
      1800;  // Of a watch that does not say; up to twice that, at random.
};

// One thread: all of it happens inside Run.
class HttpServer {
 public:
  // Both must outlive it.
  HttpServer(Api* api, Store* store, HttpServerOptions options);
  ~HttpServer();

  // Binds and listens; from here on SIGTERM and SIGINT are Run's. Errors name the address.
  Status Listen();
  uint16_t port() const;          // The API's, after Listen.
  uint16_t control_port() const;  // 0 when there is none.

  // Serves until SIGTERM or SIGINT, or Stop.
  void Run();
  // Any thread.
  void Stop();

 private:
  class Impl;
  class Connection;
  std::unique_ptr<Impl> impl_;
};

}  // namespace podroute

#endif  // PODROUTE_TESTS_APISERVER_HTTP_SERVER_H_
