// Our host-local and the reference plugin's use one store at one moment, and each gives back what
// the other took. The short form makes 400 rounds with each, the long one 10,000.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <deque>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "cni/cni_result.h"
#include "cni/host_local.h"
#include "cni/json_reader.h"
#include "cni/net_conf.h"
#include "cni/reclaim.h"
#include "tests/base/temp_dir.h"
#include "tests/cni/robustness_util.h"

namespace podroute {
namespace {

constexpr char kRanges[] =
    R"([[{"subnet":"10.1.0.0/26"}],[{"subnet":"fd00::/64","rangeEnd":"fd00::3f"}]])";

struct Shared {
  std::atomic<int> holder[256];
};

// Gives and takes addresses in one store, by our code or the reference plugin's program.
class Tenant {
 public:
  Tenant(std::string data_dir, int number)
      : text_(PodsConf(data_dir, kRanges, "", "host-local")), number_(number) {
    CniOr<NetConf> conf = ParseNetConf(text_);
    if (!conf.ok()) abort();
    conf_ = *conf;
  }

  // The last byte of its IPv4 address; 0 when it failed, which is told.
  int Add(const std::string& container, bool by_reference) {
    if (by_reference) {
      const SubprocessResult result = Reference("ADD", container);
      Result<rapidjson::Document> document = ParseJsonObject(result.out);
      std::optional<std::string> problem;
      if (result.exit_code != 0 || !document.ok()) return Complain("ADD: " + result.out);
      CniResult parsed = ReadResult(JsonReader(*document, "", &problem));
      if (problem || parsed.ips.size() != 2) return Complain("ADD: " + result.out);
      return parsed.ips[0].address.address.bytes()[3];
    }
    CniOr<CniResult> result = HostLocalAdd(conf_.ipam, "pods", {container, "eth0"}, &host_);
    if (!result.ok()) return Complain(result.error().message);
    return result->ips[0].address.address.bytes()[3];
  }
  bool Del(const std::string& container, bool by_reference) {
    if (by_reference) {
      const SubprocessResult result = Reference("DEL", container);
      return result.exit_code == 0 || Complain("DEL: " + result.out) != 0;
    }
    CniProblem problem = HostLocalDel(conf_.ipam, "pods", {container, "eth0"});
    return !problem || Complain(problem->message) != 0;
  }

  int Run(Shared& shared, bool by_reference, int rounds) {
    constexpr size_t kKeeps = 8;
    std::mt19937 random(static_cast<unsigned>(number_));
    std::deque<std::pair<std::string, int>> mine;
    for (int round = 0; round < rounds || !mine.empty(); ++round) {
      if (round < rounds) {
        std::string container = "t" + std::to_string(number_) + "r" + std::to_string(round);
        int address = Add(container, by_reference);
        if (address == 0) return 1;
        if (shared.holder[address].exchange(number_ + 1) != 0) {
          Complain("10.1.0." + std::to_string(address) + " was given twice");
          return 1;
        }
        mine.emplace_back(container, address);
        if (mine.size() < kKeeps) continue;
      }
      auto [container, address] = mine.front();
      mine.pop_front();
      shared.holder[address] = 0;
      // A quarter by the other's program: what a node does that is moved from one to the other.
      bool other = random() % 4 == 0;
      if (!Del(container, by_reference != other)) return 1;
    }
    return 0;
  }

 private:
  SubprocessResult Reference(const std::string& command, const std::string& container) {
    return CniProcess(std::string(kReferencePlugins) + "/host-local",
                      PluginVariables(command, container, "/proc/self/ns/net"), text_)
        .Wait();
  }
  int Complain(const std::string& what) const {
    std::fprintf(stderr, "tenant %d: %s\n", number_, what.c_str());
    return 0;
  }

