#include "controller/masquerader.h"

#include <glog/logging.h>
#include <linux/netlink.h>

#include <utility>

#include "base/text.h"
#include "controller/event_reasons.h"
#include "controller/pod_network.h"
#include "routing/nft_table.h"

namespace podroute {
namespace {

constexpr double kLookBurst = 50, kLooksPerSecond = 1;
constexpr Duration kNextLook = std::chrono::seconds(1);
constexpr BackoffOptions kRetry = {
    .initial = std::chrono::seconds(1), .max = std::chrono::minutes(1), .jitter = 0.2};

std::string Joined(const std::vector<IpPrefix>& prefixes) {
  std::string all;
  for (const IpPrefix& prefix : prefixes) all += (all.empty() ? "" : ",") + prefix.ToString();
  return all;
}

}  // namespace

std::string WhyNotMasqueraded(const Options& options) {
  if (!options.masquerade) return "--masquerade=false";
  if (options.mode == Mode::kLocal && options.cluster_cidrs.empty()) {
    return "--mode=local needs --cluster_cidr to know which addresses are other pods'";
  }
  return "";
}

Masquerader::Masquerader(EventLoop& loop, const Options& options, const Clock& clock,
                         const Listeners& listeners)
    : loop_(loop),
      unmasqueraded_(options.non_masquerade_cidrs),
      node_name_(options.node_name),
      listeners_(listeners),
      hints_(clock, kLookBurst, kLooksPerSecond),
      backoff_(kRetry, clock) {}

Masquerader::~Masquerader() { Close(); }

Result<std::unique_ptr<Masquerader>> Masquerader::Create(EventLoop& loop, const Options& options,
                                                         const Clock& clock,
                                                         const Listeners& listeners) {
  std::unique_ptr<Masquerader> made(new Masquerader(loop, options, clock, listeners));
  PODROUTE_ASSIGN_OR_RETURN(made->timer_, Timer::Create(loop, [raw = made.get()] { raw->Look(); }));
  const std::string why_not = WhyNotMasqueraded(options);
  if (why_not.empty()) return made;
  if (options.masquerade) LOG(WARNING) << "pods are not masqueraded: " << why_not;
  // What cannot be removed is said, and nothing depends on it.
  if (Status removed = made->Remove(); !removed.ok()) LOG(ERROR) << removed.message();
  return made;
}

void Masquerader::Update(const std::shared_ptr<const Node>& self,
                         const std::vector<Refusal>& refused, const LocalNetwork& local,
                         std::vector<IpPrefix> cluster) {
  if (!on_) return;
  std::vector<std::string> problems;  // Said where the conflist is made.
  if (self != nullptr) {
    std::vector<IpPrefix> pods = UsablePodCidrs(*self, refused, &problems);
    if (!pods.empty()) pods_ = NetworksOfPodsHere(std::move(pods), local);
  }
  if (pods_.empty()) return;
  cluster.insert(cluster.end(), unmasqueraded_.begin(), unmasqueraded_.end());
  cluster.insert(cluster.end(), pods_.begin(), pods_.end());
  Masquerading wanted = MakeMasquerading(pods_, std::move(cluster));
  if (wanted_ == wanted) return;
  if (!wanted_ || wanted_->pods != wanted.pods) {
    LOG(INFO) << "pods are masqueraded to outside pods=" << Joined(pods_);
  }
  wanted_ = std::move(wanted);
  settled_ = false;
  Look();
}

void Masquerader::Resync() {
  hints_deferred_ = false;
  Look();
}

Status Masquerader::Remove() {
  on_ = false;
  wanted_.reset();
  timer_->Disarm();
  Close();
  PODROUTE_ASSIGN_OR_RETURN(bool removed, RemoveNftTable(kMasqueradeTable));
  LOG_IF(INFO, removed) << "masquerading of pods removed";
  return Status::Ok();
}

Status Masquerader::Open() {
  if (socket_) return Status::Ok();
  PODROUTE_ASSIGN_OR_RETURN(auto socket, NetlinkSocket::Create(NETLINK_NETFILTER));
  PODROUTE_ASSIGN_OR_RETURN(auto monitor, NftMonitor::Create(kMasqueradeTable, socket->port_id()));
  PODROUTE_RETURN_IF_ERROR(loop_.Add(monitor->fd(), [this] { OnHint(); }));
  socket_ = std::move(socket);
  monitor_ = std::move(monitor);
  return Status::Ok();
}

void Masquerader::Close() {
  if (monitor_) loop_.Remove(monitor_->fd());
  monitor_.reset();
  socket_.reset();
}

void Masquerader::OnHint() {
  Result<bool> changed = monitor_->Drain();
  if (changed.ok() && !*changed) return;
  if (!changed.ok()) {
    LOG(ERROR) << "nftables notifications failed, subscribing again error="
               << QuotedValue(changed.status().message());
    Close();
  }
  if (hints_.Take()) return Look();
  if (!std::exchange(hints_deferred_, true)) {
    LOG(WARNING) << "somebody keeps changing nftables table inet podroute, it is put right once a "
                    "second from now on; is there another podroute with other options?";
  }
  timer_->ArmNoLater(kNextLook);
}

void Masquerader::Look() {
  if (!wanted_) return;
  Status status = Ensure();
  listeners_.metrics->SetMasquerade(status.ok());
  if (status.ok()) {
    timer_->Disarm();
    backoff_.Reset();
    LOG_IF(INFO, !error_.empty()) << "pods are masqueraded again";
    error_.clear();
    return;
  }
  settled_ = false;
  Close();  // It may be the socket's fault.
  timer_->Arm(backoff_.Next());
  if (std::exchange(error_, status.message()) == status.message()) return;
  LOG(ERROR) << "pods cannot be masqueraded, they reach what is outside with their own addresses "
                "error="
             << QuotedValue(error_);
  listeners_.reporter->Happened(
      {node_name_, true, kMasqueradeFailed, "pods cannot be masqueraded: " + error_});
}

Status Masquerader::Ensure() {
  PODROUTE_RETURN_IF_ERROR(Open());
  MasqueradeTable table(*socket_);
  PODROUTE_ASSIGN_OR_RETURN(MasqueradeState state, table.Read());
  if (!state.Is(*wanted_)) {
    PODROUTE_RETURN_IF_ERROR(table.Write(state, *wanted_));
    if (settled_) {
      LOG(WARNING) << "nftables table inet podroute was " << (state.there ? "changed" : "removed")
                   << " by somebody and is put right";
      listeners_.metrics->MasqueradeRepaired();
    }
    PODROUTE_ASSIGN_OR_RETURN(state, table.Read());
  }
  settled_ = state.Is(*wanted_);
  if (settled_) return Status::Ok();
  return Status(StatusCode::kInternal,
                "nftables table inet podroute is not what was written just before: somebody else "
                "writes it too");
}

}  // namespace podroute
