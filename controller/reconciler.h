// From what the API server and the kernel say to what the backend holds: one pass at a time.
#ifndef PODROUTE_CONTROLLER_RECONCILER_H_
#define PODROUTE_CONTROLLER_RECONCILER_H_

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "base/backoff.h"
#include "base/clock.h"
#include "controller/delete_guard.h"
#include "controller/retry_set.h"
#include "k8sclient/node_store.h"
#include "routing/desired_routes.h"
#include "routing/local_network.h"
#include "routing/route_backend.h"

namespace podroute {

struct ReconcilerOptions {
  DesiredOptions desired;
  double max_delete_fraction = 0.5;
  // Of a failed read or route. Without jitter, so that routes which failed together are tried again
  // together: after each failure everything is read anew.
  BackoffOptions retry = {
      .initial = std::chrono::milliseconds(100), .max = std::chrono::seconds(30), .jitter = 0};
};

// What the reconciler touches; all outlive it.
struct ReconcilerWorld {
  RouteBackend* backend = nullptr;
  std::function<Result<LocalNetwork>()> read_local;  // Empty: links are not looked at.
  std::function<NodeSnapshot()> take_nodes;
  std::function<void()> request_consistent_list;
  const Clock* clock = nullptr;
};

// A route that could not be made or removed.
struct RouteFailure {
  std::string node;  // Whose podCIDR it is; empty: of none any more.
  std::string message;
};

// What a pass did.
struct PassReport {
  bool synced = false;    // The nodes were known; else nothing was done.
  bool in_place = false;  // Every desired route is there.
  // The node's network is as good as it gets just now: every desired route has been tried, and each
  // is there or has failed by itself, but not all of them have. Routes that still have to be
  // deleted do not matter. True too when nothing is desired, unless that is because a link of this
  // machine is down. One Node whose route the kernel refuses for ever must not keep a whole node
  // NotReady.
  bool usable = false;
  size_t added = 0, replaced = 0, deleted = 0, failed = 0, withheld = 0;
  bool cancelled = false;  // It was cut off: neither in_place nor usable says anything.
  // What was changed had been right before: no Node and no link has changed, nothing waited.
  bool is_repair = false;
  std::map<StatusCode, size_t> errors;    // Of changes that failed; none for those we cancelled.
  std::optional<StatusCode> read_error;   // What is there could not be read.
  std::string first_error;                // Of all these, in a line; empty: none.
  std::vector<RouteFailure> failures;     // That have not been told before; at most 50.
  std::optional<Duration> event_latency;  // From the first byte of the oldest change to its routes.
  std::optional<Duration> next_in;        // When another pass is due although nothing will say so.
};

// One thread. Reads only what was invalidated (all, at first); otherwise works from what it read
// and did.
class Reconciler {
 public:
  Reconciler(const ReconcilerOptions& options, const ReconcilerWorld& world);

  // What the next pass must read again.
  void InvalidateRoutes() { actual_.reset(); }
  // A link that has its carrier back looks as before, but routes that failed for it can be made
  // now.
  void InvalidateLocalNetwork() {
    local_stale_ = true;
    retries_.AllDue();
  }

  // Somebody deleted our routes to these destinations. False when what is there is not known
  // anyway.
  bool Forget(const std::vector<IpPrefix>& destinations);

  void SetApiServer(std::vector<IpAddress> addresses) {
    options_.desired.api_server = std::move(addresses);
  }

  PassReport RunPass();

  // As of the last pass. `actual` is empty after a pass that could not read it; valid until the
  // next call that is not const.
  const RouteSet& actual() const {
    static const auto& none = *new RouteSet();
    return actual_ ? *actual_ : none;
  }
  size_t node_count() const { return nodes_.nodes.size(); }
  // By name.
  const std::vector<std::shared_ptr<const Node>>& nodes() const { return nodes_.nodes; }
  // Destinations whose change has failed and is tried again.
  const RetrySet& retries() const { return retries_; }
  const std::vector<Refusal>& refused() const { return refused_; }
  // Destinations whose deletion waits for a second list.
  const std::vector<IpPrefix>& withheld() const { return withheld_; }
  // Of all nodes, see DesiredResult.
  const std::vector<IpPrefix>& pod_networks() const { return pod_networks_; }
  const std::optional<LocalNetwork>& local() const { return local_; }
  // The Node that this machine is; null when there is none.
  const std::shared_ptr<const Node>& self() const { return self_; }

 private:
  bool ReadWorld(PassReport* report, bool* local_changed);
  bool Readable(const Status& status, PassReport* report);
  void Guard(RoutePlan* plan, const NodeSnapshot& nodes, PassReport* report);
  // Takes *desired where it is what is there now.
  void Carry(const RoutePlan& plan, RouteSet* desired, PassReport* report);
  void Account(const RouteResult& result, PassReport* report);
  void LogRefusals(std::vector<Refusal> refused);
  bool LinkIsDown() const;
  bool AllFailed(const RouteSet& desired) const;
  void NoticeSelf(const NodeSnapshot& nodes);

  ReconcilerOptions options_;
  const ReconcilerWorld world_;
  std::optional<RouteSet> actual_;
  std::optional<LocalNetwork> local_;
  bool local_stale_ = true;
  bool fresh_ = false;    // actual_ has been read since the last Apply.
  bool settled_ = false;  // The last pass left nothing to be done.
  NodeSnapshot nodes_;
  std::vector<Refusal> refused_;
  std::vector<IpPrefix> pod_networks_;
  std::vector<IpPrefix> withheld_;
  DeleteGuard guard_;
  RetrySet retries_;
  Backoff read_backoff_;
  std::string read_error_;
  std::shared_ptr<const Node> self_;
  bool self_missing_ = false;
  size_t logged_ = 0;  // Lines about single routes in this pass.
};

}  // namespace podroute

#endif  // PODROUTE_CONTROLLER_RECONCILER_H_
