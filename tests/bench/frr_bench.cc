#include "tests/bench/frr_bench.h"

#include <poll.h>

#include <cstdio>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "routing/frr_backend.h"
#include "routing/frr_config.h"
#include "tests/bench/bench_util.h"
#include "tests/lab/frr_router.h"
#include "tests/lab/netns.h"

namespace podroute {
namespace {

// Each node a gateway of its own.
RouteSet MakeDesired(size_t nodes) {
  RouteSet routes;
  for (size_t i = 0; i < nodes; ++i) {
    Route& route = routes.emplace_back();
    const uint32_t n = static_cast<uint32_t>(i);
    route.dst = IpPrefix::Of(IpAddress::V4(0x0a000000u + (n << 8)), 24);
    route.via.gateway = IpAddress::V4(0xc0a80100u + n);
  }
  return routes;
}

class Frr {
 public:
  Frr() {
    router_.StartStatic();
    FrrOptions options;
    options.vty_socket_dir = router_.dir();
    backend_ = OrDie(FrrBackend::Create(options));
  }
  void Reconcile(const RouteSet& desired) { Carry(Plan(Owned(), desired), desired); }
  void Carry(const RoutePlan& plan, const RouteSet& desired) {
    for (const RouteResult& result : backend_->Apply(plan, desired)) {
      Check(result.status.ok(), result.status.message());
    }
  }
  RouteSet Owned() { return OrDie(backend_->ReadOwned()); }
  // zebra takes its time with what staticd has told it.
  static void AwaitKernel(size_t count) {
    while (std::stoul(Shell("ip route show proto 196 | wc -l")) != count) poll(nullptr, 0, 20);
  }
  static void AwaitKernelRoute(const std::string& dst, bool there) {
    while (Shell("ip route show " + dst + " proto 196").empty() == there) poll(nullptr, 0, 1);
  }
  const FrrRouter& router() const { return router_; }

 private:
  FrrRouter router_;
  std::unique_ptr<FrrBackend> backend_;
};

void BenchFromNothing(Frr& frr, size_t nodes, int rounds) {
  const RouteSet desired = MakeDesired(nodes);
  const std::string file = frr.router().dir() + "/routes";
  std::ofstream(file) << RenderFrrConfig(desired, kFrrTag);
  const std::string vtysh = frr.router().VtyshCommand("-f " + file);
  std::vector<double> ours, plain;
  for (int round = 0; round < rounds; ++round) {
    // Which of the two is first takes turns.
    for (int which : {round % 2, 1 - round % 2}) {
      if (which == 0) {
        plain.push_back(Milliseconds([&] { Shell(vtysh); }));
      } else {
        ours.push_back(Milliseconds([&] { frr.Reconcile(desired); }));
      }
      Check(frr.Owned().size() == nodes, "wrong number of routes in FRR");
      Frr::AwaitKernel(nodes);
      frr.Reconcile({});
      Check(frr.Owned().empty(), "routes left in FRR");
      Frr::AwaitKernel(0);
    }
  }
  printf(
      "%6zu nodes from nothing, each its own, median of %d | FRR %7.1f ms | vtysh -f %7.1f ms "
      "(podroute %.2f x)\n",
      nodes, rounds, Median(ours), Median(plain), Median(ours) / Median(plain));
}

// From the event (a pass that works from what is known) to the kernel's table.
void BenchOneJoins(Frr& frr, size_t nodes, int samples) {
  const RouteSet all = MakeDesired(nodes + 1);
  const RouteSet before(all.begin(), all.end() - 1);
  frr.Reconcile(before);
  Frr::AwaitKernel(nodes);
  const RoutePlan add = Plan({}, {all.back()}), remove = Plan({all.back()}, {});
  const std::string dst = all.back().dst.ToString();
  std::vector<double> joins, leaves, unchanged;
  for (int i = 0; i < samples; ++i) {
    joins.push_back(Milliseconds([&] {
      frr.Carry(add, all);
      Frr::AwaitKernelRoute(dst, true);
    }));
    leaves.push_back(Milliseconds([&] {
      frr.Carry(remove, before);
      Frr::AwaitKernelRoute(dst, false);
    }));
    unchanged.push_back(Milliseconds([&] { frr.Reconcile(before); }));
  }
  printf("%6zu nodes, one joins, FRR, in the kernel: %s\n", nodes, Distribution(joins).c_str());
  printf("%6zu nodes, one leaves: p50 %.2f ms; unchanged pass: p50 %.2f ms\n", nodes + 1,
         Median(leaves), Median(unchanged));
}

}  // namespace

void BenchFrr(bool is_short) {
  for (const Status& can : {CanRunFrr(), EnterPrivateNetns()}) {
    if (can.ok()) continue;
    printf("FRR skipped: %s\n", can.message().c_str());
    return;
  }
  AddLan("lan", "192.168.0.254/16");
  Frr frr;
  if (is_short) {
    BenchFromNothing(frr, 50, 1);
    BenchOneJoins(frr, 50, 1);
    return;
  }
  BenchFromNothing(frr, 1000, 5);
  BenchFromNothing(frr, 5000, 5);
  BenchOneJoins(frr, 1000, 20);
}

}  // namespace podroute
