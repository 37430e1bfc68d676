#include "routing/nexthop_plan.h"

#include <algorithm>
#include <map>
#include <utility>

namespace podroute {

void NexthopPlanner::Reset(std::span<const KernelNexthop> nexthops, uint8_t protocol,
                           const RouteSet& routes, const std::unordered_set<uint32_t>& others) {
  objects_.clear();
  by_via_.clear();
  routes_.clear();
  unused_.clear();
  foreign_ids_.clear();
  objects_.reserve(nexthops.size());
  by_via_.reserve(nexthops.size());
  routes_.reserve(routes.size());
  for (const KernelNexthop& nexthop : nexthops) {
    if (nexthop.protocol == protocol && !IsOtherOwners(nexthop.id, ids_) &&
        !others.contains(nexthop.id)) {
      AddObject(nexthop);
    } else if (ids_.Contains(nexthop.id)) {
      foreign_ids_.insert(nexthop.id);
    }
  }
  for (const Route& route : routes) {
    routes_.emplace(route.dst, HeldRoute{route.via, route.nexthop_id});
    Refer(route.nexthop_id);
  }
  for (const auto& [id, object] : objects_) {
    if (object.routes == 0) unused_.insert(id);
  }
}

void NexthopPlanner::AddObject(const KernelNexthop& nexthop) {
  objects_.emplace(nexthop.id, Object{nexthop, 0});
  if (nexthop.usable) by_via_.emplace(nexthop.via, nexthop.id);
}

void NexthopPlanner::Refer(uint32_t id) {
  auto found = objects_.find(id);
  if (found == objects_.end()) return;  // A plain route, or somebody else's object.
  if (found->second.routes++ == 0 && !unused_.empty()) unused_.erase(id);
}

void NexthopPlanner::Release(uint32_t id) {
  auto found = objects_.find(id);
  if (found == objects_.end() || found->second.routes == 0) return;
  if (--found->second.routes == 0) unused_.insert(id);
}

uint32_t NexthopPlanner::NewId() {
  for (;;) {
    uint32_t id = next_id_;
    next_id_ = id == ids_.last ? ids_.first : id + 1;
    if (!objects_.contains(id) && !foreign_ids_.contains(id)) return id;
  }
}

uint32_t NexthopPlanner::Renumber(uint32_t taken) {
  uint32_t id = NewId();
  foreign_ids_.insert(taken);
  unused_.erase(taken);
  auto node = objects_.extract(taken);
  node.key() = id;
  node.mapped().nexthop.id = id;
  by_via_[node.mapped().nexthop.via] = id;
  objects_.insert(std::move(node));
  for (auto& [dst, held] : routes_) {
    if (held.nexthop_id == taken) held.nexthop_id = id;
  }
  return id;
}

std::vector<KernelNexthop> NexthopPlanner::Unused() const {
  std::vector<KernelNexthop> result;
  result.reserve(unused_.size());
  for (uint32_t id : unused_) result.push_back(objects_.at(id).nexthop);
  return result;
}

void NexthopPlanner::Forget(uint32_t id) {
  auto found = objects_.find(id);
  if (found == objects_.end()) return;
  auto by_via = by_via_.find(found->second.nexthop.via);
  if (by_via != by_via_.end() && by_via->second == id) by_via_.erase(by_via);
  objects_.erase(found);
  unused_.erase(id);
}

void NexthopPlanner::Keep(uint32_t id) { unused_.erase(id); }

NexthopPlanner::Routes::iterator NexthopPlanner::Find(const Route& route) {
  auto [begin, end] = routes_.equal_range(route.dst);
  auto best = routes_.end();
  for (auto it = begin; it != end; ++it) {
    if (it->second.via != route.via) continue;
    if (best == routes_.end() || it->second.nexthop_id == route.nexthop_id) best = it;
  }
  return best;
}

// Objects that can be replaced in place: all of their routes go to one new gateway, which has no
// object yet. Returns, by change, the step that moves its object.
std::unordered_map<uint32_t, size_t> NexthopPlanner::PlanMoves(const RoutePlan& plan,
                                                               KernelSteps& steps) {
  std::map<uint32_t, Move> moves;  // Ordered: equal input, equal steps.
  std::map<uint32_t, size_t> first_change;
  for (size_t i = 0; i < plan.changes.size(); ++i) {
    const RouteChange& change = plan.changes[i];
    if (change.action != RouteAction::kReplace) continue;
    auto held = Find(change.old);
    if (held == routes_.end() || held->second.nexthop_id == 0) continue;
    auto [move, is_new] =
        moves.try_emplace(held->second.nexthop_id, Move{change.route.via, 0, true});
    if (is_new) first_change[move->first] = i;
    move->second.routes++;
    if (move->second.to != change.route.via) move->second.possible = false;
  }
  std::unordered_map<uint32_t, size_t> moved;
  for (const auto& [id, move] : moves) {
    auto object = objects_.find(id);
    if (object == objects_.end() || !move.possible) continue;
    KernelNexthop& nexthop = object->second.nexthop;
    // Another family would be refused while IPv6 routes refer to it.
    if (!nexthop.usable || object->second.routes != move.routes || by_via_.contains(move.to) ||
        nexthop.via.gateway.family() != move.to.gateway.family()) {
      continue;
    }
    auto by_via = by_via_.find(nexthop.via);
    if (by_via != by_via_.end() && by_via->second == id) by_via_.erase(by_via);
    by_via_.emplace(move.to, id);
    nexthop.via = move.to;
    moved.emplace(id, steps.nexthops.size());
    steps.nexthops.push_back({IpPrefix(), move.to, id, first_change[id], true});
  }
  return moved;
}

// The object that leads to `via`, made if there is none.
uint32_t NexthopPlanner::ObjectFor(const NextHop& via, size_t change, KernelSteps& steps,
                                   std::unordered_map<uint32_t, size_t>& made) {
  auto found = by_via_.find(via);
  uint32_t id = found != by_via_.end() ? found->second : 0;
  if (id == 0) {
    id = NewId();
    AddObject({id, 0, true, false, via});
    made.emplace(id, steps.nexthops.size());
    steps.nexthops.push_back({IpPrefix(), via, id, change, false});
  }
  auto step = made.find(id);
  if (step != made.end()) steps.needs[change] = step->second;
  return id;
}

void NexthopPlanner::PlanDelete(const Route& route, size_t change, KernelSteps& steps) {
  auto held = Find(route);
  if (held == routes_.end()) return;  // Gone already.
  steps.deletes.push_back({route.dst, route.via, held->second.nexthop_id, change, false});
  Release(held->second.nexthop_id);
  routes_.erase(held);
}

// Thousands at once come when there is nothing yet.
void NexthopPlanner::ReserveFor(size_t adds, KernelSteps& steps,
                                std::unordered_map<uint32_t, size_t>& made) {
  if (adds < routes_.size()) return;
  steps.nexthops.reserve(steps.nexthops.size() + adds);
  steps.adds.reserve(adds);
  made.reserve(adds);
  objects_.reserve(objects_.size() + adds);
  by_via_.reserve(by_via_.size() + adds);
  routes_.reserve(routes_.size() + adds);
}

KernelSteps NexthopPlanner::Plan(const RoutePlan& plan, bool use_objects) {
  KernelSteps steps;
  steps.needs.assign(plan.changes.size(), kNoStep);
  steps.nexthop_ids.assign(plan.changes.size(), 0);
  // By id: objects that this plan makes or moves, and by which step.
  std::unordered_map<uint32_t, size_t> made;
  if (use_objects && plan.replaces > 0) made = PlanMoves(plan, steps);
  const std::unordered_map<uint32_t, size_t> moved = made;
  ReserveFor(plan.adds, steps, made);

  for (size_t i = 0; i < plan.changes.size(); ++i) {
    const RouteChange& change = plan.changes[i];
    if (change.action == RouteAction::kDelete) {
      PlanDelete(change.route, i, steps);
      continue;
    }
    bool replaces = change.action == RouteAction::kReplace;
    bool plain = !use_objects;
    if (auto held = replaces ? Find(change.old) : routes_.end(); held != routes_.end()) {
      auto move = moved.find(held->second.nexthop_id);
      if (move != moved.end()) {
        held->second.via = change.route.via;
        steps.needs[i] = move->second;
        steps.nexthop_ids[i] = move->first;
        continue;
      }
      // An IPv6 delete by gateway takes a route with an object for the one meant, whatever its
      // gateway (seen on Linux 6.18): the two kinds must not stand side by side.
      if (!change.route.dst.is_v4() && held->second.nexthop_id == 0) plain = true;
    }
    uint32_t id = plain ? 0 : ObjectFor(change.route.via, i, steps, made);
    steps.nexthop_ids[i] = id;
    steps.adds.push_back({change.route.dst, change.route.via, id, i, replaces});
    if (replaces) PlanDelete(change.old, i, steps);
    auto known = Find(change.route);
    if (known != routes_.end() && known->second.nexthop_id == id) continue;  // Gone unnoticed.
    routes_.emplace(change.route.dst, HeldRoute{change.route.via, id});
    Refer(id);
  }
  return steps;
}

}  // namespace podroute
