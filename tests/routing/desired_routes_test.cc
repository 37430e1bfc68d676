#include "routing/desired_routes.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <random>

namespace podroute {
namespace {

// Owns the strings that NodeInfo only looks at.
struct TestNode {
  std::string name;
  int64_t created = 100;
  std::vector<std::string> cidrs;
  std::vector<std::string> internal;
  std::vector<std::string> external = {};
  bool name_too_long = false;
  bool too_many_addresses = false;
  bool too_many_cidrs = false;
};

std::vector<NodeInfo> Infos(const std::vector<TestNode>& nodes) {
  std::vector<NodeInfo> infos;
  for (const TestNode& node : nodes) {
    NodeInfo info;
    info.name = node.name;
    info.creation_seconds = node.created;
    info.pod_cidrs = node.cidrs;
    info.internal_ips = node.internal;
    info.external_ips = node.external;
    info.name_too_long = node.name_too_long;
    info.too_many_addresses = node.too_many_addresses;
    info.too_many_pod_cidrs = node.too_many_cidrs;
    infos.push_back(info);
  }
  return infos;
}

LocalNetwork Worker1() {
  LocalNetwork local;
  local.links = {{1, "lo", true, true}, {2, "eth0", true, false}, {3, "cni0", true, false}};
  auto add = [&](int ifindex, const std::string& address, int length) {
    IpAddress ip = IpAddress::Parse(address).value();
    local.addresses.push_back({ifindex, ip, IpPrefix::Of(ip, length)});
  };
  add(1, "127.0.0.1", 8);
  add(2, "192.168.0.2", 24);
  add(2, "fd00:192:168::2", 64);
  add(3, "10.244.2.1", 24);
  return local;
}

std::vector<TestNode> Cluster() {
  return {{"master1", 1, {"10.244.1.0/24"}, {"192.168.0.1"}},
          {"worker1", 2, {"10.244.2.0/24"}, {"192.168.0.2"}},
          {"worker2", 3, {"10.244.3.0/24"}, {"192.168.0.3"}}};
}

std::string Text(const DesiredResult& result) {
  std::string out;
  for (const Route& route : result.routes) {
    out += route.dst.ToString() + " via " + route.via.gateway.ToString();
    if (!route.dev.empty()) out += " dev " + route.dev;
    out += " of " + route.node + "\n";
  }
  for (const Refusal& refusal : result.refused) {
    out += "refused " + refusal.node + " " + refusal.cidr + " " +
           std::string(RefusalReasonName(refusal.reason)) + "\n";
  }
  return out;
}

std::string OnWorker1(const std::vector<TestNode>& nodes, DesiredOptions options = {},
                      const LocalNetwork& local = Worker1()) {
  if (options.self.empty()) options.self = "worker1";
  return Text(DesiredRoutes(Infos(nodes), local, options));
}

const char kOthers[] =
    "10.244.1.0/24 via 192.168.0.1 dev eth0 of master1\n"
    "10.244.3.0/24 via 192.168.0.3 dev eth0 of worker2\n";

TEST(DesiredRoutesTest, OneRouteForEachOtherNode) { EXPECT_EQ(OnWorker1(Cluster()), kOthers); }

TEST(DesiredRoutesTest, ARouterHasNoSelf) {
  DesiredResult result = DesiredRoutes(Infos(Cluster()), std::nullopt, {});
  EXPECT_EQ(Text(result),
            "10.244.1.0/24 via 192.168.0.1 of master1\n"
            "10.244.2.0/24 via 192.168.0.2 of worker1\n"
            "10.244.3.0/24 via 192.168.0.3 of worker2\n");
}

TEST(DesiredRoutesTest, Rule9Ipv4AndIpv6AreTheSameCode) {
  std::vector<TestNode> nodes = Cluster();
  nodes[0].cidrs.push_back("fd00:10:244:1::/64");
  nodes[0].internal.push_back("fd00:192:168::1");
  EXPECT_EQ(OnWorker1(nodes),
            "10.244.1.0/24 via 192.168.0.1 dev eth0 of master1\n"
            "10.244.3.0/24 via 192.168.0.3 dev eth0 of worker2\n"
            "fd00:10:244:1::/64 via fd00:192:168::1 dev eth0 of master1\n");
}

TEST(DesiredRoutesTest, TheOrderOfTheInputDoesNotMatter) {
  std::vector<TestNode> nodes = Cluster();
  nodes.push_back({"worker9", 9, {"10.244.1.0/24"}, {"192.168.0.9"}});
  std::string expected = OnWorker1(nodes);
  std::mt19937 random(1);
  for (int i = 0; i < 50; ++i) {
    std::shuffle(nodes.begin(), nodes.end(), random);
    EXPECT_EQ(OnWorker1(nodes), expected);
  }
}

// Each hostile or broken node is refused for its own reason, and nobody else loses anything.
TEST(DesiredRoutesTest, Rule6NodesAreInputNotTruth) {
  struct Case {
    TestNode node;
    std::string reason;
  };
  const std::vector<Case> cases = {
      {{"x", 9, {"0.0.0.0/0"}, {"192.168.0.9"}}, "TooWide"},
      {{"x", 9, {"::/0"}, {"192.168.0.9"}}, "TooWide"},
      {{"x", 9, {"11.0.0.0/7"}, {"192.168.0.9"}}, "MalformedPrefix"},
      {{"x", 9, {"12.0.0.0/7"}, {"192.168.0.9"}}, "TooWide"},
      {{"x", 9, {"fd00::/31"}, {"192.168.0.9"}}, "TooWide"},
      {{"x", 9, {"10.244.9.0"}, {"192.168.0.9"}}, "MalformedPrefix"},
      {{"x", 9, {"10.244.9.7/24"}, {"192.168.0.9"}}, "MalformedPrefix"},
      {{"x", 9, {"garbage"}, {"192.168.0.9"}}, "MalformedPrefix"},
      {{"x", 9, {""}, {"192.168.0.9"}}, "MalformedPrefix"},
      {{"x", 9, {std::string(1 << 20, 'a')}, {"192.168.0.9"}}, "MalformedPrefix"},
      {{"x", 9, {"127.1.0.0/16"}, {"192.168.0.9"}}, "ReservedPrefix"},
      {{"x", 9, {"169.254.0.0/24"}, {"192.168.0.9"}}, "ReservedPrefix"},
      {{"x", 9, {"224.1.0.0/24"}, {"192.168.0.9"}}, "ReservedPrefix"},
      {{"x", 9, {"fe80::/64"}, {"192.168.0.9"}}, "ReservedPrefix"},
      {{"x", 9, {"ff02::/64"}, {"192.168.0.9"}}, "ReservedPrefix"},
      {{"x", 9, {"192.168.0.0/24"}, {"192.168.0.9"}}, "ContainsNodeAddress"},
      {{"x", 9, {"192.168.0.0/16"}, {"192.168.0.9"}}, "ContainsNodeAddress"},
      {{"x", 9, {"192.168.0.1/32"}, {"192.168.0.9"}}, "ContainsNodeAddress"},
      {{"x", 9, {"192.168.0.128/25"}, {"192.168.0.9"}}, "InsideConnectedSubnet"},
      {{"x", 9, {"fd00:192:168::/64"}, {"192.168.0.9"}}, "ContainsConnectedSubnet"},
      {{"x", 9, {"10.244.9.0/24"}, {"10.244.9.1"}}, "ContainsNodeAddress"},
      {{"x", 9, {"172.16.0.0/24"}, {"192.168.0.9"}}, "ContainsAPIServer"},
      {{"x", 9, {"10.244.1.0/24"}, {"192.168.0.9"}}, "OverlapsNode"},
      {{"x", 9, {"10.244.1.128/25"}, {"192.168.0.9"}}, "OverlapsNode"},
      {{"x", 9, {"10.244.0.0/16"}, {"192.168.0.9"}}, "OverlapsNode"},
      {{"x", 9, {"10.244.2.0/24"}, {"192.168.0.9"}}, "OverlapsNode"},
      {{"x", 9, {"10.244.9.0/24"}, {}}, "NoAddress"},
      {{"x", 9, {"10.244.9.0/24"}, {"nonsense"}}, "NoAddress"},
      {{"x", 9, {"10.244.9.0/24"}, {"0.0.0.0"}}, "NoAddress"},
      {{"x", 9, {"10.244.9.0/24"}, {"127.0.0.1"}}, "NoAddress"},
      {{"x", 9, {"10.244.9.0/24"}, {"192.168.0.0"}}, "NextHopNotConnected"},
      {{"x", 9, {"10.244.9.0/24"}, {"192.168.0.255"}}, "NextHopNotConnected"},
      {{"x", 9, {"10.244.9.0/24"}, {"255.255.255.255"}}, "NoAddress"},
      {{"x", 9, {"fd00:10:244:9::/64"}, {"fe80::9"}}, "NoAddress"},
      {{"x", 9, {"10.244.9.0/24"}, {"fd00:192:168::9"}}, "NoAddress"},
      {{"x", 9, {"10.244.9.0/24"}, {"192.168.7.9"}}, "NextHopNotConnected"},
      {{"x", 9, {"10.244.9.0/24"}, {"192.168.0.2"}}, "NextHopIsLocal"},
      {{"x", 9, {}, {"192.168.0.9"}}, "NoPodCIDR"},
      {{"", 9, {"10.244.9.0/24"}, {"192.168.0.9"}}, "InvalidName"},
      {{"Ünïcode", 9, {"10.244.9.0/24"}, {"192.168.0.9"}}, "InvalidName"},
      {{"a\nb", 9, {"10.244.9.0/24"}, {"192.168.0.9"}}, "InvalidName"},
      {{"$(reboot)", 9, {"10.244.9.0/24"}, {"192.168.0.9"}}, "InvalidName"},
      {{"-x", 9, {"10.244.9.0/24"}, {"192.168.0.9"}}, "InvalidName"},
      {{"x-.y", 9, {"10.244.9.0/24"}, {"192.168.0.9"}}, "InvalidName"},
      {{std::string(1 << 20, 'a'), 9, {"10.244.9.0/24"}, {"192.168.0.9"}}, "InvalidName"},
  };
  DesiredOptions options;
  options.self = "worker1";
  options.api_server = {IpAddress::Parse("172.16.0.10").value()};
  for (const Case& c : cases) {
    std::vector<TestNode> nodes = Cluster();
    nodes.push_back(c.node);
    DesiredResult result = DesiredRoutes(Infos(nodes), Worker1(), options);
    std::string what = c.reason + " " + (c.node.cidrs.empty() ? "" : c.node.cidrs[0].substr(0, 40));
    DesiredResult routes_only = result;
    routes_only.refused.clear();
    EXPECT_EQ(Text(routes_only), kOthers) << what;
    ASSERT_EQ(result.refused.size(), 1u) << what;
    EXPECT_EQ(RefusalReasonName(result.refused[0].reason), c.reason) << what;
    EXPECT_LE(result.refused[0].message.size(), 303u) << what;
    EXPECT_EQ(result.refused[0].message.find('\n'), std::string::npos) << what;
  }
}

TEST(DesiredRoutesTest, AHostileNodeThatIsTheOldestTakesNothingFromTheOthers) {
  for (const char* cidr : {"0.0.0.0/0", "192.168.0.0/24", "172.16.0.0/24", "junk", "10.0.0.0/8"}) {
    std::vector<TestNode> nodes = Cluster();
    nodes.push_back({"attacker", 0, {cidr}, {"192.168.0.9"}});
    DesiredOptions options;
    options.self = "worker1";
    options.api_server = {IpAddress::Parse("172.16.0.10").value()};
    DesiredResult result = DesiredRoutes(Infos(nodes), Worker1(), options);
    result.refused.clear();
    EXPECT_EQ(Text(result), kOthers) << cidr;
  }
}

TEST(DesiredRoutesTest, AYoungerNodeCannotTakeARouteAwayByClaimingAnAddressInside) {
  std::vector<TestNode> nodes = Cluster();
  nodes.push_back({"attacker", 9, {"10.244.9.0/24"}, {"10.244.1.7"}, {"10.244.3.7"}});
  EXPECT_EQ(OnWorker1(nodes),
            std::string(kOthers) + "refused attacker 10.244.9.0/24 NextHopNotConnected\n");
}

// Where pods' addresses lie inside a connected subnet, as --cluster_cidr allows, or where no link
// is known, a younger node's word is no better.
TEST(DesiredRoutesTest, NorDoesItHelpTheYoungerNodeThatTheAddressIsOnALink) {
  LocalNetwork local = Worker1();
  IpAddress own = IpAddress::Parse("10.1.1.1").value();
  local.addresses.push_back({2, own, IpPrefix::Of(own, 8)});
  std::vector<TestNode> nodes = Cluster();
  nodes.push_back({"attacker", 9, {"10.244.9.0/24"}, {"192.168.0.9", "10.244.1.7"}});
  DesiredOptions options;
  options.cluster_cidrs = ParsePrefixList("10.244.0.0/16").value();
  EXPECT_EQ(OnWorker1(nodes, options, local),
            std::string(kOthers) + "10.244.9.0/24 via 192.168.0.9 dev eth0 of attacker\n");
  options.self = "worker1";
  DesiredResult anywhere = DesiredRoutes(Infos(nodes), std::nullopt, options);
  EXPECT_EQ(Text(anywhere),
            "10.244.1.0/24 via 192.168.0.1 of master1\n"
            "10.244.3.0/24 via 192.168.0.3 of worker2\n"
            "10.244.9.0/24 via 192.168.0.9 of attacker\n");
}

TEST(DesiredRoutesTest, WithNoLinkKnownTheNodesOwnSubnetIsStillRefusedToTheOldestNode) {
  std::vector<TestNode> nodes = Cluster();
  nodes.push_back({"attacker", 0, {"192.168.0.0/24"}, {"172.20.0.9"}});
  nodes.back().created = 1;
  nodes.back().name = "a";
  DesiredOptions options;
  options.self = "worker1";
  EXPECT_EQ(Text(DesiredRoutes(Infos(nodes), std::nullopt, options)),
            "10.244.1.0/24 via 192.168.0.1 of master1\n"
            "10.244.3.0/24 via 192.168.0.3 of worker2\n"
            "refused a 192.168.0.0/24 ContainsNodeAddress\n");
}

TEST(DesiredRoutesTest, OfTwoLinksInOneSubnetTheOneWithCarrierIsUsed) {
  LocalNetwork local = Worker1();
  local.links[1].carrier = false;
  local.links.push_back({4, "eth1", true, false});
  IpAddress address = IpAddress::Parse("192.168.0.22").value();
  local.addresses.push_back({4, address, IpPrefix::Of(address, 24)});
  EXPECT_EQ(OnWorker1(Cluster(), {}, local),
            "10.244.1.0/24 via 192.168.0.1 dev eth1 of master1\n"
            "10.244.3.0/24 via 192.168.0.3 dev eth1 of worker2\n");
  local.links[3].carrier = false;
  EXPECT_EQ(OnWorker1(Cluster(), {}, local), kOthers) << "without a carrier routes still stand";
}

TEST(DesiredRoutesTest, PodsMayLiveIn240) {
  std::vector<TestNode> nodes = Cluster();
  nodes[0].cidrs = {"240.10.0.0/16"};
  EXPECT_EQ(OnWorker1(nodes),
            "10.244.3.0/24 via 192.168.0.3 dev eth0 of worker2\n"
            "240.10.0.0/16 via 192.168.0.1 dev eth0 of master1\n");
}

TEST(DesiredRoutesTest, TooManyAddressesOrPodCidrsRefuseTheWholeNode) {
  std::vector<TestNode> nodes = Cluster();
  nodes.push_back({"a", 9, {"10.244.8.0/24"}, {"192.168.0.8"}, {}, false, true, false});
  nodes.push_back({"b", 9, {"10.244.9.0/24"}, {"192.168.0.9"}, {}, false, false, true});
  EXPECT_EQ(OnWorker1(nodes), std::string(kOthers) +
                                  "refused a  TooManyAddresses\n"
                                  "refused b  TooManyPodCIDRs\n");
}

TEST(DesiredRoutesTest, Rule6TheOlderNodeKeepsThePodCidr) {
  std::vector<TestNode> nodes = Cluster();
  nodes.push_back({"a-younger", 9, {"10.244.3.0/24"}, {"192.168.0.9"}});
  EXPECT_EQ(OnWorker1(nodes),
            std::string(kOthers) + "refused a-younger 10.244.3.0/24 OverlapsNode\n");
  nodes[3].created = 1;
  EXPECT_EQ(OnWorker1(nodes),
            "10.244.1.0/24 via 192.168.0.1 dev eth0 of master1\n"
            "10.244.3.0/24 via 192.168.0.9 dev eth0 of a-younger\n"
            "refused worker2 10.244.3.0/24 OverlapsNode\n");
}

TEST(DesiredRoutesTest, OfEqualAgeTheNameDecidesAndUnknownAgeIsYoungest) {
  std::vector<TestNode> nodes = {{"b", 5, {"10.244.3.0/24"}, {"192.168.0.3"}},
                                 {"a", 5, {"10.244.3.0/24"}, {"192.168.0.4"}},
                                 {"0", 0, {"10.244.3.0/24"}, {"192.168.0.5"}}};
  EXPECT_EQ(OnWorker1(nodes),
            "10.244.3.0/24 via 192.168.0.4 dev eth0 of a\n"
            "refused 0 10.244.3.0/24 OverlapsNode\n"
            "refused b 10.244.3.0/24 OverlapsNode\n");
}

TEST(DesiredRoutesTest, Rule6WhenTheOwnerGoesTheOtherIsPromoted) {
  std::vector<TestNode> nodes = Cluster();
  nodes.push_back({"worker9", 9, {"10.244.3.0/24"}, {"192.168.0.9"}});
  nodes.erase(nodes.begin() + 2);
  EXPECT_EQ(OnWorker1(nodes),
            "10.244.1.0/24 via 192.168.0.1 dev eth0 of master1\n"
            "10.244.3.0/24 via 192.168.0.9 dev eth0 of worker9\n");
}

TEST(DesiredRoutesTest, ANodeWithoutAUsableNextHopKeepsItsClaim) {
  std::vector<TestNode> nodes = Cluster();
  nodes[2].internal = {"192.168.7.3"};
  nodes.push_back({"worker9", 9, {"10.244.3.0/24"}, {"192.168.0.9"}});
  EXPECT_EQ(OnWorker1(nodes),
            "10.244.1.0/24 via 192.168.0.1 dev eth0 of master1\n"
            "refused worker2 10.244.3.0/24 NextHopNotConnected\n"
            "refused worker9 10.244.3.0/24 OverlapsNode\n");
}

TEST(DesiredRoutesTest, ClusterCidrBoundsWhatIsAccepted) {
  std::vector<TestNode> nodes = Cluster();
  nodes.push_back({"worker9", 9, {"10.99.0.0/24"}, {"192.168.0.9"}});
  DesiredOptions options;
  options.cluster_cidrs = ParsePrefixList("10.244.0.0/16,fd00::/32").value();
  EXPECT_EQ(OnWorker1(nodes, options),
            std::string(kOthers) + "refused worker9 10.99.0.0/24 OutsideClusterCIDR\n");
}

TEST(DesiredRoutesTest, ClusterCidrAllowsPodCidrsInsideAConnectedSubnet) {
  LocalNetwork local = Worker1();
  local.addresses[1].subnet = IpPrefix::Parse("192.168.0.0/16").value();
  std::vector<TestNode> nodes = Cluster();
  nodes.push_back({"worker9", 9, {"192.168.9.0/24"}, {"192.168.0.9"}});
  EXPECT_EQ(OnWorker1(nodes, {}, local),
            std::string(kOthers) + "refused worker9 192.168.9.0/24 InsideConnectedSubnet\n");
  DesiredOptions options;
  options.cluster_cidrs = ParsePrefixList("10.244.0.0/16,192.168.0.0/16").value();
  EXPECT_EQ(OnWorker1(nodes, options, local),
            std::string(kOthers) + "192.168.9.0/24 via 192.168.0.9 dev eth0 of worker9\n");
}

TEST(DesiredRoutesTest, EvenClusterCidrDoesNotGiveAwayOurOwnAddress) {
  LocalNetwork local = Worker1();
  local.addresses[1].subnet = IpPrefix::Parse("192.168.0.0/16").value();
  IpAddress second = IpAddress::Parse("192.168.9.1").value();
  local.addresses.push_back({2, second, IpPrefix::Parse("192.168.0.0/16").value()});
  std::vector<TestNode> nodes = Cluster();
  nodes.push_back({"worker9", 9, {"192.168.9.0/24"}, {"192.168.0.9"}});
  DesiredOptions options;
  options.cluster_cidrs = ParsePrefixList("10.244.0.0/16,192.168.0.0/16").value();
  EXPECT_EQ(OnWorker1(nodes, options, local),
            std::string(kOthers) + "refused worker9 192.168.9.0/24 ContainsConnectedSubnet\n");
}

TEST(DesiredRoutesTest, ALinkThatIsDownRefusesWhatIsBehindIt) {
  LocalNetwork local = Worker1();
  local.links[1].up = false;
  EXPECT_EQ(OnWorker1(Cluster(), {}, local),
            "refused master1 10.244.1.0/24 LinkDown\n"
            "refused worker2 10.244.3.0/24 LinkDown\n");
}

TEST(DesiredRoutesTest, TheFirstUsableInternalIpIsTheNextHop) {
  std::vector<TestNode> nodes = Cluster();
  nodes[0].internal = {"bad", "10.9.9.9", "fd00:192:168::1", "192.168.0.77", "192.168.0.1"};
  EXPECT_EQ(OnWorker1(nodes),
            "10.244.1.0/24 via 192.168.0.77 dev eth0 of master1\n"
            "10.244.3.0/24 via 192.168.0.3 dev eth0 of worker2\n");
}

TEST(DesiredRoutesTest, TheLongestConnectedSubnetDecidesTheLink) {
  LocalNetwork local = Worker1();
  local.links.push_back({4, "eth1", true, false});
  IpAddress address = IpAddress::Parse("192.168.0.130").value();
  local.addresses.push_back({4, address, IpPrefix::Of(address, 25)});
  std::vector<TestNode> nodes = Cluster();
  nodes[2].internal = {"192.168.0.200"};
  EXPECT_EQ(OnWorker1(nodes, {}, local),
            "10.244.1.0/24 via 192.168.0.1 dev eth0 of master1\n"
            "10.244.3.0/24 via 192.168.0.200 dev eth1 of worker2\n");
}

TEST(DesiredRoutesTest, ItsOwnBridgeDoesNotRefuseTheSelfNode) {
  EXPECT_EQ(OnWorker1({Cluster()[1]}), "");
}

TEST(DesiredRoutesTest, APodCidrThatStandsTwiceInANodeIsOne) {
  std::vector<TestNode> nodes = Cluster();
  nodes[0].cidrs.push_back("10.244.1.0/24");
  EXPECT_EQ(OnWorker1(nodes), kOthers);
}

TEST(DesiredRoutesTest, EveryReasonHasItsOwnName) {
  std::vector<std::string_view> names;
  for (RefusalReason reason : AllRefusalReasons()) names.push_back(RefusalReasonName(reason));
  std::sort(names.begin(), names.end());
  EXPECT_EQ(std::adjacent_find(names.begin(), names.end()), names.end());
  EXPECT_EQ(names.size(), static_cast<size_t>(RefusalReason::kLinkDown) + 1);
}

// Whatever the nodes say: no two routes overlap, none contains an address of ours, every next hop
// is on our subnet, and the result does not depend on the order.
TEST(DesiredRoutesTest, RandomNodesNeverBreakTheRules) {
  std::mt19937 random(7);
  auto draw = [&](int below) { return static_cast<int>(random() % static_cast<unsigned>(below)); };
  for (int round = 0; round < 500; ++round) {
    std::vector<TestNode> nodes;
    for (int i = 0, count = draw(20); i < count; ++i) {
      TestNode node;
      node.name = "n" + std::to_string(i);
      node.created = draw(5);
      int length = 8 + draw(25);
      IpAddress base = IpAddress::V4(0x0af40000u + static_cast<uint32_t>(draw(1 << 16)));
      if (draw(4) == 0) base = IpAddress::V4(0xc0a80000u + static_cast<uint32_t>(draw(1 << 12)));
      node.cidrs.push_back(IpPrefix::Of(base, length).ToString());
      node.internal.push_back("192.168." + std::to_string(draw(2)) + "." +
                              std::to_string(draw(256)));
      if (draw(5) == 0)
        node.internal.insert(node.internal.begin(), IpAddress(base).Plus(1).ToString());
      nodes.push_back(node);
    }
    DesiredOptions options;
    options.self = "n0";
    DesiredResult result = DesiredRoutes(Infos(nodes), Worker1(), options);
    LocalNetwork local = Worker1();
    ASSERT_TRUE(IsOrdered(result.routes));
    for (size_t i = 0; i < result.routes.size(); ++i) {
      const Route& route = result.routes[i];
      if (i > 0) {
        ASSERT_FALSE(result.routes[i - 1].dst.Overlaps(route.dst)) << round;
      }
      ASSERT_NE(route.node, "n0");
      for (const LocalAddress& address : local.addresses) {
        ASSERT_FALSE(route.dst.Contains(address.address)) << round;
        ASSERT_NE(route.via.gateway, address.address);
      }
      ASSERT_TRUE(local.addresses[1].subnet.Contains(route.via.gateway));
    }
    std::shuffle(nodes.begin(), nodes.end(), random);
    ASSERT_EQ(Text(DesiredRoutes(Infos(nodes), local, options)), Text(result)) << round;
  }
}

}  // namespace
}  // namespace podroute
