// Reads from an FRR daemon by its vty socket, as vtysh does, without the time that vtysh needs to
// start.
#ifndef PODROUTE_ROUTING_FRR_VTY_H_
#define PODROUTE_ROUTING_FRR_VTY_H_

#include <string>

#include "base/clock.h"
#include "base/status.h"

namespace podroute {

// What this daemon's `show running-config` says, between the head and the end that vtysh puts
// around it. `path`: its *.vty socket. Blocks until it has answered; errors as DaemonSocket has
// them, and kInternal when it refuses, in its words. `stop` may be null.
Result<std::string> ReadFrrRunningConfig(const std::string& daemon, const std::string& path,
                                         MonotonicTime deadline, StopToken* stop);

}  // namespace podroute

#endif  // PODROUTE_ROUTING_FRR_VTY_H_
