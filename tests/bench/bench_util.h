// What the benchmarks share: samples, failures, and what a third party sees of the kernel.
#ifndef PODROUTE_TESTS_BENCH_BENCH_UTIL_H_
#define PODROUTE_TESTS_BENCH_BENCH_UTIL_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/ip_prefix.h"
#include "base/status.h"
#include "routing/netlink_socket.h"
#include "routing/route.h"

namespace podroute {

using BenchClock = std::chrono::steady_clock;

// Ends the program, with `what` on standard output, unless `good`.
void Check(bool good, std::string_view what);

template <typename T>
T OrDie(Result<T> result) {
  Check(result.ok(), result.status().message());
  return std::move(*result);
}

double MillisecondsSince(BenchClock::time_point start);
double Milliseconds(const std::function<void()>& work);

// CPU seconds of all threads but the calling one: of the agent, while we play the rest of the
// world. Unlike a latency it hardly depends on what else the machine does.
double OthersCpuSeconds();

double Percentile(std::vector<double> values, double p);
inline double Median(const std::vector<double>& values) { return Percentile(values, 0.5); }

// "p50 0.42 ms, p90 ..., p99 ..., max ... (200 samples)"
std::string Distribution(const std::vector<double>& milliseconds);

// True for --short. Any other argument ends the program.
bool IsShort(int argc, char** argv);

// Sees the routes and nexthop objects of this network namespace come and go.
class RouteWitness {
 public:
  RouteWitness();

  // Until there has been a message of `type` (RTM_*) about a route to `dst`. Ends the program after
  // 30 s, as all of these do.
  void AwaitRoute(uint16_t type, const IpPrefix& dst);
  // Until `count` different prefixes of routes of ours, or of this protocol, have been announced.
  void AwaitRoutes(size_t count, uint8_t protocol = RouteMark().protocol);
  // Until a nexthop object with this gateway has been announced; its id.
  uint32_t AwaitNexthop(const IpAddress& gateway);
  // Forgets what has come until now.
  void Clear();

 private:
  using Wanted = std::function<bool(const NetlinkMessage&)>;
  void Await(const Wanted& wanted, const char* what);

  const std::unique_ptr<NotificationSocket> socket_;
};

}  // namespace podroute

#endif  // PODROUTE_TESTS_BENCH_BENCH_UTIL_H_
