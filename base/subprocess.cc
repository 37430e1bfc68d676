#include "base/subprocess.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <optional>

#include "base/unique_fd.h"

namespace podroute {
namespace {

struct Pipe {
  UniqueFd read_end, write_end;
};

// Only our end of it does not block: `our_end` 0 the one to read from, 1 the one to write to.
Result<Pipe> MakePipe(int our_end) {
  int fds[2];
  if (pipe2(fds, O_CLOEXEC) != 0) return Status::FromErrno(errno, "pipe2");
  Pipe made{.read_end = UniqueFd(fds[0]), .write_end = UniqueFd(fds[1])};
  if (fcntl(fds[our_end], F_SETFL, O_NONBLOCK) != 0) return Status::FromErrno(errno, "fcntl");
  return made;
}

// The text that a program reads. The end that it reads from stays open here too, so that a program
// which has closed its own costs no SIGPIPE, and so that what nobody read can be counted.
class InputFeed {
 public:
  Status Open() {
    PODROUTE_ASSIGN_OR_RETURN(pipe_, MakePipe(1));
    return Status::Ok();
  }
  void SetText(std::string_view text) { left_ = text; }
  // For the program; -1 before Open.
  int read_end() const { return pipe_.read_end.get(); }
  // What to wait on until it takes more; -1 when all of it has been written.
  int write_end() const { return pipe_.write_end.get(); }

  // Writes what the pipe takes now; at the text's end the program sees the end of its input.
  void Feed() {
    while (pipe_.write_end && !left_.empty()) {
      ssize_t n = write(pipe_.write_end.get(), left_.data(), NextBytes());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return;  // EAGAIN: full. Nothing else can happen while we hold both ends.
      left_.remove_prefix(static_cast<size_t>(n));
    }
    pipe_.write_end.reset();
  }

  // At most what a pipe takes as a whole or not at all, and where that is possible whole lines.
  size_t NextBytes() const {
    if (left_.size() <= PIPE_BUF) return left_.size();
    size_t newline = left_.rfind('\n', PIPE_BUF - 1);
    return newline == std::string_view::npos ? PIPE_BUF : newline + 1;
  }

  size_t Unread() const {
    int in_pipe = 0;
    if (pipe_.read_end) ioctl(pipe_.read_end.get(), FIONREAD, &in_pipe);
    return left_.size() + static_cast<size_t>(in_pipe);
  }

