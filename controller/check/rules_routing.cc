#include <algorithm>

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

std::string Delete(const ForeignRouteFact& route) {
  return IpRoute(route.dst) + "delete " + (route.kind == "unicast" ? "" : route.kind + " ") +
         route.dst.ToString() + " proto " + std::to_string(route.protocol) + " metric " +
         std::to_string(route.metric);
}

void CheckPlan(const RoutePlan& plan, std::vector<Finding>* findings) {
  // The plan's own commands carry mark and nexthop object.
  const std::string mend = "# see that the agent runs here; or by hand: podroute plan | sh";
  for (const RouteChange& change : plan.changes) {
    switch (change.action) {
      case RouteAction::kAdd:
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

}  // namespace

void CheckRouting(const CheckFacts& facts, std::vector<Finding>* findings) {
  const HostFacts& host = *facts.host;
  if (facts.cluster) {
    auto self = std::find_if(facts.cluster->nodes.begin(), facts.cluster->nodes.end(),
                             [&](const auto& node) { return node->name == facts.node_name; });
    if (self != facts.cluster->nodes.end()) {
      for (const std::string& text : (*self)->internal_ips) {
        Result<IpAddress> address = IpAddress::Parse(text);
        if (address.ok() && std::any_of(host.local.addresses.begin(), host.local.addresses.end(),
                                        [&](const auto& own) { return own.address == *address; })) {
          continue;
        }
        findings->push_back({"NodeAddressNotHere", Severity::kError,
                             "InternalIP " + Printable(text) + " of Node " +
                                 Printable(facts.node_name) + " is on no link of this machine",
                             "the other nodes send what is for its pods to that address",
                             "# set kubelet's --node-ip to an address of this machine, and restart "
                             "it"});
      }
    }
  }
  if (!host.routes) return;
  CheckPlan(host.routes->plan, findings);
  for (const ForeignRouteFact& route : host.routes->shadowing) {
    findings->push_back({"RouteShadowed", Severity::kError,
                         "our route to " + route.dst.ToString() + " loses to a " + route.kind +
                             " route of protocol " + std::to_string(route.protocol),
                         "packets for these pods follow that route", Delete(route)});
  }
  for (const ForeignRouteFact& route : host.routes->foreign) {
    auto takes = [&](const IpPrefix& pods) { return pods.Contains(route.dst); };
    const RoutePlan& plan = host.routes->plan;
    bool other = std::any_of(plan.keeps.begin(), plan.keeps.end(), [&](const Route& ours) {
      return ours.dst.length() < route.dst.length() && takes(ours.dst);
    });
    bool own =
        route.kind != "unicast" && std::any_of(host.pod_cidrs.begin(), host.pod_cidrs.end(), takes);
    if (!other && !own) continue;
    findings->push_back({"ForeignRoute", Severity::kError,
                         "a " + route.kind + " route to " + route.dst.ToString() + " of protocol " +
                             std::to_string(route.protocol) + " lies in the pods' networks",
                         "pods in it are not reached", Delete(route)});
  }
  if (!host.routes->nexthop_objects) {
    findings->push_back({"NoNexthopObjects", Severity::kNote, "this kernel has no nexthop objects",
                         "thousands of nodes' routes take seconds instead of milliseconds",
                         "# use Linux 5.3 or newer"});
  }
}

}  // namespace podroute
