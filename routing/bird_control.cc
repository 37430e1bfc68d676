#include "routing/bird_control.h"

#include <sys/socket.h>

#include <cerrno>
#include <utility>
#include <vector>

#include "base/text.h"

namespace podroute {
namespace {

constexpr size_t kReadBytes = 256u << 10;

}  // namespace

Result<std::unique_ptr<BirdControl>> BirdControl::Connect(const std::string& path,
                                                          MonotonicTime deadline, StopToken* stop) {
  PODROUTE_ASSIGN_OR_RETURN(DaemonSocket socket,
                            DaemonSocket::Connect("BIRD", path, deadline, stop));
  return Greet(std::move(socket), path, deadline);
}

Result<std::unique_ptr<BirdControl>> BirdControl::Greet(UniqueFd socket, const std::string& path,
                                                        MonotonicTime deadline, StopToken* stop) {
  PODROUTE_ASSIGN_OR_RETURN(DaemonSocket adopted,
                            DaemonSocket::Adopt(std::move(socket), "BIRD", path, stop));
  return Greet(std::move(adopted), path, deadline);
}

Result<std::unique_ptr<BirdControl>> BirdControl::Greet(DaemonSocket socket,
                                                        const std::string& path,
                                                        MonotonicTime deadline) {
  std::unique_ptr<BirdControl> control(new BirdControl(std::move(socket), path));
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
  const ssize_t n = recv(socket_.fd(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
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
  Status sent = socket_.Send(lines, deadline);
  broken_ = !sent.ok();
  if (broken_) return sent;
  if (meanwhile) meanwhile();
  return ReadReplies(commands.size(), deadline, "\"" + Printable(commands.front()) + "\"");
}

Result<std::vector<BirdReply>> BirdControl::ReadReplies(size_t count, MonotonicTime deadline,
                                                        std::string_view what) {
  std::vector<char> buffer(kReadBytes);
  reader_.Expect(count);
  while (!reader_.complete()) {
    Result<size_t> bytes = socket_.Read(buffer, deadline, what);
    Status status = bytes.ok() ? reader_.Feed({buffer.data(), *bytes}).WithContext(socket_.name())
                               : bytes.status();
    broken_ = !status.ok();
    if (broken_) return status;
  }
  return reader_.TakeAll();
}

}  // namespace podroute
