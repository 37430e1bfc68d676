// Work that the kernel makes somebody wait for, and that nobody who called the plugin has to.
#ifndef PODROUTE_CNI_LEFT_BEHIND_H_
#define PODROUTE_CNI_LEFT_BEHIND_H_

#include <sys/types.h>

#include <functional>
#include <initializer_list>

namespace podroute {

// Starts a child process that does `work` and ends. It may outlive the caller; a caller that lives
// long has to reap it. Of the caller's descriptors it has only those of `keep`, as 0, 1, ... in
// that order: not a lock, nor a pipe whose end a container runtime waits for. Returns the child's
// id, -1 when there is none. REQUIRES: a single-threaded caller; `work` does not throw.
pid_t LeaveBehind(std::initializer_list<int> keep, const std::function<void()>& work);

}  // namespace podroute

#endif  // PODROUTE_CNI_LEFT_BEHIND_H_
