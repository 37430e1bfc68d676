#include "controller/router_agent.h"

#include <glog/logging.h>

#include <utility>
#include <vector>

#include "base/text.h"
#include "controller/backend_factory.h"
#include "controller/kernel_options.h"
#include "controller/node_networks.h"

namespace podroute {
namespace {

// A daemon's whole configuration is entered for one route or for a thousand: the first change at
// once, what comes within this time after it together. Events of 1.5 s are five changes at most.
constexpr Duration kDaemonGap = std::chrono::milliseconds(400);
constexpr Duration kBeginAgain = std::chrono::seconds(1);

}  // namespace

RouterAgent::RouterAgent(const Options& options, HttpTransport& transport,
                         const std::string& api_server_host)
    : options_(options),
      transport_(transport),
      feed_(transport, clock_, ""),
      reporter_(transport, clock_, options.node_name),
      api_server_(api_server_host, clock_),
      sysctls_(options.router.set_sysctls, options.sysctl_dir),
      pass_events_(PassEvents::Of::kRouter, options.node_name) {}

RouterAgent::~RouterAgent() {
  Stop();
  StopThreads();
}

Result<std::unique_ptr<RouterAgent>> RouterAgent::Create(const Options& options,
                                                         const std::string& pod_namespace,
                                                         HttpTransport& transport,
                                                         HttpTransport* election,
                                                         const std::string& api_server_host) {
  std::unique_ptr<RouterAgent> agent(new RouterAgent(options, transport, api_server_host));
  PODROUTE_RETURN_IF_ERROR(agent->Start(pod_namespace, election));
  return agent;
}

Status RouterAgent::Start(const std::string& pod_namespace, HttpTransport* election) {
  PODROUTE_ASSIGN_OR_RETURN(loop_, EventLoop::Create());
  PODROUTE_ASSIGN_OR_RETURN(signal_loop_, EventLoop::Create());
  std::vector<HttpTransport*> transports = {&transport_};
  if (election != nullptr) transports.push_back(election);
  PODROUTE_ASSIGN_OR_RETURN(
      signals_,
      WatchAgentSignals(*signal_loop_, std::move(transports),
                        options_.cleanup_on_exit ? "routes=removed by a leader" : "routes=stay"));
  PODROUTE_ASSIGN_OR_RETURN(status_, AgentStatus::Create(*loop_, clock_, options_));
  status_->metrics().SetWatchSource([this] { return feed_.state(); }, clock_);
  status_->metrics().SetReporterSource(reporter_.counts());
  if (election != nullptr) status_->metrics().SetLeader(false);
  PODROUTE_ASSIGN_OR_RETURN(permit_wakeup_, Wakeup::Create(*loop_, [this] { OnPermit(); }));
  PODROUTE_ASSIGN_OR_RETURN(begin_timer_, Timer::Create(*loop_, [this] { BeginTerm(); }));
  PODROUTE_RETURN_IF_ERROR(feed_.Prepare(*loop_, [this] { OnNodes(); }));
  PODROUTE_RETURN_IF_ERROR(api_server_.Prepare(*loop_, [this] {
    if (keeper_) keeper_->SetApiServer(*api_server_.Get());
  }));
  loop_->SetRoundEnd([this] {
    if (keeper_) keeper_->RoundEnd();
  });
  // A standby that could not take over is found out now, and not when it has to.
  PODROUTE_RETURN_IF_ERROR(MakeKeeper().status());
  if (election == nullptr) return Status::Ok();
  ElectorOptions elector;
  elector.lease_name = options_.router.lease_name;
  elector.lease_namespace = options_.router.lease_namespace;
  if (elector.lease_namespace.empty()) elector.lease_namespace = pod_namespace;
  if (elector.lease_namespace.empty()) elector.lease_namespace = "kube-system";
  elector.identity = options_.router.identity;
  elector.timings = options_.router.timings;
  elector_ =
      std::make_unique<LeaderElector>(elector, *election, [this] { permit_wakeup_->Signal(); });
  return Status::Ok();
}

Status RouterAgent::Run() {
  signal_thread_ = std::thread([this] {
    (void)signal_loop_->Run();  // An epoll that fails leaves the default: nobody hears signals.
    Stop();
  });
  api_server_.Start();
  feed_.Start();
  reporter_.Start();
  if (elector_) {
    elector_->Start();
  } else {
    permit_wakeup_->Signal();
  }
  Status status = loop_->Run();
  if (status.ok() && options_.cleanup_on_exit) status = Cleanup();
  StopThreads();
  return status;
}

Status RouterAgent::Cleanup() {
  if (!keeper_) {
    LOG(INFO) << "routes are not removed: this is not the leader";
    return Status::Ok();
  }
  PODROUTE_ASSIGN_OR_RETURN(RemovedCounts removed, keeper_->RemoveAllOwned());
  LOG(INFO) << "cleaned up routes=" << removed.routes << " nexthops=" << removed.nexthops;
  return Status::Ok();
}

void RouterAgent::Stop() {
  // To remove routes is to write.
  if (!options_.cleanup_on_exit) {
    if (elector_) elector_->Close();
    always_.Close();
  }
  if (loop_) loop_->Stop();
}

void RouterAgent::StopThreads() {
  api_server_.Stop();
  feed_.Stop();  // And the transport with it.
  reporter_.Stop();
  keeper_.reset();
  // Nobody writes any longer: the next one may.
  if (elector_) elector_->Stop();
  if (signal_loop_) signal_loop_->Stop();
  if (signal_thread_.joinable()) signal_thread_.join();
}

void RouterAgent::OnNodes() {
  if (keeper_) {
    keeper_->PassDue();
  } else if (NodeSnapshot nodes = feed_.Take(); nodes.synced) {
    status_->metrics().SetSynced(nodes.nodes.size());
    status_->SetReady();  // To take over, should it come to that.
  }
}

void RouterAgent::OnPermit() {
  std::shared_ptr<WritePermit> permit =
      elector_ ? elector_->permit() : std::shared_ptr<WritePermit>(&always_, [](WritePermit*) {});
  if (permit == permit_) return;
  keeper_.reset();
  reporter_.Update({});  // The next leader's now.
  pass_events_ = PassEvents(PassEvents::Of::kRouter, options_.node_name);
  permit_ = std::move(permit);
  if (elector_) status_->metrics().SetLeader(permit_ != nullptr);
  begin_timer_->Disarm();
  if (permit_) BeginTerm();
}

void RouterAgent::BeginTerm() {
  Result<std::unique_ptr<RouteKeeper>> keeper = MakeKeeper();
  if (!keeper.ok()) {
    if (std::exchange(keeper_error_, keeper.status().message()) != keeper.status().message()) {
      LOG(ERROR) << "cannot begin to keep routes error=" << QuotedValue(keeper_error_);
    }
    begin_timer_->Arm(kBeginAgain);
    return;
  }
  keeper_error_.clear();
  keeper_ = std::move(*keeper);
  if (auto addresses = api_server_.Get()) keeper_->SetApiServer(std::move(*addresses));
}

Result<std::unique_ptr<RouteKeeper>> RouterAgent::MakeKeeper() {
  std::shared_ptr<WritePermit> permit = permit_;
  auto may_write = [permit] { return permit && permit->open(); };
  RouteKeeperSetup setup;
  setup.reconciler.desired.cluster_cidrs = options_.cluster_cidrs;
  setup.reconciler.max_delete_fraction = options_.max_delete_fraction;
  setup.take_nodes = [this] { return feed_.Take(); };
  setup.request_consistent_list = [this] { feed_.RequestConsistentList(); };
  setup.may_pass = may_write;
  setup.after_pass = [this](const PassReport& report) { AfterPass(report); };
  setup.metrics = &status_->metrics();
  setup.resync_period = options_.resync_period;
  if (options_.router.backend == BackendKind::kKernel) {
    KernelOptions kernel = ToKernelOptions(options_);
    kernel.may_write = may_write;
    return RouteKeeper::ForKernel(*loop_, clock_, std::move(setup), kernel);
  }
  setup.min_gap = kDaemonGap;
  WriteLimits limits{.may_write = may_write, .stop = permit ? &permit->closed() : nullptr};
  PODROUTE_ASSIGN_OR_RETURN(auto backend, MakeDaemonBackend(options_, limits));
  return RouteKeeper::For(*loop_, clock_, std::move(setup), std::move(backend));
}

void RouterAgent::AfterPass(const PassReport& report) {
  if (!permit_ || !permit_->open()) return;  // The next leader's now.
  if (report.usable) status_->SetReady();
  const Reconciler& reconciler = keeper_->reconciler();
  if (report.synced) {
    reporter_.Update(NodeNetworks(reconciler.nodes(), reconciler.refused(), reconciler.retries()));
  }
  for (NodeEvent& event : pass_events_.After(report, reconciler.refused(), 0, reconciler.nodes())) {
    reporter_.Happened(std::move(event));
  }
  if (keeper_->kernel() != nullptr) sysctls_.Look(reconciler.actual());
}

}  // namespace podroute
