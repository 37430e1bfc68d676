// Nodes by the thousand, like those of a real cluster.
#ifndef PODROUTE_TESTS_APISERVER_NODE_FACTORY_H_
#define PODROUTE_TESTS_APISERVER_NODE_FACTORY_H_

#include <cstddef>
#include <string>

namespace podroute {

// The JSON of the Node "PREFIX<index>" with podCIDR 10.0.0.0/24 + index (10.255.255.0/24 is the
// last), with `dual_stack` also fd00:10:HIGH:LOW::/64, and InternalIP 172.16.0.0 + index + 1. Its
// size is about `bytes` when that is larger than the bare minimum: a real one has some 14 KB,
// images for the most part. REQUIRES: index < 65536
std::string NodeJson(const std::string& prefix, size_t index, size_t bytes, bool dual_stack);

}  // namespace podroute

#endif  // PODROUTE_TESTS_APISERVER_NODE_FACTORY_H_
