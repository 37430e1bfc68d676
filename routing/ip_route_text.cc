#include "routing/ip_route_text.h"

#include <rapidjson/document.h>
#include <rapidjson/error/en.h>
#include <rapidjson/memorystream.h>

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

namespace podroute {
namespace {

// One route as it was printed.
struct Printed {
  std::string type, dst, protocol, dev;
  std::string table = "254", metric = "0";
  std::vector<std::string> gateways;
  bool multipath = false;
};

// RapidJSON knows no string_view.
std::string Text(const rapidjson::Value& object, const char* key) {
  auto at = object.FindMember(key);
  if (at == object.MemberEnd()) return "";
  if (at->value.IsString()) return {at->value.GetString(), at->value.GetStringLength()};
  return at->value.IsUint64() ? std::to_string(at->value.GetUint64()) : "";
}

// ip(8) leaves out the length of a host route and has a word for the widest prefix.
std::optional<IpPrefix> ParseDst(const std::string& text, const std::string& gateway) {
  if (text == "default") {
    Result<IpAddress> hop = IpAddress::Parse(gateway);
    if (!hop.ok()) return std::nullopt;
    Result<IpPrefix> all = IpPrefix::Parse(hop->is_v4() ? "0.0.0.0/0" : "::/0");
    return *all;
  }
  Result<IpPrefix> prefix = IpPrefix::Parse(text);
  if (prefix.ok()) return *prefix;
  Result<IpAddress> host = IpAddress::Parse(text);
  if (!host.ok()) return std::nullopt;
  return IpPrefix::Of(*host, host->bits());
}

void Take(const Printed& printed, const RouteMark& mark, RouteSet& routes) {
  auto is = [](const std::string& text, uint32_t number) { return text == std::to_string(number); };
  if (!printed.type.empty() && printed.type != "unicast") return;
  if (!is(printed.protocol, mark.protocol) && printed.protocol != "podroute") return;
  if (!is(printed.metric, mark.metric)) return;
  if (!is(printed.table, mark.table) && !(mark.table == 254 && printed.table == "main")) return;
  std::optional<IpPrefix> dst =
      ParseDst(printed.dst, printed.gateways.empty() ? "" : printed.gateways[0]);
  if (!dst) return;
  Route route;
  route.dst = *dst;
  if (!printed.multipath) route.dev = printed.dev;
  // To an IPv6 kernel each next hop of several is a route by itself, to an IPv4 one they are one.
  if (printed.gateways.empty() || (printed.multipath && dst->is_v4())) {
    routes.push_back(std::move(route));
    return;
  }
  for (const std::string& text : printed.gateways) {
    Result<IpAddress> gateway = IpAddress::Parse(text);
    route.via.gateway = gateway.ok() ? *gateway : IpAddress();
    routes.push_back(route);
  }
}

Printed FromJson(const rapidjson::Value& object) {
  Printed printed;
  printed.type = Text(object, "type");
  printed.dst = Text(object, "dst");
  printed.protocol = Text(object, "protocol");
  printed.dev = Text(object, "dev");
  if (object.HasMember("table")) printed.table = Text(object, "table");
  if (object.HasMember("metric")) printed.metric = Text(object, "metric");
  auto add_gateway = [&](const rapidjson::Value& hop) {
    if (!hop.IsObject()) return;
    std::string gateway = Text(hop, "gateway");
    auto via = hop.FindMember("via");
    if (via != hop.MemberEnd() && via->value.IsObject()) gateway = Text(via->value, "host");
    if (!gateway.empty()) printed.gateways.push_back(gateway);
  };
  add_gateway(object);
  auto hops = object.FindMember("nexthops");
  printed.multipath = hops != object.MemberEnd() && hops->value.IsArray();
  if (printed.multipath) {
    for (const rapidjson::Value& hop : hops->value.GetArray()) add_gateway(hop);
  }
  return printed;
}

Status ParseJson(std::string_view text, const RouteMark& mark, RouteSet& routes) {
  rapidjson::MemoryStream stream(text.data(), text.size());
  while (text.find_first_not_of(" \t\r\n", stream.Tell()) != std::string_view::npos) {
    rapidjson::Document document;
    document.ParseStream<rapidjson::kParseStopWhenDoneFlag | rapidjson::kParseIterativeFlag>(
        stream);
    if (document.HasParseError() || !document.IsArray()) {
      return {
          StatusCode::kInternal,
          std::string("this is not what `ip -json route` prints: ") +
              (document.HasParseError() ? GetParseError_En(document.GetParseError()) : "no array") +
              " (byte " + std::to_string(stream.Tell()) + ")"};
    }
    for (const rapidjson::Value& object : document.GetArray()) {
      if (object.IsObject()) Take(FromJson(object), mark, routes);
    }
  }
  return Status::Ok();
}

std::vector<std::string> Words(std::string_view line) {
  std::vector<std::string> words;
  while (true) {
    size_t begin = line.find_first_not_of(" \t\r\\");  // \: of `ip -oneline`.
    if (begin == std::string_view::npos) return words;
    line.remove_prefix(begin);
    size_t length = std::min(line.find_first_of(" \t\r\\"), line.size());
    words.emplace_back(line.substr(0, length));
    line.remove_prefix(length);
  }
}

// Reads keys with their values from words[i] on.
void TakeWords(const std::vector<std::string>& words, size_t i, Printed& printed) {
  for (; i + 1 < words.size(); ++i) {
    const std::string& key = words[i];
    const std::string& value = words[i + 1];
    if (key == "via") {
      bool family = (value == "inet" || value == "inet6") && i + 2 < words.size();
      printed.gateways.push_back(words[family ? i + 2 : i + 1]);
    } else if (key == "nexthop") {
      printed.multipath = true;
      continue;
    } else if (key == "dev") {
      printed.dev = value;
    } else if (key == "proto") {
      printed.protocol = value;
    } else if (key == "metric") {
      printed.metric = value;
    } else if (key == "table") {
      printed.table = value;
    } else {
      continue;  // A flag, or a value that is of no concern.
    }
    ++i;
  }
}

void ParseLines(std::string_view text, const RouteMark& mark, RouteSet& routes) {
  Printed printed;  // Without a destination: none.
  while (!text.empty()) {
    size_t length = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, length);
    text.remove_prefix(std::min(length + 1, text.size()));
    std::vector<std::string> words = Words(line);
    if (words.empty()) continue;
    if (line.front() == ' ' || line.front() == '\t') {  // Next hops of the route above.
      TakeWords(words, 0, printed);
      continue;
    }
    Take(printed, mark, routes);
    bool typed = words.size() > 1 && words[0].find_first_of(".:/") == std::string::npos &&
                 words[0] != "default";
    printed = Printed();
    if (typed) printed.type = words[0];
    printed.dst = words[typed ? 1 : 0];
    TakeWords(words, typed ? 2 : 1, printed);
  }
  Take(printed, mark, routes);
}

std::string Ip(const IpPrefix& dst) { return dst.is_v4() ? "ip route " : "ip -6 route "; }

}  // namespace

