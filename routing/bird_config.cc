#include "routing/bird_config.h"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <tuple>
#include <utility>
#include <vector>

#include "base/text.h"

namespace podroute {
namespace {

constexpr std::string_view kRoute = "  route ", kVia = " via ", kEnd = ";", kNode = " # ";
constexpr size_t kMaxOwnerBytes = 48, kMaxNodeBytes = 253;

bool IsAlphanumeric(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

uint64_t Fnv1a(std::string_view text) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (char c : text) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3u;
  return hash;
}

std::string OwnerSymbol(std::string_view owner) {
  std::string symbol;
  char buffer[24];
  for (char c : owner) {
    if (IsAlphanumeric(c)) {
      symbol += c;
    } else if (c == '_') {
      symbol += "__";
    } else {
      snprintf(buffer, sizeof buffer, "_%02x", static_cast<unsigned>(static_cast<uint8_t>(c)));
      symbol += buffer;
    }
  }
  if (symbol.size() <= kMaxOwnerBytes) return symbol;
  // "h" is no hexadecimal digit, so that no name that is short enough looks like this.
  snprintf(buffer, sizeof buffer, "_h%016llx", static_cast<unsigned long long>(Fnv1a(owner)));
  // Not in the middle of an escape.
  symbol.resize(kMaxOwnerBytes - 18);
  while (!symbol.empty() && !IsAlphanumeric(symbol.back())) symbol.pop_back();
  return symbol + buffer;
}

bool IsPlainName(std::string_view name) {
  return !name.empty() && name.size() <= kMaxNodeBytes &&
         std::all_of(name.begin(), name.end(), [](char c) { return c > ' ' && c < 0x7f; });
}

// As ToString, which goes through inet_ntop(3) and would be most of the time of a large file.
void AppendAddress(std::string& text, const IpAddress& address) {
  if (!address.is_v4()) {
    text += address.ToString();
    return;
  }
  char buffer[16];
  char* at = buffer;
  for (uint8_t byte : address.bytes()) {
    if (at != buffer) *at++ = '.';
    at = std::to_chars(at, buffer + sizeof buffer, byte).ptr;
  }
  text.append(buffer, at);
}

void AppendPrefix(std::string& text, const IpPrefix& prefix) {
  AppendAddress(text, prefix.address());
  text.append("/").append(std::to_string(prefix.length()));
}

std::string Header(std::string_view owner) {
  std::string header = "# Written by podroute";
  if (!owner.empty()) header += " for owner " + Printable(owner);
  return header + ". Do not edit: what is changed here is put back.\n";
}

std::string Opening(IpFamily family, std::string_view owner) {
  return "protocol static " + BirdProtocolName(family, owner) +
         (family == IpFamily::kV4 ? " {\n  ipv4;\n" : " {\n  ipv6;\n");
}

// One line of a protocol's, without its newline.
Result<Route> ParseLine(std::string_view line, IpFamily family) {
  const Status bad(StatusCode::kInvalidArgument, "is no route of ours");
  if (!line.starts_with(kRoute)) return bad;
  line.remove_prefix(kRoute.size());
  const size_t via = line.find(kVia), end = line.find(kEnd);
  if (via == std::string_view::npos || end == std::string_view::npos || end < via) return bad;
  Route route;
  PODROUTE_ASSIGN_OR_RETURN(route.dst, IpPrefix::Parse(line.substr(0, via)));
  const size_t gateway = via + kVia.size();
  PODROUTE_ASSIGN_OR_RETURN(route.via.gateway,
                            IpAddress::Parse(line.substr(gateway, end - gateway)));
  if (route.dst.family() != family || !CheckBirdRoute(route).ok()) return bad;
  line.remove_prefix(end + kEnd.size());
  if (line.empty()) return route;
  if (!line.starts_with(kNode)) return bad;
  route.node = line.substr(kNode.size());
  if (!IsPlainName(route.node)) return bad;
  return route;
}

// Takes `wanted` off the front of `text`.
bool Take(std::string_view& text, std::string_view wanted) {
  if (!text.starts_with(wanted)) return false;
  text.remove_prefix(wanted.size());
  return true;
}

size_t LineOf(std::string_view text, std::string_view rest) {
  text.remove_suffix(rest.size());
  return static_cast<size_t>(std::count(text.begin(), text.end(), '\n')) + 1;
}

bool ParseFamily(std::string_view& rest, IpFamily family, std::string_view owner,
                 RouteSet& routes) {
  if (!Take(rest, Opening(family, owner))) return false;
  while (!Take(rest, "}\n")) {
    const size_t newline = rest.find('\n');
    if (newline == std::string_view::npos) return false;
    Result<Route> route = ParseLine(rest.substr(0, newline), family);
    if (!route.ok() || (!routes.empty() && !(routes.back().dst < route->dst))) return false;
    routes.push_back(std::move(*route));
    rest.remove_prefix(newline + 1);
  }
  return true;
}

}  // namespace

std::string BirdProtocolName(IpFamily family, std::string_view owner) {
  std::string name = family == IpFamily::kV4 ? "podroute4" : "podroute6";
  return owner.empty() ? name : name + "_" + OwnerSymbol(owner);
}

Status CheckBirdRoute(const Route& route) {
  const IpAddress& gateway = route.via.gateway;
  const char* wrong = nullptr;
  if (gateway.family() != route.dst.family()) {
    wrong = " is not of its family";
  } else if (gateway.IsUnspecified() || gateway.IsLoopback() || gateway.IsMulticast()) {
    wrong = " is no neighbour's address";
  } else if (!gateway.is_v4() && gateway.IsLinkLocal()) {
    wrong = " is link-local, which names no link";
  }
  if (wrong == nullptr) return {};
  return {StatusCode::kInvalidArgument, "BIRD cannot route " + route.dst.ToString() +
                                            ": its next hop " + gateway.ToString() + wrong};
}

std::string RenderBirdConfig(const RouteSet& routes, std::string_view owner) {
  std::vector<const Route*> lines;
  lines.reserve(routes.size());
  for (const Route& route : routes) {
    if (CheckBirdRoute(route).ok()) lines.push_back(&route);
  }
  auto before = [](const Route* a, const Route* b) {
    return std::tie(a->dst, a->via.gateway, a->node) < std::tie(b->dst, b->via.gateway, b->node);
  };
  if (!std::is_sorted(lines.begin(), lines.end(), before)) {
    std::sort(lines.begin(), lines.end(), before);
  }
  std::string text = Header(owner);
  text.reserve(256 + lines.size() * 72);
  auto line = lines.begin();
  for (IpFamily family : {IpFamily::kV4, IpFamily::kV6}) {
    text += family == IpFamily::kV4 ? "" : "\n";
    text += Opening(family, owner);
    const IpPrefix* last = nullptr;
    for (; line != lines.end() && (*line)->dst.family() == family; ++line) {
      const Route& route = **line;
      if (last != nullptr && *last == route.dst) continue;
      last = &route.dst;
      text.append(kRoute);
      AppendPrefix(text, route.dst);
      text.append(kVia);
      AppendAddress(text, route.via.gateway);
      text.append(kEnd);
      if (IsPlainName(route.node)) text.append(kNode).append(route.node);
      text += '\n';
    }
    text += "}\n";
  }
  return text;
}

std::string RenderBirdStatic(const RouteSet& routes, IpFamily family) {
  std::string text;
  text.reserve(routes.size() * 40);
  for (const Route& route : routes) {
    if (route.dst.family() != family) continue;
    AppendPrefix(text, route.dst);
    text += "\n\tvia ";
    AppendAddress(text, route.via.gateway);
    text += '\n';
  }
  return text;
}

Result<RouteSet> ParseBirdConfig(std::string_view text, std::string_view owner) {
  RouteSet routes;
  std::string_view rest = text;
  const bool good = Take(rest, Header(owner)) && ParseFamily(rest, IpFamily::kV4, owner, routes) &&
                    Take(rest, "\n") && ParseFamily(rest, IpFamily::kV6, owner, routes) &&
                    rest.empty();
  if (!good) {
    return Status(StatusCode::kInvalidArgument,
                  "line " + std::to_string(LineOf(text, rest)) + " is not as podroute wrote it");
  }
  // Spellings of an address that are not the one we use ("fd00:0::1").
  if (RenderBirdConfig(routes, owner) != text) {
    return Status(StatusCode::kInvalidArgument, "not as podroute wrote it");
  }
  return routes;
}

}  // namespace podroute
