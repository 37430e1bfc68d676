// Echo requests that may not be fragmented, to many addresses at once.
#ifndef PODROUTE_CONTROLLER_CHECK_PROBE_H_
#define PODROUTE_CONTROLLER_CHECK_PROBE_H_

#include <cstdint>
#include <vector>

#include "base/status.h"
#include "controller/check/facts.h"

namespace podroute {

inline constexpr uint32_t kSmallProbe = 84;  // Of the IP packet; as ping's own.

// Fills in `reached` of each: at most about 1,000 packets a second, three tries of up to a second
// each, first of full size, then of kSmallProbe, which those of that size already do not need.
// Those of one family and source share a socket.
// PermissionDenied without CAP_NET_RAW and outside of net.ipv4.ping_group_range.
Status Probe(std::vector<ProbeFact>* probes);

}  // namespace podroute

#endif  // PODROUTE_CONTROLLER_CHECK_PROBE_H_