  const std::string text_;
  const int number_;
  NetConf conf_;
  LinuxHostView host_;
};

class SharingTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (access("/usr/lib/cni/host-local", X_OK) != 0) {
      GTEST_SKIP() << "the reference plugins are not here; Debian's containernetworking-plugins "
                      "has them";
    }
    PODROUTE_ENTER_NETNS_OR_SKIP();
  }
  // What is there after the store has been looked through once. The reference plugin knows nothing
  // of our links, so when it gives an address of ours back, the link stays until then.
  std::string LeftAfterSweep() {
    {
      Result<IpStore> store = IpStore::Open(dir_.path(), "pods");
      LinuxHostView host;
      EXPECT_EQ(Reclaim(*store, "pods", host, ReclaimScope::kEverything), 0u);
    }
    return LeftBehind(dir_.path());
  }

  TempDir dir_;
};

TEST_F(SharingTest, NoAddressIsGivenTwiceAndEachReleasesTheOthers) {
  void* memory =
      mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(memory, MAP_FAILED);
  auto* shared = new (memory) Shared();
  constexpr int kTenants = 6;
  const int rounds = FullProofs() ? 10'000 : 400;
  const int each = (rounds + kTenants / 2 - 1) / (kTenants / 2);
  for (int i = 0; i < kTenants; ++i) {
    if (fork() == 0) _exit(Tenant(dir_.path(), i).Run(*shared, i % 2 == 0, each));
  }
  for (int i = 0; i < kTenants; ++i) {
    int status = 0;
    ASSERT_GT(wait(&status), 0);
    EXPECT_EQ(status, 0);
  }
  EXPECT_EQ(LeftAfterSweep(), "");
  munmap(memory, sizeof(Shared));
}

TEST_F(SharingTest, TheReferenceBridgeAndOursServeOneNetwork) {
  const int rounds = FullProofs() ? 500 : 20;
  const std::string ranges = R"([[{"subnet":"10.1.0.0/28"}]])";
  const std::string program[2] = {PluginPath(), std::string(kReferencePlugins) + "/bridge"};
  const std::string conf[2] = {PodsConf(dir_.path(), ranges),
                               PodsConf(dir_.path(), ranges, "", "bridge")};
  std::mt19937 random(1);
  auto call = [&](size_t which, const std::string& command, const std::string& container,
                  const TestPod& pod) {
    SubprocessResult result =
        CniProcess(program[which], PluginVariables(command, container, pod.path()), conf[which])
            .Wait();
    EXPECT_EQ(result.exit_code, 0) << program[which] << " " << command << ": " << result.out;
    return result.out;
  };
  std::vector<TestPod> pods(4);
  for (int round = 0; round < rounds && !HasFailure(); ++round) {
    std::set<std::string> addresses;
    for (size_t i = 0; i < pods.size(); ++i) {
      call(random() % 2, "ADD", "p" + std::to_string(i), pods[i]);
      addresses.insert(pods[i].Run("ip -4 -o addr show eth0 | awk '{print $4}'"));
    }
    EXPECT_EQ(addresses.size(), pods.size());
    for (size_t i = 0; i < pods.size(); ++i) {
      call(random() % 2, "DEL", "p" + std::to_string(i), pods[i]);
    }
    EXPECT_EQ(LeftAfterSweep(), "");
  }
}

TEST_F(SharingTest, AReferencePluginsReservationOfThisBootIsNotTakenBack) {
  Tenant tenant(dir_.path(), 0);
  ASSERT_NE(tenant.Add("theirs", true), 0);
  IpamConf full = ParseNetConf(PodsConf(dir_.path(), R"([[{"subnet":"10.1.0.0/30"}]])"))->ipam;
  LinuxHostView host;
  CniOr<CniResult> none = HostLocalAdd(full, "pods", {"ours", "eth0"}, &host);
  ASSERT_FALSE(none.ok());
  EXPECT_EQ(none.error().message, "no free address in 10.1.0.1-10.1.0.2");
  EXPECT_TRUE(tenant.Del("theirs", true));
  EXPECT_TRUE(HostLocalAdd(full, "pods", {"ours", "eth0"}, &host).ok());
}

}  // namespace
}  // namespace podroute
