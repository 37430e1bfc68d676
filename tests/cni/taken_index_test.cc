#include "cni/taken_index.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <set>
#include <string>

#include "tests/base/temp_dir.h"

namespace podroute {
namespace {

IpAddress A(const std::string& text) { return IpAddress::Parse(text).value(); }

class TakenIndexTest : public ::testing::Test {
 protected:
  // A process of its own each time: what it knows, it has from the disk.
  TakenIndex Index() { return TakenIndex(dir_.path() + "/.taken.net."); }
  std::string EndOfRun(TakenIndex& index, const std::string& address) {
    Result<std::optional<IpAddress>> end = index.EndOfRun(A(address), read_);
    if (!end.ok()) return end.status().message();
    return *end ? (**end).ToString() : "free";
  }
  std::string EndOfRun(const std::string& address) {
    TakenIndex index = Index();
    return EndOfRun(index, address);
  }

  TempDir dir_;
  std::set<IpAddress> taken_;
  int reads_ = 0;
  TakenIndex::ReadTaken read_ = [this]() -> Result<std::vector<IpAddress>> {
    ++reads_;
    return std::vector<IpAddress>(taken_.begin(), taken_.end());
  };
};

TEST_F(TakenIndexTest, FindsTheEndOfEveryRun) {
  for (uint64_t i = 1; i <= 5000; ++i) {
    if (i != 8 && i != 4096) taken_.insert(A("10.1.0.0").Plus(i));
  }
  EXPECT_EQ(EndOfRun("10.1.0.0"), "free");
  EXPECT_EQ(EndOfRun("10.1.0.1"), "10.1.0.7");
  EXPECT_EQ(EndOfRun("10.1.0.8"), "free");
  EXPECT_EQ(EndOfRun("10.1.0.9"), "10.1.15.255");
  EXPECT_EQ(EndOfRun("10.1.16.0"), "free");
  EXPECT_EQ(EndOfRun("10.1.16.1"), "10.1.19.136");
  EXPECT_EQ(EndOfRun("10.1.255.255"), "free");
}

TEST_F(TakenIndexTest, ReadsTheDirectoryOnceForABlock) {
  taken_ = {A("10.1.0.1"), A("10.2.0.1"), A("fd00::1")};
  EXPECT_EQ(EndOfRun("10.1.0.1"), "10.1.0.1");
  EXPECT_EQ(EndOfRun("10.1.0.1"), "10.1.0.1");
  EXPECT_EQ(reads_, 1);
  EXPECT_EQ(EndOfRun("fd00::1"), "fd00::1");
  EXPECT_EQ(EndOfRun("fd00::2"), "free");
  EXPECT_EQ(reads_, 2);
}

TEST_F(TakenIndexTest, ARunEndsWithItsBlock) {
  for (uint64_t i = 0; i < 3; ++i) taken_.insert(A("255.255.255.253").Plus(i));
  taken_.insert(A("10.1.255.255"));
  taken_.insert(A("10.2.0.0"));
  EXPECT_EQ(EndOfRun("255.255.255.253"), "255.255.255.255");
  EXPECT_EQ(EndOfRun("10.1.255.255"), "10.1.255.255");
  EXPECT_EQ(EndOfRun("10.2.0.0"), "10.2.0.0");
}

TEST_F(TakenIndexTest, MarksAreSeenByTheNextProcess) {
  taken_ = {A("10.1.0.1"), A("10.1.0.2")};
  EXPECT_EQ(EndOfRun("10.1.0.1"), "10.1.0.2");
  Index().Mark(A("10.1.0.3"), true);
  EXPECT_EQ(EndOfRun("10.1.0.1"), "10.1.0.3");
  Index().Mark(A("10.1.0.2"), false);
  EXPECT_EQ(EndOfRun("10.1.0.1"), "10.1.0.1");
  EXPECT_EQ(reads_, 1);
}

TEST_F(TakenIndexTest, NothingIsWrittenBeforeItIsNeeded) {
  Index().Mark(A("10.1.0.3"), true);
  EXPECT_TRUE(std::filesystem::is_empty(dir_.path()));
}

TEST_F(TakenIndexTest, RebuildSeesWhatOthersDid) {
  taken_ = {A("10.1.0.1"), A("10.1.0.2")};
  EXPECT_EQ(EndOfRun("10.1.0.1"), "10.1.0.2");
  taken_ = {A("10.1.0.2")};
  TakenIndex index = Index();
  EXPECT_EQ(EndOfRun(index, "10.1.0.1"), "10.1.0.2");
  EXPECT_TRUE(index.Rebuild(read_).ok());
  EXPECT_EQ(EndOfRun(index, "10.1.0.1"), "free");
  EXPECT_EQ(EndOfRun("10.1.0.1"), "free");
}

TEST_F(TakenIndexTest, ATornBitmapIsMadeAgain) {
  taken_ = {A("10.1.0.1")};
  dir_.Write(".taken.net.10.1.0.0", "torn");
  EXPECT_EQ(EndOfRun("10.1.0.1"), "10.1.0.1");
  EXPECT_EQ(reads_, 1);
}

TEST_F(TakenIndexTest, WorksWithoutAPlaceToWrite) {
  taken_ = {A("10.1.0.1")};
  TakenIndex index(dir_.path() + "/no/such/directory/");
  EXPECT_EQ(EndOfRun(index, "10.1.0.1"), "10.1.0.1");
  index.Mark(A("10.1.0.2"), true);
  EXPECT_EQ(EndOfRun(index, "10.1.0.1"), "10.1.0.2");
}

}  // namespace
}  // namespace podroute
