#include "k8sclient/tcp_socket.h"

#include <fcntl.h>
#include <linux/tcp.h>  // Instead of <netinet/tcp.h>, whose tcp_info ends before tcpi_segs_in.
#include <netinet/in.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>

namespace podroute {
namespace {

constexpr int kTcpSynSent = 2;  // include/net/tcp_states.h, stable as /proc/net/tcp shows it.

tcp_info Info(int fd) {
  tcp_info info{};
  socklen_t size = sizeof info;
  (void)getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size);  // An older kernel fills in less.
  return info;
}

int WholeSeconds(Duration duration) {
  return std::max(1, static_cast<int>(std::chrono::ceil<std::chrono::seconds>(duration).count()));
}

}  // namespace

Result<UniqueFd> OpenTcpSocket(IpFamily family, const TcpSocketOptions& options) {
  UniqueFd fd(socket(AddressFamily(family), SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return Status::FromErrno(errno, "open a socket");
  auto set = [&fd](int level, int option, int value) {
    (void)setsockopt(fd.get(), level, option, &value, sizeof value);
  };
  auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(options.user_timeout).count();
  set(SOL_SOCKET, SO_KEEPALIVE, 1);
  set(IPPROTO_TCP, TCP_KEEPIDLE, WholeSeconds(options.keepalive));
  set(IPPROTO_TCP, TCP_KEEPINTVL, WholeSeconds(options.keepalive / 3));
  set(IPPROTO_TCP, TCP_KEEPCNT, 3);
  set(IPPROTO_TCP, TCP_USER_TIMEOUT, static_cast<int>(ms));
  set(IPPROTO_TCP, TCP_NODELAY, 1);
  if (options.connect_quickly) set(IPPROTO_TCP, TCP_SYNCNT, 2);  // 1 + 2 + 4 s
  return fd;
}

UniqueFd Duplicate(int fd) { return UniqueFd(fcntl(fd, F_DUPFD_CLOEXEC, 0)); }

size_t UnreadBytes(int fd) {
  int waiting = 0;
  return ioctl(fd, FIONREAD, &waiting) == 0 && waiting > 0 ? static_cast<size_t>(waiting) : 0;
}

bool IsQuiet(int fd) {
  pollfd poll_fd{fd, POLLIN | POLLRDHUP, 0};
  return fd >= 0 && poll(&poll_fd, 1, 0) == 0;
}

bool IsConnecting(int fd) { return Info(fd).tcpi_state == kTcpSynSent; }

bool PeerHasAnswered(int fd) { return Info(fd).tcpi_segs_in > 0; }

}  // namespace podroute
