#include "controller/host_agent.h"

#include <glog/logging.h>

#include <utility>

#include "base/code_pages.h"
#include "controller/kernel_options.h"
#include "controller/pod_network.h"

namespace podroute {

HostAgent::HostAgent(const Options& options, HttpTransport& transport,
                     const std::string& api_server_host)
    : options_(options),
      transport_(transport),
      feed_(transport, clock_, ""),
      reporter_(transport, clock_, options.node_name),
      api_server_(api_server_host, clock_),
      pass_events_(PassEvents::Of::kNode, options.node_name) {}

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
      signals_, WatchAgentSignals(*loop_, {&transport_},
                                  options_.cleanup_on_exit ? "routes=removed" : "routes=stay"));
  PODROUTE_ASSIGN_OR_RETURN(status_, AgentStatus::Create(*loop_, clock_, options_));
  status_->metrics().SetWatchSource([this] { return feed_.state(); }, clock_);
  status_->metrics().SetReporterSource(reporter_.counts());
  RouteKeeperSetup setup;
  setup.metrics = &status_->metrics();
  setup.reconciler.desired.self = options_.node_name;
  setup.reconciler.desired.cluster_cidrs = options_.cluster_cidrs;
  setup.reconciler.max_delete_fraction = options_.max_delete_fraction;
  setup.take_nodes = [this] { return feed_.Take(); };
  setup.request_consistent_list = [this] { feed_.RequestConsistentList(); };
  setup.after_pass = [this](const PassReport& report) { AfterPass(report); };
  setup.after_resync = [this] {
    masquerader_->Resync();
    cni_->Resync();
  };
  setup.resync_period = options_.resync_period;
  PODROUTE_ASSIGN_OR_RETURN(
      keeper_, RouteKeeper::ForKernel(*loop_, clock_, std::move(setup), ToKernelOptions(options_)));
  PODROUTE_ASSIGN_OR_RETURN(masquerader_, Masquerader::Create(*loop_, options_, clock_,
                                                              {&status_->metrics(), &reporter_}));
  PODROUTE_ASSIGN_OR_RETURN(
      cni_, NodeCni::Create(*loop_, options_, clock_, status_->metrics(), reporter_));
  PODROUTE_RETURN_IF_ERROR(feed_.Prepare(*loop_, [this] { keeper_->PassDue(); }));
  PODROUTE_RETURN_IF_ERROR(
      api_server_.Prepare(*loop_, [this] { keeper_->SetApiServer(*api_server_.Get()); }));
  loop_->SetRoundEnd([this] { keeper_->RoundEnd(); });
  return Status::Ok();
}

Status HostAgent::Run() {
  api_server_.Start();
  feed_.Start();
  reporter_.Start();
  Status status = loop_->Run();
  StopThreads();
  if (!status.ok() || !options_.cleanup_on_exit) return status;
  PODROUTE_RETURN_IF_ERROR(cni_->RemoveConflist());
  PODROUTE_ASSIGN_OR_RETURN(RemovedCounts removed, keeper_->RemoveAllOwned());
  LOG(INFO) << "cleaned up routes=" << removed.routes << " nexthops=" << removed.nexthops;
  return masquerader_->Remove();
}

void HostAgent::StopThreads() {
  api_server_.Stop();
  feed_.Stop();  // And the transport with it.
  reporter_.Stop();
}

void HostAgent::AfterPass(const PassReport& report) {
  const Reconciler& reconciler = keeper_->reconciler();
  for (NodeEvent& event :
       pass_events_.After(report, reconciler.refused(), keeper_->shadowed(), reconciler.nodes())) {
    reporter_.Happened(std::move(event));
  }
  if (!report.synced) return;
  // Before the first pod may start: what it begins unmasqueraded stays so.
  if (reconciler.local()) {
    masquerader_->Update(reconciler.self(), reconciler.refused(), *reconciler.local(),
                         PodNetworks());
  }
  if (report.usable) status_->SetReady();
  const bool begins = report.usable && !std::exchange(usable_, true);
  if (begins && !report.in_place) {
    LOG(WARNING) << "routes are there but for some that failed, pods may start routes="
                 << reconciler.actual().size();
  }
  if (reconciler.self() != nullptr) {
    bool works = report.usable && HasPodNetwork(reconciler.self(), reconciler.refused());
    reporter_.Update({{reconciler.self(), works}});
  } else {
    reporter_.Update({});
  }
  if (reconciler.local()) {
    cni_->Update(reconciler.self(), reconciler.refused(), *reconciler.local(), usable_);
  }
  if (begins) ReleaseCodePages();
}

// Where pods' own addresses are known. Without --cluster_cidr these are all nodes' pod networks,
// with those that are gone as long as it has to be confirmed.
std::vector<IpPrefix> HostAgent::PodNetworks() const {
  if (!options_.cluster_cidrs.empty()) return options_.cluster_cidrs;
  std::vector<IpPrefix> networks = keeper_->reconciler().pod_networks();
  const std::vector<IpPrefix>& withheld = keeper_->reconciler().withheld();
  networks.insert(networks.end(), withheld.begin(), withheld.end());
  return networks;
}

}  // namespace podroute
