// What tests of the kernel backend share.
#ifndef PODROUTE_TESTS_ROUTING_KERNEL_TEST_UTIL_H_
#define PODROUTE_TESTS_ROUTING_KERNEL_TEST_UTIL_H_

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "routing/kernel_backend.h"
#include "tests/lab/netns.h"

namespace podroute {

inline IpPrefix P(const std::string& text) { return IpPrefix::Parse(text).value(); }
inline IpAddress A(const std::string& text) { return IpAddress::Parse(text).value(); }

inline Route MakeRoute(const std::string& dst, const std::string& gateway, int ifindex) {
  Route route;
  route.dst = P(dst);
  route.via = {A(gateway), ifindex};
  return route;
}

inline RouteSet Ordered(RouteSet routes) {
  std::sort(routes.begin(), routes.end(),
            [](const Route& a, const Route& b) { return a.dst < b.dst; });
  return routes;
}

// "10.1.0.0/24 via 192.168.0.2", one a line; for comparing and for failure messages.
inline std::string ToText(const RouteSet& routes) {
  std::string text;
  for (const Route& route : routes) {
    text += route.dst.ToString() + " via " + route.via.gateway.ToString() + " #" +
            std::to_string(route.via.ifindex) + "\n";
  }
  return text;
}

// Read, plan, apply: one pass of the reconcile loop.
inline std::vector<RouteResult> Reconcile(KernelBackend& backend, const RouteSet& desired) {
  Result<RouteSet> actual = backend.ReadOwned();
  EXPECT_TRUE(actual.ok()) << actual.status().message();
  return backend.Apply(Plan(*actual, desired), desired);
}

inline ::testing::AssertionResult AllOk(const std::vector<RouteResult>& results) {
  for (const RouteResult& result : results) {
    if (!result.status.ok()) return ::testing::AssertionFailure() << result.status.message();
  }
  return ::testing::AssertionSuccess();
}

inline RouteSet ReadOrDie(KernelBackend& backend) {
  Result<RouteSet> routes = backend.ReadOwned();
  EXPECT_TRUE(routes.ok()) << routes.status().message();
  return routes.ok() ? *routes : RouteSet();
}

// Everything in the kernel but what has our protocol.
inline std::string StrangersText() {
  return Shell(
      "for f in -4 -6; do ip $f -d route show table all | grep -v 'proto 110' || true; done; "
      "ip -d nexthop | grep -v 'proto 110' || true");
}

}  // namespace podroute

#endif  // PODROUTE_TESTS_ROUTING_KERNEL_TEST_UTIL_H_
