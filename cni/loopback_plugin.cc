#include "cni/loopback_plugin.h"

#include <net/if.h>

#include <memory>
#include <utility>

#include "cni/link_ops.h"
#include "cni/netns.h"
#include "routing/netlink_socket.h"

namespace podroute {
namespace {

constexpr char kLoopback[] = "lo";

CniError NamespaceError(const Status& status) {
  CniErrorCode code = status.code() == StatusCode::kNotFound ? CniErrorCode::kUnknownContainer
                                                             : CniErrorCode::kInvalidEnvironment;
  return ToCniError(code, status.WithContext("CNI_NETNS"));
}

// Reads lo in `netns`, after `change` if there is one.
struct LoopbackState {
  LinkDetails link;
  std::vector<AddressDetails> addresses;
};
Result<LoopbackState> Visit(int netns, bool set_up) {
  LoopbackState state;
  Status status = RunInNetns(netns, [&]() -> Status {
    PODROUTE_ASSIGN_OR_RETURN(std::unique_ptr<NetlinkSocket> netlink, NetlinkSocket::Create());
    LinkOps ops(*netlink);
    PODROUTE_ASSIGN_OR_RETURN(std::optional<LinkDetails> link, ops.FindLink(kLoopback));
    if (!link) return Status(StatusCode::kNotFound, "there is no lo in the pod");
    if (set_up) PODROUTE_RETURN_IF_ERROR(ops.SetUp(*link));
    state.link = std::move(*link);
    PODROUTE_ASSIGN_OR_RETURN(state.addresses, ops.AddressesOf(state.link.ifindex));
    return Status::Ok();
  });
  if (!status.ok()) return status;
  return state;
}

}  // namespace

CniOr<CniResult> LoopbackPlugin::Add(const CniCall& call) {
  Result<UniqueFd> netns = OpenNetns(call.args.netns);
  if (!netns.ok()) return NamespaceError(netns.status());
  Result<LoopbackState> state = Visit(netns->get(), true);
  if (!state.ok()) return ToCniError(CniErrorCode::kKernel, state.status());
  if (call.conf.prev_result) return *call.conf.prev_result;  // Chained: pass on what came before.
  CniResult result;
  result.interfaces.push_back({kLoopback, "00:00:00:00:00:00", call.args.netns, 0});
  for (const AddressDetails& address : state->addresses) {
    result.ips.push_back({address.address, std::nullopt, 0});
  }
  return result;
}

CniProblem LoopbackPlugin::Check(const CniCall& call) {
  Result<UniqueFd> netns = OpenNetns(call.args.netns);
  if (!netns.ok()) return NamespaceError(netns.status());
  Result<LoopbackState> state = Visit(netns->get(), false);
  if (!state.ok()) return ToCniError(CniErrorCode::kCheckFailed, state.status());
  if ((state->link.flags & IFF_UP) != 0) return std::nullopt;
  return CniError{CniErrorCode::kCheckFailed, std::nullopt, "lo is down in the pod", ""};
}

// lo goes with its namespace.
CniProblem LoopbackPlugin::Del(const CniCall&) { return std::nullopt; }
CniProblem LoopbackPlugin::Status(const CniCall&) { return std::nullopt; }
CniProblem LoopbackPlugin::Gc(const CniCall&) { return std::nullopt; }

}  // namespace podroute
