// The agent's table in a kernel, and who may change it.
#include "routing/masquerade_table.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <memory>
#include <string>
#include <vector>

#include "routing/nft_monitor.h"
#include "routing/nft_table.h"
#include "tests/lab/netns.h"

namespace podroute {
namespace {

Masquerading Make(const std::string& pods, const std::string& direct) {
  return MakeMasquerading(ParsePrefixList(pods).value(), ParsePrefixList(direct).value());
}

const Masquerading& Usual() {
  static const auto& usual =
      *new Masquerading(Make("10.244.1.0/24,fd01::/64", "10.244.0.0/16,fd01::/48"));
  return usual;
}

class MasqueradeTableTest : public ::testing::Test {
 protected:
  void SetUp() override {
    PODROUTE_ENTER_NETNS_OR_SKIP();
    Result<std::unique_ptr<NetlinkSocket>> socket = NetlinkSocket::Create(NETLINK_NETFILTER);
    if (!socket.ok() || TryShell("nft list tables") != 0) GTEST_SKIP() << "no nftables here";
    socket_ = std::move(*socket);
    table_ = std::make_unique<MasqueradeTable>(*socket_);
  }

  void Write(const Masquerading& wanted) {
    Status written = table_->Write(Read(), wanted);
    ASSERT_TRUE(written.ok()) << written.message();
  }
  MasqueradeState Read() {
    Result<MasqueradeState> state = table_->Read();
    EXPECT_TRUE(state.ok()) << state.status().message();
    return state.ok() ? *state : MasqueradeState();
  }

