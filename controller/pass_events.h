// Which Events a pass is worth. Pure but for what it remembers of the pass before.
#ifndef PODROUTE_CONTROLLER_PASS_EVENTS_H_
#define PODROUTE_CONTROLLER_PASS_EVENTS_H_

#include <string>
#include <vector>

#include "controller/reconciler.h"
#include "k8sclient/node_writes.h"
#include "routing/desired_routes.h"

namespace podroute {

// About one Node, this machine's: five thousand agents see the same bad Node, and its own agent
// says so once. An Event for what is new since the last pass:
//   the words of RefusalReason   this Node, or one of its podCIDRs, gets no route
//   RouteFailed                  routes that could not be made, removed or read
//   DeletesWithheld              deletes that wait for a second, consistent list (DeleteGuard)
//   RoutesShadowed               routes behind somebody else's
class PassEvents {
 public:
  explicit PassEvents(std::string node) : node_(std::move(node)) {}

  std::vector<NodeEvent> After(const PassReport& report, const std::vector<Refusal>& refused,
                               size_t shadowed);

 private:
  const std::string node_;
  std::vector<Refusal> refused_;
  std::string error_;
  size_t withheld_ = 0, shadowed_ = 0;
};

}  // namespace podroute

#endif  // PODROUTE_CONTROLLER_PASS_EVENTS_H_
