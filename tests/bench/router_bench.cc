// How long it takes to bring routes into a shared router: the kernel backend, the BIRD backend, and
// `birdc configure` of the very same file, interleaved, in private network namespaces. BIRD exports
// to the kernel, as it does on a router. The same for FRR (frr_bench.h). And a node's joining and
// leaving through the whole agent (join_bench.h).
//
//   router_bench            1,000 and 5,000 nodes; medians and ratios
//   router_bench --short    few nodes; exits non-zero when a count is wrong; times mean nothing
#include <poll.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "routing/bird_backend.h"
#include "routing/bird_config.h"
#include "routing/bird_control.h"
#include "routing/bird_reply.h"
#include "routing/kernel_backend.h"
#include "tests/bench/bench_util.h"
#include "tests/bench/frr_bench.h"
#include "tests/bench/join_bench.h"
#include "tests/lab/bird_router.h"
#include "tests/lab/netns.h"

namespace podroute {
namespace {

// Who is the next hop.
enum class Gateways {
  kEachItsOwn,  // Node i is 192.168.0.0/16 + 256 + i: what a cluster looks like.
  kOne,         // All by one neighbour: what costs the kernel least.
};

RouteSet MakeDesired(size_t nodes, Gateways gateways, int ifindex) {
  RouteSet routes;
  for (size_t i = 0; i < nodes; ++i) {
    Route& route = routes.emplace_back();
    const uint32_t n = static_cast<uint32_t>(i);
    route.dst = IpPrefix::Of(IpAddress::V4(0x0a000000u + (n << 8)), 24);
    const uint32_t host = gateways == Gateways::kEachItsOwn ? n : 0;
    route.via = {IpAddress::V4(0xc0a80100u + host), ifindex};
    route.node = "node" + std::to_string(i);
  }
  return routes;
}

void ReconcileOrDie(RouteBackend& backend, const RouteSet& desired) {
  const RouteSet actual = OrDie(backend.ReadOwned());
  for (const RouteResult& result : backend.Apply(Plan(actual, desired), desired)) {
    Check(result.status.ok(), result.status.message());
  }
}

// A daemon with its backend, and a connection of a third party's.
class Bird {
 public:
  Bird() {
    router_.Start();
    backend_ = OrDie(BirdBackend::Create(
        {.socket_path = router_.socket_path(), .file_path = router_.file_path()}));
    witness_ = OrDie(BirdControl::Connect(router_.socket_path(), Deadline(), nullptr));
  }
  BirdBackend& backend() { return *backend_; }
  const BirdRouter& router() const { return router_; }

  size_t RoutesInTable() {
    const BirdReply reply = OrDie(witness_->Ask("show route count protocol podroute4", Deadline()));
    const BirdLine* line = reply.Find(1007);
    return line == nullptr ? 0 : std::stoul(std::string(line->text));
  }
  void AwaitRoutes(size_t count) {
    while (RoutesInTable() != count) poll(nullptr, 0, 1);
  }

