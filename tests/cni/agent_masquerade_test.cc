// The agent's table with the plugin's pods and real traffic.
#include <gtest/gtest.h>
#include <linux/netlink.h>
#include <netinet/in.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>

#include "base/ip_prefix.h"
#include "routing/masquerade_table.h"
#include "routing/netlink_socket.h"
#include "routing/nft_table.h"
#include "tests/cni/kube_proxy.h"
#include "tests/cni/nat_fixture.h"

namespace podroute {
namespace {

constexpr char kPods[] = "10.1.0.0/24,fd00:1::/64";
constexpr char kCluster[] = "10.0.0.0/12,fd00::/16";

// The other node has a pod at 10.2.0.5 and fd00:2::5.
class AgentMasqueradeTest : public NatTest {
 protected:
  void SetUp() override {
    NatTest::SetUp();
    if (IsSkipped()) return;
    auto socket = NetlinkSocket::Create(NETLINK_NETFILTER);
    ASSERT_TRUE(socket.ok()) << socket.status().message();
    socket_ = std::move(*socket);
    Shell("ip route add 10.2.0.0/24 via 192.168.9.2 && ip route add fd00:2::/64 via fd09::2");
    other_node_->Run(
        "ip addr add 10.2.0.5/32 dev lo && ip addr add fd00:2::5/128 dev lo && "
        "ip route add 10.1.0.0/24 via 192.168.9.1 && ip route add fd00:1::/64 via fd09::1");
    other_node_->Run(AwaitIpv6());
  }
  void Masquerade(const std::string& cluster = kCluster) {
    MasqueradeTable table(*socket_);
    Result<MasqueradeState> now = table.Read();
    ASSERT_TRUE(now.ok()) << now.status().message();
    Status written = table.Write(*now, Wanted(cluster));
    ASSERT_TRUE(written.ok()) << written.message();
    ASSERT_TRUE(table.Read()->Is(Wanted(cluster)));
  }
  static Masquerading Wanted(const std::string& cluster) {
    return MakeMasquerading(ParsePrefixList(kPods).value(), ParsePrefixList(cluster).value());
  }
  std::string Plain() { return DualStack(R"("hairpinMode":true,)"); }

