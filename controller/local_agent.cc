#include "controller/local_agent.h"

#include <glog/logging.h>

#include <set>
#include <utility>

#include "base/text.h"
#include "controller/kernel_options.h"
#include "controller/node_infos.h"
#include "routing/local_network_reader.h"

namespace podroute {
namespace {

constexpr Duration kLookAgain = std::chrono::seconds(1);
constexpr Duration kHintDelay = std::chrono::milliseconds(100);

}  // namespace

Result<std::unique_ptr<LocalAgent>> LocalAgent::Create(const Options& options,
                                                       HttpTransport& transport) {
  std::unique_ptr<LocalAgent> agent(new LocalAgent(options, transport));
  PODROUTE_RETURN_IF_ERROR(agent->Start());
  return agent;
}

Status LocalAgent::Start() {
  PODROUTE_ASSIGN_OR_RETURN(loop_, EventLoop::Create());
  PODROUTE_ASSIGN_OR_RETURN(
      signals_, WatchAgentSignals(*loop_, {&transport_},
                                  options_.cleanup_on_exit ? "cni=removed" : "cni=stays"));
  PODROUTE_ASSIGN_OR_RETURN(status_, AgentStatus::Create(*loop_, clock_, options_));
  status_->metrics().SetWatchSource([this] { return feed_.state(); }, clock_);
  status_->metrics().SetReporterSource(reporter_.counts());
  PODROUTE_RETURN_IF_ERROR(StartMonitor());
  PODROUTE_ASSIGN_OR_RETURN(masquerader_, Masquerader::Create(*loop_, options_, clock_,
                                                              {&status_->metrics(), &reporter_}));
  PODROUTE_ASSIGN_OR_RETURN(
      cni_, NodeCni::Create(*loop_, options_, clock_, status_->metrics(), reporter_));
  PODROUTE_RETURN_IF_ERROR(feed_.Prepare(*loop_, [this] { look_due_ = true; }));
  PODROUTE_ASSIGN_OR_RETURN(resync_timer_, Timer::Create(*loop_, [this] { OnResync(); }));
  PODROUTE_ASSIGN_OR_RETURN(look_timer_, Timer::Create(*loop_, [this] { look_due_ = true; }));
  loop_->SetRoundEnd([this] {
    if (std::exchange(look_due_, false)) Look();
  });
  return Status::Ok();
}

Status LocalAgent::StartMonitor() {
  KernelMonitorOptions options;
  options.mark = ToKernelOptions(options_).mark;
  PODROUTE_ASSIGN_OR_RETURN(std::unique_ptr<KernelMonitor> monitor, KernelMonitor::Create(options));
  PODROUTE_RETURN_IF_ERROR(loop_->Add(monitor->fd(), [this] { OnHints(); }));
  if (monitor_) loop_->Remove(monitor_->fd());
  monitor_ = std::move(monitor);
  return Status::Ok();
}

Status LocalAgent::Run() {
  feed_.Start();
  reporter_.Start();
  resync_timer_->Arm(options_.resync_period);
  Status status = loop_->Run();
  feed_.Stop();  // And the transport with it.
  reporter_.Stop();
  if (!status.ok() || !options_.cleanup_on_exit) return status;
  PODROUTE_RETURN_IF_ERROR(cni_->RemoveConflist());
  return masquerader_->Remove();
}

void LocalAgent::OnHints() {
  Result<KernelHints> hints = monitor_->Drain();
  if (!hints.ok()) {
    LOG(ERROR) << "kernel notifications failed, subscribing again error="
               << QuotedValue(hints.status().message());
    // The old one stays in the loop, so that this is tried again; and there is the resync timer.
    if (Status status = StartMonitor(); !status.ok()) {
      LOG(ERROR) << "no kernel notifications error=" << QuotedValue(status.message());
    }
  } else if (!hints->local_network_changed) {
    return;
  }
  local_stale_ = true;
  if (hint_budget_.Take()) {
    look_due_ = true;
  } else {
    look_timer_->ArmNoLater(kHintDelay);
  }
}

void LocalAgent::OnResync() {
  local_stale_ = true;
  Look();
  masquerader_->Resync();
  cni_->Resync();
  resync_timer_->Arm(options_.resync_period);
}

void LocalAgent::Look() {
  if (local_stale_) {
    Result<LocalNetwork> local = ReadLocalNetwork();
    if (!local.ok()) {
      if (std::exchange(local_error_, local.status().message()) != local.status().message()) {
        LOG(ERROR) << "cannot read links error=" << QuotedValue(local_error_);
      }
      look_timer_->ArmNoLater(kLookAgain);
      return;
    }
    local_error_.clear();
    std::set<int> with_addresses;
    for (const LocalAddress& address : local->addresses) with_addresses.insert(address.ifindex);
    monitor_->WatchLinks(std::move(with_addresses));
    local_ = std::move(*local);
    local_stale_ = false;
  }
  NodeSnapshot nodes = feed_.Take();
  // A server that does not know field selectors, a proxy say, may send others too.
  std::erase_if(nodes.nodes, [&](const auto& node) { return node->name != options_.node_name; });
  std::shared_ptr<const Node> self = nodes.nodes.empty() ? nullptr : nodes.nodes.front();
  DesiredOptions rules;
  rules.self = options_.node_name;
  rules.cluster_cidrs = options_.cluster_cidrs;
  DesiredResult result = DesiredRoutes(ToNodeInfos(nodes.nodes), local_, rules);
  masquerader_->Update(self, result.refused, *local_, options_.cluster_cidrs);
  if (nodes.synced) {
    Notice(self, result.refused);
    status_->metrics().SetSynced(nodes.nodes.size());
    status_->metrics().SetRefused(result.refused);
    if (self != nullptr) status_->SetReady();
    for (NodeEvent& event : pass_events_.After(PassReport(), result.refused, 0, nodes.nodes)) {
      reporter_.Happened(std::move(event));
    }
  }
  cni_->Update(self, result.refused, *local_, nodes.synced && self != nullptr);
}

void LocalAgent::Notice(const std::shared_ptr<const Node>& self,
                        const std::vector<Refusal>& refused) {
  bool has_node = self != nullptr;
  if (has_node_ != has_node && !has_node) {
    LOG(WARNING) << "no Node has this machine's name: it is not registered yet, or --node_name is "
                    "wrong node="
                 << Printable(options_.node_name);
  }
  has_node_ = has_node;
  if (refused_ == refused) return;
  for (const Refusal& refusal : refused) {
    LOG(WARNING) << "refused node=" << refusal.node << " cidr=" << QuotedValue(refusal.cidr)
                 << " reason=" << RefusalReasonName(refusal.reason)
                 << " message=" << QuotedValue(refusal.message);
  }
  refused_ = refused;
}

}  // namespace podroute
