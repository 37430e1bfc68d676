#include "routing/bird_control.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "base/text.h"

namespace podroute {
namespace {

// A StopToken has no descriptor to wait for.
constexpr Duration kStopInterval = std::chrono::milliseconds(20);
constexpr size_t kReadBytes = 256u << 10;

Status Stopped(const std::string& path) {
  return {StatusCode::kCancelled, "BIRD on " + path + ": told to stop"};
}

// Connects, or EAGAIN while BIRD's queue of connections is full: it does not accept them.
Status ConnectOnce(int fd, const sockaddr_un& address, const std::string& path, bool* full) {
  *full = false;
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return {};
  const int error = errno;
  *full = error == EAGAIN || error == EINTR;
  Status status = Status::FromErrno(error, "connect to BIRD on " + path);
  if (error == EACCES || error == EPERM) return status;
  // Not there, nobody listening: it may come.
  return {StatusCode::kUnavailable, status.message()};
}

}  // namespace

BirdControl::BirdControl(UniqueFd socket, const std::string& path, StopToken* stop)
    : socket_(std::move(socket)), path_(path), stop_(stop) {}

Result<std::unique_ptr<BirdControl>> BirdControl::Connect(const std::string& path,
                                                          MonotonicTime deadline, StopToken* stop) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path) {
    return Status(StatusCode::kInvalidArgument,
                  "BIRD's control socket " + Printable(path, 200) + " is not a path of 1 to " +
                      std::to_string(sizeof address.sun_path - 1) + " bytes");
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return Status::FromErrno(errno, "make a socket for BIRD");
  bool full = false;
  while (true) {
    Status status = ConnectOnce(fd.get(), address, path, &full);
    if (status.ok()) break;
    if (!full) return status;
    if (stop != nullptr && stop->stopped()) return Stopped(path);
    if (SystemClock().Now() >= deadline) {
      return Status(StatusCode::kDeadlineExceeded,
                    "BIRD on " + path + " takes no more connections: it hangs, or is very busy");
    }
    poll(nullptr, 0, 10);
  }
  return Greet(std::move(fd), path, deadline, stop);
}

Result<std::unique_ptr<BirdControl>> BirdControl::Greet(UniqueFd socket, const std::string& path,
                                                        MonotonicTime deadline, StopToken* stop) {
  const int flags = fcntl(socket.get(), F_GETFL);
  if (flags < 0 || fcntl(socket.get(), F_SETFL, flags | O_NONBLOCK) != 0) {
    return Status::FromErrno(errno, "BIRD on " + path);
  }
  std::unique_ptr<BirdControl> control(new BirdControl(std::move(socket), path, stop));
  PODROUTE_ASSIGN_OR_RETURN(const std::vector<BirdReply> replies,
                            control->ReadReplies(1, deadline, "the connection"));
  const BirdReply& reply = replies.front();
  const std::string_view text = reply.lines.back().text;
  if (reply.code() != kBirdWelcome || !text.starts_with("BIRD ")) {
    return control->Lost("does not greet as BIRD does: \"" + Printable(text) + "\"");
  }
  if (text.starts_with("BIRD 1.") || text.starts_with("BIRD 0.")) {
    return Status(StatusCode::kUnsupported,
                  "BIRD on " + path + " is too old: \"" + Printable(text) + "\"; it takes BIRD 2");
  }
  return control;
}

Status BirdControl::Lost(std::string_view why) const {
  return {StatusCode::kInternal, "what listens on " + path_ + " " + std::string(why)};
}

bool BirdControl::Usable() {
  if (broken_) return false;
  char byte;
  const ssize_t n = recv(socket_.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  // Nothing to read is how it should be.
  broken_ = n >= 0 || (errno != EAGAIN && errno != EINTR);
  return !broken_;
}

Result<BirdReply> BirdControl::Ask(std::string_view command, MonotonicTime deadline) {
  PODROUTE_ASSIGN_OR_RETURN(std::vector<BirdReply> replies,
                            AskAll({std::string(command)}, deadline));
  return std::move(replies.front());
}

Result<std::vector<BirdReply>> BirdControl::AskAll(const std::vector<std::string>& commands,
                                                   MonotonicTime deadline,
                                                   const std::function<void()>& meanwhile) {
  std::string lines;
  for (const std::string& command : commands) {
    if (command.empty() || command.find_first_of(std::string_view("\n\r\0", 3)) != command.npos) {
      return Status(StatusCode::kInvalidArgument,
                    "not a command for BIRD: \"" + Printable(command) + "\"");
    }
    lines += command + "\n";
  }
  if (!Usable()) {
    return Status(StatusCode::kUnavailable, "BIRD has closed the connection on " + path_);
  }
  PODROUTE_RETURN_IF_ERROR(Send(lines, deadline));
  if (meanwhile) meanwhile();
  return ReadReplies(commands.size(), deadline, "\"" + Printable(commands.front()) + "\"");
}

Status BirdControl::Send(std::string_view bytes, MonotonicTime deadline) {
  while (!bytes.empty()) {
    const ssize_t n = send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n >= 0) {
      bytes.remove_prefix(static_cast<size_t>(n));
    } else if (errno == EAGAIN) {
      PODROUTE_RETURN_IF_ERROR(Wait(POLLOUT, deadline, "a command"));
    } else if (errno != EINTR) {
      broken_ = true;
      return {StatusCode::kUnavailable,
              Status::FromErrno(errno, "send to BIRD on " + path_).message()};
    }
  }
  return {};
}

Status BirdControl::Wait(short events, MonotonicTime deadline, std::string_view what) {
  while (true) {
    const Duration left = deadline - SystemClock().Now();
    if (stop_ != nullptr && stop_->stopped()) {
      broken_ = true;
      return Stopped(path_);
    }
    if (left <= Duration(0)) {
      broken_ = true;
      return {StatusCode::kDeadlineExceeded, "BIRD on " + path_ + " does not answer " +
                                                 std::string(what) +
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

Result<std::vector<BirdReply>> BirdControl::ReadReplies(size_t count, MonotonicTime deadline,
                                                        std::string_view what) {
  std::vector<char> buffer(kReadBytes);
  reader_.Expect(count);
  while (!reader_.complete()) {
    const ssize_t n = recv(socket_.get(), buffer.data(), buffer.size(), 0);
    if (n > 0) {
      Status status = reader_.Feed({buffer.data(), static_cast<size_t>(n)});
      if (!status.ok()) {
        broken_ = true;
        return status.WithContext("BIRD on " + path_);
      }
    } else if (n == 0) {
      broken_ = true;
      return Status(StatusCode::kUnavailable, "BIRD on " + path_ +
                                                  " closed the connection before it had answered " +
                                                  std::string(what));
    } else if (errno == EAGAIN) {
      PODROUTE_RETURN_IF_ERROR(Wait(POLLIN, deadline, what));
    } else if (errno != EINTR) {
      broken_ = true;
      return Status(StatusCode::kUnavailable,
                    Status::FromErrno(errno, "read from BIRD on " + path_).message());
    }
  }
  return reader_.TakeAll();
}

}  // namespace podroute
