// What tests of the plugin share: pods, and calls as a container runtime makes them.
#ifndef PODROUTE_TESTS_CNI_CNI_TEST_UTIL_H_
#define PODROUTE_TESTS_CNI_CNI_TEST_UTIL_H_

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include <cstdlib>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "base/unique_fd.h"
#include "cni/cni_args.h"
#include "cni/netns.h"
#include "tests/lab/netns.h"

namespace podroute {

// A network namespace of a pod, gone with this object and what runs in it. Made from the namespace
// that the calling thread is in, which it stays in.
class TestPod {
 public:
  TestPod() {
    constexpr char kOwn[] = "/proc/thread-self/ns/net";
    UniqueFd host(open(kOwn, O_RDONLY | O_CLOEXEC));
    if (!host || unshare(CLONE_NEWNET) != 0) std::abort();
    netns_ = UniqueFd(open(kOwn, O_RDONLY | O_CLOEXEC));
    if (!netns_ || setns(host.get(), CLONE_NEWNET) != 0) std::abort();
  }

  // For CNI_NETNS; another process may use it too.
  std::string path() const {
    return "/proc/" + std::to_string(getpid()) + "/fd/" + std::to_string(netns_.get());
  }
  // Runs a shell command inside; its exit code, or its output.
  int Try(const std::string& command) const {
    int code = -1;
    Status status = RunInNetns(netns_.get(), [&] {
      code = TryShell(command);
      return Status::Ok();
    });
    EXPECT_TRUE(status.ok()) << status.message();
    return code;
  }
  std::string Run(const std::string& command) const {
    std::string output;
    Status status = RunInNetns(netns_.get(), [&] {
      output = Shell(command);
      return Status::Ok();
    });
    EXPECT_TRUE(status.ok()) << status.message();
    return output;
  }

 private:
  UniqueFd netns_;
};

inline Environment RuntimeEnvironment(const std::string& command, const std::string& container,
                                      const std::string& netns,
                                      const std::string& interface = "eth0",
                                      const std::string& path = "") {
  std::map<std::string, std::string> variables = {{"CNI_COMMAND", command},
                                                  {"CNI_CONTAINERID", container},
                                                  {"CNI_NETNS", netns},
                                                  {"CNI_IFNAME", interface},
                                                  {"CNI_PATH", path}};
  return [variables = std::move(variables)](const char* name) -> std::optional<std::string> {
    auto found = variables.find(name);
    if (found == variables.end() || found->second.empty()) return std::nullopt;
    return found->second;
  };
}

}  // namespace podroute

#endif  // PODROUTE_TESTS_CNI_CNI_TEST_UTIL_H_
