// The plugin's way to nftables.
#ifndef PODROUTE_CNI_NETFILTER_SOCKET_H_
#define PODROUTE_CNI_NETFILTER_SOCKET_H_

#include <memory>

#include "base/status.h"
#include "routing/netlink_socket.h"

namespace podroute {

// Any close of a netfilter socket waits until the kernel has freed what anybody has deleted from
// nftables, some 10 ms, and meanwhile keeps the lock that every link of the namespace needs to come
// and go (Linux 6.18: nft_rcv_nl_event and nf_tables_netdev_event, commit_mutex). So a child that
// is left behind closes it, once there is nothing left to free. Without a child: at once.
struct UnwaitedClose {
  void operator()(NetlinkSocket* socket) const;
};
using NetfilterSocket = std::unique_ptr<NetlinkSocket, UnwaitedClose>;

// A NETLINK_NETFILTER socket of the calling thread's network namespace.
Result<NetfilterSocket> OpenNetfilter();

}  // namespace podroute

#endif  // PODROUTE_CNI_NETFILTER_SOCKET_H_
