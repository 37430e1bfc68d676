// This machine's links and addresses, as far as routes depend on them.
#ifndef PODROUTE_ROUTING_LOCAL_NETWORK_H_
#define PODROUTE_ROUTING_LOCAL_NETWORK_H_

#include <cstdint>
#include <string>
#include <vector>

#include "base/ip_prefix.h"

namespace podroute {

struct LocalLink {
  int ifindex = 0;
  std::string name;
  bool up = false;        // IFF_UP: administratively up. Carrier is another matter: losing it keeps
                          // routes (they turn "linkdown").
  bool loopback = false;  // IFF_LOOPBACK
  bool carrier = true;    // IFF_LOWER_UP. Of two links into one subnet, one that has it is better.
  uint32_t mtu = 0;       // Bytes; 0: not known.
  bool operator==(const LocalLink&) const = default;
};

struct LocalAddress {
  int ifindex = 0;
  IpAddress address;  // Our own (IFA_LOCAL).
  IpPrefix subnet;    // What is directly connected through it (IFA_ADDRESS / prefix length: the
                      // peer's side on a point-to-point link).
  bool operator==(const LocalAddress&) const = default;
};

// Both ordered by ifindex (addresses within it in the kernel's order).
struct LocalNetwork {
  std::vector<LocalLink> links;
  std::vector<LocalAddress> addresses;
  bool operator==(const LocalNetwork&) const = default;
};

}  // namespace podroute

#endif  // PODROUTE_ROUTING_LOCAL_NETWORK_H_
