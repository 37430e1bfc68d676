// A connection to a routing daemon's control socket: bytes with a deadline.
#ifndef PODROUTE_ROUTING_DAEMON_SOCKET_H_
#define PODROUTE_ROUTING_DAEMON_SOCKET_H_

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "base/clock.h"
#include "base/status.h"
#include "base/unique_fd.h"

namespace podroute {

// One thread. Every wait has a deadline on SystemClock and is ended by `stop` (may be null,
// outlives the connection) within some ten milliseconds: a daemon that is stopped, or busy for
// long, never hangs its caller.
//
// Errors name the daemon and the path: kUnavailable (cannot be reached, or closed the connection),
// kDeadlineExceeded, kCancelled, kPermissionDenied. After any of them it is of no use any longer.
class DaemonSocket {
 public:
  // `daemon`: as messages call it. Also kInvalidArgument: no path of a socket.
  static Result<DaemonSocket> Connect(const std::string& daemon, const std::string& path,
                                      MonotonicTime deadline, StopToken* stop);
  // A stream socket that is connected already.
  static Result<DaemonSocket> Adopt(UniqueFd socket, const std::string& daemon,
                                    const std::string& path, StopToken* stop);

  // "BIRD on /run/bird/bird.ctl".
  const std::string& name() const { return name_; }
  int fd() const { return socket_.get(); }

  // All of it.
  Status Send(std::string_view bytes, MonotonicTime deadline) const;
  // Waits for some bytes, never none. `what`: for what, in messages.
  Result<size_t> Read(std::span<char> buffer, MonotonicTime deadline, std::string_view what) const;

 private:
  DaemonSocket(UniqueFd socket, std::string name, StopToken* stop)
      : socket_(std::move(socket)), name_(std::move(name)), stop_(stop) {}
  Status Wait(short events, MonotonicTime deadline, std::string_view what) const;

  UniqueFd socket_;
  std::string name_;
  StopToken* stop_;
};

}  // namespace podroute

#endif  // PODROUTE_ROUTING_DAEMON_SOCKET_H_
