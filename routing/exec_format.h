// What a router elsewhere is told and what it answers, in four languages. Pure.
#ifndef PODROUTE_ROUTING_EXEC_FORMAT_H_
#define PODROUTE_ROUTING_EXEC_FORMAT_H_

#include <string>
#include <string_view>

#include "base/status.h"
#include "routing/frr_config.h"
#include "routing/netlink_codec.h"
#include "routing/route.h"
#include "routing/route_delta.h"
#include "routing/route_plan.h"

namespace podroute {

enum class ExecFormat {
  kBird,  // The file that bird.conf includes.
  kFrr,   // Lines of FRR's configuration, as `vtysh -f` takes them.
  kIp,    // Commands of iproute2, as a shell runs them.
  kJson,  // {"owner":"...","routes":[{"dst":"...","via":"...","node":"..."}]}
};

// "bird", "frr", "ip", "json"; anything else is an error that names --format.
Result<ExecFormat> ParseExecFormat(std::string_view name);

// Whether the router is told what to change, when that is known, or always the whole (bird, json).
bool TakesChanges(ExecFormat format);

// What marks our routes.
struct ExecMarks {
  std::string owner;  // bird: in the protocols' names; frr: FrrTag(owner); json: a field.
  RouteMark ip;       // ip
};

// What the router has.
struct ExecReading {
  RouteSet owned;  // By dst, without ifindex.
  FrrConfig frr;   // frr: with the operator's lines.
};

// The read command's output: a file as RenderWhole makes it (bird, json; nothing at all is no
// routes; json also as `podroute plan --output=json` prints it), FRR's `show running-config`,
// `ip route` or `ip -json route`. Errors: text that is not of the format.
Result<ExecReading> ParseReading(ExecFormat format, std::string_view text, const ExecMarks& marks);

// The plan as commands. REQUIRES: TakesChanges(format).
RouteDelta MakeDelta(ExecFormat format, const RoutePlan& plan, const ExecReading& now,
                     const ExecMarks& marks);

// The whole, for a router that nothing is known about but that it may have `gone`, routes of ours
// that it must no longer have. Without what the format cannot hold (CheckExecRoute).
std::string RenderWhole(ExecFormat format, const RouteSet& routes, const RouteSet& gone,
                        const ExecMarks& marks);

// Why the format cannot hold the route; OK when it can.
Status CheckExecRoute(ExecFormat format, const Route& route);

}  // namespace podroute

#endif  // PODROUTE_ROUTING_EXEC_FORMAT_H_
