#include "tests/controller/child_process.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

namespace podroute {
namespace {

constexpr int kPipeBytes = 1 << 20;

void Require(bool condition, const char* what) {
  if (condition) return;
  perror(what);
  abort();
}

struct Pipe {
  UniqueFd read_end, write_end;
};

Pipe MakePipe() {
  int ends[2];
  Require(pipe2(ends, O_CLOEXEC) == 0, "pipe2");
  fcntl(ends[0], F_SETFL, O_NONBLOCK);
  fcntl(ends[0], F_SETPIPE_SZ, kPipeBytes);
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

std::vector<char*> Pointers(std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (std::string& s : strings) pointers.push_back(s.data());
  pointers.push_back(nullptr);
  return pointers;
}

// Without the bounding set an exec gives even root nothing back.
void DropCapabilities() {
  for (int cap = 0; prctl(PR_CAPBSET_READ, cap) >= 0; ++cap) prctl(PR_CAPBSET_DROP, cap);
  prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct none[2]{};
  syscall(SYS_capset, &header, none);
}

}  // namespace

ChildProcess::ChildProcess(const ChildProcessOptions& options) {
  Pipe out = MakePipe(), err = MakePipe();
  std::vector<std::string> argv = options.argv, environment;
  for (const auto& [name, value] : options.environment) {
    environment.push_back(std::string(name).append("=").append(value));
  }
  std::vector<char*> argv_pointers = Pointers(argv), environment_pointers = Pointers(environment);
  pid_t parent = getpid();
  pid_ = fork();
  Require(pid_ >= 0, "fork");
  if (pid_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    // 0: the parent is in another process namespace (tests/lab/frr_router.h), and alive.
    if (pid_t now = getppid(); now != parent && now != 0) _exit(127);
    int null = open("/dev/null", O_RDONLY);
    dup2(null, STDIN_FILENO);
    dup2(out.write_end.get(), STDOUT_FILENO);
    dup2(err.write_end.get(), STDERR_FILENO);
    if (options.unprivileged) DropCapabilities();
    execve(argv_pointers[0], argv_pointers.data(), environment_pointers.data());
    perror(argv_pointers[0]);
    _exit(127);
  }
  out_ = std::move(out.read_end);
  err_ = std::move(err.read_end);
}

ChildProcess::~ChildProcess() {
  if (ended_) return;
  kill(pid_, SIGKILL);
  Wait();
}

void ChildProcess::Drain(UniqueFd& fd, std::string& text) {
  char buffer[65536];
  while (fd) {
    ssize_t n = read(fd.get(), buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) {
      fd.reset();
      return;
    }
    text.append(buffer, static_cast<size_t>(n));
  }
}

const std::string& ChildProcess::log() {
  Drain(err_, err_text_);
  return err_text_;
}

const std::string& ChildProcess::out() {
  Drain(out_, out_text_);
  return out_text_;
}

int ChildProcess::Says(const std::string& text) {
  const std::string& all = log();
  int times = 0;
  for (size_t at = 0; (at = all.find(text, at)) != std::string::npos; at += text.size()) ++times;
  return times;
}

bool ChildProcess::running() {
  if (ended_) return false;
  int status = 0;
  pid_t got = waitpid(pid_, &status, WNOHANG);
  if (got != pid_) return true;
  ended_ = true;
  exit_code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return false;
}

void ChildProcess::Signal(int number) const {
  if (!ended_) kill(pid_, number);
}

int ChildProcess::Wait() {
  while (running()) {
    log();
    out();
    // Both pipes end with the program, as long as it left nobody behind who has them.
    pollfd fds[2] = {{out_ ? out_.get() : -1, POLLIN, 0}, {err_ ? err_.get() : -1, POLLIN, 0}};
    poll(fds, 2, 10);
  }
  log();
  out();
  return exit_code_;
}

std::string DataPath(const std::string& path) {
  std::vector<std::string> places = {path, "bazel-bin/" + path};
  if (const char* srcdir = std::getenv("TEST_SRCDIR")) {
    const char* workspace = std::getenv("TEST_WORKSPACE");
    places.push_back(std::string(srcdir) + "/" + (workspace ? workspace : "podroute") + "/" + path);
  }
  for (const std::string& place : places) {
    if (access(place.c_str(), X_OK) == 0) return std::filesystem::absolute(place).string();
  }
  fprintf(stderr, "%s is not there: it belongs to the test's data\n", path.c_str());
  abort();
}

}  // namespace podroute
