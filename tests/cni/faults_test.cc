// Whatever fails, ADD answers with one error in the specification's form, and DEL leaves nothing.
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cerrno>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>

#include "cni/json_reader.h"
#include "tests/base/temp_dir.h"
#include "tests/cni/robustness_util.h"
#include "tests/cni/traced_process.h"

namespace podroute {
namespace {

constexpr char kDualStack[] = R"([[{"subnet":"10.1.0.0/24"}],[{"subnet":"fd00::/64"}]])";

class FaultsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    PODROUTE_ENTER_NETNS_OR_SKIP();
    if (unshare(CLONE_NEWNS) != 0 ||
        mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
      GTEST_SKIP() << "no mount namespaces here";
    }
    data_dir_ = dir_.File("data");
    ASSERT_EQ(mkdir(data_dir_.c_str(), 0755), 0);
  }
  void TearDown() override {
    while (mounts_-- > 0) umount2(data_dir_.c_str(), MNT_DETACH);
  }
  void MountTmpfs(const std::string& options) {
    ASSERT_EQ(mount("tmpfs", data_dir_.c_str(), "tmpfs", 0, options.c_str()), 0) << options;
    ++mounts_;
  }
  SubprocessResult Call(const std::string& command, const std::string& container = "c1") {
    return CniProcess(PluginPath(), PluginVariables(command, container, pod_.path()),
                      PodsConf(data_dir_, kDualStack))
        .Wait();
  }
  // The code, once the answer has been checked; 0 when it is no error as it should be. `read`: the
  // configuration could be.
  static int64_t CodeOf(const SubprocessResult& result, bool read = true) {
    EXPECT_EQ(result.signal, 0);
    EXPECT_EQ(result.exit_code, 1) << result.out;
    Result<rapidjson::Document> document = ParseJsonObject(result.out);
    EXPECT_TRUE(document.ok()) << result.out;
    if (!document.ok()) return 0;
    std::optional<std::string> problem;
    JsonReader reader(*document, "", &problem);
    EXPECT_EQ(reader.String("cniVersion"), read ? "1.0.0" : "1.1.0");
    EXPECT_NE(reader.String("msg"), "");
    int64_t code = reader.Int("code", 1, 999);
    EXPECT_FALSE(problem.has_value()) << *problem;
    return code;
  }

  TempDir dir_;
  TestPod pod_;
  std::string data_dir_;
  int mounts_ = 0;
};

TEST_F(FaultsTest, AFullDiskLeavesNothingHalfWritten) {
  // Full at a different moment each time, by files and by bytes, until there is room.
  int failures = 0;
  for (const char* limit : {"nr_inodes=", "size="}) {
    for (int n = 1;; ++n) {
      SCOPED_TRACE(limit + std::to_string(n));
      MountTmpfs(limit == std::string("size=") ? "size=" + std::to_string(n * 4) + "k"
                                               : limit + std::to_string(n));
      SubprocessResult result = Call("ADD");
      bool room = result.exit_code == 0;
      if (!room) {
        EXPECT_EQ(CodeOf(result), 102) << result.out;
        EXPECT_EQ(LeftBehind(data_dir_, &pod_), "");
        ++failures;
      }
      EXPECT_EQ(Call("DEL").exit_code, 0);
      EXPECT_EQ(LeftBehind(data_dir_, &pod_), "");
      ASSERT_EQ(umount2(data_dir_.c_str(), 0), 0);
      --mounts_;
      if (room || HasFailure()) break;
    }
  }
  EXPECT_GT(failures, 4);
}

TEST_F(FaultsTest, StatusSeesThatNoByteIsFree) {
  MountTmpfs("size=4k");
  dir_.Write("data/full", std::string(4096, 'x'));
  EXPECT_EQ(CodeOf(Call("ADD")), 102);
  std::string conf = PodsConf(data_dir_, kDualStack);
  conf.replace(conf.find("1.0.0"), 5, "1.1.0");  // Which has STATUS.
  std::string said = CniProcess(PluginPath(), PluginVariables("STATUS", "", ""), conf).Wait().out;
  EXPECT_NE(said.find(R"("code":50,)"), std::string::npos) << said;
  EXPECT_NE(said.find("No space left"), std::string::npos) << said;
}

