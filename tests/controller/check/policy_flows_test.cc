#include "controller/check/policy_flows.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>

#include "controller/check/rules.h"

namespace podroute {
namespace {

IpPrefix P(const char* text) { return IpPrefix::Parse(text).value(); }
IpAddress A(const char* text) { return IpAddress::Parse(text).value(); }

LocalLink Link(int ifindex, const char* name) {
  LocalLink link;
  link.ifindex = ifindex;
  link.name = name;
  link.up = true;
  return link;
}

Route RouteTo(const char* node, const char* dst, const char* via) {
  Route route;
  route.node = node;
  route.dst = P(dst);
  route.via = {A(via), 2};
  return route;
}

FlowInputs Inputs() {
  FlowInputs inputs;
  inputs.routes = {RouteTo("worker1", "10.244.2.0/24", "192.168.0.2"),
                   RouteTo("worker1", "fd00:10:244:2::/64", "fd00::2")};
  inputs.own = {P("10.244.1.0/24"), P("fd00:10:244:1::/64")};
  inputs.addresses = {A("192.168.0.1"), A("fd00::1")};
  inputs.links = {Link(2, "eth0"), Link(3, "cni0")};
  inputs.uplinks = {2};
  inputs.bridge = inputs.links[1];
  return inputs;
}

KernelRule Rule(uint32_t priority, RuleAction action, uint32_t table = 0) {
  KernelRule rule;
  rule.priority = priority;
  rule.action = action;
  rule.table = table;
  return rule;
}

std::string Show(const FlowFact& flow) {
  return (flow.question.src ? flow.question.src->ToString() : "") + ">" +
         flow.question.dst.ToString() + (flow.iif.empty() ? "" : " " + flow.iif);
}

std::vector<std::string> Shown(const std::vector<FlowFact>& flows) {
  std::vector<std::string> shown;
  for (const FlowFact& flow : flows) shown.push_back(Show(flow));
  return shown;
}

bool Has(const std::vector<FlowFact>& flows, const std::string& text) {
  std::vector<std::string> shown = Shown(flows);
  return std::count(shown.begin(), shown.end(), text) == 1;
}

TEST(PolicyFlowsTest, EachWayIsAskedForOncePerFamily) {
  std::vector<FlowFact> flows = MakeFlows(Inputs(), {});
  EXPECT_EQ(Shown(flows),
            (std::vector<std::string>{
                ">10.244.2.2", "192.168.0.1>10.244.2.2", "10.244.1.2>10.244.2.2 cni0",
                "10.244.2.2>10.244.1.2 eth0", ">fd00:10:244:2::2", "fd00::1>fd00:10:244:2::2",
                "fd00:10:244:1::2>fd00:10:244:2::2 cni0", "fd00:10:244:2::2>fd00:10:244:1::2 eth0",
                ">10.244.1.2", "192.168.0.1>10.244.1.2", ">fd00:10:244:1::2",
                "fd00::1>fd00:10:244:1::2"}));
}

TEST(PolicyFlowsTest, WithoutABridgeOrForwardingThereIsLessToAsk) {
  FlowInputs inputs = Inputs();
  inputs.bridge.reset();
  EXPECT_EQ(Shown(MakeFlows(inputs, {})).size(), 4u);
  inputs = Inputs();
  inputs.not_forwarding_v4 = {2, 3};
  std::vector<FlowFact> flows = MakeFlows(inputs, {});
  EXPECT_FALSE(Has(flows, "10.244.1.2>10.244.2.2 cni0"));
  EXPECT_FALSE(Has(flows, "10.244.2.2>10.244.1.2 eth0"));
  EXPECT_TRUE(Has(flows, "fd00:10:244:1::2>fd00:10:244:2::2 cni0"));
}

TEST(PolicyFlowsTest, ARuleForAPartIsAskedAboutWithThatPart) {
  KernelRule half = Rule(5, RuleAction::kTable, 100);
  half.dst = P("10.244.2.128/25");
  KernelRule pod = Rule(6, RuleAction::kTable, 100);
  pod.src = P("10.244.1.7/32");
  KernelRule web = Rule(7, RuleAction::kTable, 100);
  web.ip_protocol = 6;
  web.dport = {80, 90};
  std::vector<FlowFact> flows = MakeFlows(Inputs(), {half, pod, web});
  EXPECT_TRUE(Has(flows, ">10.244.2.130"));
  EXPECT_TRUE(Has(flows, "10.244.1.2>10.244.2.130 cni0"));
  EXPECT_TRUE(Has(flows, "10.244.1.7>10.244.2.2 cni0"));
  EXPECT_EQ(std::count_if(flows.begin(), flows.end(),
                          [](const FlowFact& flow) { return flow.question.dport == 80; }),
            6);
}

TEST(PolicyFlowsTest, RulesForOtherTrafficAddNothing) {
  std::vector<KernelRule> rules(5, Rule(5, RuleAction::kTable, 100));
  rules[0].dst = P("172.16.0.0/16");
  rules[1].dst = P("10.244.2.128/25");
  rules[1].mark = rules[1].mark_mask = 7;
  rules[2].dst = P("10.244.2.128/25");
  rules[2].oif = "eth1";
  rules[3].dst = P("10.244.2.128/25");
  rules[3].iif = "eth7";
  rules[4].dst = P("10.244.0.0/16");
  EXPECT_EQ(MakeFlows(Inputs(), rules).size(), MakeFlows(Inputs(), {}).size());
}

FlowFact Out() { return MakeFlows(Inputs(), {})[0]; }

KernelRoute Answer(const char* via, uint32_t table) {
  KernelRoute route;
  route.dst = P("10.244.2.0/24");
  route.mark.table = table;
  route.via = {{A(via), 2}};
  return route;
}

TEST(PolicyFlowsTest, WhatDoesNotGoToTheNextHopIsAstray) {
  FlowFact flow = Out();
  EXPECT_FALSE(IsAstray(flow));  // Not known.
  flow.answer = Answer("192.168.0.2", 100);
  EXPECT_FALSE(IsAstray(flow));  // Another table that says the same.
  flow.answer = Answer("192.168.0.254", 100);
  EXPECT_TRUE(IsAstray(flow));
  flow.expected.ifindex = 0;
  EXPECT_FALSE(IsAstray(flow));
  flow.answer->type = RTN_BLACKHOLE;
  EXPECT_TRUE(IsAstray(flow));
  flow.answer.reset();
  flow.error = EINVAL;
  EXPECT_TRUE(IsAstray(flow));
}

TEST(PolicyFlowsTest, TheFirstRuleThatDecidesIsToBlame) {
  PolicyFacts policy;
  policy.rules = {Rule(0, RuleAction::kTable, 255), Rule(4, RuleAction::kTable, 99),
                  Rule(5, RuleAction::kTable, 100), Rule(32766, RuleAction::kTable, 254)};
  policy.tables[100] = {Answer("192.168.0.254", 100)};
  EXPECT_EQ(FindDiversion(Out(), policy)->rule, &policy.rules[2]);
  policy.rules[2].suppress_length = 24;
  EXPECT_FALSE(FindDiversion(Out(), policy));
  policy.rules[2].suppress_length = -1;
  policy.tables[100][0].type = RTN_THROW;
  EXPECT_FALSE(FindDiversion(Out(), policy));
  policy.rules[2] = Rule(5, RuleAction::kProhibit);
  EXPECT_EQ(FindDiversion(Out(), policy)->rule, &policy.rules[2]);
  policy.rules[2].mark = policy.rules[2].mark_mask = 1;
  EXPECT_FALSE(FindDiversion(Out(), policy));
  policy.rules[2].inverted = true;
  EXPECT_EQ(FindDiversion(Out(), policy)->rule, &policy.rules[2]);
  policy.rules[2] = Rule(5, RuleAction::kGoto);
  policy.rules[2].target = 32767;
  EXPECT_EQ(FindDiversion(Out(), policy)->rule, nullptr);
}

CheckFacts Facts() {
  CheckFacts facts;
  facts.host.emplace();
  facts.host->local.links = Inputs().links;
  facts.host->policy.rules = {Rule(5, RuleAction::kTable, 100),
                              Rule(32766, RuleAction::kTable, 254)};
  facts.host->policy.tables[100] = {Answer("192.168.0.254", 100)};
  return facts;
}

TEST(CheckPolicyRoutingTest, WhatOneRuleDoesIsOneFinding) {
  CheckFacts facts = Facts();
  for (const FlowFact& flow : MakeFlows(Inputs(), {})) {
    if (flow.pods != P("10.244.2.0/24")) continue;
    facts.host->policy.astray.push_back(flow);
    facts.host->policy.astray.back().answer = Answer("192.168.0.254", 100);
  }
  std::vector<Finding> findings;
  CheckPolicyRouting(facts, &findings);
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].id, "RouteBypassed");
  EXPECT_EQ(findings[0].what,
            "what this node sends to worker1's pods (10.244.2.0/24) goes via 192.168.0.254 by "
            "eth0: by the rule \"priority 5 lookup 100\"");
  EXPECT_EQ(findings[0].mend, "ip rule delete priority 5 lookup 100");
}

TEST(CheckPolicyRoutingTest, ASourceThatIsRefusedIsNotARulesDoing) {
  CheckFacts facts = Facts();
  facts.host->policy.rules.erase(facts.host->policy.rules.begin());
  for (int error : {EINVAL, EXDEV, EHOSTUNREACH}) {
    FlowFact flow = MakeFlows(Inputs(), {})[3];
    flow.error = error;
    facts.host->policy.astray = {flow};
    std::vector<Finding> findings;
    CheckPolicyRouting(facts, &findings);
    EXPECT_TRUE(findings.empty()) << error;
  }
}

}  // namespace
}  // namespace podroute
