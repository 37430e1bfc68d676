// How long a pod's ADD and DEL take: podroute-cni, the reference plugins `bridge` and `host-local`
// (with `portmap` chained behind for a hostPort), and bare_plug, a program that takes the same
// steps in the kernel and no others. All are started as a container runtime does, in turn, in one
// run.
//
//   bazel run //tests/bench:cni_bench [-- --short|--bursts]            (root)
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/base/temp_dir.h"
#include "tests/cni/cni_process.h"
#include "tests/cni/cni_test_util.h"

namespace podroute {
namespace {

constexpr char kReferenceDir[] = "/usr/lib/cni";

// Instead of it a pod's own port.
constexpr std::string_view kPort = "HOSTPORT";

// One plugin of a chain.
struct Plugin {
  std::string program;
  std::string config;
};

struct Contender {
  std::string name;
  std::vector<Plugin> chain;
  std::vector<double> add_ms;
  std::vector<double> del_ms;
  std::vector<double> adds_per_second;
};

double Median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

CniVariables Variables(const std::string& command, const std::string& container,
                       const std::string& netns) {
  return {{"CNI_COMMAND", command},    {"CNI_CONTAINERID", container},
          {"CNI_NETNS", netns},        {"CNI_IFNAME", "eth0"},
          {"CNI_PATH", kReferenceDir}, {"PATH", "/usr/sbin:/usr/bin:/sbin:/bin"}};
}

[[noreturn]] void Fail(const Contender& contender, const std::string& command,
                       const SubprocessResult& result) {
  std::fprintf(stderr, "%s %s: %s%s\n", contender.name.c_str(), command.c_str(), result.out.c_str(),
               result.err.c_str());
  std::exit(1);
}

// The configuration as libcni passes it: with the result of the plugin before, if there is one.
std::string ConfigFor(const Plugin& plugin, int port, const std::string& result) {
  std::string config = plugin.config;
  if (size_t at = config.find(kPort); at != std::string::npos) {
    config.replace(at, kPort.size(), std::to_string(port));
  }
  if (!result.empty()) {
    config.pop_back();
    config += ",\"prevResult\":" + result + "}";
  }
  return config;
}

// A pod's way through a chain, one plugin after the other, as libcni takes it: DEL the other way
// round, with the result of ADD.
struct Pod {
  std::string container;
  std::string netns;
  int port = 0;
  std::string result;
};

double TimeCall(const Contender& contender, const std::string& command, Pod& pod) {
  auto start = std::chrono::steady_clock::now();
  bool add = command == "ADD";
  for (size_t i = 0; i < contender.chain.size(); ++i) {
    const Plugin& plugin = contender.chain[add ? i : contender.chain.size() - 1 - i];
    // One plugin alone gets what container runtimes give it, too.
    CniProcess process(plugin.program, Variables(command, pod.container, pod.netns),
                       ConfigFor(plugin, pod.port, pod.result));
    const SubprocessResult& result = process.Wait();
    if (result.exit_code != 0) Fail(contender, command, result);
    if (add) pod.result = result.out;
  }
  auto end = std::chrono::steady_clock::now();
  return std::chrono::duration<double, std::milli>(end - start).count();
}

// Each contender's turn comes at random, and the pods stay until the end: the kernel takes a
// namespace down in the background, under the very lock that the next one's ADD needs.
void RunRounds(std::vector<Contender>& contenders, int rounds) {
  std::vector<std::pair<size_t, std::string>> turns;
  for (int round = 0; round < rounds; ++round) {
    for (size_t i = 0; i < contenders.size(); ++i) {
      turns.emplace_back(i, contenders[i].name + std::to_string(round));
    }
  }
  std::shuffle(turns.begin(), turns.end(), std::mt19937(1));
  std::vector<std::unique_ptr<TestPod>> pods;
  for (size_t i = 0; i < turns.size(); ++i) pods.push_back(std::make_unique<TestPod>());
  for (size_t i = 0; i < turns.size(); ++i) {
    Contender& contender = contenders[turns[i].first];
    Pod pod{turns[i].second, pods[i]->path(), 20000 + static_cast<int>(i), ""};
    contender.add_ms.push_back(TimeCall(contender, "ADD", pod));
    contender.del_ms.push_back(TimeCall(contender, "DEL", pod));
  }
}

// `count` of the pods from `first` on, `at_once` at a time; ADDs per second. For a chain of one
// plugin. Nobody's ADDs run while pods' namespaces are taken down: those stay until the end.
double Rate(const Contender& contender, const std::vector<std::unique_ptr<TestPod>>& pods,
            size_t first, size_t count, size_t at_once) {
  double seconds = 0;
  for (const char* command : {"ADD", "DEL"}) {
    auto start = std::chrono::steady_clock::now();
    std::vector<std::unique_ptr<CniProcess>> running(count);
    for (size_t i = 0; i < count + at_once; ++i) {
      if (i >= at_once && running[i - at_once]->Wait().exit_code != 0) {
        std::fprintf(stderr, "%s %s: %s\n", contender.name.c_str(), command,
                     running[i - at_once]->Wait().out.c_str());
        std::exit(1);
      }
      if (i < count) {
        running[i] = std::make_unique<CniProcess>(
            contender.chain[0].program,
            Variables(command, contender.name + "burst" + std::to_string(first + i),
                      pods[first + i]->path()),
            ConfigFor(contender.chain[0], 20000 + static_cast<int>(i), ""));
      }
    }
    std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    if (std::strcmp(command, "ADD") == 0) seconds = took.count();
  }
  return static_cast<double>(count) / seconds;
}

void RunBursts(std::vector<Contender>& contenders, size_t rounds, size_t count) {
  constexpr size_t kAtOnce = 8;
  std::vector<Contender*> alone;
  for (Contender& contender : contenders) {
    if (contender.chain.size() == 1 && contender.name != "bare") alone.push_back(&contender);
  }
  std::vector<std::unique_ptr<TestPod>> pods(rounds * alone.size() * count);
  for (auto& pod : pods) pod = std::make_unique<TestPod>();
  size_t first = 0;
  for (size_t round = 0; round < rounds; ++round) {
    for (Contender* contender : alone) {
      contender->adds_per_second.push_back(Rate(*contender, pods, first, count, kAtOnce));
      first += count;
    }
  }
}

std::string Config(const TempDir& dir, const std::string& bridge, const std::string& subnet,
                   const std::string& more = "") {
  return R"({"cniVersion":"1.0.0","name":")" + bridge + R"(","type":"bridge","bridge":")" + bridge +
         R"(","isDefaultGateway":true,"hairpinMode":true,)" + more +
         R"("ipam":{"type":"host-local","dataDir":")" + dir.path() + R"(","ranges":[[{"subnet":")" +
         subnet + R"("}]]}})";
}

