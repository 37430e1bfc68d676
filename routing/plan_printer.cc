#include "routing/plan_printer.h"

#include <rapidjson/prettywriter.h>
#include <rapidjson/stringbuffer.h>

#include <algorithm>
#include <array>
#include <cstdlib>

#include "base/shell_words.h"
#include "base/text.h"
#include "routing/bird_config.h"
#include "routing/frr_config.h"

namespace podroute {
namespace {

// Every change and keep, by destination: the order of a table or a JSON array.
std::vector<RouteChange> ByDestination(const RoutePlan& plan) {
  std::vector<RouteChange> rows = plan.changes;
  for (const Route& route : plan.keeps) rows.push_back({RouteAction::kKeep, route, {}});
  std::stable_sort(rows.begin(), rows.end(),
                   [](const auto& a, const auto& b) { return a.route.dst < b.route.dst; });
  return rows;
}

std::string Mark(const PlanContext& context) {
  std::string out =
      " proto " + std::to_string(context.protocol) + " metric " + std::to_string(context.metric);
  if (context.table != 254) out += " table " + std::to_string(context.table);
  return out;
}

// A route to be added has no nexthop_id.
std::string IpCommand(std::string_view verb, const Route& route, const PlanContext& context) {
  std::string out = route.dst.is_v4() ? "ip route " : "ip -6 route ";
  out += std::string(verb) + " " + route.dst.ToString();
  if (route.nexthop_id != 0) {
    // By gateway the kernel (fib_nh_match, seen on 6.18) does not find a route that has an object.
    out += " nhid " + std::to_string(route.nexthop_id) + Mark(context) + "  # via " +
           route.via.gateway.ToString();
    if (!route.dev.empty()) out += " dev " + Printable(route.dev);
    return out;
  }
  // One made by hand may have none, or several.
  if (!route.via.gateway.IsUnspecified()) {
    // An IPv4 route through an IPv6 gateway (RTA_VIA) needs the family named.
    bool other = route.via.gateway.family() != route.dst.family();
    out += (other ? " via inet6 " : " via ") + route.via.gateway.ToString();
  }
  if (!route.dev.empty())
    out += " dev " + ShellWord(route.dev);  // It can hold any byte but '/' and white space.
  return out + Mark(context);
}

std::string PrintIp(const RoutePlan& plan, const std::vector<Refusal>& refused,
                    const PlanContext& context) {
  std::string out;
  for (const RouteChange& change : plan.changes) {
    std::string comment = change.route.node.empty() ? "" : "  # " + Printable(change.route.node);
    switch (change.action) {
      case RouteAction::kAdd:
        out += IpCommand("add", change.route, context) + comment + "\n";
        break;
      case RouteAction::kReplace:
        // `ip route replace` ignores the protocol: it could take somebody else's route of the same
        // metric. Behind the old route, then without it: never a moment with none.
        out += IpCommand("append", change.route, context) + comment + "\n";
        out += IpCommand("del", change.old, context) + "\n";
        break;
      case RouteAction::kDelete:
        out += IpCommand("del", change.route, context) + "\n";
        break;
      case RouteAction::kKeep:
        break;
    }
  }
  for (const Refusal& refusal : refused) {
    out += "# refused: " + refusal.node + " " + std::string(RefusalReasonName(refusal.reason)) +
           ": " + refusal.message + "\n";
  }
  if (plan.empty())
    out +=
        "# nothing to do: " + std::to_string(plan.keeps.size()) + " routes are as they should be\n";
  return out;
}

template <size_t N>
std::string Columns(const std::vector<std::array<std::string, N>>& rows) {
  std::array<size_t, N> widths{};
  for (const auto& row : rows) {
    for (size_t i = 0; i < N; ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string out;
  for (const auto& row : rows) {
    std::string line;
    for (size_t i = 0; i < N; ++i) {
      line += row[i];
      if (i + 1 < N) line.append(widths[i] - row[i].size() + 2, ' ');
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  }
  return out;
}

std::string PrintTable(const RoutePlan& plan, const std::vector<Refusal>& refused) {
  std::vector<std::array<std::string, 5>> rows = {{"ACTION", "DESTINATION", "VIA", "DEV", "NODE"}};
  for (const RouteChange& change : ByDestination(plan)) {
    const Route& route = change.route;
    std::string via = route.via.gateway.ToString();
    if (change.action == RouteAction::kReplace)
      via += " (was " + change.old.via.gateway.ToString() + ")";
    rows.push_back({std::string(RouteActionName(change.action)), route.dst.ToString(), via,
                    Printable(route.dev), Printable(route.node)});
  }
  std::string out = Columns(rows);
  if (!refused.empty()) {
    std::vector<std::array<std::string, 4>> lines = {{"REFUSED", "NODE", "REASON", "MESSAGE"}};
    for (const Refusal& r : refused) {
      lines.push_back({r.cidr.empty() ? "-" : r.cidr, r.node,
                       std::string(RefusalReasonName(r.reason)), r.message});
    }
    out += "\n" + Columns(lines);
  }
  out += "\n" + std::to_string(plan.adds) + " to add, " + std::to_string(plan.replaces) +
         " to replace, " + std::to_string(plan.deletes) + " to delete, " +
         std::to_string(plan.keeps.size()) + " to keep, " + std::to_string(refused.size()) +
         " refused\n";
  return out;
}

std::string PrintJson(const RoutePlan& plan, const std::vector<Refusal>& refused,
                      const PlanContext& context) {
  rapidjson::StringBuffer buffer;
  rapidjson::PrettyWriter<rapidjson::StringBuffer> json(buffer);
  json.SetIndent(' ', 2);
  auto field = [&](const char* key, std::string_view value) {
    json.Key(key);
    json.String(value.data(), static_cast<rapidjson::SizeType>(value.size()));
  };
  json.StartObject();
  field("mode", context.mode);
  if (!context.node.empty()) field("node", context.node);
  json.Key("routes");
  json.StartArray();
  for (const RouteChange& change : ByDestination(plan)) {
    json.StartObject();
    field("action", RouteActionName(change.action));
    field("dst", change.route.dst.ToString());
    field("via", change.route.via.gateway.ToString());
    if (!change.route.dev.empty()) field("dev", Printable(change.route.dev));
    if (!change.route.node.empty()) field("node", Printable(change.route.node, 253));
    if (change.action == RouteAction::kReplace) {
      field("old_via", change.old.via.gateway.ToString());
      if (!change.old.dev.empty()) field("old_dev", Printable(change.old.dev));
    }
    json.EndObject();
  }
  json.EndArray();
  json.Key("refused");
  json.StartArray();
  for (const Refusal& refusal : refused) {
    json.StartObject();
    field("node", refusal.node);
    field("cidr", refusal.cidr);
    field("reason", RefusalReasonName(refusal.reason));
    field("message", refusal.message);
    json.EndObject();
  }
  json.EndArray();
  json.EndObject();
  return std::string(buffer.GetString(), buffer.GetSize()) + "\n";
}

// What should be when the plan has been carried out.
RouteSet Desired(const RoutePlan& plan) {
  RouteSet routes;
  for (const RouteChange& row : ByDestination(plan)) {
    if (row.action != RouteAction::kDelete) routes.push_back(row.route);
  }
  return routes;
}

}  // namespace

std::string PrintPlan(const RoutePlan& plan, const std::vector<Refusal>& refused,
                      const PlanContext& context, PlanFormat format) {
  switch (format) {
    case PlanFormat::kIp:
      return PrintIp(plan, refused, context);
    case PlanFormat::kTable:
      return PrintTable(plan, refused);
    case PlanFormat::kJson:
      return PrintJson(plan, refused, context);
    case PlanFormat::kBird:
      return RenderBirdConfig(Desired(plan), context.owner);
    case PlanFormat::kFrr:
      return RenderFrrConfig(Desired(plan), FrrTag(context.owner));
  }
  std::abort();
}

}  // namespace podroute
