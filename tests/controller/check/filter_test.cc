// Filters that the kernel really has, made with nft and iptables, read and traced.
#include <gtest/gtest.h>

#include <string>
#include <tuple>
#include <vector>

#include "controller/check/facts.h"
#include "controller/check/filter_reader.h"
#include "controller/check/gather_filter.h"
#include "controller/check/nft_library.h"
#include "controller/check/rules.h"
#include "tests/lab/netns.h"

namespace podroute {
namespace {

IpPrefix P(const char* text) { return IpPrefix::Parse(text).value(); }

CheckFacts NodeFacts() {
  CheckFacts facts;
  facts.cluster_cidrs = {P("10.244.0.0/16"), P("fd00:10:244::/48")};
  HostFacts& host = facts.host.emplace();
  host.uplinks = {"eth0"};
  host.pod_cidrs = {P("10.244.2.0/24"), P("fd00:10:244:2::/64")};
  host.pod_networks = {P("10.244.1.0/24"), P("10.244.2.0/24"), P("fd00:10:244:1::/64"),
                       P("fd00:10:244:2::/64")};
  return facts;
}

std::vector<Finding> Check(CheckFacts facts) {
  std::vector<Skipped> skipped;
  GatherFilter(&*facts.host, &skipped);
  for (const Skipped& one : skipped) ADD_FAILURE() << one.what << ": " << one.why;
  std::vector<Finding> findings;
  CheckFilter(facts, &findings);
  return findings;
}

std::string Show(const std::vector<Finding>& findings) {
  std::string all;
  for (const Finding& finding : findings) {
    all +=
        (all.empty() ? "" : " ") + finding.id + (finding.severity == Severity::kError ? "!" : "");
  }
  return all;
}

// In a forward chain of nft's with that policy.
std::string Forward(const std::string& rules, const std::string& policy = "accept") {
  return "nft -f - <<'END'\ntable inet t { set pods { type ipv4_addr; flags interval; elements = "
         "{ 10.244.0.0/16 }; }\n chain other { }\n chain dropping { drop; }\n chain accepting { "
         "ip saddr 10.244.0.0/16 accept; ip6 saddr fd00:10:244::/48 accept; }\n chain f { type "
         "filter hook forward priority 0; policy " +
         policy + ";\n" + rules + "\n}\n}\nEND\n";
}

struct Case {
  std::string commands;
  std::string expected;  // "!": an error.
};

void CheckCases(const std::vector<Case>& cases) {
  for (const Case& c : cases) {
    PODROUTE_ENTER_NETNS_OR_SKIP();
    Shell(c.commands);
    std::vector<Finding> findings = Check(NodeFacts());
    EXPECT_EQ(Show(findings), c.expected) << c.commands;
    for (const Finding& finding : findings) {
      EXPECT_EQ(TryShell(finding.mend), 0) << finding.mend << "\n" << c.commands;
    }
    // What the commands mend is mended.
    EXPECT_EQ(Show(Check(NodeFacts())), "") << c.commands;
  }
}

TEST(CheckFilterTest, NftRules) {
  const std::string rule = "ForwardRuleDrops!", policy = "ForwardPolicyDrop!";
  CheckCases({
      {"true", ""},
      {Forward(""), ""},
      {Forward("", "drop"), policy},
      {Forward("drop"), rule},
      {Forward("counter log reject"), rule},
      {Forward("ct state vmap { established : accept, related : accept, invalid : drop }"), ""},
      {Forward("ct state new drop"), rule},
      {Forward("ct state established,related accept", "drop"), policy},
      {Forward("tcp dport 22 accept; tcp dport { 80, 443 } accept; icmp type echo-request accept",
               "drop"),
       policy},
      {Forward("ip saddr 10.244.0.0/16 accept; ip6 saddr fd00:10:244::/48 accept", "drop"), ""},
      {Forward("ip saddr @pods accept; ip6 saddr fd00:10:244::/48 accept", "drop"), ""},
      {Forward("ip saddr 10.244.0.0/16 accept", "drop"), policy},  // IPv6 is not.
      {Forward("jump accepting", "drop"), ""},
      {Forward("goto accepting", "drop"), ""},
      {Forward("iifname \"cni0\" accept; oifname \"cni*\" accept", "drop"), ""},
      {Forward("iifname { \"cni0\", \"eth0\" } accept", "drop"), ""},
      {Forward("iifname cni0 accept", "drop"), policy},  // What comes in is not.
      {Forward("iifname cni0 drop"), rule},
      {Forward("oifname \"cni*\" reject"), rule},
      {Forward("iifname eth0 oifname cni0 drop"), rule},
      {Forward("iifname != { \"cni0\", \"eth0\" } drop"), ""},
      {Forward("iifname docker0 drop; oifname \"virbr*\" reject"), ""},
      {Forward("iifname vmap { \"eth0\" : jump other, \"cni0\" : drop }"), rule},
      {Forward("ip daddr 10.244.1.0/24 drop"), rule},
      {Forward("ip daddr { 10.244.1.7, 192.0.2.1 } drop"), rule},
      {Forward("ip saddr 10.244.1.200-10.244.3.1 drop"), rule},
      {Forward("ip saddr @pods drop"), rule},
      {Forward("ip saddr vmap { 10.244.0.0/16 : goto dropping }"), rule},
      {Forward("ip6 daddr fd00:10:244:1::/64 drop"), rule},
      {Forward("ip saddr 172.16.0.0/12 drop; ip daddr 192.0.2.0/24 reject"), ""},
      {Forward("ip saddr != { 10.0.0.0/8, 192.168.0.0/16 } drop"), ""},
      {Forward("ip saddr != 192.168.0.0/16 drop"), rule},
      {Forward("jump dropping"), rule},
      {Forward("ip saddr 10.244.2.0/24 jump dropping"), rule},
      {Forward("accept; drop"), ""},
      {Forward("return; drop"), ""},
      {Forward("iifname { \"cni0\", \"eth0\" } return", "drop"), policy},
      {Forward("meta nfproto ipv6 drop"), rule},
      {Forward("meta l4proto tcp drop"), rule},
      {Forward("tcp dport 25 drop; udp dport { 53, 5353 } drop; tcp flags & (syn|ack) == syn tcp "
               "dport 22 drop"),
       ""},
      {Forward("ip saddr . ip daddr { 10.244.2.2 . 10.244.1.2 } drop"), ""},  // Not understood.
      {Forward("meta mark & 0x4000 == 0x4000 accept; ct status dnat accept", "drop"), policy},
      {Forward("fib daddr type local drop; meta mark 0x8000 drop"), ""},
      {Forward("limit rate 10/second accept; ip saddr 10.244.0.0/16 drop"), "ForwardRuleDrops"},
      {Forward("ip daddr 10.244.1.0/25 accept; iifname eth0 accept; ip6 saddr fd00::/8 accept",
               "drop"),
       "ForwardPolicyDrop"},
      {"nft 'table ip raw2 { chain p { type filter hook prerouting priority raw; ip saddr "
       "10.244.0.0/16 drop; }; }'",
       rule},
      {"nft 'table inet out { chain p { type filter hook postrouting priority 0; oifname cni0 "
       "drop; }; }'",
       rule},
      {"nft 'table ip nat2 { chain p { type nat hook prerouting priority -90; ip saddr "
       "10.244.0.0/16 drop; }; }'",
       rule},
      {"nft 'table bridge b { chain i { type filter hook input priority 0; ip saddr 10.244.2.0/24 "
       "drop; }; }'",
       rule},
      // Between the ports of a bridge.
      {"nft 'table bridge b { chain f { type filter hook forward priority 0; policy drop; }; }'",
       ""},
      {"nft 'table inet in { chain i { type filter hook input priority 0; policy drop; }; chain o "
       "{ "
       "type filter hook output priority 0; policy drop; }; }'",
       ""},
  });
}

TEST(CheckFilterTest, IptablesRules) {
  const std::string rule = "ForwardRuleDrops!", policy = "ForwardPolicyDrop!";
  for (const std::string t : {"iptables-nft ", "iptables-legacy "}) {
    PODROUTE_ENTER_NETNS_OR_SKIP();
    if (TryShell(t + "-S >/dev/null 2>&1") != 0) continue;  // This kernel has not both.
    const std::string a = t + "-A FORWARD ";
    CheckCases({
        {t + "-P FORWARD DROP", policy},
        {t + "-P FORWARD ACCEPT", ""},
        {a + "-s 10.244.0.0/16 -j DROP", rule},
        {a + "-s 10.244.0.0/16 -j REJECT --reject-with icmp-admin-prohibited", rule},
        {a + "-i cni0 -j DROP", rule},
        {a + "-o cni+ -j REJECT", rule},
        {a + "-m comment --comment 'no \"pods\" $(please) `now`' -d 10.244.1.0/24 -j DROP", rule},
        {a + "! -s 10.244.0.0/16 -o cni0 -j DROP", ""},
        {a + "! -i eth0 -o cni0 -j DROP", ""},
        {a + "-i docker0 -j DROP", ""},
        {a + "-p tcp --dport 25 -j DROP", ""},
        {a + "-p udp -j DROP", rule},
        {a + "-m conntrack --ctstate INVALID -j DROP", ""},
        {a + "-m iprange --src-range 10.244.2.9-10.244.2.10 -j DROP", rule},
        {t + "-t mangle -A PREROUTING -i eth0 -d 10.244.2.0/24 -j DROP", rule},
        {t + "-t raw -A PREROUTING -s 10.244.1.0/24 -j DROP", rule},
        {t + "-N DOCKER-USER; " + a + "-j DOCKER-USER; " + t +
             "-A DOCKER-USER -s 10.244.2.0/24 -j DROP; " + t + "-A DOCKER-USER -j RETURN",
         rule},
        // As with Docker and kube-proxy.
        {t + "-P FORWARD DROP; " + t + "-N KUBE-FORWARD; " + a + "-j KUBE-FORWARD; " + t +
             "-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP; " + t +
             "-A KUBE-FORWARD -m comment --comment k -m mark --mark 0x4000/0x4000 -j ACCEPT; " + t +
             "-A KUBE-FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT; " + a +
             "-o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT; " + a +
             "-i docker0 ! -o docker0 -j ACCEPT",
         policy},
        {t + "-P FORWARD DROP; " + a + "-s 10.244.0.0/16 -j ACCEPT", ""},
        {t + "-P FORWARD DROP; " + a + "-i cni0 -j ACCEPT; " + a +
             "-o cni0 -m conntrack --ctstate NEW,ESTABLISHED -j ACCEPT",
         ""},
        {t + "-P FORWARD DROP; " + a + "-i cni0 -j ACCEPT; " + a +
             "-o cni0 -m owner -j ACCEPT 2>/dev/null || true; " + a +
             "-o cni0 -m length --length 0:9000 -j ACCEPT",
         "ForwardPolicyDrop"},
    });
  }
}

TEST(CheckFilterTest, OthersThatMasqueradeBetweenPodsAreFound) {
  const std::string found = "MasqueradedByOthers";
  const std::string chain =
      "nft -f - <<'END'\ntable inet m { chain c { type nat hook postrouting priority srcnat;\n";
  const std::string end = "\n}\n}\nEND\n";
  std::vector<Case> cases = {
      {chain + "masquerade" + end, found},
      {chain + "oifname eth0 masquerade fully-random" + end, found},
      {chain + "ip saddr 10.244.2.0/24 snat ip to 192.168.0.2" + end, found},
      {chain + "ip saddr 10.244.2.0/24 ip daddr != 10.244.0.0/16 masquerade" + end, ""},
      {chain + "oifname docker0 masquerade" + end, ""},
      {chain + "ip saddr 172.17.0.0/16 masquerade" + end, ""},
      {chain + "ip daddr { 10.244.0.0/16, 224.0.0.0/4 } return; ip saddr 10.0.0.0/8 masquerade" +
           end,
       ""},
      // kube-proxy's.
      {chain + "mark and 0x4000 == 0 return; mark set mark xor 0x4000; masquerade fully-random" +
           end,
       ""},
      {"nft 'table inet podroute { chain c { type nat hook postrouting priority 120; masquerade; "
       "}; "
       "}'",
       ""},
  };
  for (const std::string t : {"iptables-nft -t nat ", "iptables-legacy -t nat "}) {
    PODROUTE_ENTER_NETNS_OR_SKIP();
    if (TryShell(t + "-S >/dev/null 2>&1") != 0) continue;
    const std::string a = t + "-A POSTROUTING ";
    const std::string kube = t + "-N KUBE-POSTROUTING; " + a + "-j KUBE-POSTROUTING; " + t +
                             "-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN; " + t +
                             "-A KUBE-POSTROUTING -j MARK --xor-mark 0x4000; " + t +
                             "-A KUBE-POSTROUTING -j MASQUERADE --random-fully";
    cases.insert(cases.end(), {{a + "-o eth0 -j MASQUERADE", found},
                               {a + "-s 10.244.0.0/16 -j MASQUERADE --random-fully", found},
                               {a + "-s 10.244.0.0/16 ! -d 10.244.0.0/16 -j MASQUERADE", ""},
                               {a + "-s 172.17.0.0/16 ! -o docker0 -j MASQUERADE", ""},
                               {kube, ""}});
  }
  CheckCases(cases);
}

TEST(CheckFilterTest, KubeProxyIsKnownInEachOfItsModes) {
  for (const char* command :
       {"iptables-nft -t nat -N KUBE-SERVICES", "nft add table ip kube-proxy"}) {
    PODROUTE_ENTER_NETNS_OR_SKIP();
    HostFacts host;
    std::vector<Skipped> skipped;
    GatherFilter(&host, &skipped);
    EXPECT_FALSE(host.kube_proxy_rules);
    Shell(command);
    GatherFilter(&host, &skipped);
    EXPECT_TRUE(host.kube_proxy_rules) << command;
  }
}

TEST(CheckFilterTest, WithoutTheNodesAPolicyIsStillFound) {
  PODROUTE_ENTER_NETNS_OR_SKIP();
  CheckFacts facts;
  facts.host.emplace();
  Shell(
      "nft 'table ip t { chain f { type filter hook forward priority 0; policy drop; ip saddr "
      "10.0.0.0/8 drop; }; }'");
  EXPECT_EQ(Show(Check(facts)), "ForwardPolicyDrop!");
}

TEST(CheckFilterTest, ARulesetThatIsNoneIsAnError) {
  RulesetRead read;
  EXPECT_FALSE(ReadNftRuleset("[]", &read).ok());
  EXPECT_FALSE(ReadNftRuleset("{", &read).ok());
  EXPECT_TRUE(ReadNftRuleset(R"({"nftables":[{"rule":{"expr":[{"match":{}}]}},{}]})", &read).ok());
}

// By br_netfilter, which is there or not.
TEST(CheckFilterTest, WhatPodsOfOneNodeSendEachOtherIsForwardedToo) {
  const std::string between =
      "nft 'table inet t { chain f { type filter hook forward priority 0; iifname cni0 oifname "
      "cni0 "
      "drop; }; }'";
  const std::string by_bridge =
      "nft 'table bridge b { chain f { type filter hook forward priority 0; policy drop; }; }'";
  const std::string bridged =
      "iptables-nft -A FORWARD -i cni0 -o cni0 -m physdev --physdev-is-bridged -j DROP";
  for (const auto& [commands, netfilter, expected] :
       {std::tuple{between, "1", "ForwardRuleDrops!"}, std::tuple{between, "0", ""},
        std::tuple{bridged, "1", "ForwardRuleDrops!"}, std::tuple{bridged, "0", ""},
        std::tuple{by_bridge, "1", "ForwardPolicyDrop!"},
        std::tuple{by_bridge, "0", "ForwardPolicyDrop!"}}) {
    PODROUTE_ENTER_NETNS_OR_SKIP();
    Shell(commands);
    CheckFacts facts = NodeFacts();
    facts.host->bridge_ports = {"veth1", "veth2"};
    facts.host->sysctls["net/bridge/bridge-nf-call-iptables"] = netfilter;
    facts.host->sysctls["net/bridge/bridge-nf-call-ip6tables"] = netfilter;
    EXPECT_EQ(Show(Check(facts)), expected) << commands << netfilter;
  }
}

TEST(CheckFilterTest, ADormantTableDropsNothing) {
  PODROUTE_ENTER_NETNS_OR_SKIP();
  const std::string chain =
      " { chain f { type filter hook forward priority 0; policy drop; }; }'; ";
  Shell("nft 'table inet asleep" + chain + "nft 'table inet awake" + chain +
        "nft 'add table inet asleep { flags dormant; }'");
  std::vector<Finding> findings = Check(NodeFacts());
  ASSERT_EQ(Show(findings), "ForwardPolicyDrop!");
  EXPECT_NE(findings[0].what.find("inet awake f"), std::string::npos) << findings[0].what;
}

TEST(CheckFilterTest, ATableWhoseNameCannotBeSaidLeavesTheOthersReadable) {
  EXPECT_EQ(ListNftTable("inet", "a b; flush ruleset").status().code(),
            StatusCode::kInvalidArgument);
}

// Chains that jump to each other's next in many rules.
TEST(CheckFilterTest, ManyWaysThroughManyChainsAreWalkedOnce) {
  FilterChains chains;
  for (int i = 0; i < 16; ++i) {
    FilterChain& chain = chains[{"t", std::to_string(i)}];
    chain.base = i == 0;
    for (int j = 0; j < 100; ++j) {
      FilterRule rule;
      rule.verdict = i == 15 ? FilterVerdict::kContinue : FilterVerdict::kJump;
      rule.target = std::to_string(i + 1);
      chain.rules.push_back(rule);
    }
  }
  EXPECT_TRUE(TraceFlow(chains, {}).empty());
}

}  // namespace
}  // namespace podroute
