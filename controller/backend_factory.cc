#include "controller/backend_factory.h"

namespace podroute {

Result<std::unique_ptr<RouteBackend>> MakeDaemonBackend(const Options& options,
                                                        const WriteLimits& /*limits*/) {
  switch (options.router.backend) {
    case BackendKind::kKernel:
      break;
    case BackendKind::kBird:
    case BackendKind::kFrr:
    case BackendKind::kExec:
      return Status(StatusCode::kInvalidArgument, "this --backend is not in this version");
  }
  return Status(StatusCode::kUnsupported, "the kernel is no routing daemon");
}

}  // namespace podroute
