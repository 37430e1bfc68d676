// Network namespaces by path.
#ifndef PODROUTE_CNI_NETNS_H_
#define PODROUTE_CNI_NETNS_H_

#include <functional>
#include <string>

#include "base/status.h"
#include "base/unique_fd.h"

namespace podroute {

// Opens a network namespace. NotFound when the path is not there or is no namespace any more (the
// file that `ip netns add` makes stays when its mount is gone).
Result<UniqueFd> OpenNetns(const std::string& path);

// The one that the calling thread is in.
Result<UniqueFd> OpenOwnNetns();

// Whether `netns` is the one that the calling thread is in.
Result<bool> IsOwnNetns(int netns);

// Runs `work` with the calling thread inside `netns`, and comes back whatever it answered. What it
// opens (sockets) stays in that namespace; /proc/sys/net and /proc/net are that namespace's
// meanwhile. Aborts when it cannot come back.
Status RunInNetns(int netns, const std::function<Status()>& work);

}  // namespace podroute

#endif  // PODROUTE_CNI_NETNS_H_