std::string Absolute(const char* path) { return std::filesystem::absolute(path).string(); }

// The reference's portmap needs iptables.
bool HasReference() {
  return access("/usr/lib/cni/portmap", X_OK) == 0 && TryShell("iptables -V") == 0;
}

// With nothing, one hostPort and ipMasq.
std::vector<Contender> Contenders(const TempDir& dir) {
  const std::string ours = Absolute("cni/podroute-cni");
  const std::string bridge = std::string(kReferenceDir) + "/bridge";
  const std::string port =
      R"("capabilities":{"portMappings":true},"runtimeConfig":{"portMappings":[)"
      R"({"hostPort":HOSTPORT,"containerPort":80,"protocol":"tcp"}]})";
  const std::string masquerade = R"("ipMasq":true,)";
  std::vector<Contender> contenders = {
      {"ours", {{ours, Config(dir, "ours0", "10.1.0.0/16")}}, {}, {}, {}},
      {"bare",
       {{Absolute("tests/bench/bare_plug"), Config(dir, "bare0", "10.2.0.0/16")}},
       {},
       {},
       {}},
      {"ours-hostPort", {{ours, Config(dir, "ours1", "10.4.0.0/16", port + ",")}}, {}, {}, {}},
      {"ours-ipMasq", {{ours, Config(dir, "ours2", "10.5.0.0/16", masquerade)}}, {}, {}, {}}};
  if (!HasReference()) {
    std::printf("no reference: install Debian's containernetworking-plugins and iptables\n");
    return contenders;
  }
  const Plugin portmap = {std::string(kReferenceDir) + "/portmap",
                          R"({"cniVersion":"1.0.0","name":"ref1","type":"portmap",)" + port + "}"};
  contenders.push_back({"reference", {{bridge, Config(dir, "ref0", "10.3.0.0/16")}}, {}, {}, {}});
  contenders.push_back(
      {"reference-hostPort", {{bridge, Config(dir, "ref1", "10.6.0.0/16")}, portmap}, {}, {}, {}});
  contenders.push_back(
      {"reference-ipMasq", {{bridge, Config(dir, "ref2", "10.7.0.0/16", masquerade)}}, {}, {}, {}});
  return contenders;
}

void PrintRatio(const std::vector<Contender>& contenders, const std::string& slow,
                const std::string& quick) {
  auto find = [&](const std::string& name) {
    return std::find_if(contenders.begin(), contenders.end(),
                        [&](const Contender& contender) { return contender.name == name; });
  };
  auto a = find(slow);
  auto b = find(quick);
  if (a == contenders.end() || b == contenders.end()) return;
  std::printf("%s / %s: ADD %.2f, DEL %.2f", slow.c_str(), quick.c_str(),
              Median(a->add_ms) / Median(b->add_ms), Median(a->del_ms) / Median(b->del_ms));
  double rate = Median(a->adds_per_second);
  if (rate > 0) std::printf(", rate 1/%.1f", Median(b->adds_per_second) / rate);
  std::printf("\n");
}

int Main(bool quick, bool bursts_only) {
  Status entered = EnterPrivateNetns();
  if (!entered.ok()) {
    std::fprintf(stderr, "skipped: no network namespaces here: %s\n", entered.message().c_str());
    return 0;
  }
  TempDir dir;
  std::vector<Contender> contenders = Contenders(dir);
  Shell(
      "ip link add bare0 type bridge && ip addr add 10.2.0.1/16 dev bare0 && ip link set bare0 up");
  RunRounds(contenders, 1);  // Bridges and directories are made here.
  for (Contender& contender : contenders) {
    contender.add_ms.clear();
    contender.del_ms.clear();
  }
  if (!bursts_only) RunRounds(contenders, quick ? 2 : 60);
  RunBursts(contenders, quick ? 1 : 3, quick ? 8 : 200);
  for (const Contender& contender : contenders) {
    double rate = Median(contender.adds_per_second);
    std::printf("%-18s ADD p50 %6.2f ms   DEL p50 %6.2f ms", contender.name.c_str(),
                Median(contender.add_ms), Median(contender.del_ms));
    if (rate > 0) std::printf("   ADDs, 8 at a time %7.1f/s", rate);
    std::printf("\n");
  }
  PrintRatio(contenders, "ours", "bare");
  PrintRatio(contenders, "reference", "ours");
  PrintRatio(contenders, "reference-hostPort", "ours-hostPort");
  PrintRatio(contenders, "reference-ipMasq", "ours-ipMasq");
  return 0;
}

}  // namespace
}  // namespace podroute

int main(int argc, char** argv) {
  const std::string_view mode = argc > 1 ? argv[1] : "";
  return podroute::Main(mode == "--short", mode == "--bursts");
}
