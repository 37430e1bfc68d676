// Which Events a pass is worth. Pure but for what it remembers of the pass before.
#ifndef PODROUTE_CONTROLLER_PASS_EVENTS_H_
#define PODROUTE_CONTROLLER_PASS_EVENTS_H_

#include <memory>
#include <string>
#include <vector>

#include "controller/reconciler.h"
#include "k8sclient/node.h"
#include "k8sclient/node_writes.h"
#include "routing/desired_routes.h"

namespace podroute {

// An Event for what is new since the last pass:
//   the words of RefusalReason   a Node, or one of its podCIDRs, gets no route
//   RouteFailed                  routes that could not be made, removed or read
//   DeletesWithheld              deletes that wait for a second, consistent list (DeleteGuard)
//   RoutesShadowed               routes behind somebody else's
// On a node all are about that Node: five thousand agents see the same bad Node, and its own agent
// says so once. What only other machines can see of it, that they do not reach its address, the two
// say whose Nodes follow it in the order of their names. On a router the first two are about the
// Node that has no route there; what is about none is said of the router's own Node, and stands in
// the log alone where it is none.
class PassEvents {
 public:
  enum class Of { kNode, kRouter };
  // `node`: this machine's, which on a router need not be there.
  PassEvents(Of of, std::string node) : of_(of), node_(std::move(node)) {}

  // `nodes`: all, by name.
  std::vector<NodeEvent> After(const PassReport& report, const std::vector<Refusal>& refused,
                               size_t shadowed,
                               const std::vector<std::shared_ptr<const Node>>& nodes);

 private:
  std::vector<Refusal> ToTell(const std::vector<Refusal>& refused,
                              const std::vector<std::shared_ptr<const Node>>& nodes) const;

  Of of_;
  std::string node_;
  std::vector<Refusal> refused_;
  std::string error_;
  size_t withheld_ = 0, shadowed_ = 0;
};

}  // namespace podroute

#endif  // PODROUTE_CONTROLLER_PASS_EVENTS_H_
