// What the API server was told, as kubectl shows it.
#ifndef PODROUTE_TESTS_CONTROLLER_REPORT_TEST_UTIL_H_
#define PODROUTE_TESTS_CONTROLLER_REPORT_TEST_UTIL_H_

#include <string>

#include "tests/controller/agent_test_util.h"

namespace podroute {

class ReportTest : public AgentTest {
 protected:
  std::string Kubectl(const std::string& arguments) {
    return Shell("kubectl --kubeconfig=" + server_->kubeconfig() +
                 " --cache-dir=" + dir_->File("cache") + " " + arguments);
  }
  std::string Condition(const std::string& node) {
    return Kubectl("get node " + node +
                   " -o jsonpath='{range .status.conditions[?(@.type==\"NetworkUnavailable\")]}"
                   "{.status} {.reason}{end}'");
  }
  std::string Taints(const std::string& node) {
    return Kubectl("get node " + node + " -o jsonpath='{.spec.taints[*].key}'");
  }
};

}  // namespace podroute

#endif  // PODROUTE_TESTS_CONTROLLER_REPORT_TEST_UTIL_H_
