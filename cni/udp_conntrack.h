// Connections that the kernel tracks for UDP, which has none of its own.
#ifndef PODROUTE_CNI_UDP_CONNTRACK_H_
#define PODROUTE_CNI_UDP_CONNTRACK_H_

#include <vector>

#include "base/status.h"
#include "cni/port_map.h"
#include "routing/netlink_socket.h"

namespace podroute {

// Makes the kernel forget UDP conversations with the node's own addresses at these ports: who goes
// on sending would go on reaching whoever had the port before. Other protocols' ports are skipped,
// their connections end by themselves. `netlink` is of NETLINK_NETFILTER.
Status ForgetUdpConversations(NetlinkTransport& netlink, const std::vector<MappedPort>& ports);

}  // namespace podroute

#endif  // PODROUTE_CNI_UDP_CONNTRACK_H_
