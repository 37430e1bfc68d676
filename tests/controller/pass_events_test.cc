#include "controller/pass_events.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace podroute {
namespace {

// "node Reason message" of each, a line each.
std::string Text(const std::vector<NodeEvent>& events) {
  std::string text;
  for (const NodeEvent& event : events) {
    EXPECT_TRUE(event.warning);
    text += event.node + " " + event.reason + " " + event.message + "\n";
  }
  return text;
}

Refusal Refused(const std::string& node, const std::string& cidr,
                RefusalReason reason = RefusalReason::kTooWide) {
  return {node, cidr, reason, "why " + cidr};
}

TEST(PassEventsTest, ARefusalIsToldOnceAndAgainAfterItWasOver) {
  PassEvents events(PassEvents::Of::kNode, "n1");
  std::vector<Refusal> refused = {Refused("n1", "a"), Refused("n1", "b")};
  EXPECT_EQ(Text(events.After({}, refused, 0, {})), "n1 TooWide why a\nn1 TooWide why b\n");
  EXPECT_EQ(Text(events.After({}, refused, 0, {})), "");
  EXPECT_EQ(Text(events.After({}, {Refused("n1", "b")}, 0, {})), "");
  EXPECT_EQ(Text(events.After({}, refused, 0, {})), "n1 TooWide why a\n");
  // For another reason it is another one.
  EXPECT_EQ(
      Text(events.After({}, {Refused("n1", "a", RefusalReason::kOverlapsNode), refused[1]}, 0, {})),
      "n1 OverlapsNode why a\n");
}

TEST(PassEventsTest, ANodeTellsOfItselfAndARouterOfAll) {
  std::vector<Refusal> refused = {Refused("n1", "a"), Refused("n2", "b")};
  EXPECT_EQ(Text(PassEvents(PassEvents::Of::kNode, "n2").After({}, refused, 0, {})),
            "n2 TooWide why b\n");
  EXPECT_EQ(Text(PassEvents(PassEvents::Of::kRouter, "r").After({}, refused, 0, {})),
            "n1 TooWide why a\nn2 TooWide why b\n");
}

// A Node whose address the others do not reach sees nothing wrong itself.
TEST(PassEventsTest, WhatOthersSeeOfANodeTheTwoThatFollowItTell) {
  std::vector<std::shared_ptr<const Node>> nodes;
  for (const char* name : {"a", "b", "c", "d"}) {
    auto node = std::make_shared<Node>();
    node->name = name;
    nodes.push_back(node);
  }
  const std::vector<Refusal> refused = {Refused("c", "x", RefusalReason::kNextHopNotConnected)};
  auto told = [&](const char* by) {
    return Text(PassEvents(PassEvents::Of::kNode, by).After({}, refused, 0, nodes));
  };
  EXPECT_EQ(told("b"), "");
  EXPECT_EQ(told("c"), "c NextHopNotConnected why x\n");
  EXPECT_EQ(told("d"), "c NextHopNotConnected from d: why x\n");
  EXPECT_EQ(told("a"), "c NextHopNotConnected from a: why x\n");
  EXPECT_EQ(told("other"), "");
  EXPECT_EQ(Text(PassEvents(PassEvents::Of::kRouter, "r").After({}, refused, 0, nodes)),
            "c NextHopNotConnected why x\n");
  // The only other one.
  nodes.resize(2);
  EXPECT_EQ(Text(PassEvents(PassEvents::Of::kNode, "a")
                     .After({}, {Refused("b", "x", RefusalReason::kNextHopIsLocal)}, 0, nodes)),
            "b NextHopIsLocal from a: why x\n");
  // What each sees alike, its own agent tells.
  EXPECT_EQ(Text(PassEvents(PassEvents::Of::kNode, "a").After({}, {Refused("b", "x")}, 0, nodes)),
            "");
  PassEvents again(PassEvents::Of::kNode, "a");
  const std::vector<Refusal> down = {Refused("b", "x", RefusalReason::kLinkDown)};
  EXPECT_EQ(Text(again.After({}, down, 0, nodes)), "b LinkDown from a: why x\n");
  EXPECT_EQ(Text(again.After({}, down, 0, nodes)), "");
}

TEST(PassEventsTest, ANodeTellsOfFailedRoutesUntilTheErrorIsAnother) {
  PassEvents events(PassEvents::Of::kNode, "n1");
  PassReport report;
  report.first_error = "add 10.0.2.0/24: no";
  EXPECT_EQ(Text(events.After(report, {}, 0, {})), "n1 RouteFailed add 10.0.2.0/24: no\n");
  EXPECT_EQ(Text(events.After(report, {}, 0, {})), "");
  report.first_error = "add 10.0.2.0/24: never";
  EXPECT_EQ(Text(events.After(report, {}, 0, {})), "n1 RouteFailed add 10.0.2.0/24: never\n");
  EXPECT_EQ(Text(events.After({}, {}, 0, {})), "");
  EXPECT_EQ(Text(events.After(report, {}, 0, {})), "n1 RouteFailed add 10.0.2.0/24: never\n");
}

TEST(PassEventsTest, ARouterTellsTheNodeWhoseRouteFailed) {
  PassReport report;
  report.first_error = "add 10.0.2.0/24: no";
  report.failures = {{"n2", "add 10.0.2.0/24: no"}, {"", "delete 10.0.3.0/24: no"}};
  EXPECT_EQ(Text(PassEvents(PassEvents::Of::kRouter, "r").After(report, {}, 0, {})),
            "n2 RouteFailed add 10.0.2.0/24: no\n");
  EXPECT_EQ(Text(PassEvents(PassEvents::Of::kNode, "n1").After(report, {}, 0, {})),
            "n1 RouteFailed add 10.0.2.0/24: no\n");
}

// A router that is a Node, as the Deployment's are.
TEST(PassEventsTest, WhatIsNoNodesIsSaidOfTheRoutersOwn) {
  auto node = std::make_shared<Node>();
  node->name = "r";
  PassEvents events(PassEvents::Of::kRouter, "r");
  PassReport report;
  report.first_error = "connect to BIRD: no";
  report.read_error = StatusCode::kUnavailable;
  EXPECT_EQ(Text(events.After(report, {}, 0, {node})), "r RouteFailed connect to BIRD: no\n");
  EXPECT_EQ(Text(events.After(report, {}, 0, {node})), "");
  EXPECT_EQ(Text(events.After({}, {}, 0, {node})), "");
  report = {};
  report.first_error = "add 10.0.2.0/24: no";
  report.failures = {{"n2", "add 10.0.2.0/24: no"}, {"", "delete 10.0.3.0/24: no"}};
  report.withheld = 12;
  const std::string text = Text(events.After(report, {}, 0, {node}));
  EXPECT_EQ(text.find("n2 RouteFailed add 10.0.2.0/24: no\nr RouteFailed delete 10.0.3.0/24: no\n"
                      "r DeletesWithheld 12 routes"),
            0u)
      << text;
}

TEST(PassEventsTest, WithheldDeletesAndShadowedRoutesAreToldWhenTheyBegin) {
  PassEvents events(PassEvents::Of::kNode, "n1");
  PassReport report;
  report.withheld = 12;
  EXPECT_EQ(Text(events.After(report, {}, 0, {})).find("n1 DeletesWithheld 12 routes"), 0u);
  report.withheld = 13;
  EXPECT_EQ(Text(events.After(report, {}, 0, {})), "");
  EXPECT_EQ(Text(events.After({}, {}, 2, {})).find("n1 RoutesShadowed 2 routes"), 0u);
  EXPECT_EQ(Text(events.After({}, {}, 1, {})), "");
  EXPECT_EQ(Text(events.After(report, {}, 3, {})).find("n1 DeletesWithheld 13 routes"), 0u);
  // They are about none of a router's nodes.
  EXPECT_EQ(Text(PassEvents(PassEvents::Of::kRouter, "r").After(report, {}, 3, {})), "");
}

}  // namespace
}  // namespace podroute
