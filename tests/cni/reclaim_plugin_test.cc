// Containers that go without a DEL, with the plugin's own program and real links.
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/base/temp_dir.h"
#include "tests/cni/robustness_util.h"

namespace podroute {
namespace {

class ReclaimPluginTest : public ::testing::Test {
 protected:
  void SetUp() override {
    PODROUTE_ENTER_NETNS_OR_SKIP();
    if (unshare(CLONE_NEWNS) != 0 ||
        mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
      GTEST_SKIP() << "no mount namespaces here";
    }
  }
  // Five addresses.
  SubprocessResult Add(const std::string& container, const TestPod& pod,
                       const std::string& more = "") {
    return CniProcess(PluginPath(), PluginVariables("ADD", container, pod.path()),
                      PodsConf(dir_.path(), R"([[{"subnet":"10.1.0.0/29"}]])", more))
        .Wait();
  }
  // The kernel takes a namespace down in its own time.
  static void AwaitNoLinks() {
    while (Shell("ip -o link show type veth") != "") sched_yield();
  }
  size_t Reservations() {
    size_t count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(dir_.File("pods"))) {
      if (IpAddress::Parse(entry.path().filename().string()).ok()) ++count;
    }
    return count;
  }

  TempDir dir_;
};

TEST_F(ReclaimPluginTest, ContainersThatNeverGetADelDoNotUseUpTheRange) {
  for (int i = 0; i < 12; ++i) {
    TestPod pod;
    SubprocessResult result = Add("c" + std::to_string(i), pod);
    ASSERT_EQ(result.exit_code, 0) << result.out;
    // The pod ends here, and nobody calls DEL.
    if (i % 5 == 4) {
      pod.Run("ip link del eth0");
      AwaitNoLinks();
    }
  }
}

TEST_F(ReclaimPluginTest, RunningPodsKeepTheirAddresses) {
  std::vector<std::unique_ptr<TestPod>> pods;
  for (int i = 0; i < 5; ++i) {
    pods.push_back(std::make_unique<TestPod>());
    ASSERT_EQ(Add("c" + std::to_string(i), *pods.back()).exit_code, 0);
  }
  TestPod late;
  SubprocessResult full = Add("late", late);
  EXPECT_EQ(full.exit_code, 1);
  EXPECT_NE(full.out.find("no free address"), std::string::npos) << full.out;
  pods[2]->Run("ip link del eth0");
  SubprocessResult found = Add("late", late);
  EXPECT_EQ(found.exit_code, 0) << found.out;
  EXPECT_NE(found.out.find("\"10.1.0.4/29\""), std::string::npos) << found.out;
}

TEST_F(ReclaimPluginTest, AHostPortOfAContainerThatIsGoneDoesNotLeadToTheNextOne) {
  constexpr char kPort[] =
      R"("capabilities":{"portMappings":true},"runtimeConfig":{"portMappings":[)"
      R"({"hostPort":8080,"containerPort":80,"protocol":"tcp"}]},)";
  if (TryShell("nft list tables >/dev/null 2>&1") != 0) GTEST_SKIP() << "no nft, or no nftables";
  std::vector<std::unique_ptr<TestPod>> pods;
  for (int i = 0; i < 5; ++i) {
    pods.push_back(std::make_unique<TestPod>());
    SubprocessResult result = Add("c" + std::to_string(i), *pods.back(), i == 1 ? kPort : "");
    ASSERT_EQ(result.exit_code, 0) << result.out;
  }
  ASSERT_NE(LeftBehind(dir_.path()).find("10.1.0.3 . 80"), std::string::npos)
      << LeftBehind(dir_.path());
  pods[1]->Run("ip link del eth0");
  TestPod late;
  SubprocessResult found =
      Add("late", late, R"("capabilities":{"portMappings":true},"runtimeConfig":{},)");
  EXPECT_EQ(found.exit_code, 0) << found.out;
  EXPECT_EQ(LeftBehind(dir_.path()).find("10.1.0.3 . 80"), std::string::npos);
}

TEST_F(ReclaimPluginTest, AfterARebootTheFirstAddTakesEverythingBack) {
  for (int i = 0; i < 5; ++i) {
    TestPod pod;
    ASSERT_EQ(Add("c" + std::to_string(i), pod).exit_code, 0);
  }
  EXPECT_EQ(Reservations(), 5u);
  AwaitNoLinks();
  // Another boot, as the kernel tells it.
  TempDir other;
  std::string id = other.Write("boot_id", "01234567-89ab-cdef-0123-456789abcdef\n");
  ASSERT_EQ(mount(id.c_str(), "/proc/sys/kernel/random/boot_id", nullptr, MS_BIND, nullptr), 0);
  TestPod pod;
  SubprocessResult result = Add("c1", pod);  // A container of the same name, as after a reboot.
  umount2("/proc/sys/kernel/random/boot_id", MNT_DETACH);
  EXPECT_EQ(result.exit_code, 0) << result.out;
  EXPECT_EQ(Reservations(), 1u);
}

}  // namespace
}  // namespace podroute
