#include "tests/cni/traced_process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <iterator>
#include <set>
#include <vector>

#include "base/unique_fd.h"

namespace podroute {
namespace {

UniqueFd MemoryFile(std::string_view content) {
  UniqueFd fd(memfd_create("cni", MFD_CLOEXEC));
  if (!fd || write(fd.get(), content.data(), content.size()) != ssize_t(content.size())) abort();
  lseek(fd.get(), 0, SEEK_SET);
  return fd;
}

std::string ReadBack(int fd) {
  std::string text;
  char buffer[4096];
  ssize_t size;
  while ((size = pread(fd, buffer, sizeof buffer, static_cast<off_t>(text.size()))) > 0) {
    text.append(buffer, static_cast<size_t>(size));
  }
  return text;
}

// Whether an error of it is the plugin's to answer for. Without memory no program goes on.
bool MayFail(long number) {
  for (long other : {SYS_brk, SYS_mmap, SYS_munmap, SYS_mprotect, SYS_mremap, SYS_madvise,
                     SYS_arch_prctl, SYS_set_tid_address, SYS_rt_sigaction, SYS_rt_sigprocmask,
                     SYS_rt_sigreturn, SYS_exit, SYS_exit_group, SYS_execve, SYS_futex}) {
    if (number == other) return false;
  }
  return true;
}

bool IsNewProcess(int status) {
  int event = status >> 16;
  return event == PTRACE_EVENT_FORK || event == PTRACE_EVENT_VFORK || event == PTRACE_EVENT_CLONE;
}

class Tracer {
 public:
  Tracer(pid_t plugin, const TraceOptions& options) : plugin_(plugin), options_(options) {}

  Trace Run() {
    std::set<pid_t> alive = {plugin_};
    while (!alive.empty()) {
      int status = 0;
      pid_t pid = waitpid(-1, &status, __WALL);
      if (pid < 0) break;
      if (!WIFSTOPPED(status)) {
        alive.erase(pid);
        if (pid != plugin_) continue;
        if (WIFSIGNALED(status)) trace_.result.signal = WTERMSIG(status);
        if (WIFEXITED(status)) trace_.result.exit_code = WEXITSTATUS(status);
        continue;
      }
      alive.insert(pid);
      // A new process may stop for the first time after its parent's end, and somebody must let it
      // go on.
      if (IsNewProcess(status)) {
        unsigned long child = 0;
        if (ptrace(PTRACE_GETEVENTMSG, pid, nullptr, &child) == 0) {
          alive.insert(static_cast<pid_t>(child));
        }
      }
      Step(pid, status);
    }
    return std::move(trace_);
  }

 private:
  void Step(pid_t pid, int status) {
    int signal = WSTOPSIG(status);
    if (signal == (SIGTRAP | 0x80)) {
      signal = 0;
      OnCall(pid);
    } else if (status >> 16 != 0 || signal == SIGSTOP) {
      signal = 0;  // An event, or the first stop of a new process.
    }
    // It may be dead already.
    (void)ptrace(PTRACE_SYSCALL, pid, nullptr, reinterpret_cast<void*>(intptr_t{signal}));
  }

  void OnCall(pid_t pid) {
    __ptrace_syscall_info info{};
    if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof info, &info) <= 0) return;
    if (++stops_ == options_.kill_at_stop) {
      trace_.killed = true;
      kill(pid, SIGKILL);
      return;
    }
    if (info.op == PTRACE_SYSCALL_INFO_EXIT) {
      if (pid == failing_) SetResult(pid);
      return;
    }
    auto number = static_cast<long>(info.entry.nr);
    ++trace_.calls[number];
    if (!MayFail(number) || ++failable_ != options_.fail_call) return;
    trace_.failed = true;
    trace_.failed_call = number;
    failing_ = pid;
    user_regs_struct registers;
    if (ptrace(PTRACE_GETREGS, pid, nullptr, &registers) != 0) abort();
    registers.orig_rax = static_cast<unsigned long long>(-1);  // No such call.
    if (ptrace(PTRACE_SETREGS, pid, nullptr, &registers) != 0) abort();
  }

  void SetResult(pid_t pid) {
    failing_ = -1;
    user_regs_struct registers;
    if (ptrace(PTRACE_GETREGS, pid, nullptr, &registers) != 0) return;
    registers.rax = static_cast<unsigned long long>(-options_.fail_errno);
    (void)ptrace(PTRACE_SETREGS, pid, nullptr, &registers);
  }

  const pid_t plugin_;
  const TraceOptions& options_;
  Trace trace_;
  int stops_ = 0;
  int failable_ = 0;
  pid_t failing_ = -1;
};

}  // namespace

Result<Trace> RunTraced(const std::string& program, const CniVariables& variables,
                        std::string_view input, const TraceOptions& options) {
  UniqueFd in = MemoryFile(input);
  UniqueFd out = MemoryFile("");
  std::vector<std::string> entries;
  for (const auto& [name, value] : variables) entries.push_back(name + "=" + value);
  entries.emplace_back("ASAN_OPTIONS=detect_leaks=0");  // It cannot under ptrace.
  std::vector<char*> environment;
  for (std::string& entry : entries) environment.push_back(entry.data());
  environment.push_back(nullptr);
  std::string name = program;
  char* argv[] = {name.data(), nullptr};
  constexpr int kNoTracing = 126;
  pid_t pid = fork();
  if (pid < 0) return Status::FromErrno(errno, "fork");
  if (pid == 0) {
    if (ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) _exit(kNoTracing);
    dup2(in.get(), STDIN_FILENO);
    dup2(out.get(), STDOUT_FILENO);
    raise(SIGSTOP);
    execve(argv[0], argv, environment.data());
    _exit(127);
  }
  int status = 0;
  if (waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status)) {
    return Status(StatusCode::kUnsupported, "ptrace is not permitted");
  }
  constexpr long kOptions = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
                            PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL;
  // Until the program itself begins: its execve's end is the first stop that counts.
  if (ptrace(PTRACE_SETOPTIONS, pid, nullptr, kOptions) != 0 ||
      ptrace(PTRACE_CONT, pid, nullptr, nullptr) != 0 || waitpid(pid, &status, 0) != pid) {
    return Status(StatusCode::kUnsupported, "ptrace is not permitted");
  }
  if (!WIFSTOPPED(status)) return Status(StatusCode::kNotFound, "cannot start " + program);
  (void)ptrace(PTRACE_SYSCALL, pid, nullptr, nullptr);
  Trace trace = Tracer(pid, options).Run();
  trace.result.out = ReadBack(out.get());
  return trace;
}

}  // namespace podroute
