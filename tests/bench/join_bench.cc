#include "tests/bench/join_bench.h"

#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "base/unique_fd.h"
#include "routing/route.h"
#include "tests/bench/agent_process.h"
#include "tests/bench/bench_node.h"
#include "tests/bench/bench_util.h"
#include "tests/bench/node_server.h"
#include "tests/lab/bird_router.h"
#include "tests/lab/frr_router.h"
#include "tests/lab/netns.h"

namespace podroute {
namespace {

// Longer than what the agent waits with a daemon's next change, to make one of many.
constexpr int kPauseMs = 400;

constexpr uint8_t kFrrStatic = 196;  // FRR's name for it is in no header of the kernel's.

struct Size {
  size_t nodes;
  int samples;  // Of each number.
};

// In a process of its own: threads and namespaces are for good.
void Apart(const std::function<void()>& work) {
  fflush(stdout);
  const pid_t pid = fork();
  Check(pid >= 0, "fork");
  if (pid == 0) {
    work();
    fflush(stdout);
    _exit(0);
  }
  int status = 0;
  Check(waitpid(pid, &status, 0) == pid && status == 0, "one of the benchmarks failed");
}

void Join(const char* backend, uint8_t protocol, std::vector<std::string> flags, Size size) {
  NodeServer server(size.nodes, /*tls=*/false);
  RouteWitness witness;
  flags.insert(flags.begin(), {"--mode=router", "--noleader_elect"});
  AgentProcess agent(server.kubeconfig(), flags);
  witness.AwaitRoutes(size.nodes, protocol);
  server.AwaitWatch();
  for (int pause_ms : {kPauseMs, 0}) {
    std::vector<double> joins, leaves;
    auto change = [&](const char* type, uint16_t message, const BenchNode& node) {
      poll(nullptr, 0, pause_ms);
      witness.Clear();
      const BenchClock::time_point start = server.Send(type, node);
      witness.AwaitRoute(message, node.pod_cidr);
      return MillisecondsSince(start);
    };
    for (int i = 0; i < size.samples; ++i) {
      BenchNode node = MakeBenchNode(size.nodes + static_cast<size_t>(i));
      joins.push_back(change("ADDED", RTM_NEWROUTE, node));
      node.resource_version += 1000000;
      leaves.push_back(change("DELETED", RTM_DELROUTE, node));
    }
    const char* when = pause_ms > 0 ? "by itself" : "right behind another";
    printf("%6zu nodes, %-6s, event to kernel, %-20s, one joins:  %s\n", size.nodes, backend, when,
           Distribution(joins).c_str());
    printf("%6zu nodes, %-6s, event to kernel, %-20s, one leaves: %s\n", size.nodes, backend, when,
           Distribution(leaves).c_str());
  }
}

void Kernel(Size size) { Join("kernel", RouteMark().protocol, {}, size); }

void Bird(Size size) {
  if (Status can = CanRunBird(); !can.ok()) {
    printf("BIRD skipped: %s\n", can.message().c_str());
    return;
  }
  BirdRouter router;
  router.Start();
  Join("BIRD", RTPROT_BIRD,
       {"--backend=bird", "--bird_socket=" + router.socket_path(),
        "--bird_file=" + router.file_path()},
       size);
}

// Its process can have no threads from then on, and the server needs some.
void Frr(Size size) {
  int up[2], down[2];
  Check(pipe2(up, O_CLOEXEC) == 0 && pipe2(down, O_CLOEXEC) == 0, "pipe2");
  const pid_t pid = fork();
  Check(pid >= 0, "fork");
  UniqueFd said(up[0]), say(up[1]), heard(down[0]), alive(down[1]);
  if (pid == 0) {
    said.reset();
    alive.reset();
    Status can = CanRunFrr();
    if (can.ok()) {
      FrrRouter router;
      router.StartStatic();
      dprintf(say.get(), "%s", router.dir().c_str());
      say.reset();
      char none = 0;
      (void)!read(heard.get(), &none, 1);  // Until the other end is closed.
    } else {
      printf("FRR skipped: %s\n", can.message().c_str());
      fflush(stdout);
    }
    _exit(0);
  }
  say.reset();
  heard.reset();
  std::string directory(200, '\0');
  const ssize_t length = read(said.get(), directory.data(), directory.size());
  directory.resize(length > 0 ? static_cast<size_t>(length) : 0);
  if (!directory.empty()) {
    Join("FRR", kFrrStatic, {"--backend=frr", "--frr_vty_socket=" + directory}, size);
  }
  alive.reset();
  waitpid(pid, nullptr, 0);
}

}  // namespace

void BenchJoins(bool is_short) {
  const Size size = is_short ? Size{.nodes = 30, .samples = 1} : Size{.nodes = 1000, .samples = 20};
  for (void (*bench)(Size) : {Kernel, Bird, Frr}) {
    Apart([&] {
      if (Status entered = EnterPrivateNetns(); !entered.ok()) {
        printf("joins skipped: no network namespaces here: %s\n", entered.message().c_str());
        return;
      }
      AddLan("lan", "192.168.255.254/16");
      bench(size);
    });
  }
}

}  // namespace podroute
