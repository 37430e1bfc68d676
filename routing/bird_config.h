// Static routes as a file that bird.conf includes, and back. Pure. Forms as BIRD 2.0.12 takes them.
//
//   # Written by podroute ...
//   protocol static podroute4 {
//     ipv4;
//     route 10.244.1.0/24 via 192.168.0.1; # master1
//   }
//
//   protocol static podroute6 {
//     ipv6;
//   }
#ifndef PODROUTE_ROUTING_BIRD_CONFIG_H_
#define PODROUTE_ROUTING_BIRD_CONFIG_H_

#include <string>
#include <string_view>

#include "base/ip_prefix.h"
#include "base/status.h"
#include "routing/route.h"

namespace podroute {

// What the protocol that holds a family's routes is called: "podroute4", "podroute6"; with an owner
// "podroute4_OWNER". BIRD's symbols are letters, digits and underscores, at most 63 bytes (64 make
// an error of some): in the owner's name "_" becomes "__" and any other byte its two hexadecimal
// digits after an underscore ("a-b": "podroute4_a_2db", "a_b": "podroute4_a__b"), which no two
// names share. What would be longer is cut and ends with "_h" and a hash of the whole name in 64
// bits.
std::string BirdProtocolName(IpFamily family, std::string_view owner);

// Why BIRD cannot have the route as a line of ours; OK when it can. Gateway and destination are of
// one family, and the gateway is an address that a neighbour can have without naming a link. (BIRD
// itself accepts far more and leaves it dormant.)
Status CheckBirdRoute(const Route& route);

// The whole file; ends with a newline. The same routes, in any order, make the same bytes. Of
// several routes to one destination the first in order counts; what CheckBirdRoute refuses is left
// out. A node's name stands behind its route where it is printable ASCII.
std::string RenderBirdConfig(const RouteSet& routes, std::string_view owner);

// What `show static` prints of a protocol with the routes of one family, in BIRD's usual spelling
// and the order of the file, a line each: "10.244.1.0/24\n\tvia 192.168.0.1\n". Ordered by dst.
std::string RenderBirdStatic(const RouteSet& routes, IpFamily family);

// Reads what RenderBirdConfig made for this owner: destinations, gateways and nodes, ordered. Any
// other text, a byte changed or missing, is an error that says which line is the first to differ.
Result<RouteSet> ParseBirdConfig(std::string_view text, std::string_view owner);

}  // namespace podroute

#endif  // PODROUTE_ROUTING_BIRD_CONFIG_H_
