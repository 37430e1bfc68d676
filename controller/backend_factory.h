// The backend that the flags name.
#ifndef PODROUTE_CONTROLLER_BACKEND_FACTORY_H_
#define PODROUTE_CONTROLLER_BACKEND_FACTORY_H_

#include <functional>
#include <memory>

#include "base/clock.h"
#include "base/status.h"
#include "controller/options.h"
#include "routing/route_backend.h"

namespace podroute {

// May be asked at any time, and `stop` (may be null) be stopped by any thread; both outlive the
// backend.
struct WriteLimits {
  std::function<bool()> may_write;  // Empty: always.
  StopToken* stop = nullptr;
  bool only_remove = false;  // Nothing is made, not even an empty file for a daemon that is away.
};

// A routing daemon's. kUnsupported for the kernel, which needs more than a RouteBackend does
// (RouteKeeper::ForKernel).
Result<std::unique_ptr<RouteBackend>> MakeDaemonBackend(const Options& options,
                                                        const WriteLimits& limits);

}  // namespace podroute

#endif  // PODROUTE_CONTROLLER_BACKEND_FACTORY_H_
