// A program that a test runs beside itself, with everything it says.
#ifndef PODROUTE_TESTS_CONTROLLER_CHILD_PROCESS_H_
#define PODROUTE_TESTS_CONTROLLER_CHILD_PROCESS_H_

#include <sys/types.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/unique_fd.h"

namespace podroute {

struct ChildProcessOptions {
  std::vector<std::string> argv;                                 // A path first.
  std::vector<std::pair<std::string, std::string>> environment;  // All of it.
  bool unprivileged = false;  // Without any capability, also after its exec.
};

// It is killed when this goes, or when the test program dies. One thread.
class ChildProcess {
 public:
  explicit ChildProcess(const ChildProcessOptions& options);
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  pid_t pid() const { return pid_; }
  // Its standard error so far; reads what is there, never blocks. A pipe of 1 MiB holds what is not
  // read yet.
  const std::string& log();
  // Its standard output so far; the same.
  const std::string& out();
  // How many times the log says so.
  int Says(const std::string& text);

  bool running();
  void Signal(int number) const;
  // Blocks until it ends. The exit code, or 128 + the signal that ended it.
  int Wait();

  // Readable when there is more of the log; -1 once it is at its end.
  int log_fd() const { return err_ ? err_.get() : -1; }

 private:
  static void Drain(UniqueFd& fd, std::string& text);

  pid_t pid_ = -1;
  bool ended_ = false;
  int exit_code_ = -1;
  UniqueFd out_, err_;
  std::string out_text_, err_text_;
};

// The path of an executable among the test's data; aborts when it is not there.
std::string DataPath(const std::string& path);

}  // namespace podroute

#endif  // PODROUTE_TESTS_CONTROLLER_CHILD_PROCESS_H_
