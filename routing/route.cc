#include "routing/route.h"

#include <algorithm>

namespace podroute {

bool IsOrdered(const RouteSet& routes) {
  return std::is_sorted(routes.begin(), routes.end(),
                        [](const Route& a, const Route& b) { return a.dst < b.dst; });
}

}  // namespace podroute
