// Which Events a pass is worth. Pure but for what it remembers of the pass before.
#ifndef PODROUTE_CONTROLLER_PASS_EVENTS_H_
#define PODROUTE_CONTROLLER_PASS_EVENTS_H_

#include <string>
#include <vector>

#include "controller/reconciler.h"
#include "k8sclient/node_writes.h"
#include "routing/desired_routes.h"

namespace podroute {

// An Event for what is new since the last pass:
//   the words of RefusalReason   a Node, or one of its podCIDRs, gets no route
//   RouteFailed                  routes that could not be made, removed or read
//   DeletesWithheld              deletes that wait for a second, consistent list (DeleteGuard)
//   RoutesShadowed               routes behind somebody else's
// On a node all are about that Node: five thousand agents see the same bad Node, and its own agent
// says so once. On a router the first two are about the Node that has no route there, and the
// others, which are about none, stand in the log alone.
class PassEvents {
 public:
  // `node`: this machine's; empty on a router.
  explicit PassEvents(std::string node) : node_(std::move(node)) {}

  std::vector<NodeEvent> After(const PassReport& report, const std::vector<Refusal>& refused,
                               size_t shadowed);

 private:
  std::string node_;
  std::vector<Refusal> refused_;
  std::string error_;
  size_t withheld_ = 0, shadowed_ = 0;
};

}  // namespace podroute

#endif  // PODROUTE_CONTROLLER_PASS_EVENTS_H_
