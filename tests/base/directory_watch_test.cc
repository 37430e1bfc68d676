#include "base/directory_watch.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <memory>
#include <string>

#include "tests/base/loop_thread.h"
#include "tests/base/temp_dir.h"

namespace podroute {
namespace {

namespace fs = std::filesystem;

class DirectoryWatchTest : public testing::Test {
 protected:
  void SetUp() override {
    loop_.Do([this] {
      watch_ = std::move(*DirectoryWatch::Create(
          loop_.loop(), [this](const std::string& path, const std::string& name) {
            told_ += path.substr(dir_.path().size() + 1) + ":" + name + " ";
          }));
    });
  }
  void TearDown() override {
    loop_.Do([this] { watch_.reset(); });
  }
  void Watch(const std::string& name) {
    loop_.Do([&] {
      Status status = watch_->Watch(dir_.File(name));
      EXPECT_TRUE(status.ok()) << status.message();
    });
  }
  // Whether it is told of `what`, "DIRECTORY:NAME", from now on or since the last question.
  bool Tells(const std::string& what) {
    bool told = BecomesTrue([&] { return Told().find(what + " ") != std::string::npos; });
    loop_.Do([&] { told_.clear(); });
    return told;
  }
  std::string Told() {
    std::string told;
    loop_.Do([&] { told = told_; });
    return told;
  }

  TempDir dir_;
  std::string told_;  // On the loop.
  LoopThread loop_;
  std::unique_ptr<DirectoryWatch> watch_;
};

TEST_F(DirectoryWatchTest, TellsOfEveryKindOfChange) {
  fs::create_directory(dir_.File("d"));
  Watch("d");
  dir_.Write("d/made", "x");
  EXPECT_TRUE(Tells("d:made"));
  dir_.Write("d/made", "changed");
  EXPECT_TRUE(Tells("d:made"));
  EXPECT_EQ(chmod(dir_.File("d/made").c_str(), 0600), 0);
  EXPECT_TRUE(Tells("d:made"));
  fs::rename(dir_.File("d/made"), dir_.File("d/renamed"));
  EXPECT_TRUE(Tells("d:renamed"));
  fs::remove(dir_.File("d/renamed"));
  EXPECT_TRUE(Tells("d:renamed"));
}

TEST_F(DirectoryWatchTest, ADirectoryThatIsNotThereIsToldOfWhenItIsMade) {
  Watch("a/b/c");
  fs::create_directory(dir_.File("a"));
  EXPECT_TRUE(Tells("a/b/c:"));
  Watch("a/b/c");
  fs::create_directory(dir_.File("a/other"));
  fs::create_directories(dir_.File("a/b/c"));
  EXPECT_TRUE(Tells("a/b/c:"));
  Watch("a/b/c");
  dir_.Write("a/b/c/file", "x");
  EXPECT_TRUE(Tells("a/b/c:file"));
}

TEST_F(DirectoryWatchTest, ADirectoryThatIsReplacedIsToldOfAndTheNewOneWatched) {
  fs::create_directory(dir_.File("d"));
  Watch("d");
  fs::rename(dir_.File("d"), dir_.File("old"));
  EXPECT_TRUE(Tells("d:"));
  fs::create_directory(dir_.File("d"));
  Watch("d");
  dir_.Write("d/file", "x");
  EXPECT_TRUE(Tells("d:file"));
  dir_.Write("old/file", "x");
  dir_.Write("d/second", "x");
  EXPECT_TRUE(BecomesTrue([&] { return Told().find("d:second ") != std::string::npos; }));
  EXPECT_EQ(Told().find("d:file"), std::string::npos) << "the old one is watched still";
}

TEST_F(DirectoryWatchTest, ADirectoryThatIsRemovedIsToldOf) {
  fs::create_directory(dir_.File("d"));
  Watch("d");
  fs::remove(dir_.File("d"));
  EXPECT_TRUE(Tells("d:"));
  Watch("d");
  fs::create_directory(dir_.File("d"));
  EXPECT_TRUE(Tells("d:"));
}

TEST_F(DirectoryWatchTest, TwoNamesOfOneDirectoryAreBothTold) {
  fs::create_directory(dir_.File("d"));
  fs::create_directory_symlink(dir_.File("d"), dir_.File("link"));
  Watch("d");
  Watch("link");
  dir_.Write("d/file", "x");
  EXPECT_TRUE(BecomesTrue([&] {
    std::string told = Told();
    return told.find("d:file ") != std::string::npos &&
           told.find("link:file ") != std::string::npos;
  }));
  // One goes elsewhere; the other stays.
  fs::remove(dir_.File("link"));
  Watch("link");
  loop_.Do([this] { told_.clear(); });
  dir_.Write("d/second", "x");
  EXPECT_TRUE(Tells("d:second"));
}

TEST_F(DirectoryWatchTest, AFileInItsPlaceIsWaitedFor) {
  dir_.Write("file", "x");
  loop_.Do([&] { EXPECT_TRUE(watch_->Watch(dir_.File("file")).ok()); });
  fs::remove(dir_.File("file"));
  EXPECT_TRUE(Tells("file:"));
}

}  // namespace
}  // namespace podroute
