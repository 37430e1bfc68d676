#include "routing/daemon_socket.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/text.h"

namespace podroute {
namespace {

// A StopToken has no descriptor to wait for.
constexpr Duration kStopInterval = std::chrono::milliseconds(20);

Status Stopped(const std::string& name) {
  return {StatusCode::kCancelled, name + ": told to stop"};
}

// Connects, or EAGAIN while the daemon's queue of connections is full: it does not accept them.
Status ConnectOnce(int fd, const sockaddr_un& address, const std::string& name, bool* full) {
  *full = false;
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return {};
  const int error = errno;
  *full = error == EAGAIN || error == EINTR;
  Status status = Status::FromErrno(error, "connect to " + name);
  if (error == EACCES || error == EPERM) return status;
  // Not there, nobody listening: it may come.
  return {StatusCode::kUnavailable, status.message()};
}

}  // namespace

Result<DaemonSocket> DaemonSocket::Connect(const std::string& daemon, const std::string& path,
                                           MonotonicTime deadline, StopToken* stop) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path) {
    return Status(StatusCode::kInvalidArgument,
                  daemon + "'s control socket " + Printable(path, 200) + " is not a path of 1 to " +
                      std::to_string(sizeof address.sun_path - 1) + " bytes");
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  const std::string name = daemon + " on " + path;
  UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return Status::FromErrno(errno, "make a socket for " + daemon);
  bool full = false;
  while (true) {
    if (stop != nullptr && stop->stopped()) return Stopped(name);
    Status status = ConnectOnce(fd.get(), address, name, &full);
    if (status.ok()) break;
    if (!full) return status;
    if (SystemClock().Now() >= deadline) {
      return Status(StatusCode::kDeadlineExceeded,
                    name + " takes no more connections: it hangs, or is very busy");
    }
    poll(nullptr, 0, 10);
  }
  return DaemonSocket(std::move(fd), name, stop);
}

Result<DaemonSocket> DaemonSocket::Adopt(UniqueFd socket, const std::string& daemon,
                                         const std::string& path, StopToken* stop) {
  const std::string name = daemon + " on " + path;
  const int flags = fcntl(socket.get(), F_GETFL);
  if (flags < 0 || fcntl(socket.get(), F_SETFL, flags | O_NONBLOCK) != 0) {
    return Status::FromErrno(errno, name);
  }
  return DaemonSocket(std::move(socket), name, stop);
}

Status DaemonSocket::Send(std::string_view bytes, MonotonicTime deadline) const {
  while (!bytes.empty()) {
    const ssize_t n = send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n >= 0) {
      bytes.remove_prefix(static_cast<size_t>(n));
    } else if (errno == EAGAIN) {
      PODROUTE_RETURN_IF_ERROR(Wait(POLLOUT, deadline, "a command"));
    } else if (errno != EINTR) {
      return {StatusCode::kUnavailable, Status::FromErrno(errno, "send to " + name_).message()};
    }
  }
  return {};
}

Result<size_t> DaemonSocket::Read(std::span<char> buffer, MonotonicTime deadline,
                                  std::string_view what) const {
  while (true) {
    const ssize_t n = recv(socket_.get(), buffer.data(), buffer.size(), 0);
    if (n > 0) return static_cast<size_t>(n);
    if (n == 0) {
      return Status(StatusCode::kUnavailable,
                    name_ + " closed the connection before it had answered " + std::string(what));
    }
    if (errno == EAGAIN) {
      PODROUTE_RETURN_IF_ERROR(Wait(POLLIN, deadline, what));
    } else if (errno != EINTR) {
      return Status(StatusCode::kUnavailable,
                    Status::FromErrno(errno, "read from " + name_).message());
    }
  }
}

Status DaemonSocket::Wait(short events, MonotonicTime deadline, std::string_view what) const {
  while (true) {
    const Duration left = deadline - SystemClock().Now();
    if (stop_ != nullptr && stop_->stopped()) return Stopped(name_);
    if (left <= Duration(0)) {
      return {StatusCode::kDeadlineExceeded, name_ + " does not answer " + std::string(what) +
                                                 " in time: it hangs, or is very busy"};
    }
    const Duration slice = stop_ != nullptr ? std::min(left, kStopInterval) : left;
    const auto nanoseconds = slice.count();
    const timespec timeout = {.tv_sec = nanoseconds / 1'000'000'000,
                              .tv_nsec = nanoseconds % 1'000'000'000};
    pollfd waiting = {.fd = socket_.get(), .events = events, .revents = 0};
    if (ppoll(&waiting, 1, &timeout, nullptr) > 0) return {};
  }
}

}  // namespace podroute
