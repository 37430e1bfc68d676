// What an ADD and a DEL do in a store of 60,000 reservations, counted in system calls.
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/syscall.h>

#include <cstdio>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "base/ip_prefix.h"
#include "tests/base/temp_dir.h"
#include "tests/cni/robustness_util.h"
#include "tests/cni/traced_process.h"

namespace podroute {
namespace {

constexpr uint64_t kSize = 65'536;

class DenseStoreTest : public ::testing::Test {
 protected:
  void SetUp() override {
    PODROUTE_ENTER_NETNS_OR_SKIP();
    // In memory: a disk needs minutes to make so many files.
    if (unshare(CLONE_NEWNS) != 0 ||
        mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        mount("tmpfs", dir_.path().c_str(), "tmpfs", 0, "size=1g") != 0) {
      GTEST_SKIP() << "no mount namespaces here";
    }
  }
  void TearDown() override { umount2(dir_.path().c_str(), MNT_DETACH); }

  // Reserves 10.1.0.0 plus i where `taken` says so, and makes `last` the last given out.
  void Fill(const std::function<bool(uint64_t)>& taken, uint64_t last) {
    std::filesystem::create_directories(dir_.File("pods"));
    for (uint64_t i = 2; i < kSize - 1; ++i) {
      if (!taken(i)) continue;
      std::string path = dir_.File("pods/" + At(i));
      UniqueFd file(open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
      ASSERT_TRUE(file);
      ASSERT_EQ(write(file.get(), "theirs\r\neth0", 12), 12);
    }
    dir_.Write("pods/last_reserved_ip.0", At(last));
  }
  static std::string At(uint64_t i) { return IpAddress::V4(0x0a010000).Plus(i).ToString(); }

  Trace Call(const std::string& command, const std::string& data_dir) {
    Result<Trace> trace =
        RunTraced(PluginPath(), PluginVariables(command, "c1", pod_.path()),
                  PodsConf(data_dir, R"([[{"subnet":"10.1.0.0/16"}]])"), TraceOptions());
    if (!trace.ok()) return Trace();
    EXPECT_EQ(trace->result.exit_code, 0) << trace->result.out;
    return *trace;
  }
  // The second of two pods: the first pays for what is made once.
  void ExpectFewCalls(const std::string& address) {
    TempDir empty;
    std::string small = empty.path();
    for (const std::string& data_dir : {small, dir_.path()}) {
      Call("ADD", data_dir);
      Call("DEL", data_dir);
    }
    Trace easy_add = Call("ADD", small);
    Trace easy_del = Call("DEL", small);
    if (easy_add.total_calls() == 0) GTEST_SKIP() << "ptrace is not permitted";
    dir_.Write("pods/last_reserved_ip.0", last_);
    Trace add = Call("ADD", dir_.path());
    EXPECT_NE(add.result.out.find("\"" + address + "/16\""), std::string::npos) << add.result.out;
    Trace del = Call("DEL", dir_.path());
    std::printf("ADD: %d system calls, %d in an empty store; DEL: %d, and %d\n", add.total_calls(),
                easy_add.total_calls(), del.total_calls(), easy_del.total_calls());
    // 64 looks, and the bitmap.
    EXPECT_LE(add.total_calls(), easy_add.total_calls() + 64 + 12);
    EXPECT_LE(del.total_calls(), easy_del.total_calls() + 8);
    EXPECT_EQ(add.calls[SYS_getdents64], 0) << "lists 60,000 names";
    EXPECT_EQ(del.calls[SYS_getdents64], 0);
  }

  TempDir dir_;
  TestPod pod_;
  std::string last_;
};

TEST_F(DenseStoreTest, TheNextFreeAddressIsFarAway) {
  Fill([](uint64_t i) { return i < 60'000; }, 2);
  last_ = At(2);
  ExpectFewCalls(At(60'000));
}

TEST_F(DenseStoreTest, TheLastOneGivenIsInTheMiddleAndTheOnlyFreeOneFarBehind) {
  Fill([](uint64_t i) { return i != 29'000; }, 30'000);
  last_ = At(30'000);
  ExpectFewCalls(At(29'000));
}

TEST_F(DenseStoreTest, FreeOnesAreScattered) {
  std::mt19937 random(1);
  std::vector<bool> taken(kSize);
  for (size_t i = 0; i < kSize; ++i) taken[i] = random() % kSize < 60'000;
  for (size_t i = 40'000; i < 40'200; ++i) taken[i] = true;
  taken[40'200] = false;
  Fill([&](uint64_t i) { return taken[i]; }, 40'000);
  last_ = At(40'000);
  ExpectFewCalls(At(40'200));
}

}  // namespace
}  // namespace podroute