TEST_F(FaultsTest, AReadOnlyDirectoryIsToldAndDelNeedsNone) {
  MountTmpfs("size=1m");
  ASSERT_EQ(Call("ADD").exit_code, 0);
  ASSERT_EQ(mount(nullptr, data_dir_.c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr), 0);
  SubprocessResult added = Call("ADD", "c2");
  EXPECT_EQ(CodeOf(added), 102);
  EXPECT_NE(added.out.find("Read-only file system"), std::string::npos) << added.out;
  // It cannot give the address back now, says so, and does it when it can.
  EXPECT_EQ(CodeOf(Call("DEL")), 102);
  ASSERT_EQ(mount(nullptr, data_dir_.c_str(), nullptr, MS_REMOUNT, nullptr), 0);
  EXPECT_EQ(Call("DEL").exit_code, 0);
  EXPECT_EQ(LeftBehind(data_dir_, &pod_), "");
}

TEST_F(FaultsTest, AFileInTheDirectorysPlaceIsTold) {
  for (const char* name : {"data", "data/pods", "data/pods/lock"}) {
    SCOPED_TRACE(name);
    std::filesystem::remove_all(data_dir_);
    if (name == std::string("data/pods/lock")) {
      std::filesystem::create_directories(dir_.File(name));  // A directory where a file should be.
    } else {
      dir_.Write(name, "");
    }
    SubprocessResult added = Call("ADD");
    EXPECT_EQ(CodeOf(added), 102) << added.out;
    EXPECT_EQ(Shell("ip -o link show type veth"), "");
  }
}

TEST_F(FaultsTest, WaitsForWhoeverHoldsTheLock) {
  std::filesystem::create_directories(data_dir_ + "/pods");
  UniqueFd lock(open((data_dir_ + "/pods/lock").c_str(), O_RDONLY | O_CREAT | O_CLOEXEC, 0644));
  ASSERT_EQ(flock(lock.get(), LOCK_EX), 0);
  CniProcess waiting(PluginPath(), PluginVariables("ADD", "c1", pod_.path()),
                     PodsConf(data_dir_, kDualStack));
  // /proc/locks shows who waits: "1: -> FLOCK  ADVISORY  WRITE PID ...".
  std::string pid = std::to_string(waiting.pid());
  while (TryShell("grep -q -- '-> FLOCK.* " + pid + " ' /proc/locks") != 0) {
    ASSERT_EQ(kill(waiting.pid(), 0), 0);
  }
  EXPECT_EQ(Shell("ls -A " + data_dir_ + "/pods"), "lock\n");
  lock.reset();
  EXPECT_EQ(waiting.Wait().exit_code, 0) << waiting.Wait().out;
  EXPECT_EQ(Call("DEL").exit_code, 0);
}

// Each system call on files and sockets fails once.
TEST_F(FaultsTest, AnySystemCallMayFail) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP()
      << "a sanitizer's runtime is loaded first, and its loader's calls are the first to fail";
#endif
  const int step = FullProofs() ? 1 : 5;
  for (const char* command : {"ADD", "DEL"}) {
    for (int error : {EIO, ENOSPC, ENOMEM, EACCES}) {
      int refused = 0;
      int n = 1;
      for (;; n += step) {
        SCOPED_TRACE(std::string(command) + ", call " + std::to_string(n) + " answers " +
                     std::to_string(error));
        if (command == std::string("DEL")) {
          ASSERT_EQ(Call("ADD").exit_code, 0);
        }
        TraceOptions options;
        options.fail_call = n;
        options.fail_errno = error;
        Result<Trace> trace = RunTraced(PluginPath(), PluginVariables(command, "c1", pod_.path()),
                                        PodsConf(data_dir_, kDualStack), options);
        if (!trace.ok()) GTEST_SKIP() << trace.status().message();
        // What cannot be written cannot be said.
        bool mute = trace->failed_call == SYS_write || trace->failed_call == SYS_writev;
        // In the pod's namespace, with no way back: the process ends at once (netns.h).
        bool lost = trace->failed_call == SYS_setns && trace->result.signal == SIGABRT;
        if (!lost) {
          EXPECT_EQ(trace->result.signal, 0) << "after system call " << trace->failed_call;
        }
        if (trace->result.exit_code != 0) {
          ++refused;
          if (!(mute && trace->result.out.empty())) {
            bool read = trace->result.out.find("standard input") == std::string::npos;
            EXPECT_NE(CodeOf(trace->result, read), 0);
          }
        }
        SubprocessResult deleted = Call("DEL");
        EXPECT_EQ(deleted.exit_code, 0) << deleted.out;
        EXPECT_EQ(LeftBehind(data_dir_, &pod_), "");
        if (!trace->failed || HasFailure()) break;
      }
      std::printf("%s, errno %d: each of %d calls failed, %d answered with an error\n", command,
                  error, n - 1, refused);
    }
  }
}

}  // namespace
}  // namespace podroute
