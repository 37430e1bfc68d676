#include "controller/host_agent.h"

#include <glog/logging.h>

#include <algorithm>
#include <iterator>
#include <set>
#include <utility>

#include "base/text.h"
#include "controller/kernel_options.h"
#include "routing/local_network_reader.h"

namespace podroute {
namespace {

constexpr Duration kResolveTimeout = std::chrono::seconds(10);
constexpr Duration kResolveAgain = std::chrono::minutes(10);
constexpr Duration kHintDelay = std::chrono::milliseconds(100);
constexpr Duration kRereadDelay = std::chrono::milliseconds(100);
constexpr size_t kMaxShadowedLines = 50;

}  // namespace

HostAgent::HostAgent(const Options& options, HttpTransport& transport,
                     const std::string& api_server_host)
    : options_(options),
      transport_(transport),
      api_server_host_(api_server_host),
      feed_(transport, clock_, "") {}

HostAgent::~HostAgent() { StopThreads(); }

Result<std::unique_ptr<HostAgent>> HostAgent::Create(const Options& options,
                                                     HttpTransport& transport,
                                                     const std::string& api_server_host) {
  std::unique_ptr<HostAgent> agent(new HostAgent(options, transport, api_server_host));
  PODROUTE_RETURN_IF_ERROR(agent->Start());
  return agent;
}

Status HostAgent::Start() {
  PODROUTE_ASSIGN_OR_RETURN(loop_, EventLoop::Create());
  PODROUTE_ASSIGN_OR_RETURN(
      signals_, WatchAgentSignals(*loop_, transport_,
                                  options_.cleanup_on_exit ? "routes=removed" : "routes=stay"));
  PODROUTE_ASSIGN_OR_RETURN(backend_, KernelBackend::Create(ToKernelOptions(options_)));
  PODROUTE_RETURN_IF_ERROR(backend_->CheckPermission());
  PODROUTE_RETURN_IF_ERROR(StartMonitor());
  PODROUTE_ASSIGN_OR_RETURN(cni_, NodeCni::Create(*loop_, options_, clock_));
  PODROUTE_RETURN_IF_ERROR(feed_.Prepare(*loop_, [this] { pass_due_ = true; }));
  PODROUTE_ASSIGN_OR_RETURN(api_server_wakeup_,
                            Wakeup::Create(*loop_, [this] { TakeApiServer(); }));
  PODROUTE_ASSIGN_OR_RETURN(resync_timer_, Timer::Create(*loop_, [this] { OnResync(); }));
  PODROUTE_ASSIGN_OR_RETURN(retry_timer_, Timer::Create(*loop_, [this] { pass_due_ = true; }));
  PODROUTE_ASSIGN_OR_RETURN(reread_timer_, Timer::Create(*loop_, [this] {
                              reconciler_->InvalidateRoutes();
                              pass_due_ = true;
                            }));
  loop_->SetRoundEnd([this] {
    if (std::exchange(pass_due_, false)) Pass();
  });

  ReconcilerOptions reconciler;
  reconciler.desired.self = options_.node_name;
  reconciler.desired.cluster_cidrs = options_.cluster_cidrs;
  reconciler.max_delete_fraction = options_.max_delete_fraction;
  ReconcilerWorld world;
  world.backend = backend_.get();
  world.read_local = [this] { return ReadLocal(); };
  world.take_nodes = [this] { return feed_.Take(); };
  world.request_consistent_list = [this] { feed_.RequestConsistentList(); };
  world.clock = &clock_;
  reconciler_ = std::make_unique<Reconciler>(reconciler, world);
  return Status::Ok();
}

Status HostAgent::StartMonitor() {
  KernelMonitorOptions options;
  options.mark = ToKernelOptions(options_).mark;
  options.own_port_id = backend_->port_id();
  PODROUTE_ASSIGN_OR_RETURN(std::unique_ptr<KernelMonitor> monitor, KernelMonitor::Create(options));
  PODROUTE_RETURN_IF_ERROR(loop_->Add(monitor->fd(), [this] { OnHints(); }));
  if (monitor_) loop_->Remove(monitor_->fd());
  monitor_ = std::move(monitor);
  return Status::Ok();
}

Status HostAgent::Run() {
  if (Result<IpAddress> literal = IpAddress::Parse(api_server_host_); literal.ok()) {
    reconciler_->SetApiServer({*literal});
    api_server_known_ = true;
  } else {
    resolver_thread_ = std::thread([this] { ResolveApiServer(); });
  }
  feed_.Start();
  resync_timer_->Arm(options_.resync_period);
  Status status = loop_->Run();
  StopThreads();
  if (!status.ok() || !options_.cleanup_on_exit) return status;
  PODROUTE_RETURN_IF_ERROR(cni_->RemoveConflist());
  PODROUTE_ASSIGN_OR_RETURN(RemovedCounts removed, backend_->RemoveAllOwned());
  LOG(INFO) << "cleaned up routes=" << removed.routes << " nexthops=" << removed.nexthops;
  return Status::Ok();
}

void HostAgent::StopThreads() {
  resolver_.Shutdown();
  feed_.Stop();
  if (resolver_thread_.joinable()) resolver_thread_.join();
}

void HostAgent::OnHints() {
  Result<KernelHints> hints = monitor_->Drain();
  if (!hints.ok()) {
    LOG(ERROR) << "kernel notifications failed, subscribing again error=\""
               << hints.status().message() << "\"";
    // The old one stays in the loop, so that this is tried again; and there is the resync timer.
    if (Status status = StartMonitor(); !status.ok()) {
      LOG(ERROR) << "no kernel notifications error=\"" << status.message() << "\"";
    }
    hints = KernelHints();
    hints->routes_changed = hints->unnamed = true;
    hints->local_network_changed = hints->overrun = true;
  }
  if (hints->overrun) LOG(WARNING) << "kernel notifications were lost, reading everything again";
  if (hints->local_network_changed) reconciler_->InvalidateLocalNetwork();
  if (hints->routes_changed && !MayHeedHints()) {
    reconciler_->InvalidateRoutes();
    retry_timer_->ArmNoLater(kHintDelay);
    return;
  }
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

bool HostAgent::MayHeedHints() {
  bool may = hint_budget_.Take();
  // Said once between two resyncs: at the limit the budget is empty and not by turns.
  if (!may && !std::exchange(hints_deferred_, true)) {
    LOG(WARNING)
        << "somebody keeps undoing our routes, they are put back ten times a second from now "
           "on; is there another podroute with other options?";
  }
  return may;
}

Result<LocalNetwork> HostAgent::ReadLocal() {
  PODROUTE_ASSIGN_OR_RETURN(LocalNetwork local, ReadLocalNetwork());
  std::set<int> with_addresses;
  for (const LocalAddress& address : local.addresses) with_addresses.insert(address.ifindex);
  monitor_->WatchLinks(std::move(with_addresses));
  return local;
}

void HostAgent::OnResync() {
  hints_deferred_ = false;
  reconciler_->InvalidateRoutes();
  reconciler_->InvalidateLocalNetwork();
  Pass();
  ReportShadowed();
  cni_->Resync();
  resync_timer_->Arm(options_.resync_period);
}

void HostAgent::Pass() {
  if (!api_server_known_) return;
  PassReport report = reconciler_->RunPass();
  if (report.next_in) {
    retry_timer_->Arm(*report.next_in);
  } else {
    retry_timer_->Disarm();
  }
  NoticeInPlace(report);
}

void HostAgent::NoticeInPlace(const PassReport& report) {
  if (!report.synced) return;
  if (report.event_latency) {
    VLOG(1) << "pass event_to_route_us="
            << std::chrono::duration_cast<std::chrono::microseconds>(*report.event_latency).count();
  }
  if (report.usable && !std::exchange(usable_, true) && !report.in_place) {
    LOG(WARNING) << "routes are there but for some that failed, pods may start routes="
                 << reconciler_->actual().size();
  }
  if (reconciler_->local()) {
    cni_->Update(reconciler_->self(), reconciler_->refused(), *reconciler_->local(), usable_);
  }
  if (std::exchange(in_place_, report.in_place) || !report.in_place) return;
  LOG(INFO) << "routes are in place routes=" << reconciler_->actual().size()
            << " refused=" << reconciler_->refused().size() << " backend=" << backend_->name()
            << " nexthop_objects=" << (backend_->uses_nexthop_objects() ? "yes" : "no");
  ReportShadowed();
}

void HostAgent::ReportShadowed() {
  Result<std::vector<ShadowedRoute>> shadowed = backend_->FindShadowed(reconciler_->actual());
  if (!shadowed.ok()) {
    VLOG(1) << "cannot look for shadowed routes error=\"" << shadowed.status().message() << "\"";
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
}

void HostAgent::ResolveApiServer() {
  Backoff backoff({}, clock_);
  std::string last_error;
  while (!feed_.stop().stopped()) {
    Result<std::vector<IpAddress>> addresses = resolver_.Resolve(api_server_host_, kResolveTimeout);
    if (addresses.ok()) {
      {
        std::lock_guard lock(api_server_mutex_);
        api_server_ = std::move(*addresses);
      }
      backoff.Reset();
      last_error.clear();
    } else if (std::exchange(last_error, addresses.status().message()) !=
               addresses.status().message()) {
      LOG(WARNING) << "the API server's address is not known host=" << Printable(api_server_host_)
                   << " error=\"" << last_error << "\"";
    }
    // Also when there is no answer: routes must not wait for it any longer.
    api_server_wakeup_->Signal();
    clock_.WaitFor(last_error.empty() ? kResolveAgain : backoff.Next(), feed_.stop());
  }
}

void HostAgent::TakeApiServer() {
  std::lock_guard lock(api_server_mutex_);
  reconciler_->SetApiServer(api_server_);
  api_server_known_ = true;
  pass_due_ = true;
}

}  // namespace podroute
