// How long a pod's ADD and DEL take: podroute-cni, the reference plugins `bridge` and `host-local`,
// and bare_plug, a program that takes the same steps in the kernel and no others. All are started
// as a container runtime does, in turn, in one run.
//
//   bazel run //tests/bench:cni_bench            (root)
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "tests/base/temp_dir.h"
#include "tests/cni/cni_process.h"
#include "tests/cni/cni_test_util.h"

namespace podroute {
namespace {

constexpr char kReferenceDir[] = "/usr/lib/cni";

struct Contender {
  std::string name;
  std::string program;
  std::string config;
  std::vector<double> add_ms;
  std::vector<double> del_ms;
};

double Median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

CniVariables Variables(const std::string& command, const std::string& container,
                       const std::string& netns) {
  return {{"CNI_COMMAND", command},
          {"CNI_CONTAINERID", container},
          {"CNI_NETNS", netns},
          {"CNI_IFNAME", "eth0"},
          {"CNI_PATH", kReferenceDir}};
}

double TimeCall(const Contender& contender, const std::string& command,
                const std::string& container, const std::string& netns) {
  auto start = std::chrono::steady_clock::now();
  CniProcess process(contender.program, Variables(command, container, netns), contender.config);
  const SubprocessResult& result = process.Wait();
  auto end = std::chrono::steady_clock::now();
  if (result.exit_code != 0) {
    std::fprintf(stderr, "%s %s: %s%s\n", contender.name.c_str(), command.c_str(),
                 result.out.c_str(), result.err.c_str());
    std::exit(1);
  }
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
    const std::string& container = turns[i].second;
    contender.add_ms.push_back(TimeCall(contender, "ADD", container, pods[i]->path()));
    contender.del_ms.push_back(TimeCall(contender, "DEL", container, pods[i]->path()));
  }
}

// `count` pods, `at_once` at a time; ADDs per second.
double Rate(const Contender& contender, size_t count, size_t at_once) {
  std::vector<std::unique_ptr<TestPod>> pods;
  for (size_t i = 0; i < count; ++i) pods.push_back(std::make_unique<TestPod>());
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
            contender.program,
            Variables(command, contender.name + "burst" + std::to_string(i), pods[i]->path()),
            contender.config);
      }
    }
    std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    if (std::strcmp(command, "ADD") == 0) seconds = took.count();
  }
  return static_cast<double>(count) / seconds;
}

std::string Config(const TempDir& dir, const std::string& bridge, const std::string& subnet) {
  return R"({"cniVersion":"1.0.0","name":")" + bridge + R"(","type":"bridge","bridge":")" + bridge +
         R"(","isDefaultGateway":true,"hairpinMode":true,"ipam":{"type":"host-local","dataDir":")" +
         dir.path() + R"(","ranges":[[{"subnet":")" + subnet + R"("}]]}})";
}

int Main(bool quick) {
  Status entered = EnterPrivateNetns();
  if (!entered.ok()) {
    std::fprintf(stderr, "skipped: no network namespaces here: %s\n", entered.message().c_str());
    return 0;
  }
  TempDir dir;
  auto absolute = [](const char* path) { return std::filesystem::absolute(path).string(); };
  std::vector<Contender> contenders;
  contenders.push_back(
      {"ours", absolute("cni/podroute-cni"), Config(dir, "ours0", "10.1.0.0/16"), {}, {}});
  contenders.push_back(
      {"bare", absolute("tests/bench/bare_plug"), Config(dir, "bare0", "10.2.0.0/16"), {}, {}});
  bool has_reference = access("/usr/lib/cni/bridge", X_OK) == 0;
  if (has_reference) {
    contenders.push_back({"reference",
                          std::string(kReferenceDir) + "/bridge",
                          Config(dir, "ref0", "10.3.0.0/16"),
                          {},
                          {}});
  } else {
    std::printf("no reference: install Debian's containernetworking-plugins\n");
  }
  Shell(
      "ip link add bare0 type bridge && ip addr add 10.2.0.1/16 dev bare0 && ip link set bare0 up");
  RunRounds(contenders, 1);  // Bridges and directories are made here.
  for (Contender& contender : contenders) {
    contender.add_ms.clear();
    contender.del_ms.clear();
  }
  RunRounds(contenders, quick ? 2 : 60);
  for (const Contender& contender : contenders) {
    double rate = contender.name == "bare" ? 0 : Rate(contender, quick ? 8 : 200, 8);
    std::printf("%-10s ADD p50 %6.2f ms   DEL p50 %6.2f ms", contender.name.c_str(),
                Median(contender.add_ms), Median(contender.del_ms));
    if (rate > 0) std::printf("   ADDs, 8 at a time %7.1f/s", rate);
    std::printf("\n");
  }
  double ours = Median(contenders[0].add_ms);
  std::printf("ours / bare: ADD %.2f, DEL %.2f\n", ours / Median(contenders[1].add_ms),
              Median(contenders[0].del_ms) / Median(contenders[1].del_ms));
  if (has_reference) {
    std::printf("reference / ours: ADD %.2f, DEL %.2f\n", Median(contenders[2].add_ms) / ours,
                Median(contenders[2].del_ms) / Median(contenders[0].del_ms));
  }
  return 0;
}

}  // namespace
}  // namespace podroute

int main(int argc, char** argv) {
  return podroute::Main(argc > 1 && std::strcmp(argv[1], "--short") == 0);
}
