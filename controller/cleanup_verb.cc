#include <cstdio>

#include "controller/kernel_options.h"
#include "controller/verbs.h"
#include "routing/kernel_backend.h"

namespace podroute {

Result<int> CleanupVerb(const Options& options) {
  PODROUTE_ASSIGN_OR_RETURN(auto backend, KernelBackend::Create(ToKernelOptions(options)));
  PODROUTE_ASSIGN_OR_RETURN(RemovedCounts removed, backend->RemoveAllOwned());
  std::printf("removed %zu routes and %zu nexthop objects\n", removed.routes, removed.nexthops);
  if (removed.nexthops_in_use > 0) {
    std::printf("left %zu nexthop objects that routes which are not ours refer to\n",
                removed.nexthops_in_use);
  }
  return 0;
}

}  // namespace podroute
