// One connection to a server, over libcpprest. No other file includes that library, and nothing of
// it shows here. The transport's own; everybody else uses http_transport.h.
#ifndef PODROUTE_K8SCLIENT_CPPREST_CHANNEL_H_
#define PODROUTE_K8SCLIENT_CPPREST_CHANNEL_H_

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/ip_prefix.h"
#include "base/status.h"
#include "k8sclient/response_pipe.h"
#include "k8sclient/tls_context.h"

namespace podroute {

// Starts the library's threads, `count` of them, with every signal blocked. Only the first call
// counts, and only before anything else of the library is used.
void StartHttpThreads(size_t count);

// Counts what the library still holds, so that its end can be waited for.
class LiveCount {
 public:
  void Add(int n);
  // False when some were still there after `timeout`.
  bool WaitForNone(Duration timeout);

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int count_ = 0;
};

struct ChannelSettings {
  bool https = true;
  std::string host;  // The server's, as the configuration has it; without brackets.
  uint16_t port = 0;
  // Where to connect: the server, or with `proxied` an http proxy to CONNECT through.
  IpAddress peer;
  uint16_t peer_port = 0;
  bool proxied = false;
  bool more_peers = false;  // There are others to try: a dead one is given up after some seconds.
  std::shared_ptr<const TlsContext> tls;  // Null without https.
  Duration keepalive{};
  Duration tcp_user_timeout{};
  size_t body_buffer_bytes = 0;
  std::shared_ptr<LiveCount> live;

  // "https://[fd00::1]:6443", for messages.
  std::string Origin() const;
};

struct ChannelRequest {
  std::string method;
  std::string target;                                        // Path and query, percent-encoded.
  std::vector<std::pair<std::string, std::string>> headers;  // Host and content-length apart.
  std::string content_type;
  std::string body;
};

// A request under way. Thread-safe.
class HttpCall {
 public:
  virtual ~HttpCall() = default;
  virtual ResponsePipe& pipe() = 0;
  // Ends it now: the pipe is cancelled and the connection closed. Idempotent.
  virtual void Cancel() = 0;
  // It went out on a connection that had carried another request before.
  virtual bool reused() = 0;
  // What it is waiting for before the head: "connect to https://...", for messages.
  virtual std::string Stage() = 0;
  // It failed before the server was reached: another address may do better.
  virtual bool failed_to_connect() = 0;
};

// Not thread-safe; its calls are.
class HttpChannel {
 public:
  virtual ~HttpChannel() = default;

  static std::unique_ptr<HttpChannel> Create(ChannelSettings settings);

  // Sends `request`, on the connection that the last one used if that can be. Never blocks and
  // never repeats anything: the response, or why there is none, is what the call's pipe says. The
  // channel must not be used for another request before the response has been read to its end; it
  // may go before the call does.
  virtual std::shared_ptr<HttpCall> Send(const ChannelRequest& request) = 0;

  // The connection can be expected to carry another request.
  virtual bool Reusable() = 0;

  // "https://[fd00::1]:6443", for messages.
  virtual std::string Origin() const = 0;
};

}  // namespace podroute

#endif  // PODROUTE_K8SCLIENT_CPPREST_CHANNEL_H_
