// A node with nothing wrong, for the tests of the rules.
#ifndef PODROUTE_TESTS_CONTROLLER_CHECK_SOUND_NODE_H_
#define PODROUTE_TESTS_CONTROLLER_CHECK_SOUND_NODE_H_

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>

#include "cni/conflist.h"
#include "controller/check/rules.h"

namespace podroute {

inline IpPrefix P(const char* text) { return IpPrefix::Parse(text).value(); }
inline IpAddress A(const char* text) { return IpAddress::Parse(text).value(); }

inline std::shared_ptr<const Node> MakeNode(const char* name, const char* cidr,
                                            const char* address = nullptr) {
  auto node = std::make_shared<Node>();
  node->name = name;
  node->pod_cidrs = {cidr};
  if (address != nullptr) node->internal_ips = {address};
  return node;
}

// worker1, and nothing wrong with it.
inline CheckFacts Sound() {
  CheckFacts facts;
  facts.node_name = "worker1";
  facts.cluster_cidrs = {P("10.244.0.0/16")};
  facts.cluster.emplace();
  facts.cluster->nodes = {MakeNode("master1", "10.244.1.0/24", "192.168.0.1"),
                          MakeNode("worker1", "10.244.2.0/24", "192.168.0.2")};
  facts.cluster->kube_proxy_cidr = "10.244.0.0/16";
  facts.cluster->kubeadm_cidr = "10.244.0.0/16";
  HostFacts& host = facts.host.emplace();
  auto link = [](int ifindex, const char* name) {
    LocalLink link;
    link.ifindex = ifindex;
    link.name = name;
    link.up = true;
    link.mtu = 1500;
    return link;
  };
  host.local.links = {link(2, "eth0"), link(3, "cni0"), link(4, "veth1")};
  host.local.addresses = {{2, A("192.168.0.2"), P("192.168.0.0/24")},
                          {3, A("10.244.2.1"), P("10.244.2.0/24")}};
  host.sysctls = {{"net/ipv4/ip_forward", "1"},
                  {"net/ipv4/conf/eth0/forwarding", "1"},
                  {"net/ipv4/conf/all/rp_filter", "0"},
                  {"net/ipv4/conf/eth0/rp_filter", "2"},
                  {"net/ipv4/neigh/default/gc_thresh3", "1024"}};
  host.uplinks = {"eth0"};
  host.bridge_ports = {"veth1"};
  PodLinkFact& pod = host.pods.emplace_back();
  pod.port = "veth1";
  pod.in_bridge = pod.up = true;
  pod.pod_mtu = 1500;
  pod.pod_up = true;
  pod.addresses = {A("10.244.2.5")};
  pod.given = A("10.244.2.5");
  host.pod_cidrs = {P("10.244.2.0/24")};
  host.wanted_mtu = 1500;
  host.conflist = RenderConflist({host.pod_cidrs, 1500});
  host.network = "podroute";
  host.data_dir = "/run/cni-ipam-state";
  host.conf_dir = "/etc/cni/net.d";
  host.bin_dir = "/opt/cni/bin";
  host.first_conf = "10-podroute.conflist";
  FilterChain& forward = host.filter[{"ip filter", "FORWARD"}];
  forward.show = "ip filter FORWARD";
  forward.base = true;
  forward.mend_policy = "iptables -P FORWARD ACCEPT";
  host.pod_networks = {P("10.244.1.0/24"), P("10.244.2.0/24")};
  host.masquerade = {true, true, MakeMasquerading(host.pod_cidrs, facts.cluster_cidrs)};
  host.routes.emplace();
  Route route;
  route.dst = P("10.244.1.0/24");
  route.via = {A("192.168.0.1"), 2};
  host.routes->plan.keeps = {route};
  host.routes->bridged = {P("10.244.2.0/24")};
  host.probes = {
      {"master1", A("192.168.0.1"), ProbeFact::Of::kNode, 1500, Reached::kFull},
      {"master1", A("10.244.1.1"), ProbeFact::Of::kBridge, 1500, Reached::kFull},
      {"veth1", A("10.244.2.5"), ProbeFact::Of::kPod, 84, Reached::kFull, A("10.244.2.1")},
      {"veth1", A("10.244.2.5"), ProbeFact::Of::kPod, 84, Reached::kFull, A("192.168.0.2")}};
  return facts;
}

// The findings, each with what a reader needs.
inline std::string Ids(const CheckFacts& facts) {
  std::string ids;
  for (const Finding& finding : CheckRules(facts)) {
    ids += (ids.empty() ? "" : " ") + finding.id;
    EXPECT_FALSE(finding.what.empty() || finding.why.empty() || finding.mend.empty()) << finding.id;
    EXPECT_NE(std::count(AllFindingIds().begin(), AllFindingIds().end(), finding.id), 0)
        << finding.id;
  }
  return ids;
}

}  // namespace podroute

#endif  // PODROUTE_TESTS_CONTROLLER_CHECK_SOUND_NODE_H_
