// What the executable costs while it has nothing to do, and what heartbeats cost it; in a private
// network namespace. Start it in the root of the tree, with //controller:podroute built.
//
//   idle_bench           1,000 and 5,000 Nodes
//   idle_bench --short   1,000 for a moment; times mean nothing
//
// Fails when something wakes it up, and when its memory was ever above the bound.
#include <linux/rtnetlink.h>

#include <chrono>
#include <cstdio>
#include <thread>

#include "tests/bench/agent_process.h"
#include "tests/bench/bench_node.h"
#include "tests/bench/bench_util.h"
#include "tests/bench/node_server.h"
#include "tests/lab/netns.h"

namespace podroute {
namespace {

struct Size {
  size_t nodes, changes, heartbeats;
  double megabytes;  // The bound: 1,000,000 bytes each.
  std::chrono::milliseconds idle, between_heartbeats;
};

void PrintMemory(const AgentProcess& agent, size_t nodes, const char* when) {
  printf("%6zu nodes, %-22s RSS %5.1f MB (anonymous %.1f, files %.1f), at most %.1f\n", nodes, when,
         agent.MemoryMb("VmRSS"), agent.MemoryMb("RssAnon"), agent.MemoryMb("RssFile"),
         agent.MemoryMb("VmHWM"));
}

void ChangeNodes(NodeServer& server, size_t first, size_t count) {
  RouteWitness witness;
  for (size_t i = 0; i < count; ++i) {
    BenchNode node = MakeBenchNode(first + i, /*dual_stack=*/true);
    server.Send("ADDED", node);
    witness.AwaitRoute(RTM_NEWROUTE, node.pod_cidr);
    node.resource_version += 1000000;
    server.Send("DELETED", node);
    witness.AwaitRoute(RTM_DELROUTE, node.pod_cidr);
  }
}

void BenchHeartbeats(NodeServer& server, const AgentProcess& agent, const Size& size) {
  const uint64_t wake_ups = agent.LoopWakeUps();
  const double cpu = agent.CpuSeconds();
  for (size_t i = 0; i < size.heartbeats; ++i) {
    BenchNode node = MakeBenchNode(i % size.nodes, /*dual_stack=*/true);
    node.resource_version = 2000000 + i;
    server.Send("MODIFIED", node);
    std::this_thread::sleep_for(size.between_heartbeats);
  }
  agent.AwaitQuiet();
  const uint64_t woken = agent.LoopWakeUps() - wake_ups;
  printf("%6zu nodes, %zu heartbeats: %.0f us of CPU time each, the loop woken up %llu times\n",
         size.nodes, size.heartbeats,
         (agent.CpuSeconds() - cpu) * 1e6 / static_cast<double>(size.heartbeats),
         static_cast<unsigned long long>(woken));
  Check(woken == 0, "heartbeats woke the loop up");
}

void Bench(const Size& size) {
  NodeServer server(size.nodes, /*tls=*/true, /*dual_stack=*/true);
  RouteWitness witness;
  AgentProcess agent(server.kubeconfig(), {"--mode=host", "--node_name=" + MakeBenchNode(0).name});
  witness.AwaitRoutes(2 * (size.nodes - 1));
  server.AwaitWatch();
  agent.AwaitQuiet();
  PrintMemory(agent, size.nodes, "listed:");
  ChangeNodes(server, size.nodes, size.changes / 2);
  agent.AwaitQuiet();
  PrintMemory(agent, size.nodes, "after changes:");
  BenchHeartbeats(server, agent, size);
  PrintMemory(agent, size.nodes, "after heartbeats:");

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  Check(agent.MemoryMb("VmHWM") < size.megabytes, "it took more memory than its bound");
#endif

  const uint64_t wake_ups = agent.WakeUps();
  const double cpu = agent.CpuSeconds();
  std::this_thread::sleep_for(size.idle);
  const uint64_t woken = agent.WakeUps() - wake_ups;
  printf("%6zu nodes, idle for %lld ms: woken up %llu times, %.3f ms of CPU time\n", size.nodes,
         static_cast<long long>(size.idle.count()), static_cast<unsigned long long>(woken),
         (agent.CpuSeconds() - cpu) * 1e3);
  Check(woken == 0, "something woke it up");
}

int Main(bool is_short) {
  if (Status entered = EnterPrivateNetns(); !entered.ok()) {
    printf("skipped: no network namespaces here: %s\n", entered.message().c_str());
    return 0;
  }
  AddLan("eth0", MakeBenchNode(0).internal_ip.ToString() + "/16 fd00:192::2/64");
  using std::chrono::milliseconds;
  if (is_short) {
    Bench({1000, 10, 100, 20, milliseconds(500), milliseconds(0)});
    return 0;
  }
  Bench({1000, 1000, 5000, 20, milliseconds(10000), milliseconds(1)});
  Bench({5000, 1000, 5000, 40, milliseconds(10000), milliseconds(1)});
  return 0;
}

}  // namespace
}  // namespace podroute

int main(int argc, char** argv) { return podroute::Main(podroute::IsShort(argc, argv)); }
