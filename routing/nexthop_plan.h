// From a plan of routes to what the kernel is told: which nexthop objects to make, move and drop.
// Pure.
#ifndef PODROUTE_ROUTING_NEXTHOP_PLAN_H_
#define PODROUTE_ROUTING_NEXTHOP_PLAN_H_

#include <cstddef>
#include <cstdint>
#include <set>
#include <span>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/ip_prefix.h"
#include "routing/netlink_codec.h"
#include "routing/owner.h"
#include "routing/route.h"
#include "routing/route_plan.h"

namespace podroute {

inline constexpr uint32_t kFirstNexthopId = NexthopIds{}.first;

// One message to the kernel.
struct KernelStep {
  IpPrefix dst;             // Of a route.
  NextHop via;              // Where the object or the route leads.
  uint32_t nexthop_id = 0;  // 0: a plain route.
  // Which change of the plan it is part of. A nexthop object can serve more: then the first.
  size_t change = 0;
  // Of an object: replaces it in place. Of a route: appended behind the one that it replaces.
  bool replaces = false;
};

// To be carried out in this order, each list only when what it rests on has worked.
struct KernelSteps {
  std::vector<KernelStep> nexthops;  // Created, or replaced in place.
  std::vector<KernelStep> adds;      // Routes, by change.
  std::vector<KernelStep> deletes;   // Routes, by change: the old ones of replacements too.
  // By change: the object it needs of those in `nexthops` (an index), or kNoStep.
  std::vector<size_t> needs;
  // By change: the object its route refers to when all is done; 0 none.
  std::vector<uint32_t> nexthop_ids;
};
inline constexpr size_t kNoStep = static_cast<size_t>(-1);

// Remembers which objects and routes of ours exist. Plan takes its own steps as done; when one
// fails, Reset from what the kernel says.
class NexthopPlanner {
 public:
  // New objects get ids of `ids`.
  explicit NexthopPlanner(const NexthopIds& ids = {}) : ids_(ids), next_id_(ids.first) {}

  // `nexthops`: all there are, anybody's; ours are those of `protocol` but for other owners'
  // (IsOtherOwners) and those in `others`, which somebody else's routes refer to: to move one in
  // place would move those. `routes`: all of ours.
  void Reset(std::span<const KernelNexthop> nexthops, uint8_t protocol, const RouteSet& routes,
             const std::unordered_set<uint32_t>& others = {});

  // use_objects false: plain routes only (old ones may refer to objects even so). O(plan).
  KernelSteps Plan(const RoutePlan& plan, bool use_objects);

  // The id of this new object turned out to be somebody else's: takes another, which it returns.
  // REQUIRES: no other step but those of the last plan names it; the caller changes those.
  uint32_t Renumber(uint32_t taken);

  // Objects of ours that no route of ours refers to.
  bool HasUnused() const { return !unused_.empty(); }
  // ... with their next hops, ascending by id. They stay known until Forget or Keep.
  std::vector<KernelNexthop> Unused() const;
  // Deleted in the kernel.
  void Forget(uint32_t id);
  // Must stay (somebody else's route refers to it): no longer counted as unused, but still good for
  // new routes, until the next Reset.
  void Keep(uint32_t id);

  size_t route_count() const { return routes_.size(); }
  size_t nexthop_count() const { return objects_.size(); }

 private:
  struct NextHopHash {
    size_t operator()(const NextHop& via) const noexcept {
      return std::hash<IpAddress>()(via.gateway) * 31 + static_cast<size_t>(via.ifindex);
    }
  };
  struct Object {
    KernelNexthop nexthop;
    size_t routes = 0;  // Of ours, that refer to it.
  };
  struct HeldRoute {
    NextHop via;
    uint32_t nexthop_id = 0;
  };
  // Where the routes of one object go, according to a plan.
  struct Move {
    NextHop to;
    size_t routes = 0;
    bool possible = true;
  };
  using Routes = std::unordered_multimap<IpPrefix, HeldRoute>;

  Routes::iterator Find(const Route& route);
  void Refer(uint32_t id);
  void Release(uint32_t id);
  uint32_t NewId();
  // Not unused: a route will refer to it.
  void AddObject(const KernelNexthop& nexthop);
  std::unordered_map<uint32_t, size_t> PlanMoves(const RoutePlan& plan, KernelSteps& steps);
  uint32_t ObjectFor(const NextHop& via, size_t change, KernelSteps& steps,
                     std::unordered_map<uint32_t, size_t>& made);
  void ReserveFor(size_t adds, KernelSteps& steps, std::unordered_map<uint32_t, size_t>& made);
  void PlanDelete(const Route& route, size_t change, KernelSteps& steps);

  std::unordered_map<uint32_t, Object> objects_;
  std::unordered_map<NextHop, uint32_t, NextHopHash> by_via_;
  Routes routes_;
  std::set<uint32_t> unused_;
  std::unordered_set<uint32_t> foreign_ids_;  // In our range.
  const NexthopIds ids_;
  uint32_t next_id_;
};

}  // namespace podroute

#endif  // PODROUTE_ROUTING_NEXTHOP_PLAN_H_
