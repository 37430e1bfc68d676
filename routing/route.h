// Routes as values.
#ifndef PODROUTE_ROUTING_ROUTE_H_
#define PODROUTE_ROUTING_ROUTE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "base/ip_prefix.h"

namespace podroute {

// Where packets for a prefix go: a neighbour's address on one of our links.
struct NextHop {
  IpAddress gateway;
  int ifindex = 0;  // 0: not known (router elsewhere, plan without a kernel).
  bool operator==(const NextHop&) const = default;
  auto operator<=>(const NextHop&) const = default;
};

struct Route {
  IpPrefix dst;
  NextHop via;
  std::string dev;   // The name of via.ifindex, for people; empty when not known. Not compared.
  std::string node;  // Whose podCIDR it is; empty for what was read from a backend. Not compared.
  // Which object of the backend holds `via` (kernel: the nexthop object's id; 0: the route itself).
  // Only in what ReadOwned returns; not compared.
  uint32_t nexthop_id = 0;

  bool SameAs(const Route& other) const { return dst == other.dst && via == other.via; }
};

// Ordered by dst. In what is desired each dst stands once; in what was read, a dst can stand more
// than once (left by an interrupted change, or made by hand), then in the backend's order of
// preference.
using RouteSet = std::vector<Route>;

// True when ordered by dst (duplicates allowed).
bool IsOrdered(const RouteSet& routes);

// Gives each of `read`, which came from where no links are known, the ifindex that `known` has for
// the same dst and gateway. Both ordered by dst; `known` has each dst once.
void AdoptLinks(RouteSet& read, const RouteSet& known);

}  // namespace podroute

#endif  // PODROUTE_ROUTING_ROUTE_H_
