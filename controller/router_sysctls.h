// The kernel settings without which a router does not forward, or forwards badly.
#ifndef PODROUTE_CONTROLLER_ROUTER_SYSCTLS_H_
#define PODROUTE_CONTROLLER_ROUTER_SYSCTLS_H_

#include <set>
#include <string>
#include <vector>

#include "routing/route.h"

namespace podroute {

// A setting that is not as it should be, and why that matters.
struct RouterSetting {
  std::string name;  // "net/ipv4/ip_forward"
  std::string is, should;
  std::string why;
};

// In the network namespace of the calling thread, whose /proc/sys is at `root`. For the families of
// the routes and the links that they leave by:
// - forwarding, or nothing reaches any pod;
// - send_redirects: nodes and router share a link, so that the kernel tells nodes to go directly to
//   each other, for single addresses, past the router's routes and filters. It does so when the
//   link's setting or the one of "all" is 1 (IN_DEV_TX_REDIRECTS);
// - rp_filter=1 (strict; the larger of the link's and that of "all" counts): what comes back by
//   another link than the route to its source says is dropped.
std::vector<RouterSetting> CheckRouterSettings(const RouteSet& routes, const std::string& root);

// One thread.
class RouterSysctls {
 public:
  // `set`: they are set, instead of warned about. `root` as above.
  RouterSysctls(bool set, std::string root) : set_(set), root_(std::move(root)) {}

  // Says, or sets, what is wrong for these routes; the same thing once. Cheap while the routes
  // leave by the links that they left by before.
  void Look(const RouteSet& routes);
  // Look at everything again the next time.
  void Forget() { seen_.clear(); }

 private:
  const bool set_;
  const std::string root_;
  std::set<std::string> seen_;  // Links and families that were looked at.
  std::set<std::string> said_;
};

}  // namespace podroute

#endif  // PODROUTE_CONTROLLER_ROUTER_SYSCTLS_H_
