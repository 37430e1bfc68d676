#include "controller/pod_network.h"

#include <gtest/gtest.h>

namespace podroute {
namespace {

IpPrefix P(const std::string& text) { return IpPrefix::Parse(text).value(); }
IpAddress A(const std::string& text) { return IpAddress::Parse(text).value(); }

Node Self(std::vector<std::string> pod_cidrs) {
  Node node;
  node.name = "node1";
  node.pod_cidrs = std::move(pod_cidrs);
  node.internal_ips = {"192.168.0.1", "fd00:192:168::1"};
  return node;
}

std::vector<IpPrefix> Usable(const Node& self, const std::vector<Refusal>& refused = {},
                             std::string* problem = nullptr) {
  std::vector<std::string> problems;
  std::vector<IpPrefix> usable = UsablePodCidrs(self, refused, &problems);
  if (problem != nullptr && !problems.empty()) *problem = problems[0];
  return usable;
}

TEST(PodNetworkTest, TheNodesOrderIsKept) {
  EXPECT_EQ(Usable(Self({"fd00::/64", "10.244.1.0/24"})),
            (std::vector<IpPrefix>{P("fd00::/64"), P("10.244.1.0/24")}));
}

TEST(PodNetworkTest, WhatTheRulesRefuseIsLeftOutAndWhatTheyRefuseOthersIsNot) {
  Node self = Self({"10.244.1.0/24", "fd00::/64"});
  Refusal mine{"node1", "fd00::/64", RefusalReason::kOverlapsNode, ""};
  Refusal anothers{"node2", "10.244.1.0/24", RefusalReason::kOverlapsNode, ""};
  EXPECT_EQ(Usable(self, {mine, anothers}), std::vector<IpPrefix>{P("10.244.1.0/24")});
  Refusal whole{"node1", "", RefusalReason::kTooManyAddresses, ""};
  EXPECT_EQ(Usable(self, {whole}), std::vector<IpPrefix>{});
}

TEST(PodNetworkTest, ALongNameIsFoundAmongRefusals) {
  Node self = Self({"10.244.1.0/24"});
  self.name = std::string(200, 'a');
  DesiredOptions options;
  options.self = self.name;
  NodeInfo info;
  info.name = self.name;
  std::vector<std::string> bad = {"10.244.1.7/24"};
  info.pod_cidrs = bad;
  self.pod_cidrs = bad;
  DesiredResult result = DesiredRoutes(std::vector<NodeInfo>{info}, std::nullopt, options);
  ASSERT_EQ(result.refused.size(), 1u);
  EXPECT_EQ(Usable(self, result.refused), std::vector<IpPrefix>{});
}

TEST(PodNetworkTest, TheBridgeIsThereWhenItIsUpWithEachGateway) {
  LocalLink bridge;
  bridge.ifindex = 3;
  bridge.name = "cni0";
  bridge.up = true;
  bridge.carrier = false;  // Without pods.
  LocalNetwork local;
  local.links = {bridge};
  local.addresses = {{3, A("10.244.1.1"), P("10.244.1.0/24")}};
  const std::vector<IpPrefix> v4 = {P("10.244.1.0/24")};
  EXPECT_TRUE(HasBridge(local, v4));
  EXPECT_FALSE(HasBridge(local, {P("10.244.1.0/24"), P("fd00::/64")}));
  EXPECT_FALSE(HasBridge(local, {P("10.244.0.0/16")}));
  LocalNetwork wrong = local;
  wrong.addresses[0].ifindex = 2;  // Another link has it.
  EXPECT_FALSE(HasBridge(wrong, v4));
  wrong = local;
  wrong.links[0].up = false;
  EXPECT_FALSE(HasBridge(wrong, v4));
  EXPECT_FALSE(HasBridge({}, v4));
}

TEST(PodNetworkTest, WhatIsTooSmallOrMalformedOrTwiceThereIsLeftOut) {
  std::string problem;
  EXPECT_EQ(
      Usable(Self({"10.244.1.0/31", "nonsense", "10.245.0.0/16", "10.245.1.0/24"}), {}, &problem),
      std::vector<IpPrefix>{P("10.245.0.0/16")});
  EXPECT_EQ(problem,
            "10.244.1.0/31 is too small for a gateway and pods; /30 is the smallest podCIDR");
}

LocalNetwork TwoLinks() {
  LocalNetwork local;
  local.links = {{1, "lo", true, true, true, 65536},
                 {2, "eth0", true, false, true, 9000},
                 {3, "eth1", true, false, true, 1400}};
  local.addresses = {{1, A("192.168.0.1"), P("192.168.0.1/32")},
                     {2, A("192.168.0.1"), P("192.168.0.0/24")},
                     {3, A("10.0.0.1"), P("10.0.0.0/24")}};
  return local;
}

TEST(PodNetworkTest, TheUplinkIsTheLinkThatHasAnInternalIpAndNeverLoopback) {
  std::vector<LocalLink> links = LinksOfNode(Self({}), TwoLinks());
  ASSERT_EQ(links.size(), 1u);
  EXPECT_EQ(links[0].name, "eth0");
  EXPECT_EQ(PodMtu(links), 9000u);
}

TEST(PodNetworkTest, TheLeastMtuOfSeveralUplinksCounts) {
  LocalNetwork local = TwoLinks();
  local.addresses.push_back({3, A("fd00:192:168::1"), P("fd00:192:168::/64")});
  EXPECT_EQ(PodMtu(LinksOfNode(Self({}), local)), 1400u);
  EXPECT_EQ(PodMtu(LinksByIndex({3, 2, 7}, local)), 1400u);
}

TEST(PodNetworkTest, PodsAreInFormerPodCidrsWhoseGatewayTheBridgeHas) {
  LocalNetwork local = TwoLinks();
  const std::vector<IpPrefix> now = {P("10.244.1.0/24")};
  EXPECT_EQ(NetworksOfPodsHere(now, local), now);
  local.links.push_back({4, "cni0", true, false, true, 1500});
  local.addresses.push_back({4, A("10.244.1.1"), P("10.244.1.0/24")});
  local.addresses.push_back({4, A("10.244.9.1"), P("10.244.9.0/24")});
  local.addresses.push_back({4, A("10.0.0.1"), P("10.0.0.0/8")});       // Not a podCIDR's length.
  local.addresses.push_back({4, A("10.244.8.7"), P("10.244.8.0/24")});  // No gateway.
  local.addresses.push_back({4, A("fd00::1"), P("fd00::/64")});         // There is no podCIDR.
  local.addresses.push_back({3, A("10.244.7.1"), P("10.244.7.0/24")});  // On another link.
  EXPECT_EQ(NetworksOfPodsHere(now, local),
            (std::vector<IpPrefix>{P("10.244.1.0/24"), P("10.244.9.0/24")}));
}

TEST(PodNetworkTest, WithoutAnUplinkPodsHaveTheUsualMtu) {
  EXPECT_EQ(PodMtu(LinksOfNode(Self({}), LocalNetwork())), 1500u);
  EXPECT_EQ(PodMtu({{2, "eth0", true, false, true, 0}}), 1500u);
}

}  // namespace
}  // namespace podroute
