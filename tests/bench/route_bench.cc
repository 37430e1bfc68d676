// How long the kernel backend takes, against the least that a program could do and against what the
// peers do; in a private network namespace, one device, each node its own gateway.
//
//   route_bench            1,000, 5,000 and 15,000 nodes; medians of interleaved rounds, and ratios
//   route_bench --short    few nodes; exits non-zero when a count is wrong; times mean nothing
#include <arpa/inet.h>
#include <linux/rtnetlink.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "base/event_loop.h"
#include "routing/kernel_backend.h"
#include "routing/kernel_monitor.h"
#include "tests/bench/bare_netlink.h"
#include "tests/bench/bench_util.h"
#include "tests/lab/netns.h"

namespace podroute {
namespace {

// Node i: 10.x.y.0/24 by 192.168.0.0/16 + 256 + i.
RouteSet MakeDesired(size_t nodes, int ifindex) {
  RouteSet routes;
  for (size_t i = 0; i < nodes; ++i) {
    Route& route = routes.emplace_back();
    uint32_t n = static_cast<uint32_t>(i);
    route.dst = IpPrefix::Of(IpAddress::V4(0x0a000000u + (n << 8)), 24);
    route.via = {IpAddress::V4(0xc0a80100u + n), ifindex};
    route.dev = "lan";
  }
  return routes;
}

std::vector<BareRoute> MakeBare(size_t nodes) {
  std::vector<BareRoute> routes;
  for (uint32_t i = 0; i < nodes; ++i) {
    routes.push_back({htonl(0x0a000000u + (i << 8)), htonl(0xc0a80100u + i), 0x6e000000u + i});
  }
  return routes;
}

std::unique_ptr<KernelBackend> NewBackend(NexthopMode mode = NexthopMode::kAuto) {
  return OrDie(KernelBackend::Create({.mark = {}, .nexthops = mode}));
}

void CleanUp(size_t nodes) {
  RemovedCounts removed = OrDie(NewBackend()->RemoveAllOwned());
  Check(removed.routes == nodes, "wrong number of routes in the kernel");
}

void ApplyOrDie(KernelBackend& backend, const RoutePlan& plan, const RouteSet& desired) {
  for (const RouteResult& result : backend.Apply(plan, desired)) {
    Check(result.status.ok(), result.status.message());
  }
}

// From nothing to all routes.
void BenchFromNothing(size_t nodes, int rounds, int ifindex) {
  const RouteSet desired = MakeDesired(nodes, ifindex);
  const std::vector<BareRoute> bare = MakeBare(nodes);
  std::vector<double> floor, ours, plain, one_by_one, batched;
  for (int round = 0; round < rounds; ++round) {
    BareNetlink netlink;
    floor.push_back(Milliseconds(
        [&] { Check(netlink.AddWithNexthopObjects(bare, ifindex) == 0, "floor: refused"); }));
    CleanUp(nodes);
    std::unique_ptr<KernelBackend> backend = NewBackend();
    ours.push_back(Milliseconds([&] {
      RouteSet actual = OrDie(backend->ReadOwned());
      ApplyOrDie(*backend, Plan(actual, desired), desired);
    }));
    CleanUp(nodes);
    one_by_one.push_back(Milliseconds(
        [&] { Check(netlink.ReplaceOneByOne(bare, ifindex) == 0, "one by one: refused"); }));
    CleanUp(nodes);
    batched.push_back(Milliseconds(
        [&] { Check(netlink.ReplaceBatched(bare, ifindex) == 0, "batched: refused"); }));
    CleanUp(nodes);
    std::unique_ptr<KernelBackend> never = NewBackend(NexthopMode::kNever);
    plain.push_back(Milliseconds([&] { ApplyOrDie(*never, Plan({}, desired), desired); }));
    CleanUp(nodes);
  }
  printf("%6zu nodes, median of %d | floor %8.1f ms | podroute %8.1f ms (%.2f x floor) | ", nodes,
         rounds, Median(floor), Median(ours), Median(ours) / Median(floor));
  printf("via, ACK each %8.1f ms (podroute %.1f x quicker) | via, batched %8.1f ms (%.1f x) | ",
         Median(one_by_one), Median(one_by_one) / Median(ours), Median(batched),
         Median(batched) / Median(ours));
  printf("podroute without objects %8.1f ms\n", Median(plain));
}

// A pass that finds all as it should be.
void BenchUnchanged(size_t nodes, int rounds, int ifindex) {
  const RouteSet desired = MakeDesired(nodes, ifindex);
  std::unique_ptr<KernelBackend> backend = NewBackend();
  ApplyOrDie(*backend, Plan(OrDie(backend->ReadOwned()), desired), desired);
  const uint64_t before = backend->change_messages();
  std::vector<double> times;
  times.reserve(static_cast<size_t>(rounds));
  for (int round = 0; round < rounds; ++round) {
    times.push_back(Milliseconds([&] {
      RoutePlan plan = Plan(OrDie(backend->ReadOwned()), desired);
      Check(plan.empty() && plan.keeps.size() == nodes, "unchanged: the plan is not empty");
      ApplyOrDie(*backend, plan, desired);
    }));
  }
  const uint64_t changes = backend->change_messages() - before;
  Check(changes == 0, "unchanged: something was changed");
  printf(
      "%6zu nodes, unchanged pass (read, plan, apply): p50 %.2f ms, max %.2f ms, %llu changing "
      "messages\n",
      nodes, Median(times), Percentile(times, 1), static_cast<unsigned long long>(changes));

  // One node more, and less, from what is remembered.
  std::vector<double> adds, deletes;
  const Route extra = MakeDesired(nodes + 1, ifindex).back();
  for (int round = 0; round < rounds; ++round) {
    RoutePlan add = Plan({}, {extra});
    adds.push_back(Milliseconds([&] { ApplyOrDie(*backend, add, {}); }));
    RoutePlan remove = Plan({extra}, {});
    deletes.push_back(Milliseconds([&] { ApplyOrDie(*backend, remove, {}); }));
  }
  printf("%6zu nodes, one more: p50 %.3f ms; one less: p50 %.3f ms\n", nodes, Median(adds),
         Median(deletes));
  std::vector<double> questions;
  for (int round = 0; round < std::min(rounds, 5); ++round) {
    questions.push_back(Milliseconds(
        [&] { Check(OrDie(backend->FindShadowed(desired)).empty(), "nothing is shadowed"); }));
  }
  printf("%6zu nodes, looking for shadowed routes: %.1f ms\n", nodes, Median(questions));
  CleanUp(nodes);
}

// Keeps `desired` in the kernel from another thread, as the agent does, until destroyed.
class Keeper {
 public:
  Keeper(const RouteSet& desired, std::unique_ptr<KernelBackend> backend)
      : desired_(desired), backend_(std::move(backend)), loop_(OrDie(EventLoop::Create())) {
    monitor_ = OrDie(KernelMonitor::Create({.own_port_id = backend_->port_id()}));
    Status added = loop_->Add(monitor_->fd(), [this] {
      if (OrDie(monitor_->Drain()).routes_changed) Pass();
    });
    Check(added.ok(), added.message());
    Pass();
    thread_ = std::thread([this] { Check(loop_->Run().ok(), "loop"); });
  }
  ~Keeper() {
    loop_->Stop();
    thread_.join();
  }

