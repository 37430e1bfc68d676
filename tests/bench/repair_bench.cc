// How long the whole agent takes to put back what somebody else took away, in a private network
// namespace; and what a resync costs that finds all as it should be.
//
//   repair_bench           1,000 and 5,000 Nodes
//   repair_bench --short   few; fails when a route does not come back; times mean nothing
#include <linux/rtnetlink.h>

#include <cstdio>
#include <cstring>
#include <vector>

#include "controller/reconciler.h"
#include "routing/kernel_backend.h"
#include "routing/local_network_reader.h"
#include "tests/bench/bare_netlink.h"
#include "tests/bench/bench_agent.h"
#include "tests/bench/bench_node.h"
#include "tests/bench/bench_util.h"
#include "tests/lab/netns.h"

namespace podroute {
namespace {

BareRoute BareRouteTo(const BenchNode& node) {
  BareRoute route = {};
  std::memcpy(&route.dst, node.pod_cidr.address().bytes().data(), sizeof route.dst);
  return route;
}

// A node by another link than eth0, whose route says that the agent has come so far.
class Milestone {
 public:
  explicit Milestone(size_t number) : node_(MakeBenchNode(number)) {
    node_.internal_ip = IpAddress::V4(0xac100002);  // 172.16.0.2, on eth1.
  }
  void Pass(BenchAgent& agent) {
    RouteWitness witness;
    agent.server().Send("ADDED", node_);
    witness.AwaitRoute(RTM_NEWROUTE, node_.pod_cidr);
    node_.resource_version += 1000000;
    agent.server().Send("DELETED", node_);
    witness.AwaitRoute(RTM_DELROUTE, node_.pod_cidr);
  }

 private:
  BenchNode node_;
};

void BenchRepair(size_t nodes, size_t samples, int eth0) {
  BenchAgent agent(nodes, false);
  Milestone milestone(nodes);
  BareNetlink vandal;
  RouteWitness witness;
  std::vector<double> routes, nexthops, links, flaps;
  for (size_t i = 0; i < samples; ++i) {
    const BenchNode victim = MakeBenchNode(1 + i * 7919 % (nodes - 1));
    witness.Clear();
    routes.push_back(Milliseconds([&] {
      Check(vandal.Delete(BareRouteTo(victim)) == 0, "there is no route to delete");
      witness.AwaitRoute(RTM_NEWROUTE, victim.pod_cidr);
    }));
  }
  printf("%6zu nodes, a deleted route is back:            %s\n", nodes,
         Distribution(routes).c_str());

  for (size_t i = 0; i < samples; ++i) {
    BenchNode victim = MakeBenchNode(nodes + 1 + i);
    agent.server().Send("ADDED", victim);
    const uint32_t id = witness.AwaitNexthop(victim.internal_ip);
    milestone.Pass(agent);
    witness.Clear();
    nexthops.push_back(Milliseconds([&] {
      Check(vandal.DeleteNexthop(id) == 0, "there is no nexthop object to delete");
      witness.AwaitRoute(RTM_NEWROUTE, victim.pod_cidr);
    }));
    victim.resource_version += 1000000;
    agent.server().Send("DELETED", victim);
    milestone.Pass(agent);
  }
  printf("%6zu nodes, a deleted nexthop's route is back:  %s\n", nodes,
         Distribution(nexthops).c_str());

  for (size_t i = 0; i < samples / 10 + 1; ++i) {
    Check(vandal.SetLinks({{eth0, false}}) == 0, "the link cannot be set down");
    milestone.Pass(agent);
    witness.Clear();
    links.push_back(Milliseconds([&] {
      Check(vandal.SetLinks({{eth0, true}}) == 0, "the link cannot be set up");
      witness.AwaitRoutes(nodes - 1);
    }));
    milestone.Pass(agent);
    witness.Clear();
    flaps.push_back(Milliseconds([&] {
      Check(vandal.SetLinks({{eth0, false}, {eth0, true}}) == 0, "the link cannot be flapped");
      witness.AwaitRoutes(nodes - 1);
    }));
    milestone.Pass(agent);
  }
  printf("%6zu nodes, link up, all routes are back:       %s\n", nodes,
         Distribution(links).c_str());
  printf("%6zu nodes, link down and up, all are back:     %s\n", nodes,
         Distribution(flaps).c_str());
}

// What the resync timer does, when nothing has changed.
void BenchResync(size_t nodes, int rounds) {
  NodeStore store;
  auto backend = OrDie(KernelBackend::Create({}));
  ReconcilerWorld world;
  world.backend = backend.get();
  world.read_local = [] { return ReadLocalNetwork(); };
  world.take_nodes = [&] { return store.TakeSnapshot(); };
  world.request_consistent_list = [] {};
  world.clock = &SystemClock();
  ReconcilerOptions options;
  options.desired.self = MakeBenchNode(0).name;
  Reconciler reconciler(options, world);

  std::vector<Node> list;
  for (size_t i = 0; i < nodes; ++i) {
    const BenchNode bench_node = MakeBenchNode(i);
    Node& node = list.emplace_back();
    node.name = bench_node.name;
    node.pod_cidrs = {bench_node.pod_cidr.ToString()};
    node.internal_ips = {bench_node.internal_ip.ToString()};
    node.pod_cidrs_total = node.addresses_total = 1;
  }
  store.Replace(std::move(list), false, SystemClock().Now());
  Check(reconciler.RunPass().added == nodes - 1, "not all routes were added");
  const uint64_t changes = backend->change_messages();
  std::vector<double> from_kernel, from_memory;
  for (int round = 0; round < rounds; ++round) {
    reconciler.InvalidateRoutes();
    reconciler.InvalidateLocalNetwork();
    from_kernel.push_back(
        Milliseconds([&] { Check(reconciler.RunPass().in_place, "a route is missing"); }));
    from_memory.push_back(
        Milliseconds([&] { Check(reconciler.RunPass().in_place, "a route is missing"); }));
  }
  Check(backend->change_messages() == changes, "a pass with nothing to do changed something");
  printf("%6zu nodes, unchanged pass, all read again:     %s\n", nodes,
         Distribution(from_kernel).c_str());
  printf("%6zu nodes, unchanged pass, from memory:        %s\n", nodes,
         Distribution(from_memory).c_str());
  (void)OrDie(backend->RemoveAllOwned());
}

int Main(bool is_short) {
  if (Status entered = EnterPrivateNetns(); !entered.ok()) {
    printf("skipped: no network namespaces here: %s\n", entered.message().c_str());
    return 0;
  }
  const int eth0 = AddLan("eth0", MakeBenchNode(0).internal_ip.ToString() + "/16");
  AddLan("eth1", "172.16.0.1/24");
  LogToFile("repair_bench");
  if (is_short) {
    BenchRepair(100, 10, eth0);
    BenchResync(100, 3);
    return 0;
  }
  for (size_t nodes : {1000, 5000}) {
    BenchRepair(nodes, 200, eth0);
    BenchResync(nodes, 100);
  }
  return 0;
}

}  // namespace
}  // namespace podroute

int main(int argc, char** argv) { return podroute::Main(podroute::IsShort(argc, argv)); }
