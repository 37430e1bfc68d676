#include "controller/check/gather_routes.h"

#include <linux/rtnetlink.h>
#include <net/if.h>

#include <algorithm>
#include <memory>
#include <set>

#include "cni/conflist.h"
#include "cni/link_ops.h"
#include "controller/check/policy_flows.h"
#include "controller/kernel_options.h"
#include "routing/kernel_reader.h"
#include "routing/netlink_codec.h"
#include "routing/netlink_socket.h"

namespace podroute {
namespace {

std::string KindOf(const KernelRoute& route) {
  switch (route.type) {
    case RTN_BLACKHOLE:
      return "blackhole";
    case RTN_UNREACHABLE:
      return "unreachable";
    case RTN_PROHIBIT:
      return "prohibit";
    case RTN_THROW:
      return "throw";
    default:
      return "unicast";
  }
}

struct Links {
  int bridge = 0;
  std::set<int> pods;  // veths that are up, and no uplinks.
};

Result<Links> ReadLinks(NetlinkTransport& netlink, const HostFacts& host) {
  PODROUTE_ASSIGN_OR_RETURN(std::vector<LinkDetails> all, LinkOps(netlink).AllLinks());
  Links links;
  for (const LinkDetails& link : all) {
    if (link.name == kBridgeName) links.bridge = link.ifindex;
    const bool uplink =
        std::find(host.uplinks.begin(), host.uplinks.end(), link.name) != host.uplinks.end();
    if (link.kind == "veth" && (link.flags & IFF_UP) != 0 && !uplink) {
      links.pods.insert(link.ifindex);
    }
  }
  return links;
}

// Sorts one table's routes, as the kernel lists them: of one prefix the one that wins comes first.
class ForeignSorter {
 public:
  ForeignSorter(const RouteMark& mark, const RouteSet& desired, const Links& links,
                RouteFacts* facts)
      : mark_(mark), desired_(desired), links_(links), facts_(facts) {}

  void Take(const KernelRoute& route) {
    // A TOS of its own: only for packets that have it.
    if (route.mark.table != mark_.table || (route.flags & RTM_F_CLONED) != 0 || route.tos != 0) {
      return;
    }
    if (HasMark(route, mark_)) {
      ours_.insert(route.dst);
      return;
    }
    if (route.type == RTN_UNICAST && route.via.size() == 1 && links_.bridge != 0 &&
        route.via[0].ifindex == links_.bridge) {
      facts_->bridged.push_back(route.dst);
      if (!IsOthers(route.dst)) return;
    }
    ForeignRouteFact fact{route.dst, KindOf(route), route.mark.protocol, route.mark.metric,
                          route.via};
    fact.before_bridge = links_.bridge != 0 &&
                         std::find(facts_->bridged.begin(), facts_->bridged.end(), route.dst) ==
                             facts_->bridged.end();
    fact.single_pod_link = route.dst.length() == route.dst.address().bits() &&
                           route.via.size() == 1 && route.via[0].gateway.IsUnspecified() &&
                           links_.pods.contains(route.via[0].ifindex);
    // With our metric, and before ours or instead of it: the kernel takes no second one.
    const bool wins = route.mark.metric < mark_.metric ||
                      (route.mark.metric == mark_.metric && !ours_.contains(route.dst));
    auto ours = std::lower_bound(desired_.begin(), desired_.end(), route.dst,
                                 [](const Route& d, const IpPrefix& dst) { return d.dst < dst; });
    const bool shadows = wins && ours != desired_.end() && ours->dst == route.dst;
    (shadows ? facts_->shadowing : facts_->foreign).push_back(std::move(fact));
  }

 private:
  // In what is to go to another node.
  bool IsOthers(const IpPrefix& dst) const {
    return std::any_of(desired_.begin(), desired_.end(),
                       [&](const Route& route) { return route.dst.Contains(dst); });
  }

