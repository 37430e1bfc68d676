// How long it takes to find and reserve an address in a /16, empty or with 60,000 taken: our IPAM,
// in process (open, lock, find, reserve), and the reference plugin `host-local`, a process; and
// what giving it back takes. In turn, in one run.
//
//   TEST_TMPDIR=/dev/shm bazel-bin/tests/bench/ipam_bench      in memory, as /run is; or on a disk
#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "base/ip_prefix.h"
#include "base/unique_fd.h"
#include "cni/host_local.h"
#include "tests/base/temp_dir.h"
#include "tests/bench/bench_util.h"
#include "tests/cni/cni_process.h"

namespace podroute {
namespace {

constexpr uint64_t kSize = 65'536;
constexpr char kReference[] = "/usr/lib/cni/host-local";

std::string At(uint64_t i) { return IpAddress::V4(0x0a010000).Plus(i).ToString(); }

void WriteFileOrDie(const std::string& path, const std::string& content) {
  UniqueFd file(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  Check(file && write(file.get(), content.data(), content.size()) ==
                    static_cast<ssize_t>(content.size()),
        path);
}

// One store, and what both do in it.
class Store {
 public:
  Store(const std::function<bool(uint64_t)>& taken, uint64_t last) : last_(At(last)) {
    std::filesystem::create_directories(dir_.File("net"));
    for (uint64_t i = 2; i < kSize - 1; ++i) {
      if (taken(i)) WriteFileOrDie(dir_.File("net/" + At(i)), "c" + std::to_string(i) + "\r\neth0");
    }
    text_ = R"({"cniVersion":"1.0.0","name":"net","type":"host-local","ipam":{"type":"host-local",)"
            R"("dataDir":")" +
            dir_.path() + R"(","ranges":[[{"subnet":"10.1.0.0/16"}]]}})";
    CniOr<NetConf> conf = ParseNetConf(text_);
    Check(conf.ok(), "configuration");
    conf_ = *conf;
  }

  // Milliseconds of each ADD and each DEL; the walk begins at the same place each time.
  void Ours(int rounds, std::vector<double>& add, std::vector<double>& del) {
    for (int i = 0; i < rounds; ++i) {
      CniAttachment owner{"o" + std::to_string(i), "eth0"};
      WriteFileOrDie(dir_.File("net/last_reserved_ip.0"), last_);
      add.push_back(Milliseconds([&] {
        LinuxHostView host;
        Check(HostLocalAdd(conf_.ipam, "net", owner, &host).ok(), "ADD");
      }));
      del.push_back(Milliseconds([&] { Check(!HostLocalDel(conf_.ipam, "net", owner), "DEL"); }));
    }
  }
  void Reference(int rounds, std::vector<double>& add, std::vector<double>& del) {
    for (int i = 0; i < rounds; ++i) {
      WriteFileOrDie(dir_.File("net/last_reserved_ip.0"), last_);
      for (const char* command : {"ADD", "DEL"}) {
        (command[0] == 'A' ? add : del).push_back(Milliseconds([&] {
          CniProcess process(kReference,
                             {{"CNI_COMMAND", command},
                              {"CNI_CONTAINERID", "r" + std::to_string(i)},
                              {"CNI_NETNS", "/proc/self/ns/net"},
                              {"CNI_IFNAME", "eth0"},
                              {"CNI_PATH", "/usr/lib/cni"}},
                             text_);
          Check(process.Wait().exit_code == 0, process.Wait().out);
        }));
      }
    }
  }

 private:
  TempDir dir_;
  const std::string last_;
  std::string text_;
  NetConf conf_;
};

void Report(const char* name, const std::function<std::unique_ptr<Store>()>& make, int rounds,
            int reference_rounds) {
  std::unique_ptr<Store> store = make();
  std::vector<double> add;
  std::vector<double> del;
  store->Ours(1, add, del);
  std::printf("%s\n  ours, first    ADD %8.3f ms\n", name, add[0]);
  add.clear();
  del.clear();
  store->Ours(rounds, add, del);
  std::printf("  ours           ADD p50 %8.3f ms, p99 %8.3f   DEL p50 %8.3f\n", Median(add),
              Percentile(add, 0.99), Median(del));
  if (reference_rounds == 0) return;
  add.clear();
  del.clear();
  store->Reference(reference_rounds, add, del);
  std::printf("  reference      ADD p50 %8.3f ms               DEL p50 %8.3f\n", Median(add),
              Median(del));
}

int Main(bool quick) {
  const int rounds = quick ? 3 : 300;
  int reference_rounds = quick ? 1 : 10;
  if (access(kReference, X_OK) != 0) {
    std::printf("no reference: install Debian's containernetworking-plugins\n");
    reference_rounds = 0;
  }
  std::mt19937 random(1);
  std::vector<bool> scattered(kSize);
  for (size_t i = 0; i < kSize; ++i) scattered[i] = random() % kSize < 60'000;
  auto make = [](const std::function<bool(uint64_t)>& taken, uint64_t last) {
    return [=] { return std::make_unique<Store>(taken, last); };
  };
  Report("nothing taken", make([](uint64_t) { return false; }, 2), rounds, reference_rounds);
  if (quick) {
    Report("1,000 taken in a row", make([](uint64_t i) { return i < 1000; }, 2), rounds,
           reference_rounds);
    return 0;
  }
  Report("60,000 taken, scattered", make([=](uint64_t i) { return scattered[i]; }, 30'000), rounds,
         reference_rounds);
  Report("60,000 taken in a row, the last one given at its beginning",
         make([](uint64_t i) { return i < 60'000; }, 2), rounds, reference_rounds);
  Report("all but one taken, that one just before the last one given",
         make([](uint64_t i) { return i != 29'999; }, 30'000), rounds, reference_rounds);
  return 0;
}

}  // namespace
}  // namespace podroute

int main(int argc, char** argv) { return podroute::Main(podroute::IsShort(argc, argv)); }
