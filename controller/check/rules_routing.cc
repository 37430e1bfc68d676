#include <algorithm>
#include <set>

#include "base/text.h"
#include "controller/check/rules.h"

namespace podroute {
namespace {

std::string IpRoute(const IpPrefix& prefix) {
  return prefix.is_v4() ? "ip route " : "ip -6 route ";
}

std::string Via(const Route& route) {
  return route.dst.ToString() + " via " + route.via.gateway.ToString() +
         (route.dev.empty() ? "" : " dev " + Printable(route.dev));
}

std::string Article(const ForeignRouteFact& route) {
  return route.kind == "unreachable" ? "an " : "a ";
}

std::string Gateway(const ForeignRouteFact& route) {
  const IpAddress& gateway = route.via[0].gateway;
  return (gateway.family() == route.dst.family() ? " via " : " via inet6 ") + gateway.ToString();
}

std::string Delete(const ForeignRouteFact& route) {
  // With protocol and next hop, lest it means one of ours: 0 stands for any metric.
  const bool by_gateway = route.via.size() == 1 && !route.via[0].gateway.IsUnspecified();
  return IpRoute(route.dst) + "delete " + (route.kind == "unicast" ? "" : route.kind + " ") +
         route.dst.ToString() + (by_gateway ? Gateway(route) : std::string()) + " proto " +
         std::to_string(route.protocol) + " metric " + std::to_string(route.metric);
}

// The foreign route because of which the kernel takes no route of ours: same prefix, same metric.
const ForeignRouteFact* InTheWay(const RouteFacts& routes, const IpPrefix& dst) {
  bool missing = std::any_of(
      routes.plan.changes.begin(), routes.plan.changes.end(),
      [&](const RouteChange& c) { return c.action == RouteAction::kAdd && c.route.dst == dst; });
  if (!missing) return nullptr;
  for (const ForeignRouteFact& route : routes.shadowing) {
    if (route.dst == dst && route.metric == routes.metric) return &route;
  }
  return nullptr;
}

// The way of ours, by another route.
bool LeadsTo(const ForeignRouteFact& route, const NextHop& via) {
  return route.kind == "unicast" && route.via.size() == 1 && route.via[0] == via;
}

void CheckPlan(const RouteFacts& routes, std::vector<Finding>* findings) {
  // The plan's own commands carry mark and nexthop object.
  const std::string mend = "# see that the agent runs here; or by hand: podroute plan | sh";
  for (const RouteChange& change : routes.plan.changes) {
    switch (change.action) {
      case RouteAction::kAdd:
        if (InTheWay(routes, change.route.dst) != nullptr) break;  // Said with that route.
        findings->push_back(
            {"RouteMissing", Severity::kError,
             "no route " + Via(change.route) + " to the pods of " + Printable(change.route.node),
             "this node and its pods do not reach them", mend});
        break;
      case RouteAction::kReplace:
        findings->push_back(
            {"RouteWrong", Severity::kError,
             Via(change.old) + " should be via " + change.route.via.gateway.ToString(),
             "packets for these pods go to the wrong machine", mend});
        break;
      case RouteAction::kDelete:
        findings->push_back({"RouteStale", Severity::kWarning,
                             Via(change.route) + " is ours, but no Node's",
                             "packets go to a machine that has no such pods", mend});
        break;
      case RouteAction::kKeep:
        break;
    }
  }
}

void CheckShadowing(const RouteFacts& routes, std::vector<Finding>* findings) {
  for (const ForeignRouteFact& route : routes.shadowing) {
    const bool in_the_way = InTheWay(routes, route.dst) != nullptr;
    auto ours = std::find_if(routes.plan.keeps.begin(), routes.plan.keeps.end(),
                             [&](const Route& keep) { return keep.dst == route.dst; });
    // As while a node moves from another network.
    const bool same_way = ours != routes.plan.keeps.end() && LeadsTo(route, ours->via);
    std::string what = "our route to " + route.dst.ToString();
    what += in_the_way ? " cannot be made beside " : " loses to ";
    what += Article(route) + route.kind + " route of protocol " + std::to_string(route.protocol);
    if (in_the_way) what += " that has our metric, " + std::to_string(route.metric);
    findings->push_back(
        {"RouteShadowed", same_way ? Severity::kWarning : Severity::kError, std::move(what),
         same_way ? "it leads to the same node today, and to the wrong one when that changes"
                  : "packets for these pods follow that route",
         Delete(route)});
  }
}

void CheckForeign(const HostFacts& host, std::vector<Finding>* findings) {
  for (const ForeignRouteFact& route : host.routes->foreign) {
    auto takes = [&](const IpPrefix& pods) { return pods.Contains(route.dst); };
    const RoutePlan& plan = host.routes->plan;
    auto other = std::find_if(plan.keeps.begin(), plan.keeps.end(), [&](const Route& ours) {
      return ours.dst.length() < route.dst.length() && takes(ours.dst);
    });
    auto own = std::find_if(host.pod_cidrs.begin(), host.pod_cidrs.end(), takes);
    // A part that is refused; with a router any way to the others' pods will do.
    const bool refused =
        route.kind != "unicast" && route.kind != "throw" &&
        std::any_of(host.pod_networks.begin(), host.pod_networks.end(), [&](const IpPrefix& pods) {
          return pods.length() < route.dst.length() && takes(pods);
        });
    const bool of_other = refused || (other != plan.keeps.end() && !LeadsTo(route, other->via));
    // A single pod of another network's, that is moving here, has a link and a route of its own.
    const bool of_own = own != host.pod_cidrs.end() && !route.single_pod_link &&
                        (route.kind != "unicast" || !route.via.empty()) &&
                        (route.dst != *own || route.before_bridge);
    if (!of_other && !of_own) continue;
    findings->push_back({"ForeignRoute", Severity::kError,
                         Article(route) + route.kind + " route to " + route.dst.ToString() +
                             " of protocol " + std::to_string(route.protocol) +
                             " lies in the pods' networks",
                         "pods in it are not reached", Delete(route)});
  }
}

// By which links routes of that family lead to other nodes.
std::set<int> LinksToOthers(const HostFacts& host, IpFamily family) {
  std::set<int> links;
  if (!host.routes) return links;
  for (const Route& route : host.routes->plan.keeps) {
    if (route.dst.family() == family) links.insert(route.via.ifindex);
  }
  return links;
}

void CheckOtherLink(const HostFacts& host, const Node& self, const LocalAddress& own,
                    std::vector<Finding>* findings) {
  const std::set<int> links = LinksToOthers(host, own.address.family());
  if (links.empty()) return;
  // One that others can use is enough.
  for (const LocalAddress& other : host.local.addresses) {
    if (other.address.family() == own.address.family() && links.contains(other.ifindex) &&
        std::find(self.internal_ips.begin(), self.internal_ips.end(), other.address.ToString()) !=
            self.internal_ips.end()) {
      return;
    }
  }
  auto name_of = [&](int ifindex) {
    auto found = std::find_if(host.local.links.begin(), host.local.links.end(),
                              [&](const LocalLink& link) { return link.ifindex == ifindex; });
    return found == host.local.links.end() ? std::to_string(ifindex) : Printable(found->name);
  };
  const std::string there = name_of(*links.begin());
  findings->push_back(
      {"NodeAddressOtherLink", Severity::kWarning,
       "InternalIP " + own.address.ToString() + " of Node " + Printable(self.name) + " is on " +
           name_of(own.ifindex) + ", and the other nodes are reached by " + there,
       "they cannot use it as a next hop, unless they have a link into its subnet",
       "# set kubelet's --node-ip to this machine's address on " + there + ", and restart it"});
}

void CheckNodeAddresses(const HostFacts& host, const Node& self, std::vector<Finding>* findings) {
  const std::string name = Printable(self.name);
  std::set<IpFamily> families;
  for (const std::string& text : self.internal_ips) {
    Result<IpAddress> address = IpAddress::Parse(text);
    if (address.ok()) families.insert(address->family());
    auto here = std::find_if(
        host.local.addresses.begin(), host.local.addresses.end(),
        [&](const LocalAddress& own) { return address.ok() && own.address == *address; });
    if (here != host.local.addresses.end()) {
      CheckOtherLink(host, self, *here, findings);
      continue;
    }
    findings->push_back(
        {"NodeAddressNotHere", Severity::kError,
         "InternalIP " + Printable(text) + " of Node " + name + " is on no link of this machine",
         "the other nodes send what is for its pods to that address",
         "# set kubelet's --node-ip to an address of this machine, and restart "
         "it"});
  }
  for (const IpPrefix& cidr : host.pod_cidrs) {
    if (families.contains(cidr.family())) continue;
    findings->push_back(
        {"NodeAddressMissing", Severity::kError,
         "Node " + name + " has no " + std::string(IpFamilyName(cidr.family())) +
             " InternalIP, which " + cidr.ToString() + " needs",
         "the other nodes have no next hop for its pods",
         "# set kubelet's --node-ip to this machine's addresses, one of each family "
         "separated by a comma, and restart it"});
  }
}

}  // namespace

void CheckRouting(const CheckFacts& facts, std::vector<Finding>* findings) {
  const HostFacts& host = *facts.host;
  if (facts.cluster) {
    auto self = std::find_if(facts.cluster->nodes.begin(), facts.cluster->nodes.end(),
                             [&](const auto& node) { return node->name == facts.node_name; });
    if (self != facts.cluster->nodes.end()) CheckNodeAddresses(host, **self, findings);
  }
  if (!host.routes) return;
  CheckPlan(*host.routes, findings);
  CheckShadowing(*host.routes, findings);
  CheckForeign(host, findings);
  if (!host.routes->nexthop_objects) {
    findings->push_back({"NoNexthopObjects", Severity::kNote, "this kernel has no nexthop objects",
                         "thousands of nodes' routes take seconds instead of milliseconds",
                         "# use Linux 5.3 or newer"});
  }
}

}  // namespace podroute
