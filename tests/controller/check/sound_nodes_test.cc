// Nodes that are unusual, and right.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/controller/check/sound_node.h"

namespace podroute {
namespace {

constexpr auto kNo = Reached::kNo;

// master1 with a second InternalIP, by which this node reaches it so.
CheckFacts WithSecondAddress(Reached reached) {
  CheckFacts facts = Sound();
  facts.host->probes.push_back({"master1", A("172.20.1.1"), ProbeFact::Of::kNode, 1500, reached});
  return facts;
}

TEST(SoundNodesTest, ANodeNeedNotAnswerByEachOfItsAddresses) {
  EXPECT_EQ(Ids(WithSecondAddress(kNo)), "");
  EXPECT_EQ(Ids(WithSecondAddress(Reached::kSmallOnly)), "");
  CheckFacts facts = WithSecondAddress(kNo);
  facts.host->probes[1].reached = kNo;  // The bridge.
  EXPECT_EQ(Ids(facts), "BridgeSilent");
  facts = WithSecondAddress(kNo);
  facts.host->probes[0].reached = facts.host->probes[1].reached = kNo;
  EXPECT_EQ(Ids(facts), "NodeUnreachable NodeUnreachable");
  // The bridge is asked by the first.
  facts = WithSecondAddress(Reached::kFull);
  facts.host->probes[0].reached = facts.host->probes[1].reached = kNo;
  EXPECT_EQ(Ids(facts), "BridgeSilent");
}

TEST(SoundNodesTest, OneOfTheNodesAddressesOnTheOthersLinkIsEnough) {
  CheckFacts facts = Sound();
  LocalLink second = facts.host->local.links[0];
  second.ifindex = 7;
  second.name = "eth1";
  facts.host->local.links.push_back(second);
  facts.host->local.addresses.push_back({7, A("172.20.1.2"), P("172.20.1.0/24")});
  auto self = std::make_shared<Node>(*facts.cluster->nodes[1]);
  self->internal_ips = {"192.168.0.2", "172.20.1.2"};
  facts.cluster->nodes[1] = self;
  EXPECT_EQ(Ids(facts), "");
  self->internal_ips = {"172.20.1.2"};
  EXPECT_EQ(Ids(facts), "NodeAddressOtherLink");
}

TEST(SoundNodesTest, AnotherNetworksPortsMayHaveAnotherMtu) {
  CheckFacts facts = Sound();
  facts.host->local.links[2].mtu = 1300;
  facts.host->pods.clear();
  EXPECT_EQ(Ids(facts), "PodMtu");
  facts.host->other_networks_ports = {"veth1"};
  EXPECT_EQ(Ids(facts), "");
}

TEST(SoundNodesTest, AConfigurationThatDelegatesToOursMaySortFirst) {
  CheckFacts facts = Sound();
  facts.host->first_conf = "00-multus.conf";
  EXPECT_EQ(Ids(facts), "ConflistOrder");
  facts.host->first_conf_delegates = true;
  EXPECT_EQ(Ids(facts), "");
}

TEST(SoundNodesTest, APodWithTwoLinksMayAnswerTheNodeByTheOther) {
  CheckFacts facts = Sound();
  facts.host->probes[3].reached = kNo;
  EXPECT_EQ(Ids(facts), "PodRouteMissing");
  facts.host->pods[0].elsewhere = true;
  EXPECT_EQ(Ids(facts), "");
  facts.host->probes[2].reached = kNo;  // Not even cni0's address.
  EXPECT_EQ(Ids(facts), "PodSilent");
}

TEST(SoundNodesTest, OfAPodCidrThatIsNoneOnlyTheRefusalIsSaid) {
  CheckFacts facts = Sound();
  facts.cluster->nodes.push_back(MakeNode("worker2", "10.244.3.1/24", "192.168.0.3"));
  EXPECT_EQ(Ids(facts), "");
  facts.cluster->refused = {{"worker2", "10.244.3.1/24", RefusalReason::kMalformedPrefix, "x"}};
  ASSERT_EQ(Ids(facts), "RouteRefused");
  // A Node's podCIDR cannot be edited.
  EXPECT_EQ(CheckRules(facts)[0].mend.rfind("kubectl delete node worker2  #", 0), 0u);
}

TEST(SoundNodesTest, OnlyOneThatAnswersTheBridgeLacksARoute) {
  CheckFacts facts = Sound();
  facts.host->probes[2].reached = kNo;
  EXPECT_EQ(Ids(facts), "PodSilent");
}

TEST(SoundNodesTest, PodsAreNotToBlameForWhatRulesLeadElsewhere) {
  CheckFacts facts = Sound();
  facts.host->probes[2].reached = facts.host->probes[3].reached = kNo;
  EXPECT_EQ(Ids(facts), "PodSilent");
  FlowFact& flow = facts.host->policy.astray.emplace_back();
  flow.pods = P("10.244.2.0/24");
  flow.question.dst = A("10.244.2.2");
  flow.expected = {A("0.0.0.0"), 3};
  flow.table = 254;
  EXPECT_EQ(Ids(facts), "RouteBypassed");
}

}  // namespace
}  // namespace podroute
