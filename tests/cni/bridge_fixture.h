// Calls of the bridge plugin, in process, in a network namespace of the test's own.
#ifndef PODROUTE_TESTS_CNI_BRIDGE_FIXTURE_H_
#define PODROUTE_TESTS_CNI_BRIDGE_FIXTURE_H_

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "cni/bridge_plugin.h"
#include "tests/base/temp_dir.h"
#include "tests/cni/cni_test_util.h"

namespace podroute {

inline bool Has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

class BridgePluginTest : public ::testing::Test {
 protected:
  void SetUp() override { PODROUTE_ENTER_NETNS_OR_SKIP(); }

  std::string Conf(const std::string& ranges, const std::string& more = "") {
    return R"({"cniVersion":"1.1.0","name":"pods","type":"podroute-cni","isDefaultGateway":true,)" +
           more + R"("ipam":{"type":"host-local","dataDir":")" + dir_.path() + R"(","ranges":)" +
           ranges + "}}";
  }
  std::string DualStack(const std::string& more = "") {
    return Conf(R"([[{"subnet":"10.1.0.0/24"}],[{"subnet":"fd00:1::/64"}]])", more);
  }
  std::string V4(const std::string& more = "") {
    return Conf(R"([[{"subnet":"10.1.0.0/24"}]])", more);
  }

  CniAnswer Call(const std::string& command, const std::string& container, const std::string& netns,
                 const std::string& conf, const std::string& path = "") {
    BridgePlugin plugin;
    return RunCniPlugin(plugin, RuntimeEnvironment(command, container, netns, "eth0", path), conf);
  }
  std::string MustAdd(const std::string& container, const TestPod& pod, const std::string& conf) {
    CniAnswer answer = Call("ADD", container, pod.path(), conf);
    EXPECT_EQ(answer.exit_code, 0) << answer.output;
    return answer.output;
  }
  void MustDel(const std::string& container, const std::string& netns, const std::string& conf) {
    CniAnswer answer = Call("DEL", container, netns, conf);
    EXPECT_EQ(answer.exit_code, 0) << answer.output;
    EXPECT_EQ(answer.output, "");
  }
  // `conf` with a prevResult.
  static std::string After(std::string conf, const std::string& result) {
    conf.pop_back();
    return conf + ",\"prevResult\":" + result + "}";
  }

  // Nothing of any pod is left: no port, no reservation, no link of the store's. A file that waits
  // to be one of these again is no pod's.
  void ExpectNothingLeft() {
    EXPECT_EQ(Shell("ip -br link show type veth"), "");
    for (const auto& entry : std::filesystem::recursive_directory_iterator(dir_.path())) {
      std::string name = entry.path().filename();
      bool expected = entry.is_directory() || name == "lock" || name.starts_with("last_reserved") ||
                      name.starts_with(".spare");
      EXPECT_TRUE(expected) << entry.path();
    }
  }

  TempDir dir_;
};

}  // namespace podroute

#endif  // PODROUTE_TESTS_CNI_BRIDGE_FIXTURE_H_
