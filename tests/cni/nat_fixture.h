// A node with another one beside it, for hostPort and ipMasq with real traffic.
#ifndef PODROUTE_TESTS_CNI_NAT_FIXTURE_H_
#define PODROUTE_TESTS_CNI_NAT_FIXTURE_H_

#include <gtest/gtest.h>
#include <netinet/in.h>

#include <optional>
#include <string>

#include "tests/cni/bridge_fixture.h"
#include "tests/cni/traffic.h"

namespace podroute {

inline constexpr char kNode4[] = "192.168.9.1";
inline constexpr char kNode6[] = "fd09::1";

// The node has 192.168.9.1, 192.168.9.77 and fd09::1, its neighbour 192.168.9.2 and fd09::2.
class NatTest : public BridgePluginTest {
 protected:
  void SetUp() override {
    BridgePluginTest::SetUp();
    if (IsSkipped()) return;
    if (TryShell("nft list tables") != 0) GTEST_SKIP() << "no nftables here";
    other_node_.emplace();
    Shell("ip link add lan type veth peer name lan0 && ip link set lan0 netns " +
          other_node_->path() +
          " && ip addr add 192.168.9.1/24 dev lan && "
          "ip addr add 192.168.9.77/24 dev lan && ip addr add fd09::1/64 dev lan nodad && "
          "ip link set lan up");
    other_node_->Run(
        "ip addr add 192.168.9.2/24 dev lan0 && ip addr add fd09::2/64 dev lan0 nodad && "
        "ip link set lan0 up && ip link set lo up");
    // On a busy machine the kernel takes its time to join the groups that IPv6 neighbours ask in.
    other_node_->Run("ping -c1 -w30 fd09::1 && ip neigh flush dev lan0");
  }

  // With addresses that work already: of UDP there is no second try.
  std::string MustAdd(const std::string& container, const TestPod& pod, const std::string& conf) {
    std::string result = BridgePluginTest::MustAdd(container, pod, conf);
    Shell(AwaitIpv6());
    pod.Run(AwaitIpv6());
    return result;
  }
  // A configuration with the capability, and these mappings as the runtime passes them.
  std::string Mapped(const std::string& mappings, const std::string& more = "") {
    std::string runtime =
        mappings.empty() ? "" : R"("runtimeConfig":{"portMappings":[)" + mappings + "]},";
    return DualStack(R"("hairpinMode":true,"capabilities":{"portMappings":true},)" + more +
                     runtime);
  }
  static std::string Mapping(int host_port, int pod_port, const std::string& protocol = "tcp",
                             const std::string& host_ip = "") {
    return R"({"hostPort":)" + std::to_string(host_port) + R"(,"containerPort":)" +
           std::to_string(pod_port) + R"(,"protocol":")" + protocol + R"(","hostIP":")" + host_ip +
           "\"}";
  }
  static std::string From(const std::string& netns, const std::string& address, uint16_t port,
                          int protocol = IPPROTO_TCP, int timeout_ms = 10000) {
    Question question;
    question.netns = netns;
    question.address = address;
    question.port = port;
    question.protocol = protocol;
    question.timeout_ms = timeout_ms;
    return Ask(question);
  }
  std::string FromOtherNode(const std::string& address, uint16_t port, int protocol = IPPROTO_TCP) {
    return From(other_node_->path(), address, port, protocol);
  }
  static bool NoAnswer(const std::string& answer) { return Has(answer, "no answer"); }

  // Every element that says whose it is.
  static std::string Elements() {
    return Shell("nft list ruleset | grep -E 'elements|comment \"(pods|other) ' || true");
  }
  // Whether what is bridged goes through the node's IP rules as well.
  static void SetBridgeNetfilter(bool on) {
    TryShell("for f in /proc/sys/net/bridge/bridge-nf-call-ip*tables; do echo " +
             std::string(on ? "1" : "0") + " > $f; done");
  }

  std::optional<TestPod> other_node_;
};

}  // namespace podroute

#endif  // PODROUTE_TESTS_CNI_NAT_FIXTURE_H_
