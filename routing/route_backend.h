// Where routes are kept: a kernel, a routing daemon, a printer.
#ifndef PODROUTE_ROUTING_ROUTE_BACKEND_H_
#define PODROUTE_ROUTING_ROUTE_BACKEND_H_

#include <string_view>
#include <vector>

#include "base/status.h"
#include "routing/route.h"
#include "routing/route_plan.h"

namespace podroute {

// What became of one change of a plan.
struct RouteResult {
  RouteChange change;
  Status status;
};

// One owner, one thread.
class RouteBackend {
 public:
  virtual ~RouteBackend() = default;

  // "kernel", "bird", ...: for logs and metrics labels.
  virtual std::string_view name() const = 0;

  // Every route that carries our mark there now, ordered by dst. Never anyone else's.
  virtual Result<RouteSet> ReadOwned() = 0;

  // Carries out plan.changes; `desired` is the whole of what should be, for backends that replace
  // everything at once. One result for each change, in order. One failure never stops the rest, and
  // nothing without our mark is replaced or deleted, whatever it collides with. A route that is
  // already as it should be (EEXIST on the same route, ESRCH on delete) is success.
  virtual std::vector<RouteResult> Apply(const RoutePlan& plan, const RouteSet& desired) = 0;

  // Readable when the backend's world may have changed without us, and ReadOwned should be called:
  // its daemon came back, its file was changed. Level-triggered until DrainEvents. The backend
  // keeps owning it and it is the same for the backend's life. -1: there is no such thing.
  virtual int event_fd() const { return -1; }
  // Takes back what made event_fd() readable. Never blocks.
  virtual void DrainEvents() {}
};

}  // namespace podroute

#endif  // PODROUTE_ROUTING_ROUTE_BACKEND_H_
