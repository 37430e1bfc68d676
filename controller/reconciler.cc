#include "controller/reconciler.h"

#include <glog/logging.h>

#include <algorithm>
#include <iterator>
#include <set>
#include <tuple>
#include <utility>

#include "base/text.h"
#include "controller/node_infos.h"

namespace podroute {
namespace {

// A pass that changes more is summed up in one line; --v=1 has them all.
constexpr size_t kMaxLinesPerPass = 50;

std::string Describe(const Route& route) {
  std::string out = "dst=" + route.dst.ToString() + " via=" + route.via.gateway.ToString();
  if (!route.dev.empty()) out += " dev=" + Printable(route.dev);
  if (!route.node.empty()) out += " node=" + Printable(route.node);
  return out;
}

auto KeyOf(const Refusal& refusal) { return std::tie(refusal.node, refusal.cidr, refusal.reason); }

// What is there after a plan whose every change worked.
RouteSet After(RouteSet routes, const RoutePlan& plan) {
  auto before = [](const Route& a, const Route& b) {
    return std::tie(a.dst, a.via) < std::tie(b.dst, b.via);
  };
  RouteSet gone, added;
  for (const RouteChange& change : plan.changes) {
    if (change.action == RouteAction::kDelete) gone.push_back(change.route);
    if (change.action == RouteAction::kReplace) gone.push_back(change.old);
    if (change.action != RouteAction::kDelete) added.push_back(change.route);
  }
  std::sort(gone.begin(), gone.end(), before);
  std::erase_if(routes, [&](const Route& route) {
    return std::binary_search(gone.begin(), gone.end(), route, before);
  });
  routes.insert(routes.end(), added.begin(), added.end());
  std::stable_sort(routes.begin(), routes.end(),
                   [](const auto& a, const auto& b) { return a.dst < b.dst; });
  return routes;
}

}  // namespace

Reconciler::Reconciler(const ReconcilerOptions& options, const ReconcilerWorld& world)
    : options_(options),
      world_(world),
      guard_(options.max_delete_fraction),
      retries_(options.retry, *world.clock),
      read_backoff_(options.retry, *world.clock) {}

bool Reconciler::Forget(const std::vector<IpPrefix>& destinations) {
  if (!actual_) return false;
  std::set<IpPrefix> gone(destinations.begin(), destinations.end());
  std::erase_if(*actual_, [&](const Route& route) { return gone.contains(route.dst); });
  return true;
}

PassReport Reconciler::RunPass() {
  PassReport report;
  std::optional<MonotonicTime> changed_at = std::exchange(nodes_.changed_at, std::nullopt);
  nodes_ = world_.take_nodes();
  // A change that an earlier pass could not carry out is still the oldest.
  if (changed_at)
    nodes_.changed_at = std::min(*changed_at, nodes_.changed_at.value_or(*changed_at));
  // Before the first complete list nothing is known: what is in the kernel is the best there is.
  bool local_changed = false;
  if (!nodes_.synced || !ReadWorld(&report, &local_changed)) return report;
  report.synced = true;
  report.is_repair = settled_ && !nodes_.changed_at && !local_changed;
  logged_ = 0;
  NoticeSelf(nodes_);

  DesiredResult desired = DesiredRoutes(ToNodeInfos(nodes_.nodes), local_, options_.desired);
  LogRefusals(std::move(desired.refused));
  pod_networks_ = std::move(desired.pod_networks);
  RoutePlan plan = retries_.DueOnly(Plan(*actual_, desired.routes));
  Guard(&plan, nodes_, &report);
  const bool none_desired = desired.routes.empty();
  Carry(plan, &desired.routes, &report);
  report.usable = !report.cancelled && (none_desired ? !LinkIsDown() : !AllFailed(desired.routes));

  if (nodes_.changed_at) {
    report.event_latency = world_.clock->Now() - *nodes_.changed_at;
    nodes_.changed_at.reset();
  }
  report.in_place = retries_.size() == 0 && report.withheld == 0 && !report.cancelled;
  report.next_in = retries_.NextIn();
  settled_ = report.in_place;
  return report;
}

bool Reconciler::ReadWorld(PassReport* report, bool* local_changed) {
  if (world_.read_local && local_stale_) {
    Result<LocalNetwork> local = world_.read_local();
    if (!Readable(local.status(), report)) return false;
    // Links and addresses take routes with them without a word.
    *local_changed = local_ != *local;
    if (*local_changed) actual_.reset();
    local_ = std::move(local).value();
    local_stale_ = false;
  }
  if (!actual_) {
    Result<RouteSet> actual = world_.backend->ReadOwned();
    if (!Readable(actual.status(), report)) return false;
    actual_ = std::move(actual).value();
    fresh_ = true;
  }
  if (!read_error_.empty()) {
    LOG(INFO) << "reading works again backend=" << world_.backend->name();
    read_error_.clear();
    read_backoff_.Reset();
  }
  return true;
}

bool Reconciler::Readable(const Status& status, PassReport* report) {
  if (status.ok()) return true;
  report->read_error = status.code();
  report->first_error = status.message();
  report->next_in = read_backoff_.Next();
  if (std::exchange(read_error_, status.message()) != status.message()) {
    LOG(ERROR) << "cannot read what is there, no route is changed backend="
               << world_.backend->name() << " reason=" << StatusCodeName(status.code())
               << " error=" << QuotedValue(status.message());
  }
  return false;
}

void Reconciler::Guard(RoutePlan* plan, const NodeSnapshot& nodes, PassReport* report) {
  // An event that comes right behind an empty list makes it no less suspicious.
  DeleteGuard::Decision decision =
      guard_.Check({.nodes = std::min(nodes.nodes.size(), nodes.listed),
                    .owned = actual_->size(),
                    .deletes = plan->deletes,
                    .consistent_lists = nodes.consistent_lists});
  withheld_.clear();
  if (decision == DeleteGuard::Decision::kProceed) return;
  report->withheld = plan->deletes;
  for (const RouteChange& change : plan->changes) {
    if (change.action == RouteAction::kDelete) withheld_.push_back(change.route.dst);
  }
  *plan = WithoutDeletes(std::move(*plan));
  if (decision == DeleteGuard::Decision::kAsk) {
    LOG(WARNING) << "deletes withheld until a second, consistent list confirms them deletes="
                 << report->withheld << " owned=" << actual_->size()
                 << " nodes=" << nodes.nodes.size();
    world_.request_consistent_list();
  }
}

void Reconciler::Carry(const RoutePlan& plan, RouteSet* desired, PassReport* report) {
  // After a read the backend may have something of its own to tidy up, also when no route changes.
  if (!std::exchange(fresh_, false) && plan.empty()) return;
  for (const RouteResult& result : world_.backend->Apply(plan, *desired)) Account(result, report);
  if (report->failed > 0) {
    actual_.reset();  // Nobody knows what is there now: read it before the next change.
  } else if (report->withheld == 0 && retries_.size() == 0) {
    actual_ = std::move(*desired);  // All of it was carried out.
  } else {
    actual_ = After(std::move(*actual_), plan);
  }
  if (plan.changes.size() > kMaxLinesPerPass) {
    LOG(INFO) << "routes changed added=" << report->added << " replaced=" << report->replaced
              << " deleted=" << report->deleted << " failed=" << report->failed;
  }
}

void Reconciler::Account(const RouteResult& result, PassReport* report) {
  const RouteChange& change = result.change;
  bool loud = ++logged_ <= kMaxLinesPerPass;
  if (result.status.code() == StatusCode::kCancelled) {
    ++report->failed;  // We were told to stop, which is said elsewhere.
    report->cancelled = true;
    return;
  }
  if (!result.status.ok()) {
    ++report->failed;
    ++report->errors[result.status.code()];
    std::string line = std::string(RouteActionName(change.action)) + " " +
                       change.route.dst.ToString() + ": " + result.status.message();
    if (report->first_error.empty()) report->first_error = line;
    if (retries_.Failed(change.route.dst, result.status) && loud) {
      const bool is_gone = change.action == RouteAction::kDelete;
      report->failures.push_back({is_gone ? "" : change.route.node, std::move(line)});
      LOG(ERROR) << "route failed action=" << RouteActionName(change.action) << " "
                 << Describe(change.route) << " reason=" << StatusCodeName(result.status.code())
                 << " error=" << QuotedValue(result.status.message());
    }
    return;
  }
  retries_.Succeeded(change.route.dst);
  switch (change.action) {
    case RouteAction::kAdd:
      ++report->added;
      LOG_IF(INFO, loud || VLOG_IS_ON(1)) << "route added " << Describe(change.route);
      break;
    case RouteAction::kReplace:
      ++report->replaced;
      LOG_IF(INFO, loud || VLOG_IS_ON(1)) << "route replaced " << Describe(change.route)
                                          << " old_via=" << change.old.via.gateway.ToString();
      break;
    case RouteAction::kDelete:
      ++report->deleted;
      LOG_IF(INFO, loud || VLOG_IS_ON(1)) << "route deleted " << Describe(change.route);
      break;
    case RouteAction::kKeep:
      break;
  }
}

void Reconciler::LogRefusals(std::vector<Refusal> refused) {
  // Both ordered by (node, cidr, reason).
  auto less = [](const Refusal& a, const Refusal& b) { return KeyOf(a) < KeyOf(b); };
  std::vector<Refusal> fresh, over;
  std::set_difference(refused.begin(), refused.end(), refused_.begin(), refused_.end(),
                      std::back_inserter(fresh), less);
  std::set_difference(refused_.begin(), refused_.end(), refused.begin(), refused.end(),
                      std::back_inserter(over), less);
  auto line = [](const Refusal& refusal) {
    return "node=" + refusal.node + " cidr=" + QuotedValue(refusal.cidr) +
           " reason=" + std::string(RefusalReasonName(refusal.reason));
  };
  for (size_t i = 0; i < fresh.size() && i < kMaxLinesPerPass; ++i) {
    LOG(WARNING) << "refused " << line(fresh[i]) << " message=" << QuotedValue(fresh[i].message);
  }
  for (size_t i = 0; i < over.size() && i < kMaxLinesPerPass; ++i) {
    LOG(INFO) << "no longer refused " << line(over[i]);
  }
  if (std::max(fresh.size(), over.size()) > kMaxLinesPerPass) {
    LOG(WARNING) << "refusals changed new=" << fresh.size() << " over=" << over.size()
                 << " now=" << refused.size();
  }
  refused_ = std::move(refused);
}

bool Reconciler::LinkIsDown() const {
  return std::any_of(refused_.begin(), refused_.end(), [](const Refusal& refusal) {
    return refusal.reason == RefusalReason::kLinkDown;
  });
}

// Whatever is not in place after a pass has failed, now or before, and waits for its next try.
bool Reconciler::AllFailed(const RouteSet& desired) const {
  return retries_.size() > 0 &&
         std::all_of(desired.begin(), desired.end(),
                     [&](const Route& route) { return retries_.Has(route.dst); });
}

void Reconciler::NoticeSelf(const NodeSnapshot& nodes) {
  const std::string& self = options_.desired.self;
  if (self.empty()) return;
  auto at =
      std::lower_bound(nodes.nodes.begin(), nodes.nodes.end(), self,
                       [](const auto& node, const std::string& name) { return node->name < name; });
  bool missing = at == nodes.nodes.end() || (*at)->name != self;
  if (missing && !self_missing_) {
    LOG(WARNING)
        << "no Node has this machine's name: it is not registered yet, or --node_name is wrong"
        << " node=" << Printable(self) << " nodes=" << nodes.nodes.size();
  }
  self_missing_ = missing;
  self_ = missing ? nullptr : *at;
}

}  // namespace podroute
