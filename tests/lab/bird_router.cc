#include "tests/lab/bird_router.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/lab/netns.h"

namespace podroute {
namespace {

constexpr char kBird[] = "/usr/sbin/bird", kBirdc[] = "/usr/sbin/birdc";

void Die(const std::string& why) {
  fprintf(stderr, "%s\n", why.c_str());
  abort();
}

std::string Slurp(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

}  // namespace

Status CanRunBird() {
  static const Status status = [] {
    for (const char* file : {kBird, kBirdc}) {
      if (access(file, X_OK) != 0) {
        return Status::FromErrno(errno, std::string(file) + " (package bird2)");
      }
    }
    const std::string version = Shell(std::string(kBird) + " --version");
    return version.starts_with("BIRD version 2") ? Status::Ok()
                                                 : Status(StatusCode::kUnsupported, version);
  }();
  return status;
}

BirdRouter::BirdRouter() {
  // Short: the path of a socket has at most 107 bytes.
  char path[] = "/tmp/podroute-bird.XXXXXX";
  if (mkdtemp(path) == nullptr) Die("mkdtemp");
  dir_ = path;
  std::filesystem::create_directory(File("run"));
  WriteConf(DefaultConf());
}

BirdRouter::~BirdRouter() {
  if (pid_ > 0) Kill();
  std::error_code ignored;
  std::filesystem::remove_all(dir_, ignored);
}

std::string BirdRouter::DefaultConf() const {
  return "log \"" + File("bird.log") +
         "\" all; router id 192.168.0.1;\n"
         "protocol device {}\n"
         "protocol kernel { ipv4 { export all; }; }\n"
         "protocol kernel { ipv6 { export all; }; }\n"
         "include \"" +
         dir_ + "/podroute[.]conf\";\n";
}

void BirdRouter::WriteConf(const std::string& text) const {
  std::ofstream(conf_path(), std::ios::trunc) << text;
}

void BirdRouter::Start() {
  if (!TryStart()) Die("bird did not start: " + Slurp(File("log")));
}

bool BirdRouter::TryStart() {
  if (pid_ > 0) Die("bird runs already");
  const std::string conf = conf_path(), socket = socket_path(), pid_file = File("run/pid"),
                    log = File("log");
  unlink(socket.c_str());
  const pid_t parent = getpid();
  pid_ = fork();
  if (pid_ < 0) Die("fork");
  if (pid_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(1);
    const int in = open("/dev/null", O_RDONLY);
    const int out = open(log.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
    dup2(in, 0);
    dup2(out, 1);
    dup2(out, 2);
    execl(kBird, kBird, "-f", "-c", conf.c_str(), "-s", socket.c_str(), "-P", pid_file.c_str(),
          static_cast<char*>(nullptr));
    _exit(127);
  }
  while (TryShell(std::string(kBirdc) + " -s " + socket + " show status") != 0) {
    if (waitpid(pid_, nullptr, WNOHANG) == pid_) {
      pid_ = -1;
      return false;
    }
    poll(nullptr, 0, 5);
  }
  return true;
}

void BirdRouter::Kill() {
  Signal(SIGKILL);
  waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

void BirdRouter::Signal(int signal) const {
  if (pid_ <= 0 || kill(pid_, signal) != 0) Die("no bird to send a signal to");
}

std::string BirdRouter::Birdc(const std::string& command) const {
  return Shell(std::string(kBirdc) + " -s " + socket_path() + " '" + command + "' || true");
}

int BirdRouter::Reconfigurations() const {
  std::ifstream log(File("bird.log"));
  int count = 0;
  for (std::string line; std::getline(log, line);) count += line.ends_with("<INFO> Reconfiguring");
  return count;
}

std::string BirdRouter::Table(const std::string& protocol) const {
  // 10.1.0.0/24          unicast [podroute4 03:03:56.045] * (200)
  // 	via 192.168.0.2 on lan
  std::istringstream lines(Birdc("show route protocol " + protocol));
  std::string out, dst;
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string first, second;
    words >> first >> second;
    if (second == "unicast") dst = first;
    if (first == "via") out.append(dst).append(" ").append(second).append("\n");
  }
  return out;
}

}  // namespace podroute