 private:
  void Pass() { ApplyOrDie(*backend_, Plan(OrDie(backend_->ReadOwned()), desired_), desired_); }

  const RouteSet& desired_;
  std::unique_ptr<KernelBackend> backend_;
  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<KernelMonitor> monitor_;
  std::thread thread_;
};

// From somebody's deletion of a route to its return, as a third party sees it.
void BenchRepair(size_t nodes, int samples, int ifindex) {
  const RouteSet desired = MakeDesired(nodes, ifindex);
  const std::vector<BareRoute> bare = MakeBare(nodes);
  std::vector<double> times;
  {
    Keeper keeper(desired, NewBackend());
    RouteWitness witness;
    BareNetlink vandal;
    for (int i = 0; i < samples; ++i) {
      const size_t victim = static_cast<size_t>(i) * 7919 % nodes;
      times.push_back(Milliseconds([&] {
        Check(vandal.Delete(bare[victim]) == 0, "repair: nothing to delete");
        witness.AwaitRoute(RTM_NEWROUTE, desired[victim].dst);
      }));
    }
  }
  printf("%6zu nodes, a deleted route is back: %s\n", nodes, Distribution(times).c_str());
  CleanUp(nodes);
}

int Main(bool is_short) {
  Status entered = EnterPrivateNetns();
  if (!entered.ok()) {
    printf("skipped: no network namespaces here: %s\n", entered.message().c_str());
    return 0;
  }
  const int ifindex = AddLan("lan", "192.168.0.1/16");
  if (is_short) {
    for (size_t nodes : {200, 1000}) BenchFromNothing(nodes, 1, ifindex);
    BenchUnchanged(1000, 3, ifindex);
    BenchRepair(1000, 20, ifindex);
    return 0;
  }
  BenchFromNothing(1000, 9, ifindex);
  BenchFromNothing(5000, 7, ifindex);
  BenchFromNothing(15000, 3, ifindex);
  for (size_t nodes : {1000, 5000}) {
    BenchUnchanged(nodes, 50, ifindex);
    BenchRepair(nodes, 1000, ifindex);
  }
  return 0;
}

}  // namespace
}  // namespace podroute

int main(int argc, char** argv) { return podroute::Main(podroute::IsShort(argc, argv)); }
