// hostPort with real traffic: who reaches which pod, and whose address the pod sees.
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "tests/cni/cni_process.h"
#include "tests/cni/kube_proxy.h"
#include "tests/cni/nat_fixture.h"

namespace podroute {
namespace {

class HostPortTest : public NatTest {};

TEST_F(HostPortTest, EverybodyReachesThePodAtTheNodesPort) {
  TestPod a;
  TestPod b;
  std::string conf = Mapped(Mapping(8080, 80));
  MustAdd("a", a, conf);
  MustAdd("b", b, Mapped(""));
  WhoServer server(a.path(), IPPROTO_TCP, 80, "a");
  for (bool on : {true, false}) {
    SetBridgeNetfilter(on);
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

TEST_F(HostPortTest, UdpAndSctpAreMappedToo) {
  struct Case {
    const char* name;
    int protocol;
  };
  TestPod pod;
  MustAdd("a", pod, Mapped(Mapping(53, 5353, "UDP") + "," + Mapping(53, 99, "sctp")));
  for (const Case& c : {Case{"udp", IPPROTO_UDP}, Case{"sctp", IPPROTO_SCTP}}) {
    if (c.protocol == IPPROTO_SCTP && !HasSctp()) {
      std::printf("not shown for SCTP, which this kernel does not have\n");
      EXPECT_TRUE(Has(Elements(), "sctp . 53"));
      continue;
    }
    uint16_t port = c.protocol == IPPROTO_UDP ? 5353 : 99;
    WhoServer server(pod.path(), c.protocol, port, c.name);
    EXPECT_EQ(FromOtherNode(kNode4, 53, c.protocol), std::string(c.name) + " 192.168.9.2");
    EXPECT_EQ(FromOtherNode(kNode6, 53, c.protocol), std::string(c.name) + " fd09::2");
    EXPECT_EQ(From("", "127.0.0.1", 53, c.protocol), std::string(c.name) + " 10.1.0.1");
    EXPECT_EQ(From(pod.path(), kNode4, 53, c.protocol), std::string(c.name) + " 10.1.0.1");
  }
  EXPECT_TRUE(NoAnswer(FromOtherNode(kNode4, 53)));  // TCP is another port.
}

TEST_F(HostPortTest, AHostIpIsWhereThePortIs) {
  TestPod pod;
  MustAdd("a", pod,
          Mapped(Mapping(81, 80, "tcp", "192.168.9.77") + "," + Mapping(82, 80, "tcp", kNode6) +
                 "," + Mapping(83, 80, "tcp", "0.0.0.0") + "," + Mapping(84, 80, "tcp", "::") +
                 "," + Mapping(85, 80, "tcp", "127.0.0.1")));
  WhoServer server(pod.path(), IPPROTO_TCP, 80, "a");
  EXPECT_EQ(FromOtherNode("192.168.9.77", 81), "a 192.168.9.2");
  EXPECT_TRUE(NoAnswer(FromOtherNode(kNode4, 81)));
  EXPECT_TRUE(NoAnswer(FromOtherNode(kNode6, 81)));
  EXPECT_EQ(FromOtherNode(kNode6, 82), "a fd09::2");
  EXPECT_TRUE(NoAnswer(FromOtherNode(kNode4, 82)));
  EXPECT_EQ(FromOtherNode(kNode4, 83), "a 192.168.9.2");
  EXPECT_EQ(From("", "127.0.0.1", 83), "a 10.1.0.1");
  EXPECT_TRUE(NoAnswer(FromOtherNode(kNode6, 83)));
  EXPECT_EQ(FromOtherNode(kNode6, 84), "a fd09::2");
  EXPECT_TRUE(NoAnswer(FromOtherNode(kNode4, 84)));
  EXPECT_EQ(From("", "127.0.0.1", 85), "a 10.1.0.1");
  EXPECT_TRUE(NoAnswer(FromOtherNode(kNode4, 85)));
}

TEST_F(HostPortTest, AServerOfTheNodeKeepsTheOtherAddressesAndItsOwnLoopback) {
  TestPod pod;
  MustAdd("a", pod, Mapped(Mapping(81, 80, "tcp", "192.168.9.77") + "," + Mapping(82, 80)));
  WhoServer server(pod.path(), IPPROTO_TCP, 80, "a");
  WhoServer node81("", IPPROTO_TCP, 81, "node");
  WhoServer node82("", IPPROTO_TCP, 82, "node");
  EXPECT_EQ(FromOtherNode("192.168.9.77", 81), "a 192.168.9.2");
  EXPECT_EQ(FromOtherNode(kNode4, 81), "node 192.168.9.2");
  EXPECT_EQ(FromOtherNode(kNode4, 82), "a 192.168.9.2");
  EXPECT_EQ(From("", "::1", 82), "node ::1");
}

TEST_F(HostPortTest, WhatTheNodeForwardsIsNoHostPort) {
  TestPod a;
  TestPod b;
  MustAdd("a", a, Mapped(Mapping(80, 8080)));
  MustAdd("b", b, Mapped(""));
  WhoServer wrong(a.path(), IPPROTO_TCP, 8080, "a");
  WhoServer right(b.path(), IPPROTO_TCP, 80, "b");
  WhoServer outside(other_node_->path(), IPPROTO_TCP, 80, "outside");
  other_node_->Run("ip route add 10.1.0.0/24 via 192.168.9.1");
  EXPECT_EQ(FromOtherNode("10.1.0.3", 80), "b 192.168.9.2");
  EXPECT_EQ(From(a.path(), "192.168.9.2", 80), "outside 10.1.0.2");
}

TEST_F(HostPortTest, NobodyOutsideReachesTheNodesLoopbackAddresses) {
  TestPod pod;
  MustAdd("a", pod, Mapped(Mapping(8080, 80)));
  EXPECT_EQ(Shell("cat /proc/sys/net/ipv4/conf/cni0/route_localnet"), "1\n");
  WhoServer secret("", IPPROTO_UDP, 81, "secret");
  pod.Run(
      "ip route del local 127.0.0.0/8 dev lo table local; ip route del local 127.0.0.1 dev lo "
      "table local; ip route add 127.0.0.0/8 via 10.1.0.1; "
      "echo 1 > /proc/sys/net/ipv4/conf/eth0/route_localnet");
  auto dropped = [&] {
    Shell("nft add rule inet podroute-cni localnet-cni0 ip daddr 127.0.0.0/8 counter");
    Shell("nft insert rule inet podroute-cni localnet-cni0 ip daddr 127.0.0.0/8 counter");
    EXPECT_TRUE(NoAnswer(From(pod.path(), "127.0.0.1", 81, IPPROTO_UDP, 100)));
    return Shell("nft list chain inet podroute-cni localnet-cni0 | grep -o 'packets [0-9]*'");
  };
  EXPECT_EQ(dropped(), "packets 1\npackets 0\n");  // It came so far and no further.
}

TEST_F(HostPortTest, UdpConversationsMoveToThePortsNewHolder) {
  WhoServer node("", IPPROTO_UDP, 53, "node");
  Question question{other_node_->path(), kNode4, 53, IPPROTO_UDP, 10000, 4000};
  EXPECT_EQ(Ask(question), "node 192.168.9.2");
  TestPod a;
  TestPod b;
  std::string conf = Mapped(Mapping(53, 5353, "udp"));
  MustAdd("a", a, conf);
  WhoServer first(a.path(), IPPROTO_UDP, 5353, "a");
  EXPECT_EQ(Ask(question), "a 192.168.9.2");
  MustDel("a", a.path(), Mapped(""));
  EXPECT_EQ(Ask(question), "node 192.168.9.2");
  MustAdd("b", b, conf);
  WhoServer second(b.path(), IPPROTO_UDP, 5353, "b");
  EXPECT_EQ(Ask(question), "b 192.168.9.2");
  question.address = kNode6;
  EXPECT_EQ(Ask(question), "b fd09::2");
}

TEST_F(HostPortTest, LivesBesideKubeProxy) {
  for (const Proxy& proxy : Proxies()) {
    for (bool proxy_first : {true, false}) {
      SCOPED_TRACE(std::string(proxy.name) + (proxy_first ? " first" : " second"));
      SetUp();  // A node of its own for each.
      if (TryShell(proxy.needs) != 0) {
        std::printf("not shown for %s, which does not work here\n", proxy.name);
        continue;
      }
      TestPod a;
      TestPod b;
      Shell("ip route add default via 192.168.9.2");
      auto start_proxy = [&] {
        for (const std::string& command : proxy.commands) Shell(command);
      };
      if (proxy_first) start_proxy();
      std::filesystem::remove_all(dir_.path() + "/pods");
      // 30080 is the service's, too, which comes first; 80 is the service's port elsewhere.
      MustAdd("a", a, Mapped(Mapping(80, 80) + "," + Mapping(30080, 80)));
      MustAdd("b", b, Mapped(""));
      if (!proxy_first) start_proxy();
      SetBridgeNetfilter(true);
      WhoServer first(a.path(), IPPROTO_TCP, 80, "a");
      WhoServer second(b.path(), IPPROTO_TCP, 80, "b");
      EXPECT_EQ(FromOtherNode(kNode4, 80), "a 192.168.9.2");
      EXPECT_EQ(FromOtherNode(kNode6, 80), "a fd09::2");
      EXPECT_EQ(FromOtherNode(kNode4, 30080), "b 10.1.0.1");
      EXPECT_EQ(From(b.path(), kNode4, 80), "a 10.1.0.1");
      EXPECT_EQ(From("", "127.0.0.1", 80), "a 10.1.0.1");
      // Its connections keep their source.
      EXPECT_EQ(From(a.path(), "10.96.0.1", 80), "b 10.1.0.2");
      EXPECT_EQ(From("", "10.96.0.1", 80).substr(0, 2), "b ");
      MustDel("a", a.path(), Mapped(""));
      EXPECT_TRUE(NoAnswer(FromOtherNode(kNode4, 80)));
      EXPECT_EQ(FromOtherNode(kNode4, 30080), "b 10.1.0.1");
    }
  }
}

TEST_F(HostPortTest, AChainedReferencePortmapWorksAsBefore) {
  constexpr char kPortmap[] = "/usr/lib/cni/portmap";
  if (access(kPortmap, X_OK) != 0 || TryShell("iptables -V") != 0) {
    GTEST_SKIP() << "no reference portmap here; Debian's containernetworking-plugins and iptables "
                    "have it";
  }
  TestPod a;
  TestPod b;
  // Ours by itself, and a pod of a network whose portmap is the reference's.
  MustAdd("b", b, Mapped(Mapping(8081, 80)));
  std::string result = MustAdd("a", a, DualStack(R"("hairpinMode":true,)"));
  auto portmap = [&](const std::string& command) {
    std::string version = result;
    size_t at = version.find("1.1.0");
    if (at != std::string::npos) version.replace(at, 5, "1.0.0");
    CniVariables variables = {
        {"CNI_COMMAND", command},     {"CNI_CONTAINERID", "a"},
        {"CNI_NETNS", a.path()},      {"CNI_IFNAME", "eth0"},
        {"CNI_PATH", "/usr/lib/cni"}, {"PATH", "/usr/sbin:/usr/bin:/sbin:/bin"}};
    return CniProcess(kPortmap, variables,
                      R"({"cniVersion":"1.0.0","name":"pods","type":"portmap",)"
                      R"("capabilities":{"portMappings":true},"runtimeConfig":{"portMappings":[)" +
                          Mapping(8080, 80) + R"(]},"prevResult":)" + version + "}")
        .Wait();
  };
  SubprocessResult added = portmap("ADD");
  ASSERT_EQ(added.exit_code, 0) << added.out << added.err;
  EXPECT_FALSE(Has(Elements(), "8080"));
  WhoServer first(a.path(), IPPROTO_TCP, 80, "a");
  WhoServer second(b.path(), IPPROTO_TCP, 80, "b");
  for (uint16_t port : {8080, 8081}) {
    std::string who = port == 8080 ? "a " : "b ";
    EXPECT_EQ(FromOtherNode(kNode4, port), who + "192.168.9.2");
    EXPECT_EQ(From("", "127.0.0.1", port), who + "10.1.0.1");
    EXPECT_EQ(From(a.path(), kNode4, port), who + "10.1.0.1");
    EXPECT_EQ(From(b.path(), kNode4, port), who + "10.1.0.1");
  }
  EXPECT_EQ(portmap("DEL").exit_code, 0);
  MustDel("a", a.path(), DualStack());
  EXPECT_TRUE(NoAnswer(FromOtherNode(kNode4, 8080)));
  EXPECT_EQ(FromOtherNode(kNode4, 8081), "b 192.168.9.2");
}

}  // namespace
}  // namespace podroute
