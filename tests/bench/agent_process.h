// The agent's executable, as a process of its own, looked at from outside.
#ifndef PODROUTE_TESTS_BENCH_AGENT_PROCESS_H_
#define PODROUTE_TESTS_BENCH_AGENT_PROCESS_H_

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "tests/base/temp_dir.h"

namespace podroute {

// Runs in the network namespace of the constructor's thread; ended with SIGTERM.
class AgentProcess {
 public:
  // `flags`: what kind of an agent.
  AgentProcess(const std::string& kubeconfig, const std::vector<std::string>& flags);
  ~AgentProcess();

  pid_t pid() const { return pid_; }
  // Of /proc/PID/status: "VmRSS", "RssAnon", "RssFile", "VmHWM"; 1,000,000 bytes each.
  double MemoryMb(const std::string& field) const;
  // How often its threads have gone to sleep, and so been woken up.
  uint64_t WakeUps() const;
  // Of the thread with the loop that touches the kernel.
  uint64_t LoopWakeUps() const;
  double CpuSeconds() const;
  // Until nothing has woken it up for 200 ms, and nothing in it waits for its turn.
  void AwaitQuiet() const;

 private:
  std::vector<std::string> Threads() const;  // Their folders in /proc.
  bool Sleeps() const;

  const TempDir files_;
  pid_t pid_ = -1;
};

}  // namespace podroute

#endif  // PODROUTE_TESTS_BENCH_AGENT_PROCESS_H_
