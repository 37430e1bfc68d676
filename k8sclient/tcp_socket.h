// The kernel's side of a TCP connection that somebody else connects.
#ifndef PODROUTE_K8SCLIENT_TCP_SOCKET_H_
#define PODROUTE_K8SCLIENT_TCP_SOCKET_H_

#include <cstddef>

#include "base/clock.h"
#include "base/ip_prefix.h"
#include "base/status.h"
#include "base/unique_fd.h"

namespace podroute {

struct TcpSocketOptions {
  // A peer that is silent for this long is asked for a sign of life (tcp(7), TCP_KEEPIDLE).
  Duration keepalive{};
  // The connection is broken when nothing is acknowledged for this long (RFC 5482).
  Duration user_timeout{};
  // Gives up connecting after about 7 s rather than 2 minutes.
  bool connect_quickly = false;
};

// A TCP socket, close-on-exec, not connected. An option that the kernel doesn't know is passed
// over.
Result<UniqueFd> OpenTcpSocket(IpFamily family, const TcpSocketOptions& options);

// Another descriptor of the same socket.
UniqueFd Duplicate(int fd);

// Bytes that the kernel has received and nobody has read.
size_t UnreadBytes(int fd);

// Connected, and nothing has come on it, not even its end.
bool IsQuiet(int fd);

bool IsConnecting(int fd);

// The peer has sent something, if only a reset. Needs Linux 4.2; false on older ones.
bool PeerHasAnswered(int fd);

}  // namespace podroute

#endif  // PODROUTE_K8SCLIENT_TCP_SOCKET_H_
