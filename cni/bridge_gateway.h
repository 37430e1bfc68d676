// The bridge as the pods' gateway: its addresses, and the kernel's leave to forward.
#ifndef PODROUTE_CNI_BRIDGE_GATEWAY_H_
#define PODROUTE_CNI_BRIDGE_GATEWAY_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "cni/cni_types.h"
#include "cni/link_ops.h"
#include "cni/net_conf.h"

namespace podroute {

// Completes what IPAM gave as isGateway and isDefaultGateway ask: a gateway for each address that
// has none (the subnet's first address), and a default route for each family that has none. Pure.
void CompleteGateways(const NetConf& conf, CniResult& result);

// The addresses that the bridge must have for `ips`: each gateway with its subnet's length. Pure.
std::vector<IpWithLength> GatewayAddresses(const std::vector<CniIp>& ips);

// Which of `present` must go now that the bridge has `wanted`: with `force` (forceAddress), any
// other IPv4 address and any IPv6 address of an overlapping subnet, as in the reference plugin;
// without it, only those that we put there ourselves and in whose subnet none of `reserved`
// (sorted) lies, for then no pod uses them any more. Link-local ones always stay. Pure.
std::vector<IpWithLength> StaleGatewayAddresses(const std::vector<AddressDetails>& present,
                                                const std::vector<IpWithLength>& wanted, bool force,
                                                const std::vector<IpAddress>& reserved);

// Gives `gateway` those of `wanted` that are not among `present`. Whether there were any.
Result<bool> AddMissingAddresses(LinkOps& ops, int gateway,
                                 const std::vector<AddressDetails>& present,
                                 const std::vector<IpWithLength>& wanted);

// Gives `gateway` (the bridge, or its interface in the pods' VLAN) its addresses and takes stale
// ones away, while pods that use it go on. `bridge` is the bridge.
Status EnsureGatewayAddresses(LinkOps& ops, const NetConf& conf, int bridge, int gateway,
                              const std::vector<CniIp>& ips);

// Router advertisements refused on the gateway's interface, which a pod could send otherwise
// (CVE-2020-10749). `accept_ra`: what is known of that setting.
Status RefuseRouterAdvertisements(LinkOps& ops, const std::string& gateway,
                                  std::optional<uint32_t> accept_ra);

// Forwarding on for the families of `ips`, and RefuseRouterAdvertisements.
//
// Asks by netlink what can be asked so: under /proc/sys/net each network namespace that anybody has
// looked at adds to what a look-up has to walk through, with 200 pods a sixth of an ADD.
Status EnsureForwarding(LinkOps& ops, const std::string& gateway, const std::vector<CniIp>& ips,
                        std::optional<uint32_t> accept_ra);

}  // namespace podroute

#endif  // PODROUTE_CNI_BRIDGE_GATEWAY_H_
