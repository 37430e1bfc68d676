// Runs a plugin one system call at a time: to end it at any of them, to let any of them fail, and
// to count them.
#ifndef PODROUTE_TESTS_CNI_TRACED_PROCESS_H_
#define PODROUTE_TESTS_CNI_TRACED_PROCESS_H_

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"
#include "base/subprocess.h"
#include "tests/cni/cni_process.h"

namespace podroute {

struct TraceOptions {
  // SIGKILL for the process that makes the n-th stop (1, 2, ...); 0: never. Each system call of the
  // plugin and of processes that it starts stops twice, before it and after it.
  int kill_at_stop = 0;
  // The n-th system call that works on files or sockets is not carried out and answers
  // `fail_errno`; 0: none. Calls for memory, signals and the end of the process are not counted.
  int fail_call = 0;
  int fail_errno = 0;
};

struct Trace {
  SubprocessResult result;    // Of the plugin itself; `out` is what it wrote to standard output.
  bool killed = false;        // kill_at_stop was reached.
  bool failed = false;        // fail_call was reached.
  long failed_call = -1;      // Its number.
  std::map<long, int> calls;  // How often each system call was made, by its number.
  int total_calls() const {
    int total = 0;
    for (const auto& [number, count] : calls) total += count;
    return total;
  }
};

// Blocks until the plugin and all that it started have ended. Not for a program with other
// children. An error says why there is no tracing here: skip.
Result<Trace> RunTraced(const std::string& program, const CniVariables& variables,
                        std::string_view input, const TraceOptions& options);

}  // namespace podroute

#endif  // PODROUTE_TESTS_CNI_TRACED_PROCESS_H_
