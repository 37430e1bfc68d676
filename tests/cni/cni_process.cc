#include "tests/cni/cni_process.h"

#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

namespace podroute {
namespace {

UniqueFd MemoryFile() {
  UniqueFd fd(memfd_create("cni", MFD_CLOEXEC));
  if (!fd) abort();
  return fd;
}

}  // namespace

CniProcess::CniProcess(const std::string& program, const CniVariables& variables,
                       std::string_view input)
    : output_(MemoryFile()) {
  UniqueFd in = MemoryFile();
  if (write(in.get(), input.data(), input.size()) != static_cast<ssize_t>(input.size())) abort();
  lseek(in.get(), 0, SEEK_SET);
  std::vector<std::string> entries;
  for (const auto& [name, value] : variables) entries.push_back(name + "=" + value);
  std::vector<char*> environment;
  for (std::string& entry : entries) environment.push_back(entry.data());
  environment.push_back(nullptr);
  std::string name = program;
  char* argv[] = {name.data(), nullptr};
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, in.get(), STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, output_.get(), STDOUT_FILENO);
  int error = posix_spawn(&pid_, program.c_str(), &actions, nullptr, argv, environment.data());
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) {
    ended_ = true;
    result_.exit_code = 127;
    result_.err = Status::FromErrno(error, "start " + program).message();
  }
}

CniProcess::~CniProcess() {
  if (ended_) return;
  kill(pid_, SIGKILL);
  Wait();
}

const SubprocessResult& CniProcess::Wait() {
  if (ended_) return result_;
  int status = 0;
  while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  ended_ = true;
  if (WIFSIGNALED(status)) result_.signal = WTERMSIG(status);
  if (WIFEXITED(status)) result_.exit_code = WEXITSTATUS(status);
  char buffer[4096];
  off_t at = 0;
  ssize_t size;
  while ((size = pread(output_.get(), buffer, sizeof buffer, at)) > 0) {
    result_.out.append(buffer, static_cast<size_t>(size));
    at += size;
  }
  return result_;
}

}  // namespace podroute
