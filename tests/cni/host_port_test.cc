// hostPort with real traffic: who reaches which pod, and whose address the pod sees.
#include <gtest/gtest.h>
#include <netinet/in.h>

#include <optional>
#include <string>

#include "tests/cni/bridge_fixture.h"
#include "tests/cni/traffic.h"

namespace podroute {
namespace {

constexpr char kNode4[] = "192.168.9.1";
constexpr char kNode6[] = "fd09::1";

class HostPortTest : public BridgePluginTest {
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

  static std::string Elements() {
    return Shell("nft list ruleset | grep -E 'elements|comment \"pods' || true");
  }

  std::optional<TestPod> other_node_;
};

TEST_F(HostPortTest, EverybodyReachesThePodAtTheNodesPort) {
  TestPod a;
  TestPod b;
  std::string conf = Mapped(Mapping(8080, 80));
  MustAdd("a", a, conf);
  MustAdd("b", b, Mapped(""));
  WhoServer server(a.path(), IPPROTO_TCP, 80, "a");
  for (const char* forwarding : {"1", "0"}) {  // Whether bridged packets see iptables too.
    TryShell("for f in /proc/sys/net/bridge/bridge-nf-call-ip*tables; do echo " +
             std::string(forwarding) + " > $f; done");
    // The pod sees who asks, unless that is itself or its neighbour, whom it would answer directly.
    EXPECT_EQ(FromOtherNode(kNode4, 8080), "a 192.168.9.2");
    EXPECT_EQ(FromOtherNode(kNode6, 8080), "a fd09::2");
    EXPECT_EQ(From("", kNode4, 8080), "a 192.168.9.1");
    EXPECT_EQ(From("", kNode6, 8080), "a fd09::1");
    EXPECT_EQ(From("", "127.0.0.1", 8080), "a 10.1.0.1");
    for (const TestPod* pod : {&a, &b}) {
      EXPECT_EQ(From(pod->path(), kNode4, 8080), "a 10.1.0.1");
      EXPECT_EQ(From(pod->path(), kNode6, 8080), "a fd00:1::1");
      EXPECT_EQ(From(pod->path(), "10.1.0.1", 8080), "a 10.1.0.1");
      EXPECT_EQ(From(pod->path(), "fd00:1::1", 8080), "a fd00:1::1");
      // Not by way of a hostPort.
      EXPECT_EQ(From(pod->path(), "10.1.0.2", 80), pod == &a ? "a 10.1.0.2" : "a 10.1.0.3");
    }
  }
  MustDel("a", a.path(), Mapped(""));
  EXPECT_TRUE(NoAnswer(FromOtherNode(kNode4, 8080)));
  EXPECT_TRUE(NoAnswer(From("", "127.0.0.1", 8080)));
  MustDel("b", b.path(), Mapped(""));
  EXPECT_EQ(Elements(), "");
}

}  // namespace
}  // namespace podroute
