// From the bytes of a Node event to its route in the kernel, through the whole agent: the real HTTP
// client, decoder, store, loop and kernel backend, in a private network namespace, against a server
// that sends one event at a time.
//
//   convergence_bench           1,000 Nodes (also over TLS), 5,000 and 15,000
//   convergence_bench --short   few Nodes and events; fails when a route does not come; times mean
//                               nothing
#include <linux/rtnetlink.h>

#include <cstdio>
#include <vector>

#include "tests/bench/bench_agent.h"
#include "tests/bench/bench_node.h"
#include "tests/bench/bench_util.h"
#include "tests/lab/netns.h"

namespace podroute {
namespace {

constexpr double kLongestMs = 60000;

// A new node comes, gets another InternalIP, and goes, `count` times.
void Bench(size_t nodes, bool tls, size_t count) {
  BenchAgent agent(nodes, tls);
  RouteWitness witness;
  std::vector<double> added, readdressed, deleted;
  const BenchClock::time_point begin = BenchClock::now();
  const double cpu_begin = OthersCpuSeconds();
  for (size_t i = 0; i < count && MillisecondsSince(begin) < kLongestMs; ++i) {
    BenchNode node = MakeBenchNode(nodes + i);
    witness.Clear();
    BenchClock::time_point start = agent.server().Send("ADDED", node);
    witness.AwaitRoute(RTM_NEWROUTE, node.pod_cidr);
    added.push_back(MillisecondsSince(start));

    node.internal_ip = MakeBenchNode(nodes + count + i).internal_ip;
    node.resource_version += 1000000;
    witness.Clear();
    start = agent.server().Send("MODIFIED", node);
    (void)witness.AwaitNexthop(node.internal_ip);
    readdressed.push_back(MillisecondsSince(start));

    node.resource_version += 1000000;
    witness.Clear();
    start = agent.server().Send("DELETED", node);
    witness.AwaitRoute(RTM_DELROUTE, node.pod_cidr);
    deleted.push_back(MillisecondsSince(start));
  }
  const double cpu = OthersCpuSeconds() - cpu_begin;
  const char* scheme = tls ? "https" : "http";
  printf("%6zu nodes, %-5s, node added:      %s\n", nodes, scheme, Distribution(added).c_str());
  printf("%6zu nodes, %-5s, new InternalIP:  %s\n", nodes, scheme,
         Distribution(readdressed).c_str());
  printf("%6zu nodes, %-5s, node deleted:    %s\n", nodes, scheme, Distribution(deleted).c_str());
  printf("%6zu nodes, %-5s, the agent's CPU time: %.0f us an event\n", nodes, scheme,
         cpu * 1e6 / static_cast<double>(3 * deleted.size()));
}

int Main(bool is_short) {
  if (Status entered = EnterPrivateNetns(); !entered.ok()) {
    printf("skipped: no network namespaces here: %s\n", entered.message().c_str());
    return 0;
  }
  AddLan("eth0", MakeBenchNode(0).internal_ip.ToString() + "/16");
  LogToFile("convergence_bench");
  if (is_short) {
    Bench(100, false, 20);
    Bench(100, true, 5);
    return 0;
  }
  Bench(1000, false, 2000);
  Bench(1000, true, 2000);
  Bench(5000, false, 1000);
  Bench(15000, false, 500);
  return 0;
}

}  // namespace
}  // namespace podroute

int main(int argc, char** argv) { return podroute::Main(podroute::IsShort(argc, argv)); }