  std::unique_ptr<NetlinkSocket> socket_;
};

TEST_F(AgentMasqueradeTest, WhatLeavesTheClusterHasTheNodesAddress) {
  TestPod a;
  TestPod b;
  MustAdd("a", a, Plain());
  MustAdd("b", b, Plain());
  auto expect = [&](bool masqueraded) {
    for (int protocol : {IPPROTO_TCP, IPPROTO_UDP}) {
      WhoServer outside(other_node_->path(), protocol, 80, "other");
      WhoServer inside(b.path(), protocol, 80, "b");
      WhoServer node("", protocol, 80, "node");
      EXPECT_EQ(From(a.path(), "192.168.9.2", 80, protocol),
                masqueraded ? "other 192.168.9.1" : "other 10.1.0.2");
      EXPECT_EQ(From(a.path(), "fd09::2", 80, protocol),
                masqueraded ? "other fd09::1" : "other fd00:1::2");
      EXPECT_EQ(From(a.path(), "10.1.0.3", 80, protocol), "b 10.1.0.2");
      EXPECT_EQ(From(a.path(), "fd00:1::3", 80, protocol), "b fd00:1::2");
      // A UDP server answers from the address that leads to the client.
      if (protocol == IPPROTO_UDP) continue;
      // Pods there, as those here, and the node itself see the pod's own address.
      EXPECT_EQ(From(a.path(), "10.2.0.5", 80, protocol), "other 10.1.0.2");
      EXPECT_EQ(From(a.path(), "fd00:2::5", 80, protocol), "other fd00:1::2");
      EXPECT_EQ(From(a.path(), kNode4, 80, protocol), "node 10.1.0.2");
      EXPECT_EQ(From(a.path(), kNode6, 80, protocol), "node fd00:1::2");
    }
  };
  expect(false);
  Masquerade();
  for (bool on : {true, false}) {
    SetBridgeNetfilter(on);
    expect(true);
  }
  // Whatever the operator takes out.
  Masquerade(std::string(kCluster) + ",192.168.9.0/24,::/0");
  expect(false);
  Masquerade();
  EXPECT_TRUE(RemoveNftTable(kMasqueradeTable).value());
  expect(false);
}

TEST_F(AgentMasqueradeTest, WhatComesInKeepsItsSource) {
  TestPod a;
  MustAdd("a", a, Plain());
  Masquerade();
  WhoServer server(a.path(), IPPROTO_TCP, 80, "a");
  EXPECT_EQ(FromOtherNode("10.1.0.2", 80), "a 192.168.9.2");
  EXPECT_EQ(FromOtherNode("fd00:1::2", 80), "a fd09::2");
}

// It has an address among the pods', their gateway.
TEST_F(AgentMasqueradeTest, TheNodesOwnTrafficIsLeftAlone) {
  TestPod a;
  MustAdd("a", a, Plain());
  Masquerade();
  Shell(
      "ip route add 192.168.9.2/32 dev lan src 10.1.0.1 && "
      "ip -6 route add fd09::2/128 dev lan src fd00:1::1");
  WhoServer outside(other_node_->path(), IPPROTO_UDP, 80, "other");
  EXPECT_EQ(From("", "192.168.9.2", 80, IPPROTO_UDP), "other 10.1.0.1");
  EXPECT_EQ(From("", "fd09::2", 80, IPPROTO_UDP), "other fd00:1::1");
}

TEST_F(AgentMasqueradeTest, TogetherWithHostPortsAndIpMasq) {
  TestPod a;
  TestPod b;
  MustAdd("a", a, Mapped(Mapping(8080, 80)));
  MustAdd("b", b, DualStack(R"("hairpinMode":true,"ipMasq":true,)"));
  Masquerade();
  WhoServer server(a.path(), IPPROTO_TCP, 80, "a");
  WhoServer outside(other_node_->path(), IPPROTO_TCP, 81, "other");
  EXPECT_EQ(FromOtherNode(kNode4, 8080), "a 192.168.9.2");
  EXPECT_EQ(FromOtherNode(kNode6, 8080), "a fd09::2");
  EXPECT_EQ(From(b.path(), kNode4, 8080), "a 10.1.0.1");
  EXPECT_EQ(From(a.path(), kNode4, 8080), "a 10.1.0.1");
  for (const TestPod* pod : {&a, &b}) {
    EXPECT_EQ(From(pod->path(), "192.168.9.2", 81), "other 192.168.9.1");
    EXPECT_EQ(From(pod->path(), "fd09::2", 81), "other fd09::1");
  }
  EXPECT_EQ(From(a.path(), "10.2.0.5", 81), "other 10.1.0.2");
  // The plugin's own knows the pods' subnet only.
  EXPECT_EQ(From(b.path(), "10.2.0.5", 81), "other 192.168.9.1");
}

TEST_F(AgentMasqueradeTest, NoConnectionMissesItWhileNetworksComeAndGo) {
  TestPod a;
  MustAdd("a", a, Plain());
  Masquerade();
  WhoServer outside(other_node_->path(), IPPROTO_UDP, 80, "other");
  std::atomic<bool> done = false;
  std::atomic<int> written = 0;
  std::thread writer([&] {
    for (; !done; ++written) {
      // The range next to it grows, and one comes.
      Masquerade(std::string(kCluster) + (written % 2 == 0 ? ",192.168.8.0/24,172.16.0.0/12" : ""));
    }
  });
  int asked = 0;
  for (; asked < 300 || written < 300; ++asked) {
    // A port each, so that each is a connection of its own.
    Question question{a.path(),    "192.168.9.2", 80,
                      IPPROTO_UDP, 10000,         static_cast<uint16_t>(10000 + asked % 50000)};
    std::string answer = Ask(question);
    EXPECT_EQ(answer, "other 192.168.9.1");
    if (answer != "other 192.168.9.1") break;
  }
  done = true;
  writer.join();
}

TEST_F(AgentMasqueradeTest, LivesBesideKubeProxy) {
  std::vector<Proxy> proxies = Proxies();
  proxies.push_back(IpvsProxy());
  for (const Proxy& proxy : proxies) {
    for (bool proxy_first : {true, false}) {
      SCOPED_TRACE(std::string(proxy.name) + (proxy_first ? " first" : " second"));
      SetUp();  // A node of its own for each.
      if (TryShell(std::string(proxy.needs) + " >/dev/null 2>&1") != 0) {
        std::printf("not shown for %s, which does not work here\n", proxy.name);
        continue;
      }
      Shell("ip route add default via 192.168.9.2");
      auto start_proxy = [&] {
        for (const std::string& command : proxy.commands) Shell(command);
      };
      if (proxy_first) start_proxy();
      std::filesystem::remove_all(dir_.path() + "/pods");
      TestPod a;
      TestPod b;
      MustAdd("a", a, Plain());
      MustAdd("b", b, Plain());
      Masquerade();
      if (!proxy_first) start_proxy();
      SetBridgeNetfilter(true);
      WhoServer first(a.path(), IPPROTO_TCP, 80, "a");
      WhoServer second(b.path(), IPPROTO_TCP, 80, "b");
      WhoServer outside(other_node_->path(), IPPROTO_TCP, 81, "other");
      EXPECT_EQ(From(a.path(), "192.168.9.2", 81), "other 192.168.9.1");
      EXPECT_EQ(From(a.path(), "fd09::2", 81), "other fd09::1");
      EXPECT_EQ(From(a.path(), "10.2.0.5", 81), "other 10.1.0.2");
      EXPECT_EQ(From(a.path(), "10.1.0.3", 80), "b 10.1.0.2");
      // A service leads to a pod with the client's address; a node port, as kube-proxy wants it,
      // with the node's.
      EXPECT_EQ(From(a.path(), "10.96.0.1", 80), "b 10.1.0.2");
      EXPECT_EQ(FromOtherNode(kNode4, 30080), "b 10.1.0.1");
      EXPECT_EQ(From(a.path(), kNode4, 30080), "b 10.1.0.1");
    }
  }
}

}  // namespace
}  // namespace podroute
