// Waiting for a file's lock, but not for ever.
#ifndef PODROUTE_CNI_STORE_LOCK_H_
#define PODROUTE_CNI_STORE_LOCK_H_

#include <chrono>
#include <string>

#include "base/status.h"

namespace podroute {

// Takes flock(2)'s exclusive lock on `fd`; `name` is for messages. First come, first served, as the
// kernel does it. DeadlineExceeded when somebody else kept it for `timeout`. Waiting uses SIGALRM
// and the real-time interval timer, which are given back as they were. REQUIRES: a single-threaded
// process, or the timeout may not be kept.
Status LockWithin(int fd, const std::string& name, std::chrono::milliseconds timeout);

}  // namespace podroute

#endif  // PODROUTE_CNI_STORE_LOCK_H_
