// What the proofs of the plugin's robustness share: a node with one network, pods, and the search
// for anything that was left behind.
#ifndef PODROUTE_TESTS_CNI_ROBUSTNESS_UTIL_H_
#define PODROUTE_TESTS_CNI_ROBUSTNESS_UTIL_H_

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "base/ip_prefix.h"
#include "base/unique_fd.h"
#include "tests/base/temp_dir.h"
#include "tests/cni/cni_process.h"
#include "tests/cni/cni_test_util.h"

namespace podroute {

inline constexpr char kReferencePlugins[] =
    "/usr/lib/cni";  // Debian's containernetworking-plugins.

// The long forms of the proofs, which take minutes: PODROUTE_FULL_PROOFS=1.
inline bool FullProofs() {
  const char* value = std::getenv("PODROUTE_FULL_PROOFS");
  return value != nullptr && *value != '\0' && std::string(value) != "0";
}

inline std::string PluginPath() { return std::filesystem::absolute("cni/podroute-cni"); }

inline CniVariables PluginVariables(const std::string& command, const std::string& container,
                                    const std::string& netns) {
  return {{"CNI_COMMAND", command},
          {"CNI_CONTAINERID", container},
          {"CNI_NETNS", netns},
          {"CNI_IFNAME", "eth0"},
          {"CNI_PATH", kReferencePlugins}};
}

// The configuration of network "pods", with `more` among its fields ("\"mtu\":1400,").
inline std::string PodsConf(const std::string& data_dir, const std::string& ranges,
                            const std::string& more = "",
                            const std::string& type = "podroute-cni") {
  return R"({"cniVersion":"1.0.0","name":"pods","type":")" + type +
         R"(","bridge":"cni0","isDefaultGateway":true,)" + more +
         R"("ipam":{"type":"host-local","dataDir":")" + data_dir + R"(","ranges":)" + ranges + "}}";
}

// What is there of any pod on the node; empty when nothing is. One line for each find. `pod` may be
// null.
inline std::string LeftBehind(const std::string& data_dir, const TestPod* pod = nullptr) {
  std::string found = Shell("ip -o link show type veth");
  if (pod != nullptr) found += pod->Run("ip -o link show | grep -v LOOPBACK; true");
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(data_dir + "/pods", ignored)) {
    std::string name = entry.path().filename();
    if (IpAddress::Parse(name).ok()) found += "reservation " + name + "\n";
    if (name == ".podroute.new") found += name + "\n";
  }
  for (const auto& entry :
       std::filesystem::directory_iterator(data_dir + "/.podroute/pods", ignored)) {
    found += "link " + entry.path().filename().string() + "\n";
  }
  UniqueFd lock(open((data_dir + "/pods/lock").c_str(), O_RDONLY | O_CLOEXEC));
  if (lock && flock(lock.get(), LOCK_EX | LOCK_NB) != 0) found += "the lock is held\n";
  if (TryShell("nft list table inet podroute-cni >/dev/null 2>&1") == 0) {
    found += Shell(
        "nft list table inet podroute-cni | grep -E 'elements = |^[[:space:]]+[0-9a-f.:]+ ' "
        "|| true");
  }
  return found;
}

}  // namespace podroute

#endif  // PODROUTE_TESTS_CNI_ROBUSTNESS_UTIL_H_
