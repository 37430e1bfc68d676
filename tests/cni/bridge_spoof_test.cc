// macspoofchk, with traffic.
#include <gtest/gtest.h>

#include <string>

#include "cni/link_ops.h"
#include "tests/cni/bridge_fixture.h"

namespace podroute {
namespace {

class BridgeSpoofTest : public BridgePluginTest {
 protected:
  void SetUp() override {
    BridgePluginTest::SetUp();
    if (IsSkipped()) return;
    if (TryShell("nft add table bridge probe && nft delete table bridge probe") != 0) {
      GTEST_SKIP() << "no nft, or this kernel lacks CONFIG_NF_TABLES_BRIDGE";
    }
  }
  std::string Checked(const std::string& more = "") {
    return DualStack(R"("macspoofchk":true,)" + more);
  }
  static std::string Elements() {
    return Shell(
        "nft list table bridge podroute-cni | grep -o 'comment \"pods [^\"]*' | sort; true");
  }
};

TEST_F(BridgeSpoofTest, APodReachesOthersWithItsOwnAddressOnly) {
  TestPod a;
  TestPod b;
  TestPod open;
  MustAdd("a", a, Checked());
  MustAdd("b", b, Checked());
  MustAdd("open", open, DualStack());
  Shell(AwaitIpv6());
  for (const TestPod* pod : {&a, &b}) pod->Run(AwaitIpv6());
  for (const char* address : {"10.1.0.1", "10.1.0.3", "10.1.0.4", "fd00:1::1", "fd00:1::3"}) {
    EXPECT_EQ(a.Try(std::string("ping -c1 -W5 ") + address), 0) << address;
  }
  a.Run("ip link set eth0 address 02:00:00:00:00:66");
  EXPECT_NE(a.Try("ping -c1 -W1 10.1.0.1"), 0);
  EXPECT_NE(a.Try("ping -c1 -W1 10.1.0.4"), 0);
  // Nor with another pod's.
  a.Run("ip link set eth0 address 0a:58:0a:01:00:03");
  EXPECT_NE(a.Try("ping -c1 -W1 10.1.0.1"), 0);
  EXPECT_EQ(b.Try("ping -c1 -W5 10.1.0.1"), 0);
  a.Run("ip link set eth0 address 0a:58:0a:01:00:02");
  EXPECT_EQ(a.Try("ping -c1 -W5 10.1.0.1"), 0);
  // Who is not checked is free to.
  open.Run("ip link set eth0 address 02:00:00:00:00:67");
  EXPECT_EQ(open.Try("ping -c1 -W5 10.1.0.1"), 0);
}

TEST_F(BridgeSpoofTest, DelAndGcLeaveNothing) {
  TestPod a;
  TestPod b;
  TestPod c;
  MustAdd("a", a, Checked());
  MustAdd("b", b, Checked());
  MustAdd("c", c, Checked());
  EXPECT_EQ(Elements(),
            "comment \"pods a eth0\ncomment \"pods a eth0\ncomment \"pods b eth0\n"
            "comment \"pods b eth0\ncomment \"pods c eth0\ncomment \"pods c eth0\n");
  MustDel("a", a.path(), Checked());
  EXPECT_EQ(Elements(),
            "comment \"pods b eth0\ncomment \"pods b eth0\ncomment \"pods c eth0\n"
            "comment \"pods c eth0\n");
  std::string gc = Checked(R"("cni.dev/valid-attachments":[{"containerID":"c","ifname":"eth0"}],)");
  CniAnswer answer = Call("GC", "", "", gc);
  EXPECT_EQ(answer.exit_code, 0) << answer.output;
  EXPECT_EQ(Elements(), "comment \"pods c eth0\ncomment \"pods c eth0\n");
  EXPECT_EQ(c.Try("ping -c1 -W5 10.1.0.1"), 0);
  MustDel("c", "", Checked());
  MustDel("c", "", Checked());
  EXPECT_EQ(Elements(), "");
  ExpectNothingLeft();
}

TEST_F(BridgeSpoofTest, ARefusedAddLeavesNoCheckAndASecondOneHarmsNothing) {
  TestPod taken;
  taken.Run("ip link add eth0 type bridge");
  EXPECT_EQ(Call("ADD", "x", taken.path(), Checked()).exit_code, 1);
  EXPECT_EQ(Elements(), "");
  TestPod a;
  MustAdd("a", a, Checked());
  std::filesystem::remove_all(dir_.path() + "/pods");
  std::string other_mac = Checked(R"("runtimeConfig":{"mac":"02:00:00:00:00:77"},)");
  EXPECT_EQ(Call("ADD", "a", a.path(), other_mac).exit_code, 1);
  EXPECT_EQ(a.Try("ping -c1 -W5 10.1.0.1"), 0);
}

TEST_F(BridgeSpoofTest, WhatAKilledAddLeftIsReplacedAndALostTableComesBack) {
  TestPod a;
  MustAdd("a", a, Checked());
  Shell("ip link del " + HostVethName({"a", "eth0"}));
  MustAdd("a", a,
          V4(R"("macspoofchk":true,"bridge":"br1","runtimeConfig":{"mac":"02:00:00:00:00:77"},)"));
  std::string table = Shell("nft list table bridge podroute-cni");
  EXPECT_TRUE(Has(table, "02:00:00:00:00:77")) << table;
  EXPECT_FALSE(Has(table, "0a:58:0a:01:00:02")) << table;
  Shell("nft delete table bridge podroute-cni");
  TestPod b;
  MustAdd("b", b, Checked());
  b.Run("ip link set eth0 address 02:00:00:00:00:66");
  EXPECT_NE(b.Try("ping -c1 -W1 10.1.0.1"), 0);
}

TEST_F(BridgeSpoofTest, CheckSeesThatAPodIsNotHeldToItsAddress) {
  TestPod a;
  std::string result = MustAdd("a", a, Checked());
  auto check = [&] { return Call("CHECK", "a", a.path(), After(Checked(), result)).output; };
  EXPECT_EQ(check(), "");
  Shell("nft flush set bridge podroute-cni checked");
  std::string said = check();
  EXPECT_TRUE(Has(said, R"("code":103)")) << said;
  EXPECT_TRUE(Has(said, "does not hold " + HostVethName({"a", "eth0"}))) << said;
  Shell("nft delete table bridge podroute-cni");
  EXPECT_TRUE(Has(check(), R"("code":103)")) << check();
}

}  // namespace
}  // namespace podroute
