// Static routes in FRR's own words: the lines of its configuration. Pure. Forms and semantics as
// staticd of FRR 8.4 has them (lib/command.c, staticd/static_vty.c, static_routes.c).
//
// Our form is exactly one:
//   ip route 10.244.1.0/24 192.168.0.1 tag 110
//   ipv6 route fd01:0:0:1::/64 fd00::1 tag 110
// in the default VRF, with the owner's tag and nothing else: no interface, distance, table, VRF,
// label, onlink. Every other line is the operator's.
#ifndef PODROUTE_ROUTING_FRR_CONFIG_H_
#define PODROUTE_ROUTING_FRR_CONFIG_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ip_prefix.h"
#include "base/status.h"
#include "routing/route.h"
#include "routing/route_delta.h"
#include "routing/route_plan.h"

namespace podroute {

inline constexpr uint32_t kFrrTag = 110;

// What marks an owner's routes: 110 for "" and "podroute", else the FNV-1a hash of the name in 32
// bits, never 0 (which is "no tag") and never 110. Two of n owners get the same tag with a chance
// of about n^2 / 2^33, one in 86 million for ten: nobody notices by himself, the two would delete
// each other's routes; `tag` can be given by number then.
uint32_t FrrTag(std::string_view owner);

// Why FRR cannot hold the route in our form; OK when it can. A gateway has the family of its
// destination and works without an interface (IPv6 link-local ones do not).
Status CheckFrrRoute(const Route& route);

// "ip route 10.244.1.0/24 192.168.0.1 tag 110". REQUIRES: CheckFrrRoute is OK.
std::string FrrLine(const Route& route, uint32_t tag);

// A line for each route, for plan --output=frr and whoever takes a whole configuration. Routes that
// FRR cannot hold are comments ("! ...") that say why.
std::string RenderFrrConfig(const RouteSet& routes, uint32_t tag);

// A line of the operator's that a route of ours to the same destination could harm.
struct FrrForeignLine {
  std::string line;
  // FRR 8.4 keeps one tag for all next hops of a (prefix, table, distance): one of ours beside it
  // would put our tag on it, and so make it ours.
  bool shares_tag = false;
  // A bare gateway stands in one distance only: ours through the same one would replace the line.
  std::optional<IpAddress> gateway;
};

// Static routes of a running configuration.
struct FrrConfig {
  RouteSet owned;  // Ours, by dst, without ifindex; of one dst in the order of the configuration.
  std::multimap<IpPrefix, FrrForeignLine> foreign;

  // The operator's line that `route` would harm; null when there is none.
  const FrrForeignLine* InTheWayOf(const Route& route) const;
};

// What one daemon says of its configuration.
FrrConfig ParseFrrLines(std::string_view text, uint32_t tag);

// What vtysh's `show running-config` prints. An error when it is no whole configuration (it begins
// after "Current configuration:" and ends with "end"): what was cut off must not look deleted.
Result<FrrConfig> ParseFrrConfig(std::string_view text, uint32_t tag);

// A plan as lines, from `now`. Two next hops of a prefix are ECMP siblings in FRR until the old one
// is deleted, so that there is always a way. What is already as it should be has no lines. A route
// that would harm a line of the operator's is refused.
RouteDelta MakeFrrDelta(const RoutePlan& plan, const FrrConfig& now, uint32_t tag);

// What vtysh said about single lines of its input ("line 3: % Unknown command[4]: ..."), by line
// from 0; a line said about twice has both, after another.
std::map<size_t, std::string> ParseVtyshErrors(std::string_view text);

}  // namespace podroute

#endif  // PODROUTE_ROUTING_FRR_CONFIG_H_
