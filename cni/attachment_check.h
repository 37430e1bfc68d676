// CHECK: whether an attachment still is as its ADD left it.
#ifndef PODROUTE_CNI_ATTACHMENT_CHECK_H_
#define PODROUTE_CNI_ATTACHMENT_CHECK_H_

#include "cni/cni_plugin.h"

namespace podroute {

// Compares the kernel's bridge, links, addresses, routes and forwarding settings with
// conf.prev_result. Interfaces in it that are not ours (of chained plugins) are left alone. The
// error, code 103, says what differs. REQUIRES: conf.prev_result; `netns` is the pod's.
CniProblem CheckAttachment(const CniCall& call, int netns);

}  // namespace podroute

#endif  // PODROUTE_CNI_ATTACHMENT_CHECK_H_
