#include <algorithm>
#include <cerrno>
#include <map>
#include <set>

#include "base/text.h"
#include "controller/check/policy_flows.h"
#include "controller/check/rules.h"

namespace podroute {
namespace {

using From = FlowFact::From;

std::string Ip(IpFamily family) { return family == IpFamily::kV4 ? "ip " : "ip -6 "; }

std::string LinkName(const HostFacts& host, int ifindex) {
  for (const LocalLink& link : host.local.links) {
    if (link.ifindex == ifindex) return Printable(link.name);
  }
  return std::to_string(ifindex);
}

std::string Whose(const FlowFact& flow, const IpPrefix& pods) {
  return Printable(flow.node) + "'s pods (" + pods.ToString() + ")";
}

// "what pods here send to worker1's pods (10.244.2.0/24)"
std::string Packets(const FlowFact& flow) {
  std::string from;
  if (flow.from == From::kPods) from = "what pods here (" + flow.sources.ToString() + ")";
  if (flow.from == From::kOthers) from = "what " + Whose(flow, flow.sources);
  if (flow.from == From::kNode) from = "what this node";
  if (flow.from == From::kNode && flow.question.src) {
    from += ", as " + flow.question.src->ToString() + ",";
  }
  const bool own = flow.from == From::kOthers || flow.node.empty();
  return from +
         (flow.from == From::kOthers ? " send to "
          : flow.from == From::kPods ? " send to "
                                     : " sends to ") +
         (own ? "pods here (" + flow.pods.ToString() + ")" : Whose(flow, flow.pods));
}

std::string_view Rejection(uint8_t type) {
  switch (type) {
    case RTN_BLACKHOLE:
      return "is dropped (blackhole)";
    case RTN_PROHIBIT:
      return "is refused (prohibit)";
    case RTN_UNREACHABLE:
      return "is refused (unreachable)";
    case RTN_LOCAL:
      return "is taken for this node's own";
    default:
      return "";
  }
}

std::string Outcome(const HostFacts& host, const FlowFact& flow, const Diversion& diversion) {
  if (flow.error == EINVAL && diversion.rule == nullptr)
    return std::string(Rejection(RTN_BLACKHOLE));
  if (flow.error == EACCES && diversion.rule == nullptr)
    return std::string(Rejection(RTN_PROHIBIT));
  if (diversion.rule != nullptr) {
    if (diversion.rule->action == RuleAction::kBlackhole) return "is dropped (blackhole)";
    if (diversion.rule->action == RuleAction::kProhibit) return "is refused (prohibit)";
    if (diversion.rule->action == RuleAction::kUnreachable) return "is refused (unreachable)";
  }
  if (diversion.route != nullptr) {
    if (std::string_view said = Rejection(diversion.route->type); !said.empty()) {
      return std::string(said);
    }
  }
  if (!flow.answer) return "has no route";
  if (std::string_view said = Rejection(flow.answer->type); !said.empty()) return std::string(said);
  if (flow.answer->via.empty()) return "goes elsewhere";
  const NextHop& via = flow.answer->via[0];
  return "goes " + (via.gateway.IsUnspecified() ? "" : "via " + via.gateway.ToString() + " ") +
         "by " + LinkName(host, via.ifindex);
}

std::string Table(uint32_t table) {
  return table == RT_TABLE_MAIN    ? "main"
         : table == RT_TABLE_LOCAL ? "local"
                                   : std::to_string(table);
}

std::string DeleteRoute(const KernelRoute& route) {
  const char* type = route.type == RTN_BLACKHOLE     ? "blackhole "
                     : route.type == RTN_PROHIBIT    ? "prohibit "
                     : route.type == RTN_UNREACHABLE ? "unreachable "
                     : route.type == RTN_LOCAL       ? "local "
                                                     : "";
  return Ip(route.dst.family()) + "route delete " + type + route.dst.ToString() + " table " +
         Table(route.mark.table);
}

// What is wrong, and what mends it.
struct Blame {
  std::string by, mend;
};

Blame BlameOf(const FlowFact& flow, const Diversion& diversion) {
  const IpFamily family = flow.pods.family();
  const std::string lookup = "lookup " + Table(flow.table);
  if (diversion.rule == nullptr) {
    return {"no rule of " + std::string(IpFamilyName(family)) + " has \"" + lookup + "\"",
            Ip(family) + "rule add priority 32766 " + lookup};
  }
  const KernelRule& rule = *diversion.rule;
  if (rule.action == RuleAction::kTable && rule.table == RT_TABLE_LOCAL) {
    return {"table local has a route to " + diversion.route->dst.ToString(),
            DeleteRoute(*diversion.route)};
  }
  Blame blame{"by the rule \"" + RuleText(rule) + "\"",
              Ip(family) + "rule delete " + RuleText(rule)};
  if (rule.action == RuleAction::kTable && rule.table == RT_TABLE_MAIN) {
    // Ours are in a table of their own, which comes too late.
    blame.mend = Ip(family) + "rule add priority " +
                 std::to_string(rule.priority == 0 ? 0 : rule.priority - 1) + " " + lookup;
  }
  return blame;
}

// All that goes astray for one reason.
struct Astray {
  const FlowFact* first;
  Diversion diversion;
  Blame blame;
  std::set<std::string> networks;
};

// A route in the very table of ours that the kernel prefers for these packets.
void CheckTable(const HostFacts& host, const FlowFact& flow, std::vector<Finding>* findings) {
  // What is wrong in this node's own network others say; for packets that come in by a link an
  // error may be about where they come from.
  if (flow.from == From::kOthers || flow.node.empty()) return;
  if (!flow.answer && flow.from != From::kNode) return;
  const std::string from =
      flow.question.src ? " from " + flow.question.src->ToString() : std::string();
  findings->push_back({"RouteBypassed", Severity::kError,
                       Packets(flow) + " " + Outcome(host, flow, {}) + ", by the routes in table " +
                           Table(flow.table),
                       "these pods are not reached",
                       "# mend the routes in that table: " + Ip(flow.pods.family()) + "route get " +
                           flow.question.dst.ToString() + from +
                           (flow.iif.empty() ? "" : " iif " + Printable(flow.iif)) + " shows it"});
}

}  // namespace

void CheckPolicyRouting(const CheckFacts& facts, std::vector<Finding>* findings) {
  const HostFacts& host = *facts.host;
  std::vector<std::string> order;
  std::map<std::string, Astray> by_reason;
  std::set<IpPrefix> told;
  for (const FlowFact& flow : host.policy.astray) {
    std::optional<Diversion> diversion = FindDiversion(flow, host.policy);
    // A source that is refused (rp_filter), or a link that does not forward.
    const bool refused = flow.error == EXDEV || flow.error == EHOSTUNREACH;
    if (!diversion || (diversion->rule == nullptr && refused)) {
      if (!diversion && told.insert(flow.pods).second) CheckTable(host, flow, findings);
      continue;
    }
    if (diversion->rule == nullptr && flow.error == EINVAL) continue;
    Blame blame = BlameOf(flow, *diversion);
    const std::string key = std::to_string(static_cast<int>(flow.pods.family())) + blame.by;
    auto [at, is_new] = by_reason.try_emplace(key, Astray{&flow, *diversion, blame, {}});
    if (is_new) order.push_back(key);
    at->second.networks.insert((flow.from == From::kOthers ? flow.sources : flow.pods).ToString());
  }
  for (const std::string& key : order) {
    const Astray& astray = by_reason.at(key);
    std::string what = Packets(*astray.first) + " " +
                       Outcome(host, *astray.first, astray.diversion) + ": " + astray.blame.by;
    if (astray.networks.size() > 1) {
      const size_t more = astray.networks.size() - 1;
      what += ", and so for " + std::to_string(more) + " more pod network" + (more == 1 ? "" : "s");
    }
    findings->push_back(
        {"RouteBypassed", Severity::kError, std::move(what),
         "the kernel asks rules in order and comes to this before the route to these "
         "pods: they are not reached, or not that way",
         astray.blame.mend});
  }
}

}  // namespace podroute
