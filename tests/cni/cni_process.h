// A plugin running as its own process.
#ifndef PODROUTE_TESTS_CNI_CNI_PROCESS_H_
#define PODROUTE_TESTS_CNI_CNI_PROCESS_H_

#include <sys/types.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/subprocess.h"
#include "base/unique_fd.h"

namespace podroute {

using CniVariables = std::vector<std::pair<std::string, std::string>>;

// Started when made; killed and waited for when it goes. The environment holds `variables` and
// nothing else, as a bare container runtime has it.
class CniProcess {
 public:
  CniProcess(const std::string& program, const CniVariables& variables, std::string_view input);
  ~CniProcess();
  CniProcess(const CniProcess&) = delete;
  CniProcess& operator=(const CniProcess&) = delete;

  // Waits once; repeats its answer later.
  const SubprocessResult& Wait();
  pid_t pid() const { return pid_; }

 private:
  pid_t pid_ = -1;
  bool ended_ = false;
  UniqueFd output_;  // A file in memory, so that nobody need read while it runs.
  SubprocessResult result_;
};

}  // namespace podroute

#endif  // PODROUTE_TESTS_CNI_CNI_PROCESS_H_
