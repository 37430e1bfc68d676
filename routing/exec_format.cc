#include "routing/exec_format.h"

#include <rapidjson/document.h>
#include <rapidjson/error/en.h>
#include <rapidjson/prettywriter.h>
#include <rapidjson/stringbuffer.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "base/text.h"
#include "routing/bird_config.h"
#include "routing/ip_route_text.h"
#include "routing/plan_printer.h"

namespace podroute {
namespace {

bool IsBlank(std::string_view text) {
  return text.find_first_not_of(" \t\r\n") == std::string_view::npos;
}

std::string RenderJson(const RouteSet& routes, const std::string& owner) {
  rapidjson::StringBuffer buffer;
  rapidjson::PrettyWriter<rapidjson::StringBuffer> json(buffer);
  json.SetIndent(' ', 2);
  auto field = [&](const char* key, const std::string& value) {
    json.Key(key);
    json.String(value);
  };
  json.StartObject();
  field("owner", owner);
  json.Key("routes");
  json.StartArray();
  for (const Route& route : routes) {
    json.StartObject();
    field("dst", route.dst.ToString());
    field("via", route.via.gateway.ToString());
    if (!route.node.empty()) field("node", Printable(route.node, 253));
    json.EndObject();
  }
  json.EndArray();
  json.EndObject();
  return std::string(buffer.GetString(), buffer.GetSize()) + "\n";
}

Status WrongJson(const std::string& why) {
  return {StatusCode::kInternal, "this is not our JSON: " + why};
}

Result<RouteSet> ParseJsonRoutes(std::string_view text, const std::string& owner) {
  rapidjson::Document document;
  document.Parse<rapidjson::kParseIterativeFlag>(text.data(), text.size());
  if (document.HasParseError()) {
    return WrongJson(std::string(GetParseError_En(document.GetParseError())) + " (byte " +
                     std::to_string(document.GetErrorOffset()) + ")");
  }
  if (!document.IsObject()) return WrongJson("no object");
  auto whose = document.FindMember("owner");
  if (whose != document.MemberEnd() &&
      (!whose->value.IsString() || owner != whose->value.GetString())) {
    return WrongJson("its owner is somebody else, not \"" + owner + "\"");
  }
  auto routes = document.FindMember("routes");
  if (routes == document.MemberEnd() || !routes->value.IsArray()) return WrongJson("no \"routes\"");
  RouteSet set;
  for (const rapidjson::Value& object : routes->value.GetArray()) {
    auto field = [&](const char* key) -> std::string {
      if (!object.IsObject()) return "";
      auto at = object.FindMember(key);
      return at != object.MemberEnd() && at->value.IsString() ? at->value.GetString() : "";
    };
    if (field("action") == "delete") continue;
    Result<IpPrefix> dst = IpPrefix::Parse(field("dst"));
    Result<IpAddress> via = IpAddress::Parse(field("via"));
    std::string which = "route " + std::to_string(set.size() + 1) + ": ";
    if (!dst.ok()) return WrongJson(which + dst.status().message());
    if (!via.ok()) return WrongJson(which + via.status().message());
    Route route;
    route.dst = *dst;
    route.via.gateway = *via;
    route.node = field("node");
    set.push_back(std::move(route));
  }
  return set;
}

std::string RenderFrr(const RouteSet& routes, const RouteSet& gone, uint32_t tag) {
  std::string text = RenderFrrConfig(routes, tag);
  for (const Route& route : gone) text += "no " + FrrLine(route, tag) + "\n";
  return text;
}

// The commands that `podroute plan` prints.
RouteDelta MakeIpDelta(const RoutePlan& plan, const RouteSet& now, const RouteMark& mark) {
  PlanContext context{.mode = "router",
                      .node = "",
                      .table = mark.table,
                      .metric = mark.metric,
                      .protocol = mark.protocol};
  RouteDelta delta;
  delta.statuses.resize(plan.changes.size());
  for (size_t i = 0; i < plan.changes.size(); ++i) {
    RouteChange change = plan.changes[i];
    if (change.action == RouteAction::kDelete) {
      if (!HasRoute(now, change.route)) continue;
    } else {
      delta.statuses[i] = CheckExecRoute(ExecFormat::kIp, change.route);
      if (!delta.statuses[i].ok() || HasRoute(now, change.route)) continue;
      change.route.dev.clear();  // The name of a link of ours, and the router is elsewhere.
    }
    RoutePlan one;
    one.changes = {change};
    std::string text = PrintPlan(one, {}, context, PlanFormat::kIp);
    text.pop_back();
    if (change.action == RouteAction::kDelete) {
      delta.deletes.Add(text, i);
      continue;
    }
    size_t end = text.find('\n');  // Of a replacement, two commands.
    delta.adds.Add(text.substr(0, end), i);
    if (end != std::string::npos) delta.deletes.Add(text.substr(end + 1), i);
  }
  return delta;
}

}  // namespace

Result<ExecFormat> ParseExecFormat(std::string_view name) {
  if (name == "bird") return ExecFormat::kBird;
  if (name == "frr") return ExecFormat::kFrr;
  if (name == "ip") return ExecFormat::kIp;
  if (name == "json") return ExecFormat::kJson;
  return Status(StatusCode::kInvalidArgument,
                "--format: \"" + Printable(name) + "\" is none; bird, frr, ip or json would be");
}

bool TakesChanges(ExecFormat format) {
  return format == ExecFormat::kFrr || format == ExecFormat::kIp;
}

Result<ExecReading> ParseReading(ExecFormat format, std::string_view text, const ExecMarks& marks) {
  ExecReading reading;
  switch (format) {
    case ExecFormat::kBird: {
      if (IsBlank(text)) break;
      PODROUTE_ASSIGN_OR_RETURN(reading.owned, ParseBirdConfig(text, marks.owner));
      break;
    }
    case ExecFormat::kFrr: {
      PODROUTE_ASSIGN_OR_RETURN(reading.frr, ParseFrrConfig(text, FrrTag(marks.owner)));
      reading.owned = reading.frr.owned;
      break;
    }
    case ExecFormat::kIp: {
      PODROUTE_ASSIGN_OR_RETURN(reading.owned, ParseIpRoutes(text, marks.ip));
      break;
    }
    case ExecFormat::kJson: {
      if (IsBlank(text)) break;
      PODROUTE_ASSIGN_OR_RETURN(reading.owned, ParseJsonRoutes(text, marks.owner));
      break;
    }
  }
  std::stable_sort(reading.owned.begin(), reading.owned.end(),
                   [](const Route& a, const Route& b) { return a.dst < b.dst; });
  return reading;
}

RouteDelta MakeDelta(ExecFormat format, const RoutePlan& plan, const ExecReading& now,
                     const ExecMarks& marks) {
  if (format == ExecFormat::kFrr) return MakeFrrDelta(plan, now.frr, FrrTag(marks.owner));
  return MakeIpDelta(plan, now.owned, marks.ip);
}

std::string RenderWhole(ExecFormat format, const RouteSet& routes, const RouteSet& gone,
                        const ExecMarks& marks) {
  RouteSet holdable;
  for (const Route& route : routes) {
    if (CheckExecRoute(format, route).ok()) holdable.push_back(route);
  }
  switch (format) {
    case ExecFormat::kBird:
      return RenderBirdConfig(holdable, marks.owner);
    case ExecFormat::kFrr:
      return RenderFrr(holdable, gone, FrrTag(marks.owner));
    case ExecFormat::kIp: {
      // Of a destination that is kept, the new route has taken the place.
      RouteSet over;
      for (const Route& route : gone) {
        if (std::none_of(holdable.begin(), holdable.end(),
                         [&](const Route& kept) { return kept.dst == route.dst; })) {
          over.push_back(route);
        }
      }
      return RenderIpReplace(holdable, over, marks.ip);
    }
    case ExecFormat::kJson:
      return RenderJson(holdable, marks.owner);
  }
  std::abort();
}

Status CheckExecRoute(ExecFormat format, const Route& route) {
  switch (format) {
    case ExecFormat::kBird:
      return CheckBirdRoute(route);
    case ExecFormat::kFrr:
      return CheckFrrRoute(route);
    case ExecFormat::kIp:
    case ExecFormat::kJson:
      if (!route.via.gateway.IsUnspecified()) return Status::Ok();
      return {StatusCode::kInvalidArgument, route.dst.ToString() + ": no gateway"};
  }
  std::abort();
}

}  // namespace podroute
