#include "routing/kernel_backend.h"

#include <glog/logging.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <optional>
#include <string>
#include <unordered_set>
#include <utility>

namespace podroute {
namespace {

// Ids of ours that turn out to be taken: each round takes others.
constexpr int kNexthopTries = 16;

// What the kernel says, with EINVAL, of a route that names an id which is not there.
constexpr char kNoSuchNexthop[] = "Nexthop id does not exist";

std::string Describe(const Route& route) {
  std::string text = route.dst.ToString();
  if (!route.via.gateway.IsUnspecified()) text += " via " + route.via.gateway.ToString();
  if (!route.dev.empty()) {
    text += " dev " + route.dev;
  } else if (route.via.ifindex != 0) {
    text += " dev #" + std::to_string(route.via.ifindex);
  }
  return text;
}

std::string Describe(const RouteChange& change) {
  return std::string(RouteActionName(change.action)) + " " + Describe(change.route);
}

}  // namespace

// One Apply.
struct KernelBackend::Work {
  const RoutePlan& plan;
  KernelSteps steps;
  std::vector<RouteResult> results;
  bool objects_gone;  // A change failed for an object that we took to be there.

  bool Failed(size_t change) const { return !results[change].status.ok(); }
  void Fail(size_t change, Status status) {
    if (!Failed(change)) results[change].status = std::move(status);
  }
  void Fail(size_t change, const NetlinkFailure& failure) {
    Fail(change, failure.ToStatus(Describe(plan.changes[change])));
  }
  // Those that have not failed yet.
  void FailAll(const Status& status) {
    for (size_t i = 0; i < results.size(); ++i) {
      Fail(i, status.WithContext(Describe(plan.changes[i])));
    }
  }
};

Result<std::unique_ptr<KernelBackend>> KernelBackend::Create(const KernelOptions& options) {
  PODROUTE_ASSIGN_OR_RETURN(std::unique_ptr<NetlinkSocket> socket, NetlinkSocket::Create());
  uint32_t port_id = socket->port_id();
  auto backend = std::make_unique<KernelBackend>(options, std::move(socket));
  backend->port_id_ = port_id;
  return backend;
}

KernelBackend::KernelBackend(const KernelOptions& options,
                             std::unique_ptr<NetlinkTransport> transport)
    : options_(options),
      transport_(std::move(transport)),
      use_objects_(options.nexthops == NexthopMode::kAuto),
      planner_(options.nexthop_ids) {}

KernelBackend::~KernelBackend() = default;

// ---- Reading

void KernelBackend::FallBackToPlainRoutes(std::string_view why) {
  if (!use_objects_) return;
  use_objects_ = false;
  LOG(WARNING)
      << "this kernel has no nexthop objects (Linux 5.3 has): using plain routes, which take "
         "longer where there are thousands of nodes ("
      << why << ")";
}

Result<std::vector<KernelNexthop>> KernelBackend::ReadNexthops() {
  Result<std::vector<KernelNexthop>> nexthops = ReadKernelNexthops(*transport_);
  StatusCode code = nexthops.status().code();
  has_read_objects_ |= nexthops.ok();
  if (code != StatusCode::kUnsupported && code != StatusCode::kInvalidArgument) return nexthops;
  // A kernel that has read them once has them: then it is an error like any other.
  if (has_read_objects_) return nexthops;
  FallBackToPlainRoutes(nexthops.status().message());
  return std::vector<KernelNexthop>();
}

Result<RouteSet> KernelBackend::ReadOwned() {
  // Objects first: a route whose object is younger than that says itself where it leads.
  PODROUTE_ASSIGN_OR_RETURN(std::vector<KernelNexthop> nexthops, ReadNexthops());
  std::unordered_set<uint32_t> others;
  PODROUTE_ASSIGN_OR_RETURN(
      RouteSet routes,
      ReadMarkedRoutes(*transport_, options_.mark, options_.nexthop_ids, nexthops, &others));
  PODROUTE_RETURN_IF_ERROR(NameLinks(*transport_, routes));
  planner_.Reset(nexthops, options_.mark.protocol, routes, others);
  stale_ = false;
  return routes;
}

// ---- Changing

Status KernelBackend::CheckPermission() {
  NetlinkBatch batch;
  EncodeDeleteNexthop(batch, 0xffffffff);
  PODROUTE_ASSIGN_OR_RETURN(Failures failures, transport_->Execute(batch));
  // The kernel (rtnetlink_rcv_msg) asks for CAP_NET_ADMIN before it looks at the message.
  for (const NetlinkFailure& failure : failures) {
    if (failure.error != EPERM) continue;
    return Status(StatusCode::kPermissionDenied,
                  "this process may not change routes: run it as root or with CAP_NET_ADMIN");
  }
  return Status::Ok();
}

Result<KernelBackend::Failures> KernelBackend::Change(NetlinkBatch& batch) {
  if (batch.empty()) return Failures();
  if (options_.may_write && !options_.may_write()) {
    return Status(StatusCode::kCancelled, "this process may not write to the router any longer");
  }
  change_messages_ += batch.size();
  return transport_->Execute(batch);
}

std::vector<RouteResult> KernelBackend::Apply(const RoutePlan& plan, const RouteSet&) {
  bool objects_gone = false;
  std::vector<RouteResult> results = ApplyOnce(plan, objects_gone);
  if (!objects_gone) return results;
  RoutePlan again;
  std::vector<size_t> positions;
  for (size_t i = 0; i < results.size(); ++i) {
    if (results[i].status.ok()) continue;
    again.changes.push_back(plan.changes[i]);
    positions.push_back(i);
    RouteAction action = plan.changes[i].action;
    ++(action == RouteAction::kAdd       ? again.adds
       : action == RouteAction::kReplace ? again.replaces
                                         : again.deletes);
  }
  std::vector<RouteResult> second = ApplyOnce(again, objects_gone);
  for (size_t k = 0; k < second.size(); ++k) results[positions[k]] = std::move(second[k]);
  return results;
}

std::vector<RouteResult> KernelBackend::ApplyOnce(const RoutePlan& plan, bool& objects_gone) {
  Work work{plan, {}, {}, false};
  work.results.reserve(plan.changes.size());
  for (const RouteChange& change : plan.changes) work.results.push_back({change, Status::Ok()});

  Status known = stale_ ? ReadOwned().status() : Status::Ok();
  if (known.ok()) {
    work.steps = planner_.Plan(plan, use_objects_);
    if (!SetNexthops(work)) {
      // No objects in this kernel after all: the plan again, without.
      known = ReadOwned().status();
      if (known.ok()) work.steps = planner_.Plan(plan, use_objects_);
    }
  }
  if (!known.ok()) {
    work.FailAll(known);
    return std::move(work.results);
  }
  // Adds and replacements first; what is deleted waits until they are known to have worked.
  AddRoutes(work);
  DeleteRoutes(work);
  for (size_t i = 0; i < work.results.size(); ++i) {
    if (work.Failed(i)) {
      stale_ = true;
    } else if (plan.changes[i].action != RouteAction::kDelete) {
      work.results[i].change.route.nexthop_id = work.steps.nexthop_ids[i];
    }
  }
  if (Status retired = RetireUnused(); !retired.ok()) {
    stale_ = true;
    LOG(WARNING) << "removing unused nexthop objects: " << retired.message();
  }
  objects_gone = work.objects_gone;
  return std::move(work.results);
}

// In a send of its own: the routes that refer to an object follow when it is known to be ours, for
// an id that somebody else took meanwhile would lead our routes to their gateway. False: this
// kernel has no nexthop objects, and nothing has been done.
bool KernelBackend::SetNexthops(Work& work) {
  std::vector<KernelStep>& steps = work.steps.nexthops;
  std::map<size_t, NetlinkFailure> failed;  // By step.
  std::vector<size_t> pending(steps.size());
  for (size_t i = 0; i < pending.size(); ++i) pending[i] = i;
  for (int tries = 1; !pending.empty(); ++tries) {
    NetlinkBatch batch;
    for (size_t i : pending) {
      uint16_t flags = steps[i].replaces ? NLM_F_REPLACE : NLM_F_CREATE | NLM_F_EXCL;
      EncodeSetNexthop(batch, flags, options_.mark.protocol, steps[i].nexthop_id, steps[i].via);
    }
    Result<Failures> failures = Change(batch);
    if (!failures.ok()) {
      work.FailAll(failures.status());
      return true;
    }
    std::vector<size_t> again;
    for (NetlinkFailure& failure : *failures) {
      KernelStep& step = steps[pending[failure.index]];
      if (failure.error == EOPNOTSUPP && !step.replaces) {
        FallBackToPlainRoutes(failure.ToStatus("add nexthop object").message());
        return false;
      }
      if (failure.error != EEXIST || step.replaces || tries == kNexthopTries) {
        if (step.replaces && failure.error == ENOENT) work.objects_gone = true;
        failed.emplace(pending[failure.index], std::move(failure));
        continue;
      }
      uint32_t taken = std::exchange(step.nexthop_id, planner_.Renumber(step.nexthop_id));
      for (KernelStep& add : work.steps.adds) {
        if (add.nexthop_id == taken) add.nexthop_id = step.nexthop_id;
      }
      for (uint32_t& id : work.steps.nexthop_ids) {
        if (id == taken) id = step.nexthop_id;
      }
      again.push_back(pending[failure.index]);
    }
    pending = std::move(again);
  }
  if (failed.empty()) return true;
  for (size_t i = 0; i < work.results.size(); ++i) {
    auto found = failed.find(work.steps.needs[i]);
    if (found != failed.end()) work.Fail(i, found->second);
  }
  return true;
}

void KernelBackend::AddRoutes(Work& work) {
  NetlinkBatch batch;
  std::vector<size_t> changes;
  for (const KernelStep& step : work.steps.adds) {
    if (work.Failed(step.change)) continue;
    // Behind the one that it replaces. IPv4 and IPv6 keep both (seen on Linux 6.18).
    uint16_t flags = NLM_F_CREATE | (step.replaces ? NLM_F_APPEND : NLM_F_EXCL);
    EncodeAddRoute(batch, flags, options_.mark, step.dst, step.via, step.nexthop_id);
    changes.push_back(step.change);
  }
  Result<Failures> failures = Change(batch);
  if (!failures.ok()) return work.FailAll(failures.status());
  std::vector<size_t> existing;
  for (const NetlinkFailure& failure : *failures) {
    if (failure.error == EEXIST) {
      existing.push_back(changes[failure.index]);
    } else {
      if (failure.text == kNoSuchNexthop) work.objects_gone = true;
      work.Fail(changes[failure.index], failure);
    }
  }
  if (!existing.empty()) ExplainExisting(work, existing);
}

// The kernel has a route there already. That is success if it is the very route, with our mark.
void KernelBackend::ExplainExisting(Work& work, const std::vector<size_t>& changes) {
  stale_ = true;  // We had not known.
  Result<std::vector<KernelNexthop>> nexthops = ReadNexthops();
  Result<RouteSet> ours = nexthops.ok() ? Result<RouteSet>(RouteSet()) : nexthops.status();
  if (nexthops.ok()) {
    std::unordered_set<uint32_t> others;
    ours = ReadMarkedRoutes(*transport_, options_.mark, options_.nexthop_ids, *nexthops, &others);
  }
  std::vector<size_t> strangers;
  NetlinkBatch questions;
  for (size_t i : changes) {
    const Route& want = work.plan.changes[i].route;
    if (!ours.ok()) {
      work.Fail(i, ours.status().WithContext(Describe(work.plan.changes[i])));
      continue;
    }
    auto [begin, end] =
        std::equal_range(ours->begin(), ours->end(), want,
                         [](const Route& a, const Route& b) { return a.dst < b.dst; });
    auto same = std::find_if(begin, end, [&](const Route& have) { return have.SameAs(want); });
    if (same != end) {
      work.steps.nexthop_ids[i] = same->nexthop_id;
    } else if (begin != end && work.plan.changes[i].action == RouteAction::kAdd) {
      work.Fail(i, Status(StatusCode::kConflict,
                          Describe(work.plan.changes[i]) + ": our own route via " +
                              begin->via.gateway.ToString() + " is there, unknown until now"));
    } else {
      strangers.push_back(i);
      EncodeFindRoute(questions, want.dst.address());
    }
  }
  if (strangers.empty()) return;
  std::vector<std::string> who(strangers.size(), "another program's route");
  Result<Failures> asked = transport_->Execute(questions, [&](const NetlinkMessage& message) {
    std::optional<KernelRoute> route = DecodeRoute(message);
    size_t index = message.header.nlmsg_seq - questions.header(0).nlmsg_seq;
    if (!route || index >= who.size()) return;
    if (route->dst != work.plan.changes[strangers[index]].route.dst ||
        route->mark.metric != options_.mark.metric) {
      return;  // Not the one in the way, but one that is preferred to it.
    }
    who[index] = "a route of protocol " + std::to_string(route->mark.protocol);
  });
  for (size_t k = 0; k < strangers.size(); ++k) {
    std::string message = Describe(work.plan.changes[strangers[k]]) + ": " + who[k] +
                          " to the same prefix with metric " +
                          std::to_string(options_.mark.metric) +
                          " is in the way; delete it or set another --route_metric";
    if (!asked.ok()) message += " (" + asked.status().message() + ")";
    work.Fail(strangers[k], Status(StatusCode::kAlreadyExists, std::move(message)));
  }
}

void KernelBackend::DeleteRoutes(Work& work) {
  NetlinkBatch batch;
  std::vector<size_t> changes;
  for (const KernelStep& step : work.steps.deletes) {
    if (work.Failed(step.change)) continue;
    EncodeDeleteRoute(batch, options_.mark, step.dst, step.via, step.nexthop_id);
    changes.push_back(step.change);
  }
  Result<Failures> failures = Change(batch);
  if (!failures.ok()) return work.FailAll(failures.status());
  for (const NetlinkFailure& failure : *failures) {
    // Gone already; with its object, in the second case (EINVAL).
    if (failure.error == ESRCH || failure.text == kNoSuchNexthop) continue;
    work.Fail(changes[failure.index], failure);
  }
}

// See the class comment. The kernel refuses what somebody else's route needs.
Status KernelBackend::RetireUnused() {
  if (!planner_.HasUnused()) return Status::Ok();
  std::vector<KernelNexthop> unused = planner_.Unused();
  NetlinkBatch retire;
  std::vector<uint32_t> retiring;
  for (const KernelNexthop& nexthop : unused) {
    if (nexthop.fdb) continue;  // Retired before: then we were interrupted.
    EncodeRetireNexthop(retire, options_.mark.protocol, nexthop.id, nexthop.via.gateway);
    retiring.push_back(nexthop.id);
  }
  PODROUTE_ASSIGN_OR_RETURN(Failures refused, Change(retire));
  for (const NetlinkFailure& failure : refused) {
    uint32_t id = retiring[failure.index];
    if (failure.error == ENOENT) {
      planner_.Forget(id);
      continue;
    }
    planner_.Keep(id);
    LOG(INFO) << failure.ToStatus("nexthop object " + std::to_string(id) + " stays").message();
  }
  NetlinkBatch batch;
  for (const KernelNexthop& nexthop : planner_.Unused()) EncodeDeleteNexthop(batch, nexthop.id);
  // ENOENT: gone already, with its link perhaps.
  PODROUTE_ASSIGN_OR_RETURN(Failures failures, Change(batch));
  for (const NetlinkFailure& failure : failures) {
    if (failure.error != ENOENT) return failure.ToStatus("delete nexthop object");
  }
  for (const KernelNexthop& nexthop : planner_.Unused()) planner_.Forget(nexthop.id);
  return Status::Ok();
}

// ---- On demand

Result<RemovedCounts> KernelBackend::RemoveAllOwned() {
  PODROUTE_ASSIGN_OR_RETURN(RouteSet owned, ReadOwned());
  const size_t nexthops = planner_.nexthop_count();
  std::vector<RouteResult> results = Apply(Plan(owned, {}), {});
  for (const RouteResult& result : results) PODROUTE_RETURN_IF_ERROR(result.status);
  // What cannot be told from "in use" on old kernels stays too.
  return RemovedCounts{results.size(), nexthops - planner_.nexthop_count(),
                       planner_.nexthop_count()};
}

}  // namespace podroute
