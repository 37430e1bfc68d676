#include "controller/route_keeper.h"

#include <glog/logging.h>

#include <algorithm>
#include <iterator>
#include <set>
#include <string>
#include <utility>

#include "base/text.h"
#include "routing/local_network_reader.h"
#include "routing/route_plan.h"

namespace podroute {
namespace {

constexpr Duration kHintDelay = std::chrono::milliseconds(100);
constexpr Duration kRereadDelay = std::chrono::milliseconds(100);
constexpr size_t kMaxShadowedLines = 50;

}  // namespace

RouteKeeper::RouteKeeper(EventLoop& loop, Clock& clock, RouteKeeperSetup setup)
    : loop_(loop), clock_(clock), setup_(std::move(setup)), hint_budget_(clock) {}

RouteKeeper::~RouteKeeper() {
  if (monitor_) loop_.Remove(monitor_->fd());
  if (backend_ && backend_->event_fd() >= 0) loop_.Remove(backend_->event_fd());
}

Result<std::unique_ptr<RouteKeeper>> RouteKeeper::ForKernel(EventLoop& loop, Clock& clock,
                                                            RouteKeeperSetup setup,
                                                            const KernelOptions& options) {
  std::unique_ptr<RouteKeeper> keeper(new RouteKeeper(loop, clock, std::move(setup)));
  keeper->kernel_options_ = options;
  PODROUTE_ASSIGN_OR_RETURN(auto backend, KernelBackend::Create(options));
  PODROUTE_RETURN_IF_ERROR(backend->CheckPermission());
  keeper->kernel_ = backend.get();
  keeper->backend_ = std::move(backend);
  PODROUTE_RETURN_IF_ERROR(keeper->StartMonitor());
  PODROUTE_RETURN_IF_ERROR(keeper->Prepare());
  return keeper;
}

Result<std::unique_ptr<RouteKeeper>> RouteKeeper::For(EventLoop& loop, Clock& clock,
                                                      RouteKeeperSetup setup,
                                                      std::unique_ptr<RouteBackend> backend) {
  std::unique_ptr<RouteKeeper> keeper(new RouteKeeper(loop, clock, std::move(setup)));
  keeper->backend_ = std::move(backend);
  if (int fd = keeper->backend_->event_fd(); fd >= 0) {
    PODROUTE_RETURN_IF_ERROR(loop.Add(fd, [raw = keeper.get()] { raw->OnBackendEvent(); }));
  }
  PODROUTE_RETURN_IF_ERROR(keeper->Prepare());
  return keeper;
}

Status RouteKeeper::Prepare() {
  PODROUTE_ASSIGN_OR_RETURN(resync_timer_, Timer::Create(loop_, [this] { OnResync(); }));
  PODROUTE_ASSIGN_OR_RETURN(retry_timer_, Timer::Create(loop_, [this] { PassDue(); }));
  PODROUTE_ASSIGN_OR_RETURN(gap_timer_, Timer::Create(loop_, [] {}));  // The round's end matters.
  PODROUTE_ASSIGN_OR_RETURN(reread_timer_, Timer::Create(loop_, [this] {
                              reconciler_->InvalidateRoutes();
                              PassDue();
                            }));
  ReconcilerWorld world;
  world.backend = backend_.get();
  if (kernel_ != nullptr) world.read_local = [this] { return ReadLocal(); };
  world.take_nodes = setup_.take_nodes;
  world.request_consistent_list = setup_.request_consistent_list;
  world.clock = &clock_;
  reconciler_ = std::make_unique<Reconciler>(setup_.reconciler, world);
  resync_timer_->Arm(setup_.resync_period);
  return Status::Ok();
}

Status RouteKeeper::StartMonitor() {
  KernelMonitorOptions options;
  options.mark = kernel_options_.mark;
  options.nexthop_ids = kernel_options_.nexthop_ids;
  options.own_port_id = kernel_->port_id();
  PODROUTE_ASSIGN_OR_RETURN(std::unique_ptr<KernelMonitor> monitor, KernelMonitor::Create(options));
  PODROUTE_RETURN_IF_ERROR(loop_.Add(monitor->fd(), [this] { OnHints(); }));
  if (monitor_) loop_.Remove(monitor_->fd());
  monitor_ = std::move(monitor);
  return Status::Ok();
}

void RouteKeeper::SetApiServer(std::vector<IpAddress> addresses) {
  reconciler_->SetApiServer(std::move(addresses));
  api_server_known_ = true;
  PassDue();
}

void RouteKeeper::RoundEnd() {
  if (!pass_due_) return;
  if (changed_at_) {
    Duration rest = *changed_at_ + setup_.min_gap - clock_.Now();
    if (rest > Duration(0)) return gap_timer_->ArmNoLater(rest);
  }
  Pass();
}

void RouteKeeper::OnHints() {
  Result<KernelHints> hints = monitor_->Drain();
  if (!hints.ok()) {
    LOG(ERROR) << "kernel notifications failed, subscribing again error="
               << QuotedValue(hints.status().message());
    // The old one stays in the loop, so that this is tried again; and there is the resync timer.
    if (Status status = StartMonitor(); !status.ok()) {
      LOG(ERROR) << "no kernel notifications error=" << QuotedValue(status.message());
    }
    hints = KernelHints();
    hints->routes_changed = hints->unnamed = true;
    hints->local_network_changed = hints->overrun = true;
  }
  if (hints->overrun) {
    LOG(WARNING) << "kernel notifications were lost, reading everything again";
    if (setup_.metrics != nullptr) setup_.metrics->NotificationsLost();
  }
  if (hints->local_network_changed) reconciler_->InvalidateLocalNetwork();
  if (hints->routes_changed && !MayHeedHints()) return HeedLater();
  // Those that went with a link cannot be put back before it is looked at.
  bool by_hand = !hints->deleted.empty() && !hints->unnamed && !hints->local_network_changed;
  if (by_hand && reconciler_->Forget(hints->deleted)) {
    // Back first. The reading that shows whether that was all takes many times as long with
    // thousands of routes, so a row of deletions shares one.
    Pass();
    reread_timer_->ArmNoLater(kRereadDelay);
    return;
  }
  if (hints->routes_changed) reconciler_->InvalidateRoutes();
  pass_due_ |= hints->routes_changed || hints->local_network_changed;
}

// A daemon came back, or its configuration was edited.
void RouteKeeper::OnBackendEvent() {
  backend_->DrainEvents();
  if (!MayHeedHints()) return HeedLater();
  reconciler_->InvalidateRoutes();
  PassDue();
}

bool RouteKeeper::MayHeedHints() {
  bool may = hint_budget_.Take();
  // Said once between two resyncs: at the limit the budget is empty and not by turns.
  if (!may && !std::exchange(hints_deferred_, true)) {
    LOG(WARNING)
        << "somebody keeps undoing our routes, they are put back ten times a second from now "
           "on; is there another podroute with other options?";
  }
  return may;
}

void RouteKeeper::HeedLater() {
  reconciler_->InvalidateRoutes();
  retry_timer_->ArmNoLater(kHintDelay);
}

Result<LocalNetwork> RouteKeeper::ReadLocal() {
  PODROUTE_ASSIGN_OR_RETURN(LocalNetwork local, ReadLocalNetwork());
  std::set<int> with_addresses;
  for (const LocalAddress& address : local.addresses) with_addresses.insert(address.ifindex);
  monitor_->WatchLinks(std::move(with_addresses));
  return local;
}

void RouteKeeper::OnResync() {
  hints_deferred_ = false;
  reconciler_->InvalidateRoutes();
  reconciler_->InvalidateLocalNetwork();
  Pass();
  ReportShadowed();
  if (setup_.after_resync) setup_.after_resync();
  resync_timer_->Arm(setup_.resync_period);
}

void RouteKeeper::Pass() {
  pass_due_ = false;
  if (!api_server_known_ || (setup_.may_pass && !setup_.may_pass())) return;
  MonotonicTime begun = clock_.Now();
  PassReport report = reconciler_->RunPass();
  if (setup_.metrics != nullptr) setup_.metrics->Pass(report, *reconciler_, clock_.Now() - begun);
  if (report.added + report.replaced + report.deleted + report.failed > 0) {
    changed_at_ = std::max(begun, clock_.Now() - setup_.min_gap * 2 / 3);
  }
  if (report.next_in) {
    retry_timer_->Arm(*report.next_in);
  } else {
    retry_timer_->Disarm();
  }
  NoticeInPlace(report);
}

void RouteKeeper::NoticeInPlace(const PassReport& report) {
  if (!report.synced) {
    if (report.read_error && setup_.after_pass) setup_.after_pass(report);
    return;
  }
  if (report.event_latency) {
    VLOG(1) << "pass event_to_route_us="
            << std::chrono::duration_cast<std::chrono::microseconds>(*report.event_latency).count();
  }
  if (setup_.after_pass) setup_.after_pass(report);
  if (std::exchange(in_place_, report.in_place) || !report.in_place) return;
  std::string objects;
  if (kernel_ != nullptr) {
    objects = kernel_->uses_nexthop_objects() ? " nexthop_objects=yes" : " nexthop_objects=no";
  }
  LOG(INFO) << "routes are in place routes=" << reconciler_->actual().size()
            << " refused=" << reconciler_->refused().size() << " backend=" << backend_->name()
            << objects;
  ReportShadowed();
}

void RouteKeeper::ReportShadowed() {
  if (kernel_ == nullptr) return;
  Result<std::vector<ShadowedRoute>> shadowed = kernel_->FindShadowed(reconciler_->actual());
  if (!shadowed.ok()) {
    VLOG(1) << "cannot look for shadowed routes error=" << QuotedValue(shadowed.status().message());
    return;
  }
  // Both are ordered by dst, as the routes asked about are.
  auto before = [](const ShadowedRoute& a, const ShadowedRoute& b) { return a.dst < b.dst; };
  std::vector<ShadowedRoute> fresh;
  std::set_difference(shadowed->begin(), shadowed->end(), shadowed_.begin(), shadowed_.end(),
                      std::back_inserter(fresh), before);
  for (size_t i = 0; i < fresh.size() && i < kMaxShadowedLines; ++i) {
    LOG(WARNING) << "route is shadowed by one that is not ours dst=" << fresh[i].dst.ToString()
                 << " protocol=" << int{fresh[i].protocol} << " metric=" << fresh[i].metric;
  }
  if (fresh.size() > kMaxShadowedLines) {
    LOG(WARNING) << "routes are shadowed by others that are not ours new=" << fresh.size()
                 << " now=" << shadowed->size();
  }
  shadowed_ = std::move(*shadowed);
  if (setup_.metrics == nullptr) return;
  auto ipv4 = std::count_if(shadowed_.begin(), shadowed_.end(),
                            [](const ShadowedRoute& route) { return route.dst.is_v4(); });
  setup_.metrics->SetShadowed(static_cast<size_t>(ipv4),
                              shadowed_.size() - static_cast<size_t>(ipv4));
}

Result<RemovedCounts> RouteKeeper::RemoveAllOwned() {
  api_server_known_ = false;
  return kernel_ != nullptr ? kernel_->RemoveAllOwned() : podroute::RemoveAllOwned(*backend_);
}

Result<RemovedCounts> RemoveAllOwned(RouteBackend& backend) {
  PODROUTE_ASSIGN_OR_RETURN(RouteSet routes, backend.ReadOwned());
  std::vector<RouteResult> results = backend.Apply(Plan(routes, {}), {});
  for (const RouteResult& result : results) PODROUTE_RETURN_IF_ERROR(result.status);
  return RemovedCounts{.routes = results.size()};
}

}  // namespace podroute
