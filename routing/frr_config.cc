#include "routing/frr_config.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include "base/text.h"

namespace podroute {
namespace {

std::vector<std::string_view> Words(std::string_view line) {
  std::vector<std::string_view> words;
  while (true) {
    size_t begin = line.find_first_not_of(" \t");
    if (begin == std::string_view::npos) return words;
    line.remove_prefix(begin);
    size_t length = std::min(line.find_first_of(" \t"), line.size());
    words.push_back(line.substr(0, length));
    line.remove_prefix(length);
  }
}

std::optional<uint32_t> Number(std::string_view word) {
  uint32_t value = 0;
  auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (error != std::errc() || end != word.data() + word.size()) return std::nullopt;
  return value;
}

// Takes the next line off `text`, without its end.
std::string_view TakeLine(std::string_view& text) {
  size_t length = std::min(text.find('\n'), text.size());
  std::string_view line = text.substr(0, length);
  text.remove_prefix(std::min(length + 1, text.size()));
  if (line.ends_with('\r')) line.remove_suffix(1);  // Of a router behind a terminal.
  return line;
}

// Nothing if the line is not of our form with our tag.
std::optional<Route> ParseOwned(const std::vector<std::string_view>& words, const IpPrefix& dst,
                                uint32_t tag) {
  if (words.size() != 6 || words[4] != "tag" || Number(words[5]) != tag) return std::nullopt;
  Result<IpAddress> gateway = IpAddress::Parse(words[3]);
  if (!gateway.ok()) return std::nullopt;
  Route route;
  route.dst = dst;
  route.via.gateway = *gateway;
  if (dst.is_v4() != (words[0] == "ip") || !CheckFrrRoute(route).ok()) return std::nullopt;
  return route;
}

// Nothing when no route of ours can harm it: in another table or VRF, or only for some sources.
// `words` from "ip" on.
std::optional<FrrForeignLine> ParseForeign(std::string_view line,
                                           const std::vector<std::string_view>& words) {
  FrrForeignLine foreign{.line = std::string(line), .shares_tag = true, .gateway = {}};
  if (words.size() > 3 && words[3] == "from") return std::nullopt;
  bool bare = words.size() > 3;  // No interface after the gateway.
  for (size_t i = 4; i < words.size(); ++i) {
    std::string_view word = words[i];
    if (word == "table" || word == "vrf") return std::nullopt;
    if (word == "tag" || word == "color" || word == "label" || word == "nexthop-vrf") {
      ++i;  // Its value.
    } else if (std::optional<uint32_t> distance = Number(word)) {
      foreign.shares_tag = *distance == 1;
    } else if (i == 4 && word != "onlink") {
      bare = false;
    }
  }
  if (bare) {
    Result<IpAddress> gateway = IpAddress::Parse(words[3]);
    if (gateway.ok()) foreign.gateway = *gateway;
  }
  return foreign;
}

}  // namespace

uint32_t FrrTag(std::string_view owner) {
  if (owner.empty() || owner == "podroute") return kFrrTag;
  uint32_t hash = 2166136261u;
  for (char c : owner) hash = (hash ^ static_cast<uint8_t>(c)) * 16777619u;
  return hash == 0 || hash == kFrrTag ? hash ^ 0x80000000u : hash;
}

Status CheckFrrRoute(const Route& route) {
  const IpAddress& gateway = route.via.gateway;
  std::string what = route.dst.ToString() + " via " + gateway.ToString() + ": ";
  auto wrong = [&](std::string_view why) {
    return Status(StatusCode::kInvalidArgument, what.append(why));
  };
  if (gateway.family() != route.dst.family()) {
    return wrong("FRR's static routes need a gateway of the same family");
  }
  if (gateway.IsUnspecified()) return wrong("no gateway");
  if (gateway.IsMulticast()) return wrong("the gateway is a multicast address");
  if (!gateway.is_v4() && gateway.IsLinkLocal()) {
    return wrong("a link-local gateway needs an interface in FRR");
  }
  return Status::Ok();
}

std::string FrrLine(const Route& route, uint32_t tag) {
  return (route.dst.is_v4() ? "ip route " : "ipv6 route ") + route.dst.ToString() + " " +
         route.via.gateway.ToString() + " tag " + std::to_string(tag);
}

std::string RenderFrrConfig(const RouteSet& routes, uint32_t tag) {
  std::string text;
  for (const Route& route : routes) {
    Status status = CheckFrrRoute(route);
    text += status.ok() ? FrrLine(route, tag) : "! " + Printable(status.message(), 200);
    text += "\n";
  }
  return text;
}

const FrrForeignLine* FrrConfig::InTheWayOf(const Route& route) const {
  auto [at, end] = foreign.equal_range(route.dst);
  for (; at != end; ++at) {
    if (at->second.shares_tag || at->second.gateway == route.via.gateway) return &at->second;
  }
  return nullptr;
}

FrrConfig ParseFrrLines(std::string_view text, uint32_t tag) {
  FrrConfig config;
  while (!text.empty()) {
    std::string_view line = TakeLine(text);
    // What belongs to a VRF or any other block is indented.
    if (!line.starts_with("ip route ") && !line.starts_with("ipv6 route ")) continue;
    std::vector<std::string_view> words = Words(line);
    Result<IpPrefix> dst = words.size() > 2
                               ? IpPrefix::Parse(words[2])
                               : Result<IpPrefix>(Status(StatusCode::kInvalidArgument, ""));
    if (!dst.ok()) continue;
    if (std::optional<Route> route = ParseOwned(words, *dst, tag)) {
      config.owned.push_back(*std::move(route));
    } else if (std::optional<FrrForeignLine> foreign = ParseForeign(line, words)) {
      config.foreign.emplace(*dst, *std::move(foreign));
    }
  }
  std::stable_sort(config.owned.begin(), config.owned.end(),
                   [](const Route& a, const Route& b) { return a.dst < b.dst; });
  return config;
}

Result<FrrConfig> ParseFrrConfig(std::string_view text, uint32_t tag) {
  auto skip_to = [&](std::string_view wanted) {
    while (!text.empty()) {
      if (TakeLine(text) == wanted) return true;
    }
    return false;
  };
  const char* missing = "no \"Current configuration:\" in it";
  if (skip_to("Current configuration:")) {
    const std::string_view lines = text;
    if (skip_to("end")) return ParseFrrLines(lines.substr(0, lines.size() - text.size()), tag);
    missing = "no \"end\" at its end";
  }
  return Status(StatusCode::kInternal,
                std::string("this is no whole running configuration: ") + missing);
}

RouteDelta MakeFrrDelta(const RoutePlan& plan, const FrrConfig& now, uint32_t tag) {
  RouteDelta delta;
  delta.statuses.resize(plan.changes.size());
  for (size_t i = 0; i < plan.changes.size(); ++i) {
    const RouteChange& change = plan.changes[i];
    if (change.action == RouteAction::kKeep) continue;
    if (change.action == RouteAction::kDelete) {
      if (HasRoute(now.owned, change.route))
        delta.deletes.Add("no " + FrrLine(change.route, tag), i);
      continue;
    }
    if (const FrrForeignLine* other = now.InTheWayOf(change.route)) {
      delta.statuses[i] = Status(
          StatusCode::kAlreadyExists,
          change.route.dst.ToString() + ": the router has a static route of somebody else's: \"" +
              Printable(other->line, 160) +
              "\"; ours would take it over; remove it, or give it another distance and gateway");
      continue;
    }
    if (Status status = CheckFrrRoute(change.route); !status.ok()) {
      delta.statuses[i] = std::move(status);
      continue;
    }
    if (!HasRoute(now.owned, change.route)) delta.adds.Add(FrrLine(change.route, tag), i);
    if (change.action == RouteAction::kReplace && HasRoute(now.owned, change.old) &&
        change.old.via.gateway != change.route.via.gateway) {
      delta.deletes.Add("no " + FrrLine(change.old, tag), i);
    }
  }
  return delta;
}

std::map<size_t, std::string> ParseVtyshErrors(std::string_view text) {
  std::map<size_t, std::string> errors;
  while (!text.empty()) {
    std::string_view line = TakeLine(text);
    if (!line.starts_with("line ")) continue;
    line.remove_prefix(5);
    size_t colon = line.find(": ");
    if (colon == std::string_view::npos) continue;
    std::optional<uint32_t> number = Number(line.substr(0, colon));
    if (!number || *number == 0) continue;
    std::string& error = errors[*number - 1];
    if (!error.empty()) error += "; ";
    error += Printable(line.substr(colon + 2), 200);
  }
  return errors;
}

}  // namespace podroute
