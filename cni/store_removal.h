// Taking a network's store of reservations away, once nobody's address is in it.
#ifndef PODROUTE_CNI_STORE_REMOVAL_H_
#define PODROUTE_CNI_STORE_REMOVAL_H_

#include <chrono>
#include <cstddef>
#include <string>

#include "base/status.h"
#include "cni/host_view.h"

namespace podroute {

struct StoreRemoval {
  bool removed = false;    // The network's directory is gone; false too when there was none.
  size_t ours = 0;         // Reservations that stay, made by podroute
  size_t others = 0;       // and by other plugins.
  std::string other_name;  // Of the same store, which therefore stays: a bind mount's.
};

// REQUIRES: no pod of ours is attached on this host, and none is about to be.
//
// Reservations that `host` says are dead (reclaim.h, kEverything) are given back first. Where none
// is left, the files that this plugin and the reference plugin keep beside them go, and then the
// directories, each only if it is empty: what anybody else has put there stays. What is ours alone
// (ip_store.h) goes as soon as no reservation of ours is left. Works under the store's lock, as
// every plugin does; DeadlineExceeded when somebody else keeps that for `timeout`.
Result<StoreRemoval> RemoveStore(const std::string& data_dir, const std::string& network,
                                 HostView& host, std::chrono::milliseconds timeout);

}  // namespace podroute

#endif  // PODROUTE_CNI_STORE_REMOVAL_H_
