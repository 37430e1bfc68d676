// macspoofchk: a pod may send frames with its own hardware address only. One nftables table of
// family bridge, `podroute-cni`, with two sets and one rule for all pods; whose an element is, it
// says in its comment (NatOwner), so that DEL and GC need no state.
#ifndef PODROUTE_CNI_MAC_SPOOF_H_
#define PODROUTE_CNI_MAC_SPOOF_H_

#include "cni/cni_plugin.h"
#include "cni/link_codec.h"

namespace podroute {

// Each does nothing unless the configuration has macspoofchk.

// Has the bridge drop what comes from the port `host_end` with another source address than `mac`.
// By name, so that it can be done before there is such a port. What there was of this attachment
// before is replaced.
CniProblem AddMacSpoofCheck(const CniCall& call, const std::string& host_end,
                            const MacAddress& mac);
// Idempotent; a kernel without nftables has nothing to delete.
CniProblem DeleteMacSpoofCheck(const CniCall& call);
// That the pod of prevResult is checked, and with its address.
CniProblem CheckMacSpoofCheck(const CniCall& call, const std::string& host_end,
                              const MacAddress& mac);
// Deletes what belongs to attachments of this network that are not listed.
CniProblem CollectMacSpoofChecks(const CniCall& call);

}  // namespace podroute

#endif  // PODROUTE_CNI_MAC_SPOOF_H_
