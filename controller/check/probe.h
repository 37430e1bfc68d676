// Echo requests that may not be fragmented, to many addresses at once.
#ifndef PODROUTE_CONTROLLER_CHECK_PROBE_H_
#define PODROUTE_CONTROLLER_CHECK_PROBE_H_

#include <vector>

#include "base/status.h"
#include "controller/check/facts.h"

namespace podroute {

// Fills in `reached` of each. Those of one family and source share a socket: at most about 1,000
// packets a second, three tries of up to a second each, first of full size, then of 64 bytes.
// PermissionDenied without CAP_NET_RAW and outside of net.ipv4.ping_group_range.
Status Probe(std::vector<ProbeFact>* probes);

}  // namespace podroute

#endif  // PODROUTE_CONTROLLER_CHECK_PROBE_H_
