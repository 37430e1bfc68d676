// What `podroute check` decides on: values that were read, nothing that is decided yet.
#ifndef PODROUTE_CONTROLLER_CHECK_FACTS_H_
#define PODROUTE_CONTROLLER_CHECK_FACTS_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/ip_prefix.h"
#include "controller/check/filter.h"
#include "k8sclient/node.h"
#include "routing/desired_routes.h"
#include "routing/local_network.h"
#include "routing/masquerade_table.h"
#include "routing/netlink_codec.h"
#include "routing/route_plan.h"
#include "routing/rule_codec.h"

namespace podroute {

struct ClusterFacts {
  std::vector<std::shared_ptr<const Node>> nodes;
  std::vector<IpAddress> api_server;  // Its addresses.
  // As written, comma separated; absent: there is no such ConfigMap, or it does not say.
  std::optional<std::string> kube_proxy_cidr, kubeadm_cidr;
  bool kube_proxy = false;        // Its ConfigMap is there.
  std::string detect_local_mode;  // As kube-proxy's says; empty: its default, ClusterCIDR.
  std::vector<Refusal> refused;   // Of DesiredRoutes.
};

struct ForeignRouteFact {
  IpPrefix dst;
  std::string kind;  // "blackhole", "unicast", ...
  uint8_t protocol = 0;
  uint32_t metric = 0;
  std::vector<NextHop> via;      // Without gateway: the unspecified address.
  bool before_bridge = false;    // Of two routes to one prefix, it comes before cni0's.
  bool single_pod_link = false;  // By a veth that is up and no uplink, to one address.
};

// What the kernel has of our routes, against what should be.
struct RouteFacts {
  RoutePlan plan;                           // Local mode: empty.
  std::vector<ForeignRouteFact> shadowing;  // At the very prefix of one of ours, and it wins.
  std::vector<ForeignRouteFact> foreign;    // Everybody else's in that table.
  std::vector<IpPrefix> bridged;            // What routes by cni0 alone lead to.
  uint32_t metric = 110;                    // Ours.
  bool nexthop_objects = true;
};

// Packets between two pod networks, or of this node, and where the kernel would send them.
struct FlowFact {
  enum class From { kNode, kPods, kOthers };
  From from = From::kNode;
  std::string node;    // The other one; empty: this node with its own pods.
  IpPrefix pods;       // Where they go.
  IpPrefix sources;    // Where they come from; kNode: the address, or none (length 0).
  NextHop expected;    // By cni0: the unspecified address. With ifindex 0 any will do.
  uint32_t table = 0;  // Where the route to them is.
  std::string iif;     // Its name; empty: this node sends them.
  RouteQuestion question;
  std::optional<KernelRoute> answer;
  int error = 0;  // errno
};

struct PolicyFacts {
  std::vector<KernelRule> rules;  // Of each family in order.
  std::vector<FlowFact> astray;   // Those that go elsewhere than expected.
  // The tables that rules name, for what goes astray.
  std::map<uint32_t, std::vector<KernelRoute>> tables;
};

enum class Reached { kFull, kSmallOnly, kNo };  // The best first.
struct ProbeFact {
  enum class Of { kNode, kBridge, kPod };
  std::string node;  // kPod: its link here.
  IpAddress address;
  Of of = Of::kNode;
  uint32_t bytes = 0;  // Of the full-size IP packet.
  Reached reached = Reached::kNo;
  std::optional<IpAddress> source = {};  // Of the requests; absent: the kernel's choice.
};

// A pod of this node's network, by its link in the host.
struct PodLinkFact {
  std::string port;
  bool in_bridge = false;  // In cni0.
  bool up = false;
  std::optional<uint32_t> pod_mtu;  // Of its own end; absent: not known.
  std::optional<bool> pod_up;
  // As a port, with a carrier or without.
  bool forwards = true;
  bool hairpin = true;
  bool isolated = false;
  // Its own end's, without link-local ones and duplicates; absent: not known.
  std::optional<std::vector<IpAddress>> addresses = {};
  bool elsewhere = false;  // The pod has addresses on another link too.
  // The first that the plugin gave it, by its hardware address; absent: that is another.
  std::optional<IpAddress> given = {};
};

struct HostFacts {
  LocalNetwork local;
  std::map<std::string, std::string> sysctls;  // "net/ipv4/ip_forward" to its text; absent: none.
  std::vector<std::string> uplinks;            // Names of the links with the Node's addresses.
  // Those of them with an IPv6 address that runs out unless a router (or DHCPv6) renews it.
  std::vector<std::string> autoconfigured;
  bool foreign_bridge = false;  // The link cni0 is there and is no bridge.
  std::vector<std::string> bridge_ports;
  std::vector<PodLinkFact> pods;
  // Ports of the bridge that podroute-cni made for another network than ours.
  std::vector<std::string> other_networks_ports;
  std::optional<std::string> conflist;       // Its bytes.
  std::string first_conf;                    // Of the CNI configurations the one that sorts first.
  bool first_conf_delegates = false;         // It hands over to ours, as multus' does.
  std::string network, data_dir;             // As the conflist should say.
  std::string conf_dir, bin_dir;             // Empty: not ours to look at.
  std::vector<std::string> missing_plugins;  // Or not executable.
  // Those that do not answer CNI's VERSION, and what they do instead.
  std::vector<std::pair<std::string, std::string>> broken_plugins;
  uint32_t wanted_mtu = 0;                 // Of pods; 0: not known.
  uint32_t uplink_mtu = 0;                 // What all uplinks carry; 0: not known.
  std::vector<IpPrefix> pod_cidrs;         // Usable ones of this Node.
  bool networkd = false;                   // It runs.
  bool networkd_manages_foreign = false;   // Routes, by its configuration.
  bool networkd_manages_nexthops = false;  // The same.
  bool kube_proxy_rules = false;           // Of kube-proxy, in iptables or nftables.
  FilterChains filter;
  std::optional<RouteFacts> routes;
  PolicyFacts policy;
  std::optional<MasqueradeState> masquerade;  // Absent: pods are not to be masqueraded.
  std::vector<IpPrefix> pod_networks;         // Of all nodes, as accepted.
  std::vector<ProbeFact> probes;
};

struct CheckFacts {
  std::vector<IpPrefix> cluster_cidrs;
  std::string node_name;
  bool node_name_given = false;  // By flag or environment; else it is the host's name.
  std::string cluster_error;     // Why `cluster` is absent.
  std::optional<ClusterFacts> cluster;
  std::optional<HostFacts> host;  // Absent: this machine is no node.
  bool installed_here = false;    // Yet podroute's conflist is there.
};

}  // namespace podroute

#endif  // PODROUTE_CONTROLLER_CHECK_FACTS_H_
