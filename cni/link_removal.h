// Taking a link away without waiting for the kernel to tidy up after it.
#ifndef PODROUTE_CNI_LINK_REMOVAL_H_
#define PODROUTE_CNI_LINK_REMOVAL_H_

#include <string>

#include "base/status.h"

namespace podroute {

// Deletes the link `name` of the calling thread's network namespace, and a veth's other end with
// it. False when there is none of that name.
//
// When it returns, the link is gone for everybody: unlisted, closed, its name free. The kernel then
// goes on to wait until no processor can hold a pointer to it (rcu_barrier in netdev_run_todo, some
// 20 ms, without the RTNL lock) before it frees the memory, and lets whoever asked for the deletion
// wait too. So a child process asks, and it is left behind to wait; it has no open descriptor, does
// nothing else, and ends by itself. A caller that lives long has to reap it.
//
// A kill of the caller at any moment leaves the link whole or the deletion running.
Result<bool> RemoveLink(const std::string& name);

}  // namespace podroute

#endif  // PODROUTE_CNI_LINK_REMOVAL_H_
