// ipMasq with real traffic.
#include <gtest/gtest.h>
#include <netinet/in.h>

#include <string>

#include "tests/cni/nat_fixture.h"

namespace podroute {
namespace {

class IpMasqTest : public NatTest {
 protected:
  std::string Masqueraded(const std::string& more = "") {
    return DualStack(R"("hairpinMode":true,"ipMasq":true,)" + more);
  }
};

TEST_F(IpMasqTest, WhatLeavesThePodsSubnetHasTheNodesAddress) {
  TestPod a;
  TestPod b;
  MustAdd("a", a, Masqueraded());
  MustAdd("b", b, Masqueraded(R"("ipMasqBackend":"iptables",)"));
  for (int protocol : {IPPROTO_TCP, IPPROTO_UDP}) {
    WhoServer outside(other_node_->path(), protocol, 80, "outside");
    WhoServer inside(b.path(), protocol, 80, "b");
    WhoServer node("", protocol, 80, "node");
    for (bool on : {true, false}) {
      SetBridgeNetfilter(on);
      EXPECT_EQ(From(a.path(), "192.168.9.2", 80, protocol), "outside 192.168.9.1");
      EXPECT_EQ(From(a.path(), "fd09::2", 80, protocol), "outside fd09::1");
      // Pods of the subnet, and the node itself, see the pod's own address.
      EXPECT_EQ(From(a.path(), "10.1.0.3", 80, protocol), "b 10.1.0.2");
      EXPECT_EQ(From(a.path(), "fd00:1::3", 80, protocol), "b fd00:1::2");
      EXPECT_EQ(From(a.path(), "10.1.0.1", 80, protocol), "node 10.1.0.2");
    }
  }
}

TEST_F(IpMasqTest, OnlyPodsThatAskForItAreMasqueraded) {
  TestPod a;
  TestPod b;
  MustAdd("a", a, Masqueraded());
  MustAdd("b", b, DualStack());
  other_node_->Run("ip route add 10.1.0.0/24 via 192.168.9.1");
  WhoServer outside(other_node_->path(), IPPROTO_TCP, 80, "outside");
  EXPECT_EQ(From(a.path(), "192.168.9.2", 80), "outside 192.168.9.1");
  EXPECT_EQ(From(b.path(), "192.168.9.2", 80), "outside 10.1.0.3");
  MustDel("a", "", Masqueraded());
  EXPECT_EQ(Elements(), "");
}

TEST_F(IpMasqTest, MulticastKeepsItsSource) {
  TestPod pod;
  MustAdd("a", pod, Masqueraded());
  std::string chain = Shell("nft list chain inet podroute-cni masquerade-10.1.0.0-24");
  EXPECT_TRUE(Has(chain, "ip daddr 224.0.0.0/4 return")) << chain;
  chain = Shell("nft list chain inet podroute-cni masquerade-fd00_1__-64");
  EXPECT_TRUE(Has(chain, "ip6 daddr ff00::/8 return")) << chain;
}

TEST_F(IpMasqTest, TogetherWithHostPorts) {
  TestPod a;
  TestPod b;
  std::string more = R"("ipMasq":true,)";
  MustAdd("a", a, Mapped(Mapping(8080, 80), more));
  MustAdd("b", b, Mapped("", more));
  WhoServer server(a.path(), IPPROTO_TCP, 80, "a");
  WhoServer outside(other_node_->path(), IPPROTO_TCP, 80, "outside");
  EXPECT_EQ(FromOtherNode(kNode4, 8080), "a 192.168.9.2");
  EXPECT_EQ(FromOtherNode(kNode6, 8080), "a fd09::2");
  for (const TestPod* pod : {&a, &b}) {
    EXPECT_EQ(From(pod->path(), kNode4, 8080), "a 10.1.0.1");
    EXPECT_EQ(From(pod->path(), "192.168.9.2", 80), "outside 192.168.9.1");
  }
  MustDel("a", a.path(), Mapped("", more));
  MustDel("b", b.path(), Mapped("", more));
  EXPECT_EQ(Elements(), "");
}

TEST_F(IpMasqTest, CheckSeesWhatIsMissing) {
  TestPod pod;
  std::string conf = Masqueraded();
  std::string result = MustAdd("a", pod, conf);
  auto check = [&] { return Call("CHECK", "a", pod.path(), After(conf, result)).output; };
  EXPECT_EQ(check(), "");
  Shell("nft delete element inet podroute-cni masquerade6 '{ fd00:1::2 }'");
  EXPECT_TRUE(Has(check(), "the source address fd00:1::2")) << check();
  EXPECT_TRUE(Has(check(), R"("code":103)")) << check();
}

TEST_F(IpMasqTest, AnElementOfAPodThatIsNoMoreIsTakenOver) {
  TestPod a;
  MustAdd("a", a, Masqueraded());
  MustDel("a", a.path(), Masqueraded());
  Shell(
      "nft add element inet podroute-cni masquerade4 "
      "'{ 10.1.0.3 comment \"pods gone eth0\" : jump masquerade-10.1.0.0-24 }'");
  TestPod b;
  MustAdd("b", b, Masqueraded());  // It gets the next address.
  EXPECT_TRUE(Has(Elements(), "10.1.0.3 comment \"pods b eth0\"")) << Elements();
  EXPECT_FALSE(Has(Elements(), "gone")) << Elements();
}

}  // namespace
}  // namespace podroute
