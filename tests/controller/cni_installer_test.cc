#include "controller/cni_installer.h"

#include <fcntl.h>
#include <glog/logging.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "base/file.h"
#include "tests/base/loop_thread.h"
#include "tests/base/temp_dir.h"
#include "tests/lab/netns.h"

namespace podroute {
namespace {

namespace fs = std::filesystem;

constexpr char kRealPlugin[] = "cni/podroute-cni";
// An ELF file as far as anybody looks.
const std::string kSomebodysPlugin = std::string("\177ELF") + "the reference plugin loopback";

// Before there is a thread: mounts of a test's own are seen by nobody else.
class PrivateMounts : public testing::Environment {
 public:
  void SetUp() override {
    // Also enters a user namespace where that is needed.
    if (!EnterPrivateNetns().ok()) return;
    may_mount =
        unshare(CLONE_NEWNS) == 0 && mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
  }
  static inline bool may_mount = false;
};
const auto* const kMounts = testing::AddGlobalTestEnvironment(new PrivateMounts);

class LogLines : public google::LogSink {
 public:
  LogLines() { google::AddLogSink(this); }
  ~LogLines() override { google::RemoveLogSink(this); }
  void send(google::LogSeverity /*severity*/, const char* /*full*/, const char* /*base*/,
            int /*line*/, const tm* /*time*/, const char* message, size_t size) override {
    std::lock_guard lock(mutex_);
    text_ += std::string(message, size) + "\n";
  }
  int Count(const std::string& what) {
    std::lock_guard lock(mutex_);
    int count = 0;
    for (size_t at = 0; (at = text_.find(what, at)) != std::string::npos; at += what.size()) {
      ++count;
    }
    return count;
  }
  std::string text() {
    std::lock_guard lock(mutex_);
    return text_;
  }

 private:
  std::mutex mutex_;
  std::string text_;
};

class CniInstallerTest : public testing::Test {
 protected:
  void SetUp() override { source_ = dir_.Write("image/podroute-cni", "#!/bin/sh\nexit 0\n", 0755); }
  void TearDown() override {
    if (HasFailure()) std::cerr << log_.text();
    loop_.Do([this] { installer_.reset(); });
    for (const std::string& path : mounted_) umount2(path.c_str(), MNT_DETACH);
  }

  std::string Bin(const std::string& name = "") { return dir_.File("bin" + name); }
  std::string Conf(const std::string& name = "") { return dir_.File("net.d" + name); }
  std::string Plugin() { return Bin("/podroute-cni"); }
  std::string Loopback() { return Bin("/loopback"); }
  std::string Conflist() { return Conf("/10-podroute.conflist"); }

  Status Create() {
    Status status;
    loop_.Do([&] {
      auto installer = CniInstaller::Create(
          loop_.loop(), {.directories = {Bin(), Conf()}, .plugin = source_}, SystemClock());
      status = installer.status();
      if (status.ok()) installer_ = std::move(*installer);
    });
    return status;
  }
  void Start() {
    Status status = Create();
    ASSERT_TRUE(status.ok()) << status.message();
    Resync();
  }
  void Resync() {
    loop_.Do([this] { installer_->Resync(); });
  }
  void Want(const std::string& conflist) {
    loop_.Do([&] { installer_->SetConflist(conflist); });
  }
  void StartWith(const std::string& conflist) {
    Start();
    Want(conflist);
    ASSERT_EQ(Content(Conflist()), conflist);
  }

  static std::string Content(const std::string& path) {
    Result<std::string> content = ReadFile(path);
    return content.ok() ? *content : "(" + content.status().message() + ")";
  }
  static bool Becomes(const std::string& path, const std::string& content) {
    return BecomesTrue([&] { return Content(path) == content; });
  }
  static mode_t ModeOf(const std::string& path) {
    struct stat info;
    return stat(path.c_str(), &info) == 0 ? info.st_mode & 07777 : 0;
  }
  // Everything in a directory.
  static std::string List(const std::string& directory) {
    std::set<std::string> names;
    for (const auto& entry : fs::directory_iterator(directory)) {
      names.insert(entry.path().filename());
    }
    std::string all;
    for (const std::string& name : names) all += name + " ";
    return all;
  }
  void Mount(const char* type, const std::string& path, unsigned long flags, const char* data) {
    ASSERT_EQ(mount(type == nullptr ? path.c_str() : "none", path.c_str(), type, flags, data), 0)
        << strerror(errno);
    mounted_.push_back(path);
  }

