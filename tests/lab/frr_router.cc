#include "tests/lab/frr_router.h"

#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <vector>

#include "base/unique_fd.h"
#include "tests/lab/netns.h"

namespace podroute {
namespace {

constexpr char kDaemons[] = "/usr/lib/frr/";

// "/tmp/podroute-frr.PID.": its own user must get there, which is not so below the home directory
// of root.
std::string DirectoryPrefix(pid_t test) { return "podroute-frr." + std::to_string(test) + "."; }

// The first process of a new process namespace: all others in it end with it. It ends when we do,
// however that may be, and takes what we had in /tmp with it.
Status EnterProcessNamespace() {
  const std::string prefix = DirectoryPrefix(getpid());
  int life[2];
  if (pipe2(life, O_CLOEXEC) != 0) return Status::FromErrno(errno, "pipe2");
  if (unshare(CLONE_NEWPID) != 0) return Status::FromErrno(errno, "unshare process namespace");
  pid_t pid = fork();
  if (pid < 0) return Status::FromErrno(errno, "fork");
  if (pid > 0) {
    close(life[0]);
    return Status::Ok();  // life[1] is closed by our end.
  }
  close(life[1]);
  signal(SIGCHLD, SIG_IGN);  // Orphans are nobody's concern.
  for (int terminal : {SIGINT, SIGHUP, SIGTERM}) signal(terminal, SIG_IGN);
  char nothing = 0;
  while (read(life[0], &nothing, 1) < 0 && errno == EINTR) {
  }
  kill(-1, SIGKILL);
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator("/tmp", ignored)) {
    if (entry.path().filename().string().starts_with(prefix)) {
      std::filesystem::remove_all(entry.path(), ignored);
    }
  }
  _exit(0);
}

bool Answers(const std::string& socket_path) {
  UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  socket_path.copy(address.sun_path, sizeof address.sun_path - 1);
  return connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
}

void Die(const std::string& why) {
  fprintf(stderr, "%s\n", why.c_str());
  abort();
}

}  // namespace

Status CanRunFrr() {
  static const Status status = [] {
    if (geteuid() != 0) return Status(StatusCode::kPermissionDenied, "its daemons need root");
    for (const char* file : {"/usr/lib/frr/zebra", "/usr/lib/frr/staticd", "/usr/bin/vtysh"}) {
      if (access(file, X_OK) != 0) {
        return Status::FromErrno(errno, std::string(file) + " (package frr)");
      }
    }
    if (getpwnam("frr") == nullptr) return Status(StatusCode::kNotFound, "no user frr");
    return EnterProcessNamespace();
  }();
  return status;
}

FrrRouter::FrrRouter() {
  dir_ = "/tmp/" + DirectoryPrefix(getpid()) + "XXXXXX";
  char* path = dir_.data();
  if (mkdtemp(path) == nullptr) Die("mkdtemp");
  passwd* user = getpwnam("frr");
  if (user == nullptr || chmod(path, 0755) != 0 || chown(path, user->pw_uid, user->pw_gid) != 0) {
    Die("no directory for the user frr");
  }
}

FrrRouter::~FrrRouter() {
  while (!pids_.empty()) Kill(std::string(pids_.begin()->first));
  std::error_code ignored;
  std::filesystem::remove_all(dir_, ignored);
}

void FrrRouter::Start(const std::string& daemon, const std::string& more) {
  std::string at = dir_ + "/" + daemon;
  if (access((at + ".conf").c_str(), F_OK) != 0) {
    Shell("install -o frr -g frr -m 640 /dev/null " + at + ".conf; install -o frr -g frr -m 640 " +
          "/dev/null " + dir_ + "/vtysh.conf");
  }
  std::istringstream arguments(kDaemons + daemon + " --vty_socket " + dir_ + " -i " + at +
                               ".pid -z " + dir_ + "/zserv.api -f " + at +
                               ".conf -A 127.0.0.1 -P 0 --log stdout " + more);
  std::vector<std::string> words;
  for (std::string word; arguments >> word;) words.push_back(word);
  std::vector<char*> argv;
  argv.reserve(words.size() + 1);
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&files, 1, (at + ".log").c_str(), O_WRONLY | O_CREAT | O_TRUNC,
                                   0644);
  posix_spawn_file_actions_adddup2(&files, 1, 2);
  // What an earlier one left would look as if this one answered.
  unlink((at + ".vty").c_str());
  pid_t pid = -1;
  int error = posix_spawn(&pid, argv[0], &files, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&files);
  if (error != 0) Die("cannot start " + daemon);
  pids_[daemon] = pid;
  while (!Answers(at + ".vty")) {
    if (waitpid(pid, nullptr, WNOHANG) == pid) {
      std::ostringstream log;
      log << std::ifstream(at + ".log").rdbuf();
      Die(daemon + " ended: " + log.str());
    }
    poll(nullptr, 0, 2);
  }
}

void FrrRouter::Signal(const std::string& daemon, int signal) { kill(pids_.at(daemon), signal); }

void FrrRouter::Kill(const std::string& daemon) {
  Signal(daemon, SIGKILL);
  while (waitpid(pids_.at(daemon), nullptr, 0) < 0 && errno == EINTR) {
  }
  pids_.erase(daemon);
}

std::string FrrRouter::VtyshCommand(const std::string& args) const {
  return "VTYSH_HISTFILE=/dev/null vtysh --vty_socket " + dir_ + " --config_dir " + dir_ + " " +
         args;
}

std::string FrrRouter::Vtysh(const std::string& args) const { return Shell(VtyshCommand(args)); }

void FrrRouter::Configure(const std::string& lines) const {
  std::string file = dir_ + "/lines";
  std::ofstream(file) << lines;
  Vtysh("-f " + file);
}

}  // namespace podroute
