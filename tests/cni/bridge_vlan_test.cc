// VLANs and isolated ports, with traffic.
#include <gtest/gtest.h>

#include <string>

#include "cni/link_ops.h"
#include "tests/cni/bridge_fixture.h"

namespace podroute {
namespace {

class BridgeVlanTest : public BridgePluginTest {
 protected:
  void SetUp() override {
    BridgePluginTest::SetUp();
    if (IsSkipped()) return;
    if (TryShell("ip link add probe type bridge vlan_filtering 1") != 0) {
      GTEST_SKIP() << "this kernel lacks CONFIG_BRIDGE_VLAN_FILTERING";
    }
    Shell("ip link del probe");
  }

  // A network of its own in `vlan` (0: none): 10.VLAN.0.0/24 and fd00:VLAN::/64.
  std::string InVlan(int vlan, const std::string& more = "") {
    std::string id = std::to_string(vlan % 250);
    return R"({"cniVersion":"1.0.0","name":"vlan)" + std::to_string(vlan) +
           R"(","isDefaultGateway":true,"vlan":)" + std::to_string(vlan) + "," + more +
           R"("ipam":{"type":"host-local","dataDir":")" + dir_.path() +
           R"(","ranges":[[{"subnet":"10.)" + id + R"(.0.0/24"}],[{"subnet":"fd00:)" + id +
           R"(::/64"}]]}})";
  }
  // One network for all, without a gateway: only the bridge is between them.
  std::string OneSubnet(const std::string& more) {
    return R"({"cniVersion":"1.0.0","name":"l2",)" + more +
           R"("ipam":{"type":"host-local","dataDir":")" + dir_.path() +
           R"(","ranges":[[{"subnet":"10.9.0.0/24","rangeStart":"10.9.0.11"}]]}})";
  }
  static std::string VlansOf(const std::string& link) {
    return Shell("bridge -compressvlans vlan show dev " + link + " | tail -n +2 | sed 's/^" + link +
                 "//' | sed 's/^[\\t ]*//;s/[\\t ]*$//' | grep . ; true");
  }
  static std::string HostEnd(const std::string& container) {
    return HostVethName({container, "eth0"});
  }
};

TEST_F(BridgeVlanTest, PodsOfOneVlanTalkAndThoseOfDifferentOnesDoNot) {
  TestPod a;
  TestPod b;
  TestPod c;
  TestPod plain;
  MustAdd("a", a, OneSubnet(R"("vlan":100,)"));
  MustAdd("b", b, OneSubnet(R"("vlan":100,)"));
  MustAdd("c", c, OneSubnet(R"("vlan":200,)"));
  MustAdd("plain", plain, OneSubnet(""));
  EXPECT_EQ(a.Try("ping -c1 -W5 10.9.0.12"), 0);
  EXPECT_NE(a.Try("ping -c1 -W1 10.9.0.13"), 0);
  EXPECT_NE(c.Try("ping -c1 -W1 10.9.0.12"), 0);
  EXPECT_NE(plain.Try("ping -c1 -W1 10.9.0.11"), 0);
  EXPECT_NE(a.Try("ping -c1 -W1 10.9.0.14"), 0);
}

