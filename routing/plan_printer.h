// Plans as text: commands, a table, JSON. Pure.
#ifndef PODROUTE_ROUTING_PLAN_PRINTER_H_
#define PODROUTE_ROUTING_PLAN_PRINTER_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "routing/desired_routes.h"
#include "routing/route_plan.h"

namespace podroute {

enum class PlanFormat {
  kIp,     // iproute2 commands; a shell runs the whole output as it is, in order.
  kTable,  // For people.
  kJson,   // One object, as docs/reference.md describes it.
  // What the whole of the desired routes is in a daemon's words, byte for byte as it is sent.
  kBird,  // RenderBirdConfig
  kFrr,   // RenderFrrConfig
};

struct PlanContext {
  std::string_view mode;  // "host", "router"
  std::string_view node;  // Empty on a router.
  uint32_t table = 254, metric = 110;
  uint8_t protocol = 110;
  std::string_view owner = {};
};

// Ends with a newline. Text that came from a Node is printable ASCII and never reaches a shell
// unquoted: in kIp it stands in comments only.
std::string PrintPlan(const RoutePlan& plan, const std::vector<Refusal>& refused,
                      const PlanContext& context, PlanFormat format);

}  // namespace podroute

#endif  // PODROUTE_ROUTING_PLAN_PRINTER_H_
