// Runs another program, without a shell, and waits for it.
#ifndef PODROUTE_BASE_SUBPROCESS_H_
#define PODROUTE_BASE_SUBPROCESS_H_

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/status.h"

namespace podroute {

struct SubprocessOptions {
  // The program and its arguments. A name without a slash is looked up in $PATH. REQUIRES: not
  // empty.
  std::vector<std::string> argv;
  // Added to this process's environment, in place of what has the same name there; of equal names
  // here the last counts.
  std::vector<std::pair<std::string, std::string>> environment;
  // What the program reads as its standard input, borrowed; -1: /dev/null.
  int stdin_fd = -1;
  // Instead of stdin_fd: the program reads this text, borrowed, through a pipe, and then the end of
  // it. A program that reads slowly, in part or not at all holds nothing up. Lines of up to 4 KiB
  // are written whole: when we are killed on the way the program sees no part of one.
  std::optional<std::string_view> stdin_text;
  // Instead of both: called once, when the program has been started, which takes its time too;
  // what it returns is the text. The timeout goes on meanwhile.
  std::function<std::string_view()> late_stdin_text;
  Duration timeout = std::chrono::seconds(60);
  size_t max_output_bytes = 1u << 20;  // Of each of the two outputs.
};

struct SubprocessResult {
  int exit_code = 0;  // Meaningless when `signal` is set.
  int signal = 0;     // What killed it; 0: nothing did.
  std::string out;    // All of its standard output
  std::string err;    // and standard error, as far as they were written before it ended.
  // How many bytes of stdin_text nobody had read when it ended.
  size_t stdin_unread = 0;
};

// Signals are unblocked and at their defaults for the program, which
// gets a process group of its own. Safe in a program with threads. Blocks until it ends; what it
// started and left behind is not waited for. Errors: why it cannot be started (kNotFound,
// kPermissionDenied, ...); kDeadlineExceeded, kCancelled (`stop`, which may be null, was set) and
// kInvalidArgument (more output than allowed), after which the whole group has been killed.
// REQUIRES: SIGCHLD is not ignored.
Result<SubprocessResult> RunSubprocess(const SubprocessOptions& options, StopToken* stop);

// "exit code 3" or "signal 9 (Killed)".
std::string DescribeExit(const SubprocessResult& result);

}  // namespace podroute

#endif  // PODROUTE_BASE_SUBPROCESS_H_
