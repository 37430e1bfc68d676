// hostPort and ipMasq of one attachment: what ADD, DEL, CHECK, STATUS and GC do about them. Works
// in the calling thread's network namespace as the host's. ADD, CHECK and STATUS open no socket
// unless the configuration speaks of port mappings or ipMasq.
#ifndef PODROUTE_CNI_POD_NAT_H_
#define PODROUTE_CNI_POD_NAT_H_

#include <string>
#include <vector>

#include "cni/cni_plugin.h"
#include "cni/cni_types.h"

namespace podroute {

// After the pod's link is there: an owner without link counts as gone. `interface` is the host's in
// the pods' subnet; `route_localnet`: that setting is known to be on there. All or nothing.
CniProblem AddPodNat(const CniCall& call, const std::vector<CniIp>& ips,
                     const std::string& interface, bool route_localnet);
// Idempotent; needs neither prevResult nor runtimeConfig.
CniProblem DeletePodNat(const CniCall& call);
// Compares with conf.prev_result's addresses.
CniProblem CheckPodNat(const CniCall& call, const std::string& interface);
CniProblem PodNatStatus(const CniCall& call);
// Removes what of this network belongs to no attachment that conf.valid_attachments lists.
CniProblem CollectPodNat(const CniCall& call);

}  // namespace podroute

#endif  // PODROUTE_CNI_POD_NAT_H_
