#include "controller/node_networks.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/base/fake_clock.h"

namespace podroute {
namespace {

std::shared_ptr<const Node> MakeNode(const std::string& name, std::vector<std::string> cidrs) {
  auto node = std::make_shared<Node>();
  node->name = name;
  node->pod_cidrs = std::move(cidrs);
  return node;
}

std::string Working(const std::vector<NodeNetwork>& networks) {
  std::string names;
  for (const NodeNetwork& network : networks) {
    names += (network.works ? "+" : "-") + network.node->name + " ";
  }
  return names;
}

TEST(NodeNetworksTest, ANodeWorksWhenItHasRoutesAndNoneHasFailed) {
  FakeClock clock;
  RetrySet retries(BackoffOptions(), clock);
  std::vector<std::shared_ptr<const Node>> nodes = {
      MakeNode("both-there", {"10.0.1.0/24", "fd00:1::/64"}),
      MakeNode("both-refused", {"10.0.2.0/24", "fd00:2::/64"}),
      MakeNode("failed", {"10.0.3.0/24", "fd00:3::/64"}),
      MakeNode("none", {}),
      MakeNode("one-refused", {"10.0.5.0/24", "fd00:5::/64"}),
      MakeNode("refused-whole", {"10.0.6.0/24"}),
      MakeNode("wrong", {"10.0.7.1/24", "bad"}),
  };
  std::vector<Refusal> refused = {
      {"both-refused", "10.0.2.0/24", RefusalReason::kOverlapsNode, ""},
      {"both-refused", "fd00:2::/64", RefusalReason::kOverlapsNode, ""},
      {"none", "", RefusalReason::kNoPodCidr, ""},
      {"one-refused", "fd00:5::/64", RefusalReason::kNoAddress, ""},
      {"refused-whole", "", RefusalReason::kTooManyAddresses, ""},
  };
  retries.Failed(IpPrefix::Parse("fd00:3::/64").value(), Status(StatusCode::kUnavailable, "no"));
  EXPECT_EQ(Working(NodeNetworks(nodes, refused, retries)),
            "+both-there -both-refused -failed -none +one-refused -refused-whole -wrong ");
  retries.Succeeded(IpPrefix::Parse("fd00:3::/64").value());
  EXPECT_EQ(Working(NodeNetworks({nodes[2]}, refused, retries)), "+failed ");
}

}  // namespace
}  // namespace podroute