TEST_F(BridgeVlanTest, TheGatewayIsInTheVlanUnderTheReferencesName) {
  TestPod a;
  TestPod b;
  std::string result = MustAdd("a", a, InVlan(100));
  MustAdd("b", b, InVlan(100));
  EXPECT_TRUE(Has(result, R"({"name":"cni0.100","mac":")")) << result;
  EXPECT_TRUE(Has(result, R"("interface":2)")) << result;
  std::string addresses = Shell("ip addr show dev cni0.100");
  EXPECT_TRUE(Has(addresses, "10.100.0.1/24")) << addresses;
  addresses = Shell("ip addr show dev cni0");
  EXPECT_FALSE(Has(addresses, "10.100.0.1/24")) << addresses;
  EXPECT_TRUE(Has(Shell("ip -d link show cni0"), "vlan_filtering 1"));
  EXPECT_EQ(Shell("cat /proc/sys/net/ipv6/conf/cni0.100/accept_ra"), "0\n");
  EXPECT_EQ(Shell("cat /proc/sys/net/ipv6/conf/cni0.100/accept_dad"), "0\n");
  EXPECT_EQ(VlansOf(HostEnd("a")), "1 Egress Untagged\n100 PVID Egress Untagged\n");
  for (const char* address : {"10.100.0.1", "10.100.0.3", "fd00:100::1", "fd00:100::3"}) {
    EXPECT_EQ(a.Try(std::string("ping -c1 -W5 ") + address), 0) << address;
  }
  EXPECT_EQ(TryShell("ping -c1 -W5 10.100.0.2"), 0);
  EXPECT_EQ(TryShell("ping -c1 -W5 fd00:100::3"), 0);
}

TEST_F(BridgeVlanTest, PodsWithoutVlanGoOnWhenTheFirstWithOneComes) {
  TestPod older;
  TestPod newer;
  TestPod tagged;
  MustAdd("older", older, V4());
  MustAdd("tagged", tagged, InVlan(100));
  MustAdd("newer", newer, V4());
  EXPECT_EQ(older.Try("ping -c1 -W5 10.1.0.1"), 0);
  EXPECT_EQ(older.Try("ping -c1 -W5 10.1.0.3"), 0);
  // Through the host, which routes between its networks.
  EXPECT_EQ(older.Try("ping -c1 -W5 10.100.0.2"), 0);
  EXPECT_EQ(tagged.Try("ping -c1 -W5 10.1.0.3"), 0);
}

TEST_F(BridgeVlanTest, WithoutTheDefaultVlanThePortIsInItsOwnAlone) {
  TestPod a;
  std::string conf = InVlan(100, R"("preserveDefaultVlan":false,)");
  MustAdd("a", a, conf);
  EXPECT_EQ(VlansOf(HostEnd("a")), "100 PVID Egress Untagged\n");
  EXPECT_EQ(a.Try("ping -c1 -W5 10.100.0.1"), 0);
  TestPod t;
  MustAdd("t", t, OneSubnet(R"("preserveDefaultVlan":false,"vlanTrunk":[{"id":7}],)"));
  EXPECT_EQ(VlansOf(HostEnd("t")), "7\n");
}

TEST_F(BridgeVlanTest, AnotherDefaultVlanOfTheBridgeIsTheOneThatGoes) {
  Shell("ip link add cni0 type bridge vlan_filtering 1 vlan_default_pvid 5");
  TestPod a;
  MustAdd("a", a, InVlan(100, R"("preserveDefaultVlan":false,)"));
  EXPECT_EQ(VlansOf(HostEnd("a")), "100 PVID Egress Untagged\n");
  TestPod b;
  MustAdd("b", b, InVlan(100));
  EXPECT_EQ(VlansOf(HostEnd("b")), "5 Egress Untagged\n100 PVID Egress Untagged\n");
  EXPECT_EQ(b.Try("ping -c1 -W5 10.100.0.2"), 0);
}

TEST_F(BridgeVlanTest, ATrunkPortCarriesItsVlansTagged) {
  TestPod trunk;
  TestPod a;
  TestPod plain;
  std::string conf = OneSubnet(
      R"("vlanTrunk":[{"minID":100,"maxID":110},{"id":200},{"minID":300,"maxID":4094}],)");
  MustAdd("trunk", trunk, conf);
  MustAdd("a", a, OneSubnet(R"("vlan":105,)"));
  MustAdd("plain", plain, OneSubnet(""));
  EXPECT_EQ(VlansOf(HostEnd("trunk")), "1 PVID Egress Untagged\n100-110\n200\n300-4094\n");
  EXPECT_EQ(trunk.Try("ping -c1 -W5 10.9.0.13"), 0);
  if (trunk.Try("ip link add v105 link eth0 type vlan id 105") != 0) {
    GTEST_SKIP() << "no VLAN interfaces here, so the trunk's tags are not shown by traffic";
  }
  trunk.Run("ip addr flush dev eth0 && ip addr add 10.9.0.77/24 dev v105 && ip link set v105 up");
  EXPECT_EQ(a.Try("ping -c1 -W5 10.9.0.77"), 0);
}

TEST_F(BridgeVlanTest, DelLeavesTheVlanInterfaceAndNothingElse) {
  TestPod a;
  MustAdd("a", a, InVlan(100));
  std::string before = Shell("ip -br link show type veth | wc -l");
  MustDel("a", a.path(), InVlan(100));
  EXPECT_EQ(before, "3\n");
  EXPECT_EQ(Shell("ip -br link show type veth | wc -l"), "2\n");
  EXPECT_EQ(TryShell("ip link show cni0.100"), 0);
  Shell("ip link del cni0.100");
  ExpectNothingLeft();
  MustAdd("a", a, InVlan(100));
  EXPECT_EQ(a.Try("ping -c1 -W5 10.100.0.1"), 0);
}

TEST_F(BridgeVlanTest, AHalfMadeVlanInterfaceIsCompleted) {
  TestPod a;
  MustAdd("a", a, InVlan(100));
  std::string port = Shell("ip -o link show type veth | grep -o 'podroute-vlan cni0.100'");
  EXPECT_EQ(port, "podroute-vlan cni0.100\n");
  // As an ADD that was killed in the middle leaves it.
  port = Shell("ip -o link show cni0.100 | sed 's/.*cni0.100@\\([a-z0-9]*\\):.*/\\1/'");
  port.pop_back();
  Shell("ip link set cni0.100 down && ip link set " + port + " down nomaster");
  TestPod b;
  MustAdd("b", b, InVlan(100));
  EXPECT_EQ(b.Try("ping -c1 -W5 10.100.0.1"), 0);
  EXPECT_EQ(b.Try("ping -c1 -W5 10.100.0.2"), 0);
}

TEST_F(BridgeVlanTest, AVlanInterfaceOfSomebodyElsesIsUsed) {
  Shell(
      "ip link add cni0 type bridge vlan_filtering 1 && ip link set cni0 up && "
      "ip link add cni0.100 type veth peer name gwport && ip link set gwport master cni0 up && "
      "ip link set cni0.100 up && bridge vlan add dev gwport vid 100 pvid untagged");
  TestPod a;
  MustAdd("a", a, InVlan(100));
  EXPECT_EQ(a.Try("ping -c1 -W5 10.100.0.1"), 0);
}

TEST_F(BridgeVlanTest, CheckSeesWrongVlansAndIsolation) {
  TestPod a;
  std::string conf = InVlan(100, R"("preserveDefaultVlan":false,"portIsolation":true,)");
  std::string result = MustAdd("a", a, conf);
  std::string port = HostEnd("a");
  TestPod t;
  std::string trunk_conf = OneSubnet(R"("vlanTrunk":[{"minID":5,"maxID":7}],)");
  std::string trunk_result = MustAdd("t", t, trunk_conf);
  auto check = [&] {
    return Call("CHECK", "a", a.path(), After(conf, result)).output +
           Call("CHECK", "t", t.path(), After(trunk_conf, trunk_result)).output;
  };
  EXPECT_EQ(check(), "");
  struct Case {
    std::string spoil;
    std::string mend;
    const char* said;
  };
  const Case kCases[] = {
      {"bridge vlan del vid 100 dev " + port, "bridge vlan add vid 100 pvid untagged dev " + port,
       "is not an untagged port of VLAN 100"},
      {"bridge vlan add vid 100 dev " + port, "bridge vlan add vid 100 pvid untagged dev " + port,
       "is not an untagged port of VLAN 100"},
      {"bridge vlan add vid 300 dev " + port, "bridge vlan del vid 300 dev " + port, "more VLANs"},
      {"bridge vlan del vid 6 dev " + HostEnd("t"), "bridge vlan add vid 6 dev " + HostEnd("t"),
       "is not a tagged port of VLAN 6"},
      {"bridge link set isolated off dev " + port, "bridge link set isolated on dev " + port,
       "isolated"},
      {"ip link set cni0 type bridge vlan_filtering 0",
       "ip link set cni0 type bridge vlan_filtering 1", "keep VLANs apart"},
      {"ip addr del 10.100.0.1/24 dev cni0.100", "ip addr add 10.100.0.1/24 dev cni0.100",
       "cni0.100 does not have 10.100.0.1/24"},
      {"ip link set cni0.100 down && ip link set cni0.100 name away",
       "ip link set away name cni0.100 && ip link set cni0.100 up && "
       "ip addr add fd00:100::1/64 dev cni0.100 nodad",
       "there is no cni0.100"},
  };
  for (const Case& c : kCases) {
    Shell(c.spoil);
    std::string said = check();
    EXPECT_TRUE(Has(said, R"("code":103)")) << c.spoil << " -> " << said;
    EXPECT_TRUE(Has(said, c.said)) << c.spoil << " -> " << said;
    Shell(c.mend);
    EXPECT_EQ(check(), "") << "after " << c.mend;
  }
}

TEST_F(BridgePluginTest, IsolatedPodsReachTheHostAndNotEachOther) {
  TestPod a;
  TestPod b;
  TestPod open;
  std::string isolated = V4(R"("portIsolation":true,)");
  MustAdd("a", a, isolated);
  MustAdd("b", b, isolated);
  MustAdd("open", open, V4());
  EXPECT_EQ(a.Try("ping -c1 -W5 10.1.0.1"), 0);
  EXPECT_EQ(a.Try("ping -c1 -W5 10.1.0.4"), 0);
  EXPECT_NE(a.Try("ping -c1 -W1 10.1.0.3"), 0);
  MustDel("a", a.path(), isolated);
  MustDel("b", b.path(), isolated);
  MustDel("open", open.path(), V4());
  ExpectNothingLeft();
}

TEST_F(BridgePluginTest, AKernelWithoutVlansIsNamedAndNothingIsLeft) {
  if (TryShell("ip link add probe type bridge vlan_filtering 1") == 0) {
    GTEST_SKIP() << "this kernel has VLAN filtering";
  }
  TestPod pod;
  std::string conf = V4(R"("vlan":100,)");
  CniAnswer answer = Call("ADD", "a", pod.path(), conf);
  EXPECT_EQ(answer.exit_code, 1);
  EXPECT_TRUE(Has(answer.output, R"("code":100)")) << answer.output;
  EXPECT_TRUE(Has(answer.output, "CONFIG_BRIDGE_VLAN_FILTERING")) << answer.output;
  MustDel("a", pod.path(), conf);
  ExpectNothingLeft();
}

}  // namespace
}  // namespace podroute
