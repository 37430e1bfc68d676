// What tests of the kernel backend share.
#ifndef PODROUTE_TESTS_ROUTING_KERNEL_TEST_UTIL_H_
#define PODROUTE_TESTS_ROUTING_KERNEL_TEST_UTIL_H_

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <ostream>
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

struct KernelFamily {
  const char* name;
  const char* ip;  // ip(8)'s option.
  std::string Prefix(int i) const {
    return ip[1] == '4' ? "10.244." + std::to_string(i) + ".0/24"
                        : "fd01:0:0:" + std::to_string(i) + "::/64";
  }
  std::string Gateway(int i) const {
    return (ip[1] == '4' ? "192.168.0." : "fd00::") + std::to_string(i);
  }
};

struct KernelCase {
  KernelFamily family;
  NexthopMode mode;
};
inline constexpr KernelFamily kV4 = {"IPv4", "-4"};
inline constexpr KernelFamily kV6 = {"IPv6", "-6"};
inline constexpr KernelCase kKernelCases[] = {{kV4, NexthopMode::kAuto},
                                              {kV4, NexthopMode::kNever},
                                              {kV6, NexthopMode::kAuto},
                                              {kV6, NexthopMode::kNever}};
inline constexpr KernelCase kNexthopObjectCases[] = {{kV4, NexthopMode::kAuto},
                                                     {kV6, NexthopMode::kAuto}};
inline void PrintTo(const KernelCase& which, std::ostream* out) { *out << which.family.name; }
inline std::string KernelCaseName(const ::testing::TestParamInfo<KernelCase>& info) {
  return std::string(info.param.family.name) +
         (info.param.mode == NexthopMode::kAuto ? "NexthopObjects" : "Plain");
}

// A machine with one LAN in a network namespace of its own, for each test.
class KernelCaseTest : public ::testing::TestWithParam<KernelCase> {
 public:
  static bool objects() { return GetParam().mode == NexthopMode::kAuto; }
  static const KernelFamily& family() { return GetParam().family; }
  static std::string Ip(const std::string& rest) {
    return Shell(std::string("ip ") + family().ip + " " + rest);
  }

 protected:
  void SetUp() override {
    PODROUTE_ENTER_NETNS_OR_SKIP();
    lan_ = AddLan("lan", "192.168.0.1/16 fd00::1/64");
    backend_ = NewBackend();
  }
  static std::unique_ptr<KernelBackend> NewBackend(NexthopMode mode) {
    Result<std::unique_ptr<KernelBackend>> backend =
        KernelBackend::Create({.mark = {}, .nexthops = mode});
    EXPECT_TRUE(backend.ok()) << backend.status().message();
    return std::move(*backend);
  }
  static std::unique_ptr<KernelBackend> NewBackend() { return NewBackend(GetParam().mode); }
  Route To(int prefix, int gateway) const {
    return MakeRoute(family().Prefix(prefix), family().Gateway(gateway), lan_);
  }
  // What of ours is in the kernel, in ip(8)'s words.
  static std::string Ours() { return Ip("route show table all proto 110"); }
  static std::string OurNexthops() { return Shell("ip nexthop show proto 110"); }

  int lan_ = 0;
  std::unique_ptr<KernelBackend> backend_;
};

}  // namespace podroute

#endif  // PODROUTE_TESTS_ROUTING_KERNEL_TEST_UTIL_H_
