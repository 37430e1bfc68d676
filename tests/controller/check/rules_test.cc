#include "controller/check/rules.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <functional>

#include "base/file.h"
#include "cni/conflist.h"
#include "tests/controller/check/sound_node.h"

namespace podroute {
namespace {

TEST(CheckRulesTest, ASoundNodeHasNoFindings) { EXPECT_EQ(Ids(Sound()), ""); }

Refusal Refused(RefusalReason reason) { return {"master1", "10.244.1.0/24", reason, "refused"}; }

Route RouteTo(const char* dst, const char* via) {
  Route route;
  route.dst = P(dst);
  route.via = {A(via), 2};
  return route;
}

ForeignRouteFact Foreign(const char* dst, const char* via, int ifindex) {
  ForeignRouteFact route{P(dst), "unicast", 4, 0, {{A(via), ifindex}}};
  route.before_bridge = true;
  return route;
}

ForeignRouteFact Rejecting(const char* dst) {
  ForeignRouteFact route = Foreign(dst, "0.0.0.0", 1);
  route.kind = "blackhole";
  route.via.clear();
  return route;
}

// The kernel takes no second route of one prefix and metric.
void SameMetricInTheWay(CheckFacts& facts) {
  RouteFacts& routes = *facts.host->routes;
  routes.shadowing = {Foreign("10.244.1.0/24", "192.168.0.254", 2)};
  routes.shadowing[0].metric = 110;
  routes.plan.changes = {{RouteAction::kAdd, routes.plan.keeps[0], {}}};
  routes.plan.keeps.clear();
}

void RuleInTheWay(CheckFacts& facts) {
  KernelRule rule;
  rule.priority = 5;
  rule.action = RuleAction::kBlackhole;
  facts.host->policy.rules = {rule};
  FlowFact flow;
  flow.node = "master1";
  flow.pods = P("10.244.1.0/24");
  flow.table = 254;
  flow.question.dst = A("10.244.1.2");
  flow.error = EINVAL;
  facts.host->policy.astray = {flow};
}

TEST(CheckRulesTest, EachFaultIsFoundAndNothingElse) {
  using F = CheckFacts&;
  auto foreign = [](const ForeignRouteFact& route) {
    return [=](F f) { f.host->routes->foreign = {route}; };
  };
  auto sysctl = [](const char* name, const char* value) {
    return [=](F f) { f.host->sysctls[name] = value; };
  };
  auto refuse = [](RefusalReason reason) {
    return [=](F f) { f.cluster->refused = {Refused(reason)}; };
  };
  auto change = [](RouteAction action) {
    return [=](F f) {
      Route route = RouteTo("10.244.3.0/24", "192.168.0.3");
      f.host->routes->plan.changes = {{action, route, route}};
    };
  };
  const std::vector<std::pair<std::string, std::function<void(F)>>> faults = {
      {"ForwardingOff", sysctl("net/ipv4/ip_forward", "0")},
      {"LinkForwardingOff", sysctl("net/ipv4/conf/eth0/forwarding", "0")},
      {"ReversePathStrict", sysctl("net/ipv4/conf/eth0/rp_filter", "1")},
      {"NeighbourTableSmall", sysctl("net/ipv4/neigh/default/gc_thresh3", "4")},
      {"BridgeNetfilterOff", [](F f) { f.host->kube_proxy_rules = true; }},
      {"BridgeNetfilterOff", [](F f) { f.cluster->kube_proxy = true; }},
      {"BridgeNetfilterOff", sysctl("net/bridge/bridge-nf-call-iptables", "0")},
      {"PodMtuTooLarge", [](F f) { f.host->uplink_mtu = 1400; }},
      {"NodeMissing", [](F f) { f.host.reset(), f.installed_here = true; }},
      {"NodeMissing", [](F f) { f.host.reset(), f.node_name_given = true; }},
      {"PluginMissing", [](F f) { f.host->missing_plugins = {"/opt/cni/bin/loopback"}; }},
      {"PluginBroken",
       [](F f) {
         f.host->broken_plugins = {{"/opt/cni/bin/loopback", "exit code 1"}};
       }},
      {"ConflistMissing", [](F f) { f.host->conflist.reset(); }},
      {"ConflistEdited", [](F f) { *f.host->conflist += " "; }},
      {"ConflistOrder", [](F f) { f.host->first_conf = "05-other.conf"; }},
      {"BridgeDown", [](F f) { f.host->local.links[1].up = false; }},
      {"BridgeMissing", [](F f) { f.host->foreign_bridge = true; }},
      {"BridgeMtu", [](F f) { f.host->local.links[1].mtu = 1400; }},
      {"BridgeAddressWrong", [](F f) { f.host->local.addresses.pop_back(); }},
      {"BridgeAddressWrong",
       [](F f) { f.host->local.addresses.back().subnet = P("10.244.0.0/16"); }},
      {"BridgeRouteMissing", [](F f) { f.host->routes->bridged.clear(); }},
      {"NodeAddressMissing",
       [](F f) { f.cluster->nodes[1] = MakeNode("worker1", "10.244.2.0/24"); }},
      {"NodeAddressOtherLink", [](F f) { f.host->routes->plan.keeps[0].via.ifindex = 9; }},
      {"PodMtu", [](F f) { f.host->local.links[2].mtu = 1400; }},
      {"PodMtu", [](F f) { f.host->pods[0].pod_mtu = 9000; }},
      {"PodCutOff", [](F f) { f.host->pods[0].up = false; }},
      {"PodCutOff", [](F f) { f.host->pods[0].in_bridge = false; }},
      {"PodCutOff", [](F f) { f.host->pods[0].pod_up = false; }},
      {"PodCutOff", [](F f) { f.host->pods[0].forwards = false; }},
      {"PodIsolated", [](F f) { f.host->pods[0].isolated = true; }},
      {"HairpinOff", [](F f) { f.host->pods[0].hairpin = false; }},
      {"PodAddressWrong", [](F f) { f.host->pods[0].addresses->clear(); }},
      {"PodAddressWrong", [](F f) { f.host->pods[0].addresses = {A("10.244.2.6")}; }},
      {"PodAddressWrong",
       [](F f) {
         f.host->pods[0].addresses = {A("10.244.7.6")};
         f.host->pods[0].given.reset();
       }},
      {"PodRouteMissing", [](F f) { f.host->probes[3].reached = Reached::kNo; }},
      {"PodSilent",
       [](F f) { f.host->probes[2].reached = f.host->probes[3].reached = Reached::kNo; }},
      {"ManageForeignRoutes",
       [](F f) { f.host->networkd = f.host->networkd_manages_foreign = true; }},
      {"ManageForeignRoutes",
       [](F f) { f.host->networkd = f.host->networkd_manages_nexthops = true; }},
      {"NodeAddressNotHere", [](F f) { f.host->local.addresses[0].address = A("192.168.0.9"); }},
      {"RouteMissing", change(RouteAction::kAdd)},
      {"RouteWrong", change(RouteAction::kReplace)},
      {"RouteStale", change(RouteAction::kDelete)},
      {"RouteShadowed",
       [](F f) { f.host->routes->shadowing = {Foreign("10.244.1.0/24", "192.168.0.254", 2)}; }},
      {"RouteShadowed", SameMetricInTheWay},
      {"ForeignRoute", foreign(Foreign("10.244.1.128/25", "192.168.0.254", 2))},
      {"ForeignRoute", foreign(Foreign("10.244.2.128/25", "192.168.0.254", 2))},
      {"ForeignRoute", foreign(Foreign("10.244.2.7/32", "0.0.0.0", 2))},
      {"ForeignRoute", foreign(Rejecting("10.244.2.0/24"))},
      {"RouteBypassed", RuleInTheWay},
      {"NoNexthopObjects", [](F f) { f.host->routes->nexthop_objects = false; }},
      {"MasqueradeMissing", [](F f) { f.host->masquerade = MasqueradeState(); }},
      {"MasqueradeMissing", [](F f) { f.host->masquerade->sound = false; }},
      {"MasqueradeMissing", [](F f) { f.host->masquerade->content.pods.clear(); }},
      {"MasqueradeTooWide",
       [](F f) { f.host->masquerade->content = MakeMasquerading(f.host->pod_cidrs, {}); }},
      {"ForwardPolicyDrop", [](F f) { f.host->filter.begin()->second.policy_drop = true; }},
      {"ForwardRuleDrops",
       [](F f) {
         FilterRule rule;
         rule.verdict = FilterVerdict::kDrop;
         rule.show = "rule";
         rule.mend = "mend";
         f.host->filter.begin()->second.rules = {rule};
       }},
      {"PathMtu", [](F f) { f.host->probes[0].reached = Reached::kSmallOnly; }},
      {"NodeUnreachable", [](F f) { f.host->probes[0].reached = Reached::kNo; }},
      {"BridgeSilent", [](F f) { f.host->probes[1].reached = Reached::kNo; }},
      {"PodCidrMissing", refuse(RefusalReason::kNoPodCidr)},
      {"PodCidrOverlaps", refuse(RefusalReason::kOverlapsNode)},
      {"PodCidrOutsideCluster", refuse(RefusalReason::kOutsideClusterCidr)},
      {"RouteRefused", refuse(RefusalReason::kTooWide)},
      {"DuplicateNodeAddress",
       [](F f) {
         f.cluster->nodes.push_back(MakeNode("worker2", "10.244.3.0/24", "192.168.0.1"));
       }},
      {"DuplicateNodeAddress",
       [](F f) {
         f.cluster->nodes.push_back(MakeNode("worker2", "10.244.3.0/24", "fd00::1"));
         f.cluster->nodes.push_back(MakeNode("worker3", "10.244.4.0/24", "fd00:0::0001"));
       }},
      {"KubeProxyCidr", [](F f) { f.cluster->kube_proxy_cidr = "10.96.0.0/12"; }},
      {"KubeProxyCidr", [](F f) { f.cluster->kube_proxy_cidr = "10.244.0.0/15"; }},
      {"KubeProxyCidr", [](F f) { f.cluster->kube_proxy_cidr = "fd00:10:244::/48"; }},
      {"KubeProxyCidr", [](F f) { f.cluster->kube_proxy_cidr = "10.244.0.0"; }},
      {"KubeadmCidr", [](F f) { f.cluster->kubeadm_cidr = "10.244.0.0/17"; }},
      {"NetworkTaint",
       [](F f) {
         auto node = std::make_shared<Node>(*f.cluster->nodes[0]);
         node->startup_taint = 0;
         f.cluster->nodes[0] = node;
       }},
      {"NetworkUnavailable",
       [](F f) {
         auto node = std::make_shared<Node>(*f.cluster->nodes[0]);
         node->network_unavailable = {"True", "NoRouteCreated"};
         f.cluster->nodes[0] = node;
       }},
      {"ClusterUnreachable", [](F f) { f.cluster.reset(), f.cluster_error = "connect"; }},
  };
  for (const auto& [id, plant] : faults) {
    CheckFacts facts = Sound();
    plant(facts);
    EXPECT_EQ(Ids(facts), id);
  }
}

// Linux drops the default routes that routers have announced when it begins to forward.
TEST(CheckRulesTest, ForwardingIsTurnedOnWithoutLosingTheDefaultRoute) {
  CheckFacts facts = Sound();
  facts.host->pod_cidrs = {P("fd00:10:244:2::/64")};
  facts.host->sysctls["net/ipv6/conf/all/forwarding"] = "0";
  facts.host->sysctls["net/ipv6/conf/eth0/accept_ra"] = "1";
  auto mend = [&] {
    for (const Finding& finding : CheckRules(facts)) {
      if (finding.id == "ForwardingOff") return finding.mend;
    }
    return std::string();
  };
  EXPECT_EQ(mend(),
            "sysctl -w net/ipv6/conf/eth0/accept_ra=2 && "
            "sysctl -w net/ipv6/conf/all/forwarding=1");
  facts.host->sysctls["net/ipv6/conf/eth0/accept_ra"] = "0";
  EXPECT_EQ(mend(), "sysctl -w net/ipv6/conf/all/forwarding=1");
}

TEST(CheckRulesTest, AnUplinkThatForwardsAndNeedsAdvertisementsMustTakeThem) {
  CheckFacts facts = Sound();
  facts.host->pod_cidrs = {P("fd00:10:244:2::/64")};
  facts.host->autoconfigured = {"eth0"};
  auto found = [&] { return Ids(facts).find("RouterAdvertisements") != std::string::npos; };
  EXPECT_FALSE(found());
  facts.host->sysctls["net/ipv6/conf/eth0/forwarding"] = "1";
  for (const char* accept : {"0", "2"}) {
    facts.host->sysctls["net/ipv6/conf/eth0/accept_ra"] = accept;
    EXPECT_FALSE(found()) << accept;
  }
  facts.host->sysctls["net/ipv6/conf/eth0/accept_ra"] = "1";
  EXPECT_TRUE(found());
  facts.host->autoconfigured.clear();
  EXPECT_FALSE(found());
}

TEST(CheckRulesTest, WithoutIpv4TheReversePathIsNotLookedAt) {
  CheckFacts facts = Sound();
  facts.host->sysctls["net/ipv4/conf/eth0/rp_filter"] = "1";
  facts.host->pod_cidrs = {P("fd00:10:244:2::/64")};
  EXPECT_EQ(Ids(facts).find("ReversePath"), std::string::npos);
}

TEST(CheckRulesTest, WithoutTheApiServerTheBridgeTellsWhichFamiliesPodsHave) {
  CheckFacts facts = Sound();
  facts.cluster.reset();
  facts.cluster_error = "connect";
  facts.host->pod_cidrs.clear();
  facts.host->uplinks.clear();
  facts.host->masquerade.reset();
  facts.host->pod_networks.clear();
  facts.host->sysctls["net/ipv6/conf/all/forwarding"] = "0";
  EXPECT_EQ(Ids(facts), "ClusterUnreachable");
  facts.host->sysctls["net/ipv4/ip_forward"] = "0";
  EXPECT_EQ(Ids(facts), "ClusterUnreachable ForwardingOff");
}

TEST(CheckRulesTest, ANodeWithoutPodsHasABridgeWithoutCarrier) {
  CheckFacts facts = Sound();
  facts.host->pods.clear();
  facts.host->bridge_ports.clear();
  facts.host->local.links.pop_back();
  facts.host->local.links[1].carrier = false;
  facts.host->local.links[1].mtu = 1400;  // Made before the uplink's was changed.
  EXPECT_EQ(Ids(facts), "");
}

TEST(CheckRulesTest, ABridgeThatIsGoneIsMissedWhereThereIsAConflist) {
  CheckFacts facts = Sound();
  facts.host->pods.clear();
  facts.host->bridge_ports.clear();
  facts.host->local.links.resize(1);
  EXPECT_EQ(Ids(facts), "BridgeMissing");
  facts.host->conflist.reset();
  EXPECT_EQ(Ids(facts), "ConflistMissing");
  facts.host->conf_dir.clear();
  EXPECT_EQ(Ids(facts), "");
}

TEST(CheckRulesTest, ASilentBridgeIsAnErrorWhereAgentsMakeThem) {
  CheckFacts facts = Sound();
  facts.host->probes[1].reached = Reached::kNo;
  EXPECT_EQ(CheckRules(facts).at(0).severity, Severity::kError);
  facts.host->conf_dir.clear();
  EXPECT_EQ(CheckRules(facts).at(0).severity, Severity::kNote);
}

std::string WhyOf(const CheckFacts& facts) {
  std::vector<Finding> findings = CheckRules(facts);
  return findings.size() == 1 ? findings[0].why : std::to_string(findings.size()) + " findings";
}

TEST(CheckRulesTest, WhatKubeProxyDoesDependsOnHowItsNetworkIsWrong) {
  CheckFacts facts = Sound();
  facts.cluster->kube_proxy_cidr = "10.244.0.0/17";
  EXPECT_NE(WhyOf(facts).find("takes these pods for strangers"), std::string::npos);
  facts.cluster->kube_proxy_cidr = "10.0.0.0/8";
  EXPECT_NE(WhyOf(facts).find("takes strangers there for pods"), std::string::npos);
  facts.cluster->kube_proxy_cidr = "fd00:10:244::/48";
  EXPECT_NE(WhyOf(facts).find("of that family"), std::string::npos);
  facts.cluster->detect_local_mode = "NodeCIDR";
  EXPECT_NE(WhyOf(facts).find("does not use it"), std::string::npos);
  EXPECT_EQ(CheckExitCode({CheckRules(facts), {}}), 0);
}

TEST(CheckRulesTest, KubeProxysNetworkIsReadAsItReadsIt) {
  CheckFacts facts = Sound();
  for (const char* good : {"10.244.0.0/16,fd00::/48", "fd00::/48,10.244.0.0/16", "10.244.0.1/16"}) {
    facts.cluster->kube_proxy_cidr = good;
    EXPECT_EQ(Ids(facts), "") << good;
  }
  for (const char* bad :
       {"10.244.0.0/16, fd00::/48", " 10.244.0.0/16", "10.244.0.0/16,10.245.0.0/16",
        "[10.244.0.0/16, fd00::/48]", "10.244.0.0", "10.244.0.0/", "10.244.0.0/33", "/16", ","}) {
    facts.cluster->kube_proxy_cidr = bad;
    EXPECT_NE(WhyOf(facts).find("does not start"), std::string::npos) << bad;
  }
}

TEST(CheckRulesTest, AWiderNetworkIsOnlyWrongWhereTheClustersIsKnown) {
  CheckFacts facts = Sound();
  facts.cluster->kube_proxy_cidr = facts.cluster->kubeadm_cidr = "10.0.0.0/8";
  EXPECT_EQ(Ids(facts), "KubeProxyCidr KubeadmCidr");
  facts.cluster_cidrs.clear();
  facts.host->masquerade.reset();
  EXPECT_EQ(Ids(facts), "");
  // The prefixes of --cluster_cidr together may have it all.
  facts.cluster_cidrs = {P("10.244.0.0/17"), P("10.244.128.0/17")};
  facts.cluster->kube_proxy_cidr = facts.cluster->kubeadm_cidr = "10.244.0.0/16";
  EXPECT_EQ(Ids(facts), "");
  // A family that only the flags have.
  facts.cluster_cidrs.push_back(P("fd00:10:244::/48"));
  EXPECT_EQ(Ids(facts), "");
}

TEST(CheckRulesTest, AFamilyThatMostNodesHaveIsMissedOnTheOthers) {
  CheckFacts facts = Sound();
  facts.cluster->nodes.push_back(MakeNode("worker2", "fd00:10:244:3::/64", "192.168.0.3"));
  facts.cluster->kube_proxy_cidr = facts.cluster->kubeadm_cidr = "10.244.0.0/16,fd00::/16";
  EXPECT_EQ(Ids(facts), "PodCidrMissing");
}

TEST(CheckRulesTest, AMachineThatIsNoNodeIsNoneByItsHostname) {
  CheckFacts facts = Sound();
  facts.host.reset();
  EXPECT_EQ(Ids(facts), "");
}

TEST(CheckRulesTest, RoutesThatLeadTheSameWayTakeNothingAway) {
  CheckFacts facts = Sound();
  facts.host->routes->foreign = {Foreign("10.244.1.128/25", "192.168.0.1", 2)};
  EXPECT_EQ(Ids(facts), "");
  facts = Sound();
  facts.host->routes->shadowing = {Foreign("10.244.1.0/24", "192.168.0.1", 2)};
  ASSERT_EQ(Ids(facts), "RouteShadowed");
  EXPECT_EQ(CheckRules(facts)[0].severity, Severity::kWarning);
}

TEST(CheckRulesTest, BehindARouterOnlyRefusedPartsOfOthersPodsAreMissed) {
  CheckFacts facts = Sound();
  facts.host->routes->plan.keeps.clear();
  facts.host->routes->foreign = {Foreign("10.244.1.128/25", "192.168.0.254", 2)};
  EXPECT_EQ(Ids(facts), "");
  facts.host->routes->foreign = {Rejecting("10.244.1.128/25")};
  EXPECT_EQ(Ids(facts), "ForeignRoute");
}

TEST(CheckRulesTest, ARefusalNamesItsNodeAndIsMendedWhereTheCauseIs) {
  CheckFacts facts = Sound();
  facts.cluster->refused = {Refused(RefusalReason::kNoPodCidr),
                            Refused(RefusalReason::kContainsConnectedSubnet),
                            Refused(RefusalReason::kNoAddress)};
  const std::vector<Finding> findings = CheckRules(facts);
  ASSERT_EQ(findings.size(), 3u);
  for (const Finding& finding : findings) EXPECT_EQ(finding.what, "Node master1: refused");
  EXPECT_NE(findings[1].mend.find("off this machine"), std::string::npos);
  EXPECT_NE(findings[2].mend.find("--node-ip of the kubelet on master1"), std::string::npos);
}

TEST(CheckRulesTest, ASilentBridgeOfANodeWithoutAddressIsNotSaidToBeBehindOneThatAnswers) {
  CheckFacts facts = Sound();
  facts.host->probes[1].reached = Reached::kNo;
  EXPECT_NE(CheckRules(facts).at(0).what.find("though the node does"), std::string::npos);
  facts.host->probes.erase(facts.host->probes.begin());
  EXPECT_EQ(CheckRules(facts).at(0).what.find("though the node does"), std::string::npos);
}

TEST(CheckRulesTest, ALinkOfASinglePodIsSoundWhileItMoves) {
  CheckFacts facts = Sound();
  facts.host->routes->foreign = {Foreign("10.244.2.9/32", "0.0.0.0", 9)};
  facts.host->routes->foreign[0].single_pod_link = true;
  EXPECT_EQ(Ids(facts), "");
}

TEST(CheckRulesTest, ASecondRouteToOurOwnNetworkCountsWhereItWins) {
  CheckFacts facts = Sound();
  facts.host->routes->foreign = {Foreign("10.244.2.0/24", "192.168.0.254", 2)};
  EXPECT_EQ(Ids(facts), "ForeignRoute");
  facts.host->routes->foreign[0].before_bridge = false;
  EXPECT_EQ(Ids(facts), "");
}

TEST(CheckRulesTest, MasqueradingThatIsNotWantedIsNotMissed) {
  CheckFacts facts = Sound();
  facts.host->masquerade.reset();
  EXPECT_EQ(Ids(facts), "");
}

// Whatever a file or a link is called, its name is one word of the command.
TEST(CheckRulesTest, NamesAreQuotedForTheShell) {
  CheckFacts facts = Sound();
  facts.host->first_conf = "00-it's; $(x).conf";
  auto findings = CheckRules(facts);
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].mend, "rm '/etc/cni/net.d/00-it'\\''s; $(x).conf'");
}

TEST(CheckReportTest, TheExitCodeIsTheWorstFindings) {
  auto code = [](Severity severity) {
    return CheckExitCode({{{"PathMtu", severity, "", "", ""}}, {}});
  };
  EXPECT_EQ(CheckExitCode({}), 0);
  EXPECT_EQ(code(Severity::kNote), 0);
  EXPECT_EQ(code(Severity::kWarning), 1);
  EXPECT_EQ(code(Severity::kError), 2);
}

TEST(CheckDocsTest, EveryFindingIsDocumented) {
  std::string text = ReadFile("docs/check.md").value();
  for (std::string_view id : AllFindingIds()) {
    EXPECT_NE(text.find("\n| `" + std::string(id) + "` |"), std::string::npos) << id;
  }
}

}  // namespace
}  // namespace podroute
