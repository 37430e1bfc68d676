// What router_bench measures of a whole router-mode agent.
#ifndef PODROUTE_TESTS_BENCH_JOIN_BENCH_H_
#define PODROUTE_TESTS_BENCH_JOIN_BENCH_H_

namespace podroute {

// A node joins and leaves: from the event's bytes at the API server, through the executable and
// its backend, to the route in this machine's kernel, for each backend, in a private network
// namespace and a process of its own. Prints; says why when one cannot be run. Ends the program
// when a route does not come. REQUIRES: one thread.
void BenchJoins(bool is_short);

}  // namespace podroute

#endif  // PODROUTE_TESTS_BENCH_JOIN_BENCH_H_
