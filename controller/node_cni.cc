#include "controller/node_cni.h"

#include <glog/logging.h>

#include <algorithm>

#include "base/text.h"
#include "cni/conflist.h"
#include "cni/link_ops.h"
#include "cni/node_bridge.h"
#include "controller/event_reasons.h"
#include "controller/node_sysctls.h"
#include "controller/pod_network.h"
#include "routing/local_network_reader.h"
#include "routing/netlink_socket.h"

namespace podroute {
namespace {

constexpr uint32_t kLeastIpv6Mtu = 1280;  // RFC 8200 section 5.

std::vector<std::string> NamesOf(const std::vector<LocalLink>& links) {
  std::vector<std::string> names;
  names.reserve(links.size());
  for (const LocalLink& link : links) names.push_back(link.name);
  return names;
}

std::string Joined(const std::vector<std::string>& parts) {
  std::string all;
  for (const std::string& part : parts) all += (all.empty() ? "" : ",") + part;
  return all;
}

// Nothing to ask, nothing known: the next Resync tries again.
std::vector<int> Ask(Result<std::vector<int>> (*find)(NetlinkTransport&)) {
  auto socket = NetlinkSocket::Create();
  if (!socket.ok()) return {};
  Result<std::vector<int>> found = find(**socket);
  if (!found.ok()) VLOG(1) << found.status().message();
  return found.ok() ? *found : std::vector<int>();
}

Result<NodeBridgeState> PutRight(const NodeBridge& wanted, const std::string& sysctl_dir) {
  PODROUTE_ASSIGN_OR_RETURN(auto socket, NetlinkSocket::Create());
  LinkOps ops(*socket, sysctl_dir);
  return EnsureNodeBridge(ops, wanted);
}

std::string Gateways(const NodeBridge& bridge) {
  std::vector<std::string> gateways;
  for (const IpPrefix& pod_cidr : bridge.pod_cidrs) {
    gateways.push_back(GatewayOf(pod_cidr).ToString());
  }
  return Joined(gateways);
}

}  // namespace

Result<std::unique_ptr<NodeCni>> NodeCni::Create(EventLoop& loop, const Options& options,
                                                 const Clock& clock, Metrics& metrics,
                                                 NodeReporter& reporter) {
  std::unique_ptr<NodeCni> cni(new NodeCni(options, reporter));
  CniInstallerOptions install;
  install.directories = {options.cni_bin_dir, options.cni_conf_dir};
  install.plugin = options.cni_plugin;
  install.report = [&metrics](const std::string& file, bool there) {
    metrics.SetCniInstalled(file, there);
  };
  install.failed = [&reporter, node = options.node_name](const std::string& error) {
    reporter.Happened({node, true, kCniInstallFailed, error});
  };
  if (!options.cni_bin_dir.empty() || !options.cni_conf_dir.empty()) {
    PODROUTE_ASSIGN_OR_RETURN(cni->installer_, CniInstaller::Create(loop, install, clock));
  }
  cni->Resync();
  return cni;
}

void NodeCni::Update(const std::shared_ptr<const Node>& self, const std::vector<Refusal>& refused,
                     const LocalNetwork& local, bool ready) {
  bool bridge_due = ready && !ready_;
  ready_ |= ready;
  if (!self) return;
  std::vector<std::string> problems;
  std::vector<IpPrefix> pod_cidrs = UsablePodCidrs(*self, refused, &problems);
  for (const std::string& problem : problems) {
    SayOnce("podCIDR of this node cannot be used: " + Printable(problem, 256));
  }
  bool moved = !self_ || self_->internal_ips != self->internal_ips || local_ != local;
  self_ = self;
  if (moved) {
    local_ = local;
    FindUplinks();
  }
  if (pod_cidrs.empty()) {
    if (ready_) SayOnce("no CNI configuration is written: this node has no usable podCIDR");
    return;
  }
  said_.erase("no CNI configuration is written: this node has no usable podCIDR");
  if (pod_cidrs_ != pod_cidrs) {
    pod_cidrs_ = std::move(pod_cidrs);
    EnableForwarding();
    bridge_due = true;
  }
  const bool has_bridge = HasBridge(local_, pod_cidrs_);
  if (has_bridge) bridge_unseen_ = false;
  if (bridge_due || (!has_bridge && (moved || bridge_unseen_))) EnsureBridge();
  SetConflist();
}

void NodeCni::Resync() {
  EnableForwarding();
  if (self_) {
    FindUplinks();
    EnsureBridge();
    SetConflist();
  }
  if (installer_) installer_->Resync();
}

Status NodeCni::RemoveConflist() {
  installer_.reset();
  if (options_.cni_conf_dir.empty()) return Status::Ok();
  CniFiles files({options_.cni_bin_dir, options_.cni_conf_dir}, "");
  PODROUTE_ASSIGN_OR_RETURN(bool removed, files.RemoveConflist());
  LOG_IF(INFO, removed) << "CNI configuration removed file=\""
                        << Printable(files.directories().Conflist(), 256) << "\"";
  return Status::Ok();
}

void NodeCni::SetConflist() {
  if (!installer_ || !ready_ || pod_cidrs_.empty()) return;
  if (foreign_link_ && !installer_->has_conflist()) return;
  installer_->SetConflist(RenderConflist({.pod_cidrs = pod_cidrs_,
                                          .mtu = mtu_,
                                          .network = options_.cni_network_name,
                                          .data_dir = options_.cni_data_dir}));
}

void NodeCni::EnsureBridge() {
  if (options_.cni_conf_dir.empty() || !ready_ || pod_cidrs_.empty()) return;
  const NodeBridge wanted{std::string(kBridgeName), mtu_, pod_cidrs_};
  Result<NodeBridgeState> state = PutRight(wanted, options_.sysctl_dir);
  foreign_link_ = state.ok() && *state == NodeBridgeState::kForeignLink;
  std::string problem;
  if (foreign_link_) {
    problem = "the link " + wanted.name +
              " is no bridge, so no pod can start: delete or rename it (it is looked at again with "
              "each --resync_period)";
  } else if (!state.ok()) {
    problem = "the bridge " + wanted.name +
              " is not as it should be, the next pod's start will put it right error=" +
              QuotedValue(state.status().message());
  } else if (*state == NodeBridgeState::kPutRight) {
    bridge_unseen_ = true;
    LOG(INFO) << "bridge put right bridge=" << wanted.name << " addresses=" << Gateways(wanted);
  }
  if (!problem.empty() && problem != bridge_problem_) {
    LOG(WARNING) << problem;
    TellOfProblem(problem);
  }
  bridge_problem_ = std::move(problem);
}

void NodeCni::FindUplinks() {
  std::vector<LocalLink> uplinks = LinksOfNode(*self_, local_);
  if (uplinks.empty()) {
    uplinks = LinksByIndex(Ask(FindDefaultLinks), local_);
    std::erase_if(uplinks, [](const LocalLink& link) { return link.loopback; });
  }
  uint32_t mtu = options_.cni_mtu != 0 ? options_.cni_mtu : PodMtu(uplinks);
  if (mtu != mtu_) {
    LOG(INFO) << "pods have an MTU of mtu=" << mtu << " from="
              << (options_.cni_mtu != 0 ? "--cni_mtu"
                  : uplinks.empty()     ? "nowhere"
                                        : Joined(NamesOf(uplinks)));
  }
  mtu_ = mtu;
  uplinks_ = std::move(uplinks);
}

void NodeCni::EnableForwarding() {
  std::vector<SysctlProblem> problems = EnableForwardingV4(options_.sysctl_dir);
  bool v6 = std::any_of(pod_cidrs_.begin(), pod_cidrs_.end(),
                        [](const IpPrefix& pod_cidr) { return !pod_cidr.is_v4(); });
  if (v6) {
    std::vector<std::string> names = NamesOf(uplinks_);
    for (const LocalLink& link : LinksByIndex(Ask(FindAdvertisedLinks), local_)) {
      names.push_back(link.name);
    }
    for (SysctlProblem& problem : EnableForwardingV6(options_.sysctl_dir, names)) {
      problems.push_back(std::move(problem));
    }
    if (mtu_ != 0 && mtu_ < kLeastIpv6Mtu) {
      SayOnce("pods can have no IPv6 with an MTU of " + std::to_string(mtu_) + ", it needs 1280");
    }
  }
  for (const SysctlProblem& problem : problems) {
    const std::string line = "a kernel setting is wrong and cannot be set, run: sysctl -w " +
                             problem.setting + " error=" + QuotedValue(problem.status.message());
    if (SayOnce(line)) TellOfProblem(line);
  }
}

bool NodeCni::SayOnce(const std::string& line) {
  if (!said_.insert(line).second) return false;
  LOG(WARNING) << line;
  return true;
}

void NodeCni::TellOfProblem(const std::string& problem) {
  reporter_.Happened({options_.node_name, true, kNodeSetupFailed, problem});
}

}  // namespace podroute
