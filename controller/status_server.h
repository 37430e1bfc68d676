// /metrics, /healthz and /readyz over HTTP.
#ifndef PODROUTE_CONTROLLER_STATUS_SERVER_H_
#define PODROUTE_CONTROLLER_STATUS_SERVER_H_

#include <functional>
#include <memory>
#include <string>

#include "base/status.h"

namespace podroute {

// What the server asks, on a thread of its own, one after another. Each may block for about a
// second.
struct StatusPages {
  std::function<std::string()> metrics;    // In Prometheus' text format.
  std::function<std::string()> unhealthy;  // One line why; empty: healthy.
  std::function<std::string()> unready;    // One line why; empty: ready.
};

// Plain HTTP; without a request it does nothing at all. It says nothing secret, and listens on
// loopback unless told otherwise. A page that is not well answers 503 with its line.
class StatusServer {
 public:
  // `address`: IP:PORT, [IPv6]:PORT; port 0 is any free one. In the network namespace of the
  // calling thread. Errors name the address: it is not this machine's, or somebody has it.
  static Result<std::unique_ptr<StatusServer>> Start(const std::string& address, StatusPages pages);
  // Ends its thread, after the answer that is under way.
  ~StatusServer();

  int port() const;

 private:
  struct Server;
  explicit StatusServer(std::unique_ptr<Server> server);
  const std::unique_ptr<Server> server_;
};

}  // namespace podroute

#endif  // PODROUTE_CONTROLLER_STATUS_SERVER_H_
