#include "tests/bench/agent_process.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>
#include <vector>

#include "tests/bench/bench_util.h"

namespace podroute {
namespace {

// Of a file like /proc/PID/status; 0 when it is not there.
uint64_t Field(const std::string& path, const std::string& name) {
  std::ifstream file(path);
  for (std::string word; file >> word;) {
    uint64_t value = 0;
    if (word == name + ":" && file >> value) return value;
  }
  return 0;
}

// Where a test finds it, and where a program does that is started in the root of the tree.
std::string Executable() {
  const std::string in_runfiles = "controller/podroute";
  return std::filesystem::exists(in_runfiles) ? in_runfiles : "bazel-bin/" + in_runfiles;
}

}  // namespace

AgentProcess::AgentProcess(const std::string& kubeconfig, const std::vector<std::string>& flags) {
  // setpriv: so that it ends with us, however we end.
  std::vector<std::string> words = {"setpriv",
                                    "--pdeathsig=TERM",
                                    Executable(),
                                    "run",
                                    "--kubeconfig=" + kubeconfig,
                                    "--resync_period=24h",
                                    "--cleanup_on_exit",
                                    "--cni_bin_dir=",
                                    "--cni_conf_dir="};
  words.insert(words.end(), flags.begin(), flags.end());
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, files_.File("log").c_str(),
                                   O_WRONLY | O_CREAT | O_APPEND, 0644);
  int error = posix_spawnp(&pid_, arguments[0], &actions, nullptr, arguments.data(), ::environ);
  posix_spawn_file_actions_destroy(&actions);
  Check(error == 0, "cannot start " + words[0]);
}

AgentProcess::~AgentProcess() {
  kill(pid_, SIGTERM);
  int status = 0;
  waitpid(pid_, &status, 0);
  Check(status == 0, "the agent did not end cleanly");
}

double AgentProcess::MemoryMb(const std::string& field) const {
  return static_cast<double>(Field("/proc/" + std::to_string(pid_) + "/status", field)) * 1024 /
         1e6;
}

std::vector<std::string> AgentProcess::Threads() const {
  std::vector<std::string> folders;
  for (const auto& task :
       std::filesystem::directory_iterator("/proc/" + std::to_string(pid_) + "/task")) {
    folders.push_back(task.path().string());
  }
  return folders;
}

uint64_t AgentProcess::WakeUps() const {
  uint64_t sum = 0;
  for (const std::string& thread : Threads()) {
    sum += Field(thread + "/status", "voluntary_ctxt_switches");
  }
  return sum;
}

bool AgentProcess::Sleeps() const {
  for (const std::string& thread : Threads()) {
    std::ifstream stat(thread + "/stat");
    std::string text;
    std::getline(stat, text);
    // "2893 (podroute) S ..."; there is none of a thread that has just ended.
    if (!text.empty() && text.find(") S ") == std::string::npos) return false;
  }
  return true;
}

uint64_t AgentProcess::LoopWakeUps() const {
  // Of the first thread, where the loop is.
  return Field("/proc/" + std::to_string(pid_) + "/status", "voluntary_ctxt_switches");
}

double AgentProcess::CpuSeconds() const {
  clockid_t clock = 0;
  timespec time{};
  Check(clock_getcpuclockid(pid_, &clock) == 0 && clock_gettime(clock, &time) == 0,
        "no CPU time of the agent");
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

void AgentProcess::AwaitQuiet() const {
  // On a machine with other work a thread may wait long for its turn: that is no sleep.
  for (uint64_t before = ~uint64_t{0}, now = WakeUps(); now != before || !Sleeps();
       now = WakeUps()) {
    before = now;
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
  }
}

}  // namespace podroute
