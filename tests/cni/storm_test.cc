// Pods come and go at random from many processes, and a tenth of the plugin's processes are killed.
// The short form makes 400 pairs of ADD and DEL, the long one 10,000.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "cni/cni_result.h"
#include "cni/json_reader.h"
#include "tests/base/temp_dir.h"
#include "tests/cni/robustness_util.h"

namespace podroute {
namespace {

constexpr int kWorkers = 16;
constexpr int kPodsEach = 6;
constexpr int kAddresses = kWorkers * kPodsEach;  // No more than are needed.

// What all workers see: who has which address, by its last byte.
struct Shared {
  std::atomic<int> holder[256];
  std::atomic<int> killed;
  std::atomic<int> pairs;
};

std::optional<IpAddress> FirstAddress(const std::string& result) {
  Result<rapidjson::Document> document = ParseJsonObject(result);
  if (!document.ok()) return std::nullopt;
  std::optional<std::string> problem;
  CniResult parsed = ReadResult(JsonReader(*document, "", &problem));
  if (problem || parsed.ips.empty()) return std::nullopt;
  return parsed.ips[0].address.address;
}

class Worker {
 public:
  Worker(Shared& shared, int number, std::string data_dir, bool ports)
      : shared_(shared),
        number_(number),
        data_dir_(std::move(data_dir)),
        ports_(ports),
        random_(static_cast<unsigned>(number)) {}

  // An exit code; what is wrong is on standard error.
  int Run(int pairs) {
    for (int i = 0; i < kPodsEach; ++i) pods_.push_back({std::make_unique<TestPod>(), 0, 0, false});
    int done = 0;
    while (done < pairs) {
      size_t which = random_() % pods_.size();
      Pod& pod = pods_[which];
      bool ok = pod.up ? Down(which, pod) : Up(which, pod);
      if (!ok) return 1;
      if (!pod.up) ++done;
    }
    for (size_t i = 0; i < pods_.size(); ++i) {
      if (!Down(i, pods_[i])) return 1;
    }
    shared_.pairs += done;
    return 0;
  }

 private:
  struct Pod {
    std::unique_ptr<TestPod> netns;
    int generation = 0;
    int address = 0;  // Its last byte; 0: none that anybody may rely on.
    bool up = false;  // An ADD was begun.
  };

  std::string Conf(size_t which) const {
    std::string more;
    if (ports_ && which % 3 == 0) {
      int port = 10000 + number_ * 100 + static_cast<int>(which);
      more = R"("runtimeConfig":{"portMappings":[{"hostPort":)" + std::to_string(port) +
             R"(,"containerPort":80,"protocol":"tcp"}]},)";
    }
    return PodsConf(data_dir_,
                    R"([[{"subnet":"10.1.0.0/24","rangeStart":"10.1.0.2","rangeEnd":"10.1.0.)" +
                        std::to_string(kAddresses + 1) + R"("}],[{"subnet":"fd00::/64"}]])",
                    more);
  }

  // Whether it ended by itself; a tenth are killed while they run.
  std::optional<SubprocessResult> Call(const std::string& command, size_t which, const Pod& pod) {
    std::string container = "w" + std::to_string(number_) + "p" + std::to_string(which) + "g" +
                            std::to_string(pod.generation);
    CniProcess process(PluginPath(), PluginVariables(command, container, pod.netns->path()),
                       Conf(which));
    if (random_() % 10 != 0) return process.Wait();
    auto until = std::chrono::steady_clock::now() + std::chrono::microseconds(random_() % 20'000);
    while (std::chrono::steady_clock::now() < until) std::this_thread::yield();
    kill(process.pid(), SIGKILL);
    SubprocessResult result = process.Wait();
    if (result.signal == 0) return result;
    ++shared_.killed;
    return std::nullopt;
  }

  bool Complain(const std::string& what) const {
    std::fprintf(stderr, "worker %d: %s\n", number_, what.c_str());
    return false;
  }

  bool Up(size_t which, Pod& pod) {
    pod.up = true;
    ++pod.generation;
    std::optional<SubprocessResult> result = Call("ADD", which, pod);
    if (!result) return true;
    std::optional<IpAddress> address = FirstAddress(result->out);
    if (result->exit_code != 0 || !address) return Complain("ADD: " + result->out);
    pod.address = address->bytes()[3];
    int nobody = 0;
    if (!shared_.holder[pod.address].compare_exchange_strong(nobody, number_ + 1)) {
      return Complain("ADD gave " + address->ToString() + ", which is worker " +
                      std::to_string(nobody - 1) + "'s");
    }
    return true;
  }

  bool Down(size_t which, Pod& pod) {
    if (pod.address != 0) shared_.holder[pod.address] = 0;
    pod.address = 0;
    while (pod.up) {
      std::optional<SubprocessResult> result = Call("DEL", which, pod);
      if (!result) continue;
      if (result->exit_code != 0) return Complain("DEL: " + result->out);
      pod.up = false;
    }
    return true;
  }

  Shared& shared_;
  const int number_;
  const std::string data_dir_;
  const bool ports_;
  std::mt19937 random_;
  std::vector<Pod> pods_;
};

TEST(StormTest, NoAddressIsGivenTwiceAndNothingIsLeftBehind) {
  PODROUTE_ENTER_NETNS_OR_SKIP();
  TempDir dir;
  // A share of the pods has host ports, where the plugin can do that.
  TestPod probe;
  std::string probe_conf = PodsConf(
      dir.File("probe"), R"([[{"subnet":"10.9.0.0/29"}]])",
      R"("runtimeConfig":{"portMappings":[{"hostPort":9999,"containerPort":80,"protocol":"tcp"}]},)");
  bool ports = CniProcess(PluginPath(), PluginVariables("ADD", "probe", probe.path()), probe_conf)
                   .Wait()
                   .exit_code == 0;
  CniProcess(PluginPath(), PluginVariables("DEL", "probe", probe.path()), probe_conf).Wait();

  void* memory =
      mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(memory, MAP_FAILED);
  auto* shared = new (memory) Shared();
  const int pairs = (FullProofs() ? 10'000 : 400) / kWorkers;
  for (int i = 0; i < kWorkers; ++i) {
    if (fork() == 0) _exit(Worker(*shared, i, dir.path(), ports).Run(pairs));
  }
  for (int i = 0; i < kWorkers; ++i) {
    int status = 0;
    ASSERT_GT(wait(&status), 0);
    EXPECT_EQ(status, 0);
  }
  EXPECT_EQ(shared->pairs, pairs * kWorkers);
  // Children of killed plugins may still be at it.
  EXPECT_EQ(LeftBehind(dir.path()), "");
  std::printf("%d pairs of ADD and DEL, %d processes killed, %s host ports\n", shared->pairs.load(),
              shared->killed.load(), ports ? "a third with" : "none with");
  munmap(memory, sizeof(Shared));
}

}  // namespace
}  // namespace podroute