  const RouteMark mark_;
  const RouteSet& desired_;
  const Links& links_;
  RouteFacts* const facts_;
  std::set<IpPrefix> ours_;
};

Status SortTable(NetlinkTransport& netlink, const RouteMark& mark, const RouteSet& desired,
                 const Links& links, RouteFacts* facts) {
  ForeignSorter sorter(mark, desired, links, facts);
  for (IpFamily family : {IpFamily::kV4, IpFamily::kV6}) {
    NetlinkBatch request;
    RouteMark any = mark;
    any.protocol = RTPROT_UNSPEC;
    EncodeDumpRoutes(request, family, any);
    Result<DumpResult> dump = netlink.Dump(request, [&](const NetlinkMessage& message) {
      if (auto route = DecodeRoute(message)) sorter.Take(*route);
    });
    // No such table yet.
    if (!dump.ok() && dump.status().code() != StatusCode::kNotFound) return dump.status();
  }
  return Status::Ok();
}

// Ours that are in use in their table.
RouteSet Effective(const RouteFacts& facts) {
  RouteSet routes;
  for (const Route& route : facts.plan.keeps) {
    auto takes = [&](const ForeignRouteFact& other) { return route.dst.Contains(other.dst); };
    if (std::none_of(facts.shadowing.begin(), facts.shadowing.end(), takes) &&
        std::none_of(facts.foreign.begin(), facts.foreign.end(),
                     [&](const ForeignRouteFact& other) {
                       return other.dst.length() > route.dst.length() && takes(other);
                     })) {
      routes.push_back(route);
    }
  }
  return routes;
}

// The others' pod networks, where a router has the routes.
RouteSet OtherPods(const ClusterFacts& cluster, const HostFacts& host) {
  RouteSet others;
  for (const auto& node : cluster.nodes) {
    for (const std::string& text : node->pod_cidrs) {
      Result<IpPrefix> pods = IpPrefix::Parse(text);
      if (!pods.ok() ||
          !std::binary_search(host.pod_networks.begin(), host.pod_networks.end(), *pods) ||
          std::find(host.pod_cidrs.begin(), host.pod_cidrs.end(), *pods) != host.pod_cidrs.end()) {
        continue;
      }
      Route& other = others.emplace_back();
      other.dst = *pods;
      other.node = node->name;
    }
  }
  return others;
}

FlowInputs InputsOf(const Options& options, const Node& self, const ClusterFacts& cluster,
                    const HostFacts& host) {
  FlowInputs inputs;
  inputs.table = options.route_table;
  inputs.own = host.pod_cidrs;
  inputs.links = host.local.links;
  if (options.mode != Mode::kHost) {
    inputs.other_pods = OtherPods(cluster, host);
  } else if (host.routes) {
    inputs.routes = Effective(*host.routes);
  }
  for (const LocalAddress& address : host.local.addresses) {
    const bool named = std::find(self.internal_ips.begin(), self.internal_ips.end(),
                                 address.address.ToString()) != self.internal_ips.end();
    if (named && !address.address.IsLoopback()) inputs.addresses.push_back(address.address);
  }
  for (const LocalLink& link : host.local.links) {
    if (link.name == kBridgeName && link.up) inputs.bridge = link;
    if (std::find(host.uplinks.begin(), host.uplinks.end(), link.name) != host.uplinks.end()) {
      inputs.uplinks.push_back(link.ifindex);
    }
    auto forwarding = host.sysctls.find("net/ipv4/conf/" + link.name + "/forwarding");
    if (forwarding != host.sysctls.end() && forwarding->second == "0") {
      inputs.not_forwarding_v4.push_back(link.ifindex);
    }
  }
  return inputs;
}

Status ReadRules(NetlinkTransport& netlink, std::vector<KernelRule>* rules) {
  for (IpFamily family : {IpFamily::kV4, IpFamily::kV6}) {
    NetlinkBatch request;
    EncodeDumpRules(request, family);
    Result<DumpResult> dump = netlink.Dump(request, [&](const NetlinkMessage& message) {
      if (auto rule = DecodeRule(message)) rules->push_back(*rule);
    });
    // A kernel without policy routing, or without that family.
    if (!dump.ok() && dump.status().code() != StatusCode::kUnsupported) return dump.status();
  }
  return Status::Ok();
}

Status Ask(NetlinkTransport& netlink, std::vector<FlowFact>* flows) {
  NetlinkBatch batch;
  for (const FlowFact& flow : *flows) EncodeAskRoute(batch, flow.question);
  if (batch.empty()) return Status::Ok();
  PODROUTE_ASSIGN_OR_RETURN(auto failures,
                            netlink.Execute(batch, [&](const NetlinkMessage& message) {
                              size_t at = message.header.nlmsg_seq - batch.header(0).nlmsg_seq;
                              if (at < flows->size()) (*flows)[at].answer = DecodeRoute(message);
                            }));
  for (const NetlinkFailure& failure : failures) (*flows)[failure.index].error = failure.error;
  return Status::Ok();
}

Status ReadTables(NetlinkTransport& netlink, PolicyFacts* policy) {
  for (const KernelRule& rule : policy->rules) {
    if (rule.action != RuleAction::kTable || rule.table == 0) continue;
    if (policy->tables.contains(rule.table)) continue;
    std::vector<KernelRoute>& table = policy->tables[rule.table];
    for (IpFamily family : {IpFamily::kV4, IpFamily::kV6}) {
      NetlinkBatch request;
      RouteMark any{rule.table, RTPROT_UNSPEC, 0};
      EncodeDumpRoutes(request, family, any);
      Result<DumpResult> dump = netlink.Dump(request, [&](const NetlinkMessage& message) {
        auto route = DecodeRoute(message);
        if (!route || route->mark.table != rule.table || (route->flags & RTM_F_CLONED) != 0) return;
        table.push_back(std::move(*route));
      });
      // No such table, or no such family.
      if (!dump.ok() && dump.status().code() != StatusCode::kNotFound &&
          dump.status().code() != StatusCode::kUnsupported) {
        return dump.status();
      }
    }
  }
  return Status::Ok();
}

}  // namespace

Status GatherRoutes(const Options& options, const RouteSet& desired, HostFacts* host) {
  const KernelOptions kernel = ToKernelOptions(options);
  RouteFacts facts;
  facts.metric = kernel.mark.metric;
  if (options.mode == Mode::kHost) {
    PODROUTE_ASSIGN_OR_RETURN(auto backend, KernelBackend::Create(kernel));
    PODROUTE_ASSIGN_OR_RETURN(RouteSet actual, backend->ReadOwned());
    facts.plan = Plan(actual, desired);
    facts.nexthop_objects = backend->uses_nexthop_objects();
  }
  PODROUTE_ASSIGN_OR_RETURN(auto socket, NetlinkSocket::Create());
  PODROUTE_ASSIGN_OR_RETURN(Links links, ReadLinks(*socket, *host));
  PODROUTE_RETURN_IF_ERROR(SortTable(*socket, kernel.mark, desired, links, &facts));
  if (kernel.mark.table != RT_TABLE_MAIN) {
    // This node's own network is in the main table all the same.
    RouteFacts main;
    RouteMark mark = kernel.mark;
    mark.table = RT_TABLE_MAIN;
    PODROUTE_RETURN_IF_ERROR(SortTable(*socket, mark, {}, links, &main));
    facts.bridged = main.bridged;
    for (ForeignRouteFact& route : main.foreign) {
      bool own = std::any_of(host->pod_cidrs.begin(), host->pod_cidrs.end(),
                             [&](const IpPrefix& pods) { return pods.Contains(route.dst); });
      if (own) facts.foreign.push_back(std::move(route));
    }
  }
  host->routes = std::move(facts);
  return Status::Ok();
}

Status GatherPolicy(const Options& options, const Node& self, const ClusterFacts& cluster,
                    HostFacts* host) {
  PODROUTE_ASSIGN_OR_RETURN(auto socket, NetlinkSocket::Create());
  PolicyFacts policy;
  PODROUTE_RETURN_IF_ERROR(ReadRules(*socket, &policy.rules));
  std::vector<FlowFact> flows = MakeFlows(InputsOf(options, self, cluster, *host), policy.rules);
  PODROUTE_RETURN_IF_ERROR(Ask(*socket, &flows));
  for (FlowFact& flow : flows) {
    if (IsAstray(flow)) policy.astray.push_back(std::move(flow));
  }
  if (!policy.astray.empty()) PODROUTE_RETURN_IF_ERROR(ReadTables(*socket, &policy));
  host->policy = std::move(policy);
  return Status::Ok();
}

}  // namespace podroute