 private:
  static MonotonicTime Deadline() { return SystemClock().Now() + std::chrono::seconds(30); }
  BirdRouter router_;
  std::unique_ptr<BirdBackend> backend_;
  std::unique_ptr<BirdControl> witness_;
};

// From nothing to all routes.
void BenchFromNothing(Bird& bird, size_t nodes, Gateways gateways, int rounds, int ifindex) {
  const RouteSet desired = MakeDesired(nodes, gateways, 0);
  const RouteSet in_kernel = MakeDesired(nodes, gateways, ifindex);
  const std::string file = RenderBirdConfig(desired, "");
  const std::string birdc =
      "/usr/sbin/birdc -s " + bird.router().socket_path() + " configure >/dev/null";
  std::vector<double> kernel, ours, daemon;
  for (int round = 0; round < rounds; ++round) {
    // Which of the two is first takes turns.
    for (int which : {round % 2, 1 - round % 2}) {
      if (which == 0) {
        std::ofstream(bird.router().file_path(), std::ios::trunc) << file;
        daemon.push_back(Milliseconds([&] { Check(system(birdc.c_str()) == 0, birdc); }));
      } else {
        ours.push_back(Milliseconds([&] { ReconcileOrDie(bird.backend(), desired); }));
      }
      Check(bird.RoutesInTable() == nodes, "wrong number of routes in BIRD");
      ReconcileOrDie(bird.backend(), {});
      Check(bird.RoutesInTable() == 0, "routes left in BIRD");
    }
    std::unique_ptr<KernelBackend> backend = OrDie(KernelBackend::Create({}));
    kernel.push_back(Milliseconds([&] { ReconcileOrDie(*backend, in_kernel); }));
    Check(OrDie(backend->RemoveAllOwned()).routes == nodes, "wrong number of routes");
  }
  printf(
      "%6zu nodes from nothing, %s, median of %d | kernel %7.1f ms | BIRD %7.1f ms | "
      "birdc configure %7.1f ms | podroute / birdc %.2f, birdc / kernel %.1f\n",
      nodes, gateways == Gateways::kOne ? "one gateway  " : "each its own", rounds, Median(kernel),
      Median(ours), Median(daemon), Median(ours) / Median(daemon), Median(daemon) / Median(kernel));
}

// One node joins: from the event (a pass that works from what is known) to BIRD's table, as a third
// party sees it.
void BenchOneJoins(Bird& bird, size_t nodes, int samples) {
  const RouteSet all = MakeDesired(nodes + 1, Gateways::kEachItsOwn, 0);
  const RouteSet before(all.begin(), all.end() - 1);
  ReconcileOrDie(bird.backend(), before);
  bird.AwaitRoutes(nodes);
  const RoutePlan add = Plan({}, {all.back()}), remove = Plan({all.back()}, {});
  std::vector<double> joins, leaves, unchanged;
  for (int i = 0; i < samples; ++i) {
    auto apply = [&](const RoutePlan& plan, const RouteSet& desired, size_t count) {
      return Milliseconds([&] {
        for (const RouteResult& result : bird.backend().Apply(plan, desired)) {
          Check(result.status.ok(), result.status.message());
        }
        bird.AwaitRoutes(count);
      });
    };
    joins.push_back(apply(add, all, nodes + 1));
    leaves.push_back(apply(remove, before, nodes));
    unchanged.push_back(Milliseconds([&] { ReconcileOrDie(bird.backend(), before); }));
  }
  printf("%6zu nodes, one joins, in BIRD's table: %s\n", nodes, Distribution(joins).c_str());
  printf("%6zu nodes, one leaves: p50 %.2f ms; unchanged pass: p50 %.2f ms\n", nodes + 1,
         Median(leaves), Median(unchanged));
  ReconcileOrDie(bird.backend(), {});
}

int Main(bool is_short) {
  for (const Status& can : {CanRunBird(), EnterPrivateNetns()}) {
    if (can.ok()) continue;
    printf("skipped: %s\n", can.message().c_str());
    return 0;
  }
  const int ifindex = AddLan("lan", "192.168.0.1/16");
  Bird bird;
  if (is_short) {
    BenchFromNothing(bird, 200, Gateways::kEachItsOwn, 2, ifindex);
    BenchOneJoins(bird, 200, 3);
    return 0;
  }
  for (size_t nodes : {1000, 5000}) {
    for (Gateways gateways : {Gateways::kEachItsOwn, Gateways::kOne}) {
      BenchFromNothing(bird, nodes, gateways, 11, ifindex);
    }
  }
  BenchOneJoins(bird, 1000, 100);
  return 0;
}

}  // namespace
}  // namespace podroute

int main(int argc, char** argv) {
  const bool is_short = podroute::IsShort(argc, argv);
  podroute::BenchJoins(is_short);
  const int code = podroute::Main(is_short);
  podroute::BenchFrr(is_short);
  return code;
}
