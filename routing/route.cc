#include "routing/route.h"

#include <algorithm>

namespace podroute {

bool IsOrdered(const RouteSet& routes) {
  return std::is_sorted(routes.begin(), routes.end(),
                        [](const Route& a, const Route& b) { return a.dst < b.dst; });
}

void AdoptLinks(RouteSet& read, const RouteSet& known) {
  auto at = known.begin();
  for (Route& route : read) {
    while (at != known.end() && at->dst < route.dst) ++at;
    if (at == known.end()) return;
    if (at->dst == route.dst && at->via.gateway == route.via.gateway) {
      route.via.ifindex = at->via.ifindex;
    }
  }
}

}  // namespace podroute
