// The kernel settings without which a node's pods are cut off.
#ifndef PODROUTE_CONTROLLER_NODE_SYSCTLS_H_
#define PODROUTE_CONTROLLER_NODE_SYSCTLS_H_

#include <string>
#include <vector>

#include "base/status.h"

namespace podroute {

struct SysctlProblem {
  std::string setting;  // "net.ipv4.ip_forward=1", as sysctl -w takes it.
  Status status;
};

// In the network namespace of the calling thread; `dir` is where its /proc/sys can be written. What
// is right already is not written. What cannot be set is returned, and the rest is done even so.
//
// net.ipv4.ip_forward=1.
std::vector<SysctlProblem> EnableForwardingV4(const std::string& dir);

// net.ipv6.conf.all.forwarding=1. A kernel that forwards takes no router advertisements on a link
// whose accept_ra is 1, and drops the default routes that it had from them (Linux,
// rt6_purge_dflt_routers): so before, accept_ra becomes 2 where it is 1 on `uplinks` (names). Where
// forwarding is on already nothing is changed: that was somebody's decision.
std::vector<SysctlProblem> EnableForwardingV6(const std::string& dir,
                                              const std::vector<std::string>& uplinks);

}  // namespace podroute

#endif  // PODROUTE_CONTROLLER_NODE_SYSCTLS_H_