  std::unique_ptr<NetlinkSocket> socket_;
  std::unique_ptr<MasqueradeTable> table_;
};

TEST_F(MasqueradeTableTest, NftShowsIt) {
  Write(Usual());
  // Some versions call 120 by the name, some do not.
  EXPECT_EQ(Shell("nft list table inet podroute | sed 's/srcnat + 20/120/' | "
                  "tr -s '[:space:]' ' '"),
            "table inet podroute { "
            "comment \"podroute: pods' traffic to outside gets the node's address\" "
            "set pods4 { type ipv4_addr flags interval elements = { 10.244.1.0/24 } } "
            "set unmasqueraded4 { type ipv4_addr flags interval "
            "elements = { 10.244.0.0/16, 169.254.0.0/16, 224.0.0.0/4, 255.255.255.255 } } "
            "set pods6 { type ipv6_addr flags interval elements = { fd01::/64 } } "
            "set unmasqueraded6 { type ipv6_addr flags interval "
            "elements = { fd01::/48, fe80::/10, ff00::/8 } } "
            "chain postrouting { type nat hook postrouting priority 120; policy accept; "
            "ip saddr @pods4 ip daddr != @unmasqueraded4 fib saddr type != local masquerade "
            "fully-random "
            "ip6 saddr @pods6 ip6 daddr != @unmasqueraded6 fib saddr type != local masquerade "
            "fully-random } } ");
  EXPECT_EQ(TryShell("nft -j list ruleset >/dev/null"), 0);
  // What nft(8) lists it takes back, and then nothing has changed.
  Shell("nft list ruleset >ruleset && nft flush ruleset && nft -f ruleset; rm ruleset");
  EXPECT_TRUE(Read().Is(Usual()));
}

TEST_F(MasqueradeTableTest, WhatWasWrittenIsRead) {
  EXPECT_FALSE(Read().there);
  for (const Masquerading& wanted :
       {Usual(), Make("10.244.1.0/24", "0.0.0.0/0"), Make("fd01::/64", "::/0"), Make("", ""),
        Make("10.244.1.0/24,10.9.0.0/24", "10.244.0.0/24,10.244.1.0/24,10.244.3.0/24")}) {
    Write(wanted);
    MasqueradeState state = Read();
    EXPECT_TRUE(state.there);
    EXPECT_TRUE(state.sound);
    EXPECT_TRUE(state.content == wanted);
  }
}

TEST_F(MasqueradeTableTest, AsManyNetworksAsALargeClusterHas) {
  std::vector<IpPrefix> networks;
  for (uint32_t i = 0; i < 15000; ++i) {
    networks.push_back(IpPrefix::Of(IpAddress::V4(0x0a000000 + (i << 9)), 24));  // None touches.
  }
  Masquerading wanted = MakeMasquerading({networks[0]}, networks);
  ASSERT_GT(wanted.unmasqueraded.size(), 15000u);
  Write(wanted);
  EXPECT_TRUE(Read().Is(wanted));
}

TEST_F(MasqueradeTableTest, WhateverSomebodyEditsIsSeenAndReplaced) {
  const std::string kRule =
      "ip saddr @pods4 ip daddr != @unmasqueraded4 fib saddr type != local masquerade fully-random";
  const std::string kRule6 =
      "ip6 saddr @pods6 ip6 daddr != @unmasqueraded6 fib saddr type != local masquerade "
      "fully-random";
  auto with_chain = [&](const std::string& head, const std::string& first,
                        const std::string& second) {
    return "nft delete chain inet podroute postrouting && nft 'table inet podroute { chain "
           "postrouting { " +
           head + "; " + first + "; " + second + "; }; }'";
  };
  const std::string kHead = "type nat hook postrouting priority 120";
  const std::vector<std::string> kEdits = {
      "nft delete table inet podroute",
      "nft flush ruleset",
      "nft flush table inet podroute",
      "nft add rule inet podroute postrouting counter",
      "nft insert rule inet podroute postrouting accept",
      "nft add set inet podroute more '{ type ipv4_addr; }'",
      "nft add chain inet podroute more",
      "nft add table inet podroute '{ flags dormant; }'",
      "nft add element inet podroute pods4 '{ 10.9.0.0/24 }'",
      "nft add element inet podroute unmasqueraded6 '{ 2000::/3 }'",
      "nft delete element inet podroute unmasqueraded4 '{ 10.244.0.0/16 }'",
      "nft flush set inet podroute pods6",
      "nft chain inet podroute postrouting '{ policy drop; }'",
      "nft delete chain inet podroute postrouting",
      with_chain("type nat hook postrouting priority 121", kRule, kRule6),
      with_chain("type nat hook input priority 120", "accept", "accept"),
      with_chain("type filter hook postrouting priority 120", "accept", "accept"),
      with_chain(kHead, kRule6, kRule),
      with_chain(kHead, kRule, kRule),
      with_chain(kHead, kRule, "counter " + kRule6),
      with_chain(kHead, kRule, "policy accept"),
      with_chain(kHead, "ip saddr @pods4 masquerade fully-random", kRule6),
      with_chain(kHead, "ip saddr != @pods4" + kRule.substr(15), kRule6),
      with_chain(kHead, kRule.substr(0, kRule.rfind(" fully")), kRule6),
      with_chain(kHead, kRule + ",persistent", kRule6),
      with_chain(kHead,
                 "meta l4proto tcp " + kRule.substr(0, kRule.rfind(" fully")) +
                     " to :1000-2000 fully-random",
                 kRule6),
      "nft delete table inet podroute && nft add table inet podroute",
  };
  for (const std::string& edit : kEdits) {
    Write(Usual());
    ASSERT_TRUE(Read().Is(Usual()));
    auto monitor = NftMonitor::Create(kMasqueradeTable, socket_->port_id());
    ASSERT_TRUE(monitor.ok()) << monitor.status().message();
    ASSERT_EQ(TryShell(edit), 0) << edit;
    EXPECT_FALSE(Read().Is(Usual())) << edit;
    EXPECT_TRUE((*monitor)->Drain().value()) << edit;
  }
  // The same, made anew, is as it should be.
  Write(Usual());
  Shell(with_chain(kHead, kRule, kRule6));
  EXPECT_TRUE(Read().Is(Usual()));
}

// Neither is it replaced: its handle stays.
TEST_F(MasqueradeTableTest, OtherNetworksChangeNothingButTheSets) {
  Write(Usual());
  const std::string chain = Shell("nft -a list chain inet podroute postrouting");
  for (const Masquerading& wanted :
       {Make("10.244.2.0/24", "10.0.0.0/8"), Make("10.244.2.0/23,fd02::/64", "10.0.0.0/7,::/0"),
        Make("10.244.3.0/24,fd02::/64", "0.0.0.0/0,fd00::/9"),
        Make("10.244.3.0/24", "240.0.0.0/4,10.0.0.0/9,10.200.0.0/16"), Usual()}) {
    Write(wanted);
    EXPECT_TRUE(Read().Is(wanted));
    EXPECT_EQ(Shell("nft -a list chain inet podroute postrouting"), chain);
  }
}

// The same networks in other elements: nft(8) leaves ranges apart that touch.
TEST_F(MasqueradeTableTest, WhatSaysTheSameInOtherElementsCanBeChanged) {
  Write(Make("10.244.0.0/23", ""));
  Shell(
      "nft 'flush set inet podroute pods4; "
      "add element inet podroute pods4 { 10.244.0.0/24, 10.244.1.0/24 }'");
  ASSERT_TRUE(Read().Is(Make("10.244.0.0/23", "10.244.0.0/23")));
  Write(Usual());
  EXPECT_TRUE(Read().Is(Usual()));
}

TEST_F(MasqueradeTableTest, AnotherFamilysTableOfThatNameIsNotOurs) {
  Shell("nft add table ip podroute; nft add chain ip podroute postrouting");
  EXPECT_FALSE(Read().there);
  Write(Usual());
  EXPECT_TRUE(Read().Is(Usual()));
  EXPECT_TRUE(RemoveNftTable(kMasqueradeTable).value());
  EXPECT_FALSE(RemoveNftTable(kMasqueradeTable).value());
  EXPECT_EQ(Shell("nft list tables"), "table ip podroute\n");
}

TEST_F(MasqueradeTableTest, AWriteThatIsRefusedChangesNothing) {
  Write(Usual());
  const std::string before = Shell("nft list ruleset");
  Masquerading wrong = Usual();
  wrong.pods.push_back(wrong.pods[0]);  // The kernel takes no ranges that overlap.
  EXPECT_FALSE(table_->Write(Read(), wrong).ok());
  EXPECT_EQ(Shell("nft list ruleset"), before);
  EXPECT_TRUE(Read().Is(Usual()));
}

TEST_F(MasqueradeTableTest, WhatOthersDoToTheirTablesWakesNobody) {
  // What a socket's filter may take where nobody has raised it (each namespace's since Linux 6.8).
  TryShell("sysctl -qw net.core.optmem_max=20480 2>/dev/null");
  auto monitor = NftMonitor::Create(kMasqueradeTable, socket_->port_id());
  ASSERT_TRUE(monitor.ok()) << monitor.status().message();
  auto readable = [&] {
    pollfd wait{(*monitor)->fd(), POLLIN, 0};
    return poll(&wait, 1, 0) == 1;
  };
  Write(Usual());
  Shell(
      "set -e; nft add table ip kube-proxy; nft add chain ip kube-proxy services;"
      "nft add rule ip kube-proxy services counter; nft add table ip podrouter;"
      "nft add table inet podroute-cni; nft add chain inet podroute-cni postrouting;"
      "nft 'table ip nat { set a { type ipv4_addr; elements = { 10.0.0.1 } }; "
      "chain b { counter; counter; }; }'; nft delete table ip nat");
  EXPECT_FALSE(readable());
  Write(Make("10.244.2.0/24", ""));
  EXPECT_FALSE(readable());
  // One transaction of theirs in which ours comes last, and a long one.
  std::string rules;
  for (int i = 0; i < 100; ++i) rules += "add rule ip kube-proxy services counter\n";
  Shell("nft '" + rules + "'");
  EXPECT_FALSE((*monitor)->Drain().value());
  Shell("nft 'add table ip a\nadd chain ip a b\nadd rule ip a b counter\n" + rules +
        "add rule inet podroute postrouting counter'");
  ASSERT_TRUE(readable());
  EXPECT_TRUE((*monitor)->Drain().value());
  EXPECT_FALSE(readable());
  Shell("nft 'add table ip c\nadd chain ip c b\nadd rule inet podroute postrouting counter'");
  ASSERT_TRUE(readable());
  EXPECT_TRUE((*monitor)->Drain().value());
}

TEST_F(MasqueradeTableTest, NotificationsThatAreLostAreAHint) {
  auto monitor = NftMonitor::Create(kMasqueradeTable, socket_->port_id());
  ASSERT_TRUE(monitor.ok()) << monitor.status().message();
  int bytes = 0;  // The least that the kernel allows.
  ASSERT_EQ(setsockopt((*monitor)->fd(), SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes), 0);
  Shell("nft 'table inet podroute { chain a { counter; }; }'");
  std::string rules;
  for (int i = 0; i < 500; ++i) rules += "add rule inet podroute a counter\n";
  Shell("nft '" + rules + "'");
  EXPECT_TRUE((*monitor)->Drain().value());
  EXPECT_FALSE((*monitor)->Drain().value());
}

}  // namespace
}  // namespace podroute