  TempDir dir_;
  std::string source_;
  LogLines log_;
  std::vector<std::string> mounted_;
  LoopThread loop_;
  std::unique_ptr<CniInstaller> installer_;
};

TEST_F(CniInstallerTest, MakesTheDirectoriesAndInstallsThePluginAtOnceAndTheConflistWhenTold) {
  Start();
  EXPECT_EQ(Content(Plugin()), Content(source_));
  EXPECT_EQ(Content(Loopback()), Content(source_));
  EXPECT_EQ(ModeOf(Plugin()), 0755u);
  EXPECT_EQ(ModeOf(Loopback()), 0755u);
  EXPECT_FALSE(fs::exists(Conf()));
  Want("{}");
  EXPECT_EQ(Content(Conflist()), "{}");
  EXPECT_EQ(ModeOf(Conflist()), 0644u);
  EXPECT_EQ(List(Bin()), "loopback podroute-cni ");
  EXPECT_EQ(List(Conf()), "10-podroute.conflist ");
}

TEST_F(CniInstallerTest, WhatIsRightAlreadyIsNotWritten) {
  StartWith("{}");
  auto identity = [](const std::string& path) {
    struct stat info;
    EXPECT_EQ(stat(path.c_str(), &info), 0);
    return std::tuple(info.st_ino, info.st_mtim.tv_sec, info.st_mtim.tv_nsec);
  };
  auto before = std::tuple(identity(Plugin()), identity(Loopback()), identity(Conflist()));
  Resync();
  loop_.Do([this] { installer_.reset(); });
  Start();
  Want("{}");
  EXPECT_EQ(std::tuple(identity(Plugin()), identity(Loopback()), identity(Conflist())), before);
  EXPECT_EQ(log_.Count("installed file"), 2);
  EXPECT_EQ(log_.Count("written file"), 1);
}

TEST_F(CniInstallerTest, WhatSomebodyDeletesIsPutBack) {
  StartWith("{}");
  for (const std::string& path : {Plugin(), Loopback(), Conflist()}) {
    std::string content = Content(path);
    fs::remove(path);
    EXPECT_TRUE(Becomes(path, content)) << path;
  }
}

TEST_F(CniInstallerTest, WhatSomebodyEditsIsPutRight) {
  StartWith("{}");
  for (const std::string& path : {Plugin(), Loopback(), Conflist()}) {
    std::string content = Content(path);
    std::ofstream(path, std::ios::app) << "garbage";
    EXPECT_TRUE(Becomes(path, content)) << path;
    std::ofstream(path, std::ios::trunc).flush();
    EXPECT_TRUE(Becomes(path, content)) << path;
    mode_t mode = ModeOf(path);
    ASSERT_EQ(chmod(path.c_str(), 0600), 0);
    EXPECT_TRUE(BecomesTrue([&] { return ModeOf(path) == mode; })) << path;
    fs::create_symlink("/dev/null", dir_.File("link"));
    fs::rename(dir_.File("link"), path);
    // A loopback that is a link is somebody's arrangement.
    if (path == Loopback()) continue;
    EXPECT_TRUE(Becomes(path, content)) << path;
  }
}

TEST_F(CniInstallerTest, ANewPluginIsInstalledWhileTheOldOneIsBeingExecuted) {
  // A real executable: a script is not busy while it runs.
  fs::copy_file("/bin/sleep", source_, fs::copy_options::overwrite_existing);
  Start();
  pid_t child = fork();
  if (child == 0) {
    execl(Plugin().c_str(), "podroute-cni", "1000", nullptr);
    _exit(1);
  }
  std::string exe = "/proc/" + std::to_string(child) + "/exe";
  ASSERT_TRUE(BecomesTrue([&] {
    std::error_code ignored;
    return fs::read_symlink(exe, ignored) == Plugin();
  }));
  // The control: writing into it does not work.
  EXPECT_LT(open(Plugin().c_str(), O_WRONLY), 0);
  EXPECT_EQ(errno, ETXTBSY);
  std::ofstream(source_, std::ios::trunc) << "version 2";
  EXPECT_TRUE(Becomes(Plugin(), "version 2"));
  EXPECT_TRUE(Becomes(Loopback(), "version 2"));
  EXPECT_EQ(List(Bin()), "loopback podroute-cni ");
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
}

TEST_F(CniInstallerTest, SomebodyElsesLoopbackIsNeverTouched) {
  fs::create_directory(Bin());
  dir_.Write("bin/loopback", kSomebodysPlugin, 0700);
  Start();
  Resync();
  EXPECT_EQ(Content(Plugin()), Content(source_));
  EXPECT_EQ(Content(Loopback()), kSomebodysPlugin);
  EXPECT_EQ(ModeOf(Loopback()), 0700u);
  EXPECT_EQ(log_.Count("somebody else's"), 1);
  // When it goes there is room for ours; when another comes in its place, that one stays.
  fs::remove(Loopback());
  EXPECT_TRUE(Becomes(Loopback(), Content(source_)));
  dir_.Write("other", "#!/bin/sh\n", 0755);
  fs::rename(dir_.File("other"), Loopback());
  EXPECT_TRUE(BecomesTrue([&] { return log_.Count("somebody else's") == 2; }));
  EXPECT_EQ(Content(Loopback()), "#!/bin/sh\n");
}

// `cp loopback /opt/cni/bin/` writes into the file that is there.
TEST_F(CniInstallerTest, AnotherPluginCopiedIntoOurLoopbackNeitherChangesThePluginNorIsUndone) {
  Start();
  dir_.Write("bin/loopback", kSomebodysPlugin, 0755);
  EXPECT_TRUE(BecomesTrue([&] { return log_.Count("somebody else's") == 1; }));
  EXPECT_EQ(Content(Loopback()), kSomebodysPlugin);
  EXPECT_EQ(Content(Plugin()), Content(source_));
}

TEST_F(CniInstallerTest, AnOlderPodroutesLoopbackIsReplacedWithItsPlugin) {
  fs::create_directory(Bin());
  fs::copy_file(kRealPlugin, Plugin());
  fs::copy_file(kRealPlugin, Loopback());
  Start();
  EXPECT_EQ(Content(Plugin()), Content(source_));
  EXPECT_EQ(Content(Loopback()), Content(source_));
  // Also where the plugin has gone, and what is left was a hard link to it.
  fs::remove(Loopback());
  EXPECT_TRUE(BecomesTrue([&] { return fs::exists(Loopback()); }));
}

TEST_F(CniInstallerTest, TheRealPluginIsKnownByWhatItContains) {
  EXPECT_TRUE(IsPodroutePlugin(kRealPlugin));
  EXPECT_FALSE(IsPodroutePlugin("/bin/sh"));
  EXPECT_FALSE(IsPodroutePlugin("/nonexistent"));
  EXPECT_FALSE(IsPodroutePlugin("/"));
}

TEST_F(CniInstallerTest, APluginThatIsNamedAndIsNotThereIsAMistake) {
  source_ = "/nonexistent/plugin";
  EXPECT_EQ(Create().message(), "--cni_plugin=/nonexistent/plugin: No such file or directory");
  source_ = dir_.path();
  EXPECT_EQ(Create().message(), "--cni_plugin=" + dir_.path() + ": not a file");
}

TEST_F(CniInstallerTest, WithoutAPluginToInstallItSaysSoAndWritesNoConflist) {
  source_.clear();  // There is none beside this test.
  Start();
  Want("{}");
  EXPECT_EQ(log_.Count("podroute-cni is not there: neither "), 1) << log_.text();
  EXPECT_FALSE(fs::exists(Plugin()));
  EXPECT_FALSE(fs::exists(Conflist()));
  // One that an operator has put there is good enough.
  fs::copy_file(kRealPlugin, Plugin());
  EXPECT_TRUE(Becomes(Conflist(), "{}"));
  EXPECT_TRUE(Becomes(Loopback(), Content(kRealPlugin)));
}

TEST_F(CniInstallerTest, APluginThatVanishesWhereItCameFromLeavesTheInstalledOneInUse) {
  fs::copy_file(kRealPlugin, source_, fs::copy_options::overwrite_existing);
  StartWith("{}");
  fs::remove(source_);
  EXPECT_TRUE(BecomesTrue([&] { return log_.Count("CNI installation failed") == 1; }));
  Want("{2}");
  Resync();
  EXPECT_EQ(Content(Conflist()), "{2}");
  EXPECT_EQ(Content(Plugin()), Content(kRealPlugin));
  EXPECT_EQ(log_.Count("CNI installation failed"), 1) << log_.text();
}

TEST_F(CniInstallerTest, AChangedConflistIsWrittenAndTheOldOneNeverTakenAway) {
  StartWith("{1}");
  Want("{2}");
  EXPECT_EQ(Content(Conflist()), "{2}");
  loop_.Do([this] { installer_.reset(); });
  Start();
  EXPECT_EQ(Content(Conflist()), "{2}");
}

TEST_F(CniInstallerTest, ADirectoryThatIsReplacedIsFilledAtOnceAndARemovedOneSoon) {
  StartWith("{}");
  for (const auto& [directory, file] :
       {std::pair(Bin(), Plugin()), std::pair(Conf(), Conflist())}) {
    std::string content = Content(file);
    fs::rename(directory, directory + ".old");
    fs::create_directory(directory);
    EXPECT_TRUE(Becomes(file, content)) << file;
    fs::rename(directory, directory + ".older");
    EXPECT_TRUE(Becomes(file, content)) << file;
  }
}

TEST_F(CniInstallerTest, ADirectoryThatCannotBeMadeIsFilledWhenItComes) {
  dir_.Write("net.d", "a file");
  Start();
  Want("{}");
  EXPECT_EQ(log_.Count("CNI installation failed error=\"" + Conf() + ": Not a directory\""), 1)
      << log_.text();
  fs::remove(Conf());
  EXPECT_TRUE(Becomes(Conflist(), "{}"));
}

TEST_F(CniInstallerTest, LeftoversOfAKilledProcessGoAndNothingElse) {
  dir_.Write("bin/.podroute-a1B2c3", "half a plugin");
  dir_.Write("bin/podroute-cni.backup", "an operator's");
  dir_.Write("net.d/.podroute-xxxxxx", "half a conflist");
  dir_.Write("net.d/10-podroute.conflist.backup", "an operator's");
  Start();
  EXPECT_EQ(List(Bin()), "loopback podroute-cni podroute-cni.backup ");
  EXPECT_EQ(List(Conf()), "10-podroute.conflist.backup ");
}

TEST_F(CniInstallerTest, AnotherCnisConfigurationThatComesFirstIsNamedOnceAndLeft) {
  dir_.Write("net.d/05-foo.conf", "{}");
  dir_.Write("net.d/10-flannel.conflist", "{}");
  dir_.Write("net.d/20-late.conf", "{}");
  dir_.Write("net.d/00-readme.txt", "");
  StartWith("{}");
  Resync();
  EXPECT_EQ(log_.Count("sorts before ours"), 2) << log_.text();
  EXPECT_EQ(log_.Count("05-foo.conf"), 1);
  EXPECT_EQ(log_.Count("10-flannel.conflist"), 1);
  dir_.Write("net.d/01-new.json", "{}");
  EXPECT_TRUE(BecomesTrue([&] { return log_.Count("01-new.json") == 1; }));
  EXPECT_EQ(Content(Conf("/05-foo.conf")), "{}");
}

TEST_F(CniInstallerTest, SomebodyWhoFightsIsAnsweredEverSlower) {
  StartWith("{}");
  // Until it is not put right at once any more.
  for (int i = 0; i < 1000 && log_.Count("somebody keeps changing it") == 0; ++i) {
    fs::remove(Conflist());
    ASSERT_TRUE(BecomesTrue(
        [&] { return fs::exists(Conflist()) || log_.Count("somebody keeps changing it") > 0; }));
  }
  int written = log_.Count("CNI configuration written");
  EXPECT_GE(written, 40);
  EXPECT_LT(written, 100);
  EXPECT_TRUE(Becomes(Conflist(), "{}"));
  EXPECT_EQ(log_.Count("somebody keeps changing it"), 1);
}

TEST_F(CniInstallerTest, OnAFullDiskTheOldFilesStayWholeAndTheNewOnesComeWhenThereIsRoom) {
  if (!PrivateMounts::may_mount) GTEST_SKIP() << "may not mount here";
  for (const std::string& directory : {Bin(), Conf()}) {
    fs::create_directory(directory);
    Mount("tmpfs", directory, 0, "size=64k");
  }
  StartWith("{1}");
  std::string old = Content(source_);
  for (const char* name : {"bin/filler", "net.d/filler"}) {
    std::ofstream(dir_.File(name)) << std::string(1 << 20, 'x') << std::flush;
  }
  Want("{\"new\":\"" + std::string(8192, 'n') + "\"}");
  std::ofstream(source_, std::ios::trunc) << std::string(8192, 'n');
  EXPECT_TRUE(BecomesTrue([&] { return log_.Count("No space left on device") >= 2; }));
  EXPECT_EQ(Content(Plugin()), old);
  EXPECT_EQ(Content(Loopback()), old);
  EXPECT_EQ(Content(Conflist()), "{1}");
  EXPECT_EQ(List(Bin()), "filler loopback podroute-cni ");
  EXPECT_EQ(List(Conf()), "10-podroute.conflist filler ");
  for (const char* name : {"bin/filler", "net.d/filler"}) fs::remove(dir_.File(name));
  EXPECT_TRUE(Becomes(Plugin(), std::string(8192, 'n')));
  EXPECT_TRUE(Becomes(Loopback(), std::string(8192, 'n')));
  EXPECT_TRUE(BecomesTrue([&] { return Content(Conflist()).size() > 8192; }));
}

TEST_F(CniInstallerTest, AReadOnlyDirectoryIsSaidOnceAndTriedAgain) {
  if (!PrivateMounts::may_mount) GTEST_SKIP() << "may not mount here";
  fs::create_directory(Conf());
  Mount("tmpfs", Conf(), MS_RDONLY, "size=64k");
  Start();
  Want("{}");
  Resync();
  EXPECT_EQ(log_.Count("Read-only file system"), 1) << log_.text();
  EXPECT_EQ(Content(Plugin()), Content(source_));
  ASSERT_EQ(mount("none", Conf().c_str(), nullptr, MS_REMOUNT, "size=64k"), 0);
  EXPECT_TRUE(Becomes(Conflist(), "{}"));
}

}  // namespace
}  // namespace podroute
