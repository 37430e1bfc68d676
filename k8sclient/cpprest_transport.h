// HTTP over libcpprest, to one API server. The only user of that library: nothing of it shows here.
#ifndef PODROUTE_K8SCLIENT_CPPREST_TRANSPORT_H_
#define PODROUTE_K8SCLIENT_CPPREST_TRANSPORT_H_

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/status.h"
#include "k8sclient/client_config.h"
#include "k8sclient/http_transport.h"

namespace podroute {

struct TransportOptions {
  std::string user_agent = "podroute";

  // The kernel asks the peer for a sign of life after `keepalive` without a byte; a connection
  // whose peer acknowledges nothing for `tcp_user_timeout` is broken (RFC 5482). Both cost no
  // wake-ups here.
  Duration keepalive = std::chrono::seconds(15);
  Duration tcp_user_timeout = std::chrono::seconds(30);

  // A body is read ahead of its reader by this much at most; then the server has to wait.
  size_t body_buffer_bytes = 64 * 1024;

  // Connections kept for the next request.
  size_t max_idle_connections = 2;
};

// Starts libcpprest's threads (two; it would start 40) with every signal blocked, and lets malloc
// have one arena (M_ARENA_MAX): a thread each would keep its own. Call first in main, while there
// is one thread. Later calls, by NewCpprestTransport too, do nothing.
void InitHttpThreads();

// What ClientConfig says is checked now: certificates that can't be read or used are errors that
// name the file (kInvalidArgument, kNotFound, kPermissionDenied); nothing is sent.
//
// Names are resolved for each new connection and their addresses tried in turn. CA file and
// credentials are asked for before each request: when the CA's content or the client certificate
// has changed, the request goes over a new connection. A CA file that has become unreadable leaves
// the last good one in force.
//
// The transport's destructor ends all calls as Shutdown does, and waits for its connections to be
// closed. REQUIRES: it runs before main returns (libcpprest's threads end after main) and after
// every BodyStream is gone or at least no longer used.
Result<std::unique_ptr<HttpTransport>> NewCpprestTransport(ClientConfig config,
                                                           TransportOptions options = {});

}  // namespace podroute

#endif  // PODROUTE_K8SCLIENT_CPPREST_TRANSPORT_H_
