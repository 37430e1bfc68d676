// What the kernel's filters do to forwarded packets.
#ifndef PODROUTE_CONTROLLER_CHECK_GATHER_FILTER_H_
#define PODROUTE_CONTROLLER_CHECK_GATHER_FILTER_H_

#include <vector>

#include "controller/check/facts.h"
#include "controller/check/finding.h"

namespace podroute {

// All tables of nftables, and of iptables those that the kernel has, in this network namespace.
void GatherFilter(HostFacts* host, std::vector<Skipped>* skipped);

}  // namespace podroute

#endif  // PODROUTE_CONTROLLER_CHECK_GATHER_FILTER_H_
