#ifndef PODROUTE_CONTROLLER_KERNEL_OPTIONS_H_
#define PODROUTE_CONTROLLER_KERNEL_OPTIONS_H_

#include "controller/options.h"
#include "routing/kernel_backend.h"
#include "routing/owner.h"

namespace podroute {

inline KernelOptions ToKernelOptions(const Options& options) {
  KernelOptions kernel;
  kernel.mark.table = options.route_table;
  kernel.mark.protocol = options.route_protocol;
  kernel.mark.metric = options.route_metric;
  kernel.nexthop_ids = OwnerNexthopIds(options.router.owner);
  return kernel;
}

}  // namespace podroute

#endif  // PODROUTE_CONTROLLER_KERNEL_OPTIONS_H_
