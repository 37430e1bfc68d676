// This machine's links and addresses, from the kernel.
#ifndef PODROUTE_ROUTING_LOCAL_NETWORK_READER_H_
#define PODROUTE_ROUTING_LOCAL_NETWORK_READER_H_

#include <vector>

#include "base/status.h"
#include "routing/local_network.h"
#include "routing/netlink_socket.h"

namespace podroute {

// All of them, also of links that are down. The kernel interrupts dumps while links come and go
// (pods starting): tried again a bounded number of times, then Unavailable, for half a list would
// refuse routes that are right.
Result<LocalNetwork> ReadLocalNetwork(NetlinkTransport& netlink);

// With a socket of its own, in the calling thread's network namespace.
Result<LocalNetwork> ReadLocalNetwork();

// The links that packets to anywhere leave by: of the default routes, IPv4's first. Not those of a
// route that covers less than everything.
Result<std::vector<int>> FindDefaultLinks(NetlinkTransport& netlink);

// The links with a default route in the main table that came with a router advertisement
// (RTPROT_RA): in order, each once.
Result<std::vector<int>> FindAdvertisedLinks(NetlinkTransport& netlink);

}  // namespace podroute

#endif  // PODROUTE_ROUTING_LOCAL_NETWORK_READER_H_