 private:
  Pipe pipe_;
  std::string_view left_;
};

std::vector<std::string> MergedEnvironment(
    const std::vector<std::pair<std::string, std::string>>& added) {
  std::vector<std::string> merged;
  auto set = [&](std::string_view name, std::string entry) {
    std::erase_if(merged, [&](const std::string& e) {
      return e.size() > name.size() && e[name.size()] == '=' && e.starts_with(name);
    });
    merged.push_back(std::move(entry));
  };
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    merged.emplace_back(*entry);
  }
  for (const auto& [name, value] : added) set(name, std::string(name).append("=").append(value));
  return merged;
}

std::vector<char*> Pointers(std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  pointers.reserve(strings.size() + 1);
  for (std::string& s : strings) pointers.push_back(s.data());
  pointers.push_back(nullptr);
  return pointers;
}

// posix_spawn's two parameter objects, set up and freed. Their functions fail only for want of
// memory or on invalid arguments.
class SpawnSetup {
 public:
  // `in` -1: /dev/null.
  SpawnSetup(int in, int out, int err) {
    posix_spawn_file_actions_init(&actions_);
    posix_spawnattr_init(&attributes_);
    if (in < 0) {
      posix_spawn_file_actions_addopen(&actions_, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    } else {
      posix_spawn_file_actions_adddup2(&actions_, in, STDIN_FILENO);
    }
    posix_spawn_file_actions_adddup2(&actions_, out, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions_, err, STDERR_FILENO);
    // Our threads block the signals that a signalfd reads; a program must not inherit that.
    sigset_t signals;
    sigemptyset(&signals);
    posix_spawnattr_setsigmask(&attributes_, &signals);
    sigfillset(&signals);
    posix_spawnattr_setsigdefault(&attributes_, &signals);
    posix_spawnattr_setpgroup(&attributes_, 0);
    posix_spawnattr_setflags(
        &attributes_, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  }
  ~SpawnSetup() {
    posix_spawn_file_actions_destroy(&actions_);
    posix_spawnattr_destroy(&attributes_);
  }
  SpawnSetup(const SpawnSetup&) = delete;
  SpawnSetup& operator=(const SpawnSetup&) = delete;

  const posix_spawn_file_actions_t* actions() const { return &actions_; }
  const posix_spawnattr_t* attributes() const { return &attributes_; }

 private:
  posix_spawn_file_actions_t actions_;
  posix_spawnattr_t attributes_;
};

// Reads what is there now; closes `fd` at its end. False when that is more than allowed.
bool Drain(UniqueFd& fd, std::string& text, size_t max_bytes) {
  char buffer[4096];
  while (fd) {
    ssize_t n = read(fd.get(), buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return true;
    if (n <= 0) {
      fd.reset();
      return true;
    }
    if (text.size() + static_cast<size_t>(n) > max_bytes) return false;
    text.append(buffer, static_cast<size_t>(n));
  }
  return true;
}

void KillGroupAndReap(pid_t pid) {
  kill(-pid, SIGKILL);
  while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
}

// Waits for output, but not for long: neither the program's end nor a StopToken can wake a poll.
void PollBriefly(const InputFeed& in, const UniqueFd& out, const UniqueFd& err) {
  pollfd fds[3];
  nfds_t count = 0;
  if (in.write_end() >= 0) fds[count++] = {.fd = in.write_end(), .events = POLLOUT, .revents = 0};
  for (const UniqueFd* fd : {&out, &err}) {
    if (*fd) fds[count++] = {.fd = fd->get(), .events = POLLIN, .revents = 0};
  }
  poll(fds, count, count > 0 ? 20 : 1);
}

}  // namespace

Result<SubprocessResult> RunSubprocess(const SubprocessOptions& options, StopToken* stop) {
  const std::string& name = options.argv.front();
  if (stop != nullptr && stop->stopped()) return Status(StatusCode::kCancelled, name + ": stopped");
  PODROUTE_ASSIGN_OR_RETURN(Pipe out, MakePipe(0));
  PODROUTE_ASSIGN_OR_RETURN(Pipe err, MakePipe(0));
  InputFeed in;
  const bool has_text = options.stdin_text || options.late_stdin_text;
  if (has_text) PODROUTE_RETURN_IF_ERROR(in.Open());
  std::vector<std::string> argv = options.argv;
  std::vector<std::string> environment = MergedEnvironment(options.environment);
  pid_t pid = -1;
  {
    SpawnSetup setup(has_text ? in.read_end() : options.stdin_fd, out.write_end.get(),
                     err.write_end.get());
    int error = posix_spawnp(&pid, name.c_str(), setup.actions(), setup.attributes(),
                             Pointers(argv).data(), Pointers(environment).data());
    if (error != 0) return Status::FromErrno(error, "start " + name);
  }
  out.write_end.reset();
  err.write_end.reset();

  SubprocessResult result;
  MonotonicTime deadline = SystemClock().Now() + options.timeout;
  if (has_text) in.SetText(options.stdin_text ? *options.stdin_text : options.late_stdin_text());
  std::optional<Status> failed;
  while (!failed) {
    in.Feed();
    PollBriefly(in, out.read_end, err.read_end);
    int status = 0;
    pid_t ended = waitpid(pid, &status, WNOHANG);
    // Read after that look: what an ended program wrote is all in the pipes by now.
    if (!Drain(out.read_end, result.out, options.max_output_bytes) ||
        !Drain(err.read_end, result.err, options.max_output_bytes)) {
      failed =
          Status(StatusCode::kInvalidArgument,
                 name + ": wrote more than " + std::to_string(options.max_output_bytes) + " bytes");
      if (ended == pid) return *failed;
    } else if (ended == pid) {
      if (WIFSIGNALED(status)) result.signal = WTERMSIG(status);
      if (WIFEXITED(status)) result.exit_code = WEXITSTATUS(status);
      result.stdin_unread = in.Unread();
      return result;
    } else if (ended < 0 && errno != EINTR) {
      return Status::FromErrno(errno, "wait for " + name);
    } else if (stop != nullptr && stop->stopped()) {
      failed = Status(StatusCode::kCancelled, name + ": stopped");
    } else if (SystemClock().Now() >= deadline) {
      auto seconds = std::chrono::duration<double>(options.timeout).count();
      char limit[32];
      snprintf(limit, sizeof limit, "%g", seconds);
      failed = Status(StatusCode::kDeadlineExceeded, name + ": did not end within " + limit + " s");
    }
  }
  KillGroupAndReap(pid);
  return *failed;
}

std::string DescribeExit(const SubprocessResult& result) {
  if (result.signal == 0) return "exit code " + std::to_string(result.exit_code);
  const char* text = sigdescr_np(result.signal);
  return "signal " + std::to_string(result.signal) + (text ? " (" + std::string(text) + ")" : "");
}

}  // namespace podroute
