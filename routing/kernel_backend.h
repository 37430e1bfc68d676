// Routes in this machine's kernel.
#ifndef PODROUTE_ROUTING_KERNEL_BACKEND_H_
#define PODROUTE_ROUTING_KERNEL_BACKEND_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "base/ip_prefix.h"
#include "base/status.h"
#include "routing/kernel_reader.h"
#include "routing/netlink_socket.h"
#include "routing/nexthop_plan.h"
#include "routing/owner.h"
#include "routing/route.h"
#include "routing/route_backend.h"
#include "routing/route_plan.h"

namespace podroute {

enum class NexthopMode {
  kAuto,   // Nexthop objects where the kernel has them (Linux 5.3), else plain routes; said in the
           // log.
  kNever,  // Plain routes.
};

struct KernelOptions {
  // What makes a route ours: all three, and type unicast. A nexthop object is ours by its protocol,
  // unless its id is another owner's or another owner's route refers to it.
  RouteMark mark;
  NexthopIds nexthop_ids = {};  // OwnerNexthopIds
  NexthopMode nexthops = NexthopMode::kAuto;
  // The permission to change the kernel, asked for right before each batch. Empty: always. Without
  // it changes fail with kCancelled.
  std::function<bool()> may_write = {};
};

struct RemovedCounts {
  size_t routes = 0;
  size_t nexthops = 0;
  // Nexthop objects of ours that somebody else's route refers to; they stay, or it would go with
  // them.
  size_t nexthops_in_use = 0;
};

// How changes are made:
// - One nexthop object for each (gateway, link), shared by all routes through it.
// - An add is exclusive (NLM_F_EXCL): a route that is there already is never overwritten. Nothing
// is
//   ever sent with NLM_F_REPLACE on an IPv4 route, which takes any protocol's route of that prefix
//   and metric.
// - A new next hop for all routes of an object, to a gateway without one: the object is replaced,
// one
//   atomic message. Otherwise the new route is appended behind the old one (same prefix and metric,
//   NLM_F_APPEND) and the old one is deleted when that worked. IPv4 and IPv6 both take a second
//   route that way; IPv6 without objects makes the two ECMP siblings meanwhile (seen on
//   Linux 6.18).
// - A delete names prefix, table, protocol, metric and next hop.
// - A nexthop object that none of our routes needs any longer goes last, if nobody else's route
// refers
//   to it: deleting an object deletes all routes that refer to it. The kernel shows no use count,
//   and a dump of all routes would take seconds on a router. But it refuses to turn an object into
//   one for bridges (NHA_FDB, Linux 5.8) while a route refers to it ("Route cannot point to a fdb
//   nexthop"), and no route can come to refer to it afterwards; so that goes first, and only where
//   it worked the object is deleted. Where it does not (also on Linux 5.3 to 5.7) the object stays,
//   and is used again when a node has that address again.
//
// Apply works from what ReadOwned read and what Apply did since; it dumps nothing, unless a change
// has failed since the last ReadOwned.
class KernelBackend : public RouteBackend {
 public:
  // In the network namespace of the calling thread.
  static Result<std::unique_ptr<KernelBackend>> Create(const KernelOptions& options);
  // For tests: any transport.
  KernelBackend(const KernelOptions& options, std::unique_ptr<NetlinkTransport> transport);
  ~KernelBackend() override;

  std::string_view name() const override { return "kernel"; }

  // A multipath or gatewayless IPv4 route with our mark (only made by hand) is there with an
  // unspecified gateway, so that it is never taken for right.
  Result<RouteSet> ReadOwned() override;

  // Objects that went with their link, unnoticed until now, are made again: changes that failed on
  // them are tried once more, after a ReadOwned.
  //
  // change.route.nexthop_id of a successful result says which object the route refers to. An empty
  // plan removes orphans, if any.
  std::vector<RouteResult> Apply(const RoutePlan& plan, const RouteSet& desired) override;

  // True when the last ReadOwned found nexthop objects of ours that no route of ours refers to
  // (left by a crash): the next Apply removes them.
  bool HasOrphans() const { return planner_.HasUnused(); }

  // Asks for a change that changes nothing (the deletion of a nexthop object with an id that nobody
  // has): kPermissionDenied where this process may not change routes here.
  Status CheckPermission();

  // False after kNever, or once the kernel has said that it has none.
  bool uses_nexthop_objects() const { return use_objects_; }

  // Which of `routes` the kernel does not use for their own prefix, for a route that wins over
  // them. A question to the kernel for each route: for a slow timer.
  Result<std::vector<ShadowedRoute>> FindShadowed(const RouteSet& routes) {
    return FindShadowedRoutes(*transport_, options_.mark, routes);
  }

  // Removes all that carries our mark.
  Result<RemovedCounts> RemoveAllOwned();

  // For KernelMonitor, so that our own changes are no hints. 0 with a transport of a test's.
  uint32_t port_id() const { return port_id_; }

  // Messages sent that ask for a change, since the start.
  uint64_t change_messages() const { return change_messages_; }

 private:
  struct Work;
  using Failures = std::vector<NetlinkFailure>;

  Result<std::vector<KernelNexthop>> ReadNexthops();
  void FallBackToPlainRoutes(std::string_view why);

  // Every change goes through here.
  Result<Failures> Change(NetlinkBatch& batch);
  std::vector<RouteResult> ApplyOnce(const RoutePlan& plan, bool& objects_gone);
  bool SetNexthops(Work& work);
  void AddRoutes(Work& work);
  void ExplainExisting(Work& work, const std::vector<size_t>& changes);
  void DeleteRoutes(Work& work);
  Status RetireUnused();

  const KernelOptions options_;
  const std::unique_ptr<NetlinkTransport> transport_;
  uint32_t port_id_ = 0;
  bool use_objects_;
  bool has_read_objects_ = false;
  bool stale_ = true;  // Not read yet, or a change failed: planner_ may be wrong.
  NexthopPlanner planner_;
  uint64_t change_messages_ = 0;
};

}  // namespace podroute

#endif  // PODROUTE_ROUTING_KERNEL_BACKEND_H_
