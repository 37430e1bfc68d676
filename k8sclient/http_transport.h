// The one way to an API server. Everything that lists, watches, patches or creates goes through
// this interface; cpprest_transport.h is the real one, tests have fakes.
#ifndef PODROUTE_K8SCLIENT_HTTP_TRANSPORT_H_
#define PODROUTE_K8SCLIENT_HTTP_TRANSPORT_H_

#include <chrono>
#include <cstddef>
#include <map>
#include <memory>
#include <span>
#include <string>

#include "base/clock.h"
#include "base/status.h"

namespace podroute {

struct HttpRequest {
  std::string method = "GET";
  std::string target;        // Path and query, percent-encoded: "/api/v1/nodes?limit=500".
  std::string content_type;  // Of the body; empty when there is none.
  std::string body;
  // The longest silence allowed, while connecting, waiting for the head, or between two pieces of
  // the body; after it the call or Read fails with kDeadlineExceeded.
  Duration idle_timeout = std::chrono::seconds(30);
};

// A response body as it arrives. One reader.
class BodyStream {
 public:
  // Cancels what is still under way and gives the connection up.
  virtual ~BodyStream() = default;

  // Blocks until at least one byte is there and returns what is, up to buffer.size(). 0 is the
  // clean end of the body. kUnavailable: the connection broke before that. kDeadlineExceeded:
  // silence longer than idle_timeout. kCancelled: Cancel or Shutdown was called. REQUIRES:
  // !buffer.empty().
  virtual Result<size_t> Read(std::span<char> buffer) = 0;

  // The idle_timeout of the Reads that follow, where there is one. The reader's thread.
  virtual void SetIdleTimeout(Duration) {}

  // Makes a blocked Read, and every later one, return kCancelled soon. Any thread.
  virtual void Cancel() = 0;
};

struct HttpResponse {
  int status = 0;                              // Any status is a response, not an error.
  std::map<std::string, std::string> headers;  // Names in lower case.
  std::unique_ptr<BodyStream> body;            // Never null.
};

// Thread-safe. Adds host, credentials and Accept: application/json itself; follows no redirects.
class HttpTransport {
 public:
  virtual ~HttpTransport() = default;

  // Sends and blocks until the response's head is there. Errors are only those of reaching the
  // server: kUnavailable (name, connection, TLS; the message says which stage), kDeadlineExceeded,
  // kCancelled, kUnauthenticated (credentials could not be had), kPermissionDenied never. A GET
  // that fails on a reused connection before any byte came back is sent once more, on a new one;
  // nothing else is ever retried here. A 401 drops cached credentials, so that the next request
  // reads them anew.
  virtual Result<HttpResponse> Send(const HttpRequest& request) = 0;

  // Re-reads credentials and certificates for the requests that follow (SIGHUP).
  virtual void ReloadCredentials() = 0;

  // Ends every call under way, and every later one, with kCancelled. Any thread; for ever.
  virtual void Shutdown() = 0;
};

// Reads a whole body of at most `max_bytes`; more is kInternal.
Result<std::string> ReadBody(BodyStream& body, size_t max_bytes = 1u << 20);

}  // namespace podroute

#endif  // PODROUTE_K8SCLIENT_HTTP_TRANSPORT_H_