Result<RouteSet> ParseIpRoutes(std::string_view text, const RouteMark& mark) {
  RouteSet routes;
  size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin != std::string_view::npos && (text[begin] == '[' || text[begin] == '{')) {
    PODROUTE_RETURN_IF_ERROR(ParseJson(text, mark, routes));
  } else {
    ParseLines(text, mark, routes);
  }
  std::stable_sort(routes.begin(), routes.end(),
                   [](const Route& a, const Route& b) { return a.dst < b.dst; });
  return routes;
}

std::string RenderIpReplace(const RouteSet& routes, const RouteSet& gone, const RouteMark& mark) {
  std::string marked =
      " proto " + std::to_string(mark.protocol) + " metric " + std::to_string(mark.metric);
  if (mark.table != 254) marked += " table " + std::to_string(mark.table);
  std::string text;
  for (const Route& route : routes) {
    bool other = route.via.gateway.family() != route.dst.family();
    text += Ip(route.dst) + "replace " + route.dst.ToString() + (other ? " via inet6 " : " via ") +
            route.via.gateway.ToString() + marked + "\n";
  }
  // `del` would be an error where it is gone already.
  for (const Route& route : gone) {
    text += Ip(route.dst) + "flush exact " + route.dst.ToString() + marked + "\n";
  }
  return text;
}

}  // namespace podroute
