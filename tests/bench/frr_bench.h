// What router_bench measures of the FRR backend.
#ifndef PODROUTE_TESTS_BENCH_FRR_BENCH_H_
#define PODROUTE_TESTS_BENCH_FRR_BENCH_H_

namespace podroute {

// All routes from nothing, against `vtysh -f` of the same lines, interleaved; one node that joins,
// until the kernel has its route; in a new private network namespace. Prints; says why when FRR
// cannot be run. Ends the program when a count is wrong.
void BenchFrr(bool is_short);

}  // namespace podroute

#endif  // PODROUTE_TESTS_BENCH_FRR_BENCH_H_
