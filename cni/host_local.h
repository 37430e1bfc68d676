// The in-process form of the reference `host-local` IPAM plugin: configuration and store in,
// addresses out. Locks the store inside each call and never longer.
#ifndef PODROUTE_CNI_HOST_LOCAL_H_
#define PODROUTE_CNI_HOST_LOCAL_H_

#include <string>
#include <vector>

#include "cni/cni_types.h"
#include "cni/host_view.h"
#include "cni/net_conf.h"

namespace podroute {

// One address from each range set, in the sets' order, with its gateway; and the configured routes
// and resolvConf's DNS. All or nothing: on error no reservation of this call stays. With a `host`,
// addresses whose container is gone are taken back as reclaim.h says; without, they stay reserved.
CniOr<CniResult> HostLocalAdd(const IpamConf& conf, const std::string& network,
                              const CniAttachment& owner, HostView* host = nullptr);

// Gives everything back that `owner` has. No error when that is nothing, or when there is no store.
CniProblem HostLocalDel(const IpamConf& conf, const std::string& network,
                        const CniAttachment& owner);

// An error unless `owner` has a reservation (for each of `addresses`, if there are any).
CniProblem HostLocalCheck(const IpamConf& conf, const std::string& network,
                          const CniAttachment& owner, const std::vector<IpAddress>& addresses);

// An error unless every range set has an address for an ADD and the store can be written.
CniProblem HostLocalStatus(const IpamConf& conf, const std::string& network,
                           HostView* host = nullptr);

// The owners of reservations that are not in `valid`. Changes nothing.
CniOr<std::vector<CniAttachment>> HostLocalStale(const IpamConf& conf, const std::string& network,
                                                 const std::vector<CniAttachment>& valid);

}  // namespace podroute

#endif  // PODROUTE_CNI_HOST_LOCAL_H_
