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

// The same for a child that does little: has `work` done with `first` and `second` as descriptors 0
// and 1. It runs in the caller's memory, beside the caller, on a stack of 16 KiB: 0.1 ms less than
// a copy of the whole process. `work` calls the kernel and nothing else: no memory, no errno that
// matters, nothing static. The stack is never freed; for a caller that ends soon.
pid_t LeaveBehindInPlace(int first, int second, void (*work)());

}  // namespace podroute

#endif  // PODROUTE_CNI_LEFT_BEHIND_H_
