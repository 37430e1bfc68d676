// Nodes as a cloud's kubelets leave them.
#ifndef PODROUTE_TESTS_BENCH_BENCH_NODE_H_
#define PODROUTE_TESTS_BENCH_BENCH_NODE_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "base/ip_prefix.h"

namespace podroute {

// How long NodeJson's are, about: most of it is managedFields and images.
inline constexpr size_t kBenchNodeBytes = 14400;

struct BenchNode {
  std::string name;
  IpPrefix pod_cidr;
  IpAddress internal_ip;
  std::optional<IpPrefix> pod_cidr_v6;  // Where there are both families, ...
  std::optional<IpAddress> internal_ip_v6;
  uint64_t resource_version = 1;  // Heartbeat times go with it.
};

// Node number `i`, below 30,000: a /24 of 10.0.0.0/8 by an address of 192.168.0.0/16. Number 0 is
// 192.168.0.2. With `dual_stack` also fd00:10:N::/64 by fd00:192::N, where N is i + 2.
BenchNode MakeBenchNode(size_t i, bool dual_stack = false);

std::string NodeJson(const BenchNode& node);

// A watch event, in one line. `type`: "ADDED", "MODIFIED", "DELETED".
std::string EventJson(const std::string& type, const BenchNode& node);

}  // namespace podroute

#endif  // PODROUTE_TESTS_BENCH_BENCH_NODE_H_
