#include "cni/ip_store.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <filesystem>
#include <optional>
#include <set>
#include <string>

#include "base/file.h"
#include "tests/base/temp_dir.h"

namespace podroute {
namespace {

IpAddress A(const std::string& text) { return IpAddress::Parse(text).value(); }

IpStore OpenOrDie(const TempDir& dir) {
  Result<IpStore> store = IpStore::Open(dir.path(), "net");
  EXPECT_TRUE(store.ok()) << store.status().message();
  return std::move(*store);
}

std::string Read(const std::string& path) {
  Result<std::string> content = ReadFile(path);
  return content.ok() ? *content : "(" + content.status().message() + ")";
}

std::set<std::string> Names(const std::string& directory) {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    names.insert(entry.path().filename());
  }
  return names;
}

const CniAttachment kPod = {"container1", "eth0"};
const CniAttachment kOther = {"container2", "eth0"};

TEST(IpStoreTest, WritesTheReferenceFormat) {
  TempDir dir;
  IpStore store = OpenOrDie(dir);
  EXPECT_TRUE(store.Reserve(A("10.0.0.7"), kPod, 0).value());
  EXPECT_TRUE(store.Reserve(A("fd00::7"), kPod, 1).value());
  EXPECT_EQ(Read(dir.File("net/10.0.0.7")), "container1\r\neth0");
  EXPECT_EQ(Read(dir.File("net/fd00::7")), "container1\r\neth0");
  EXPECT_EQ(Read(dir.File("net/last_reserved_ip.0")), "10.0.0.7");
  EXPECT_EQ(Read(dir.File("net/last_reserved_ip.1")), "fd00::7");
  EXPECT_EQ(Names(dir.File("net")),
            (std::set<std::string>{"10.0.0.7", "fd00::7", "last_reserved_ip.0",
                                   "last_reserved_ip.1", "lock"}));
}

TEST(IpStoreTest, ATakenAddressIsNotGivenAgain) {
  TempDir dir;
  IpStore store = OpenOrDie(dir);
  EXPECT_TRUE(store.Reserve(A("10.0.0.7"), kPod, 0).value());
  EXPECT_FALSE(store.Reserve(A("10.0.0.7"), kOther, 0).value());
  EXPECT_EQ(Read(dir.File("net/10.0.0.7")), "container1\r\neth0");
  EXPECT_TRUE(store.IsReserved(A("10.0.0.7")).value());
  EXPECT_FALSE(store.IsReserved(A("10.0.0.8")).value());
}

TEST(IpStoreTest, ReleaseTouchesOnlyTheOwners) {
  TempDir dir;
  IpStore store = OpenOrDie(dir);
  ASSERT_TRUE(store.Reserve(A("10.0.0.7"), kPod, 0).value());
  EXPECT_TRUE(store.Release(A("10.0.0.7"), kOther).ok());
  EXPECT_TRUE(store.IsReserved(A("10.0.0.7")).value());
  EXPECT_TRUE(store.Release(A("10.0.0.7"), kPod).ok());
  EXPECT_FALSE(store.IsReserved(A("10.0.0.7")).value());
  EXPECT_TRUE(store.Release(A("10.0.0.7"), kPod).ok());
}

TEST(IpStoreTest, FindsAnOwnersAddressesWithAndWithoutItsLink) {
  TempDir dir;
  IpStore store = OpenOrDie(dir);
  ASSERT_TRUE(store.Reserve(A("10.0.0.7"), kPod, 0).value());
  ASSERT_TRUE(store.Reserve(A("fd00::7"), kPod, 1).value());
  ASSERT_TRUE(store.Reserve(A("10.0.0.8"), kOther, 0).value());
  std::vector<IpAddress> both = {A("10.0.0.7"), A("fd00::7")};
  EXPECT_TRUE(store.LinkedAddressesOf(kPod).empty());
  EXPECT_EQ(store.AddressesOf(kPod).value(), both);
  store.Link(kPod, both);
  EXPECT_EQ(store.LinkedAddressesOf(kPod), both);
  EXPECT_EQ(store.AddressesOf(kPod).value(), both);
}

TEST(IpStoreTest, ALinkThatIsOutOfDateIsNotBelieved) {
  TempDir dir;
  IpStore store = OpenOrDie(dir);
  // The reference plugin gave the address back and then to another container.
  dir.Write("net/10.0.0.7", "container2\r\neth0");
  store.Link(kPod, {A("10.0.0.7")});
  EXPECT_TRUE(store.LinkedAddressesOf(kPod).empty());
  EXPECT_TRUE(store.AddressesOf(kPod).value().empty());
  EXPECT_TRUE(store.ReleaseAll(kPod).ok());
  EXPECT_TRUE(store.IsReserved(A("10.0.0.7")).value());
  EXPECT_TRUE(Names(dir.File(".podroute/net")).empty());
}

TEST(IpStoreTest, ReleaseAllLeavesNothingOfTheOwner) {
  TempDir dir;
  IpStore store = OpenOrDie(dir);
  ASSERT_TRUE(store.Reserve(A("10.0.0.7"), kPod, 0).value());
  ASSERT_TRUE(store.Reserve(A("fd00::7"), kPod, 1).value());
  store.Link(kPod, {A("10.0.0.7"), A("fd00::7")});
  EXPECT_TRUE(store.ReleaseAll(kPod).ok());
  EXPECT_TRUE(store.ReleaseAll(kPod).ok());
  EXPECT_TRUE(store.Addresses().value().empty());
  EXPECT_TRUE(Names(dir.File(".podroute/net")).empty());
}

TEST(IpStoreTest, TheFormOfPluginsBefore070IsItsContainersWhateverTheInterface) {
  TempDir dir;
  IpStore store = OpenOrDie(dir);
  dir.Write("net/10.0.0.7", "container1");
  EXPECT_EQ(store.AddressesOf(kPod).value(), std::vector<IpAddress>{A("10.0.0.7")});
  EXPECT_TRUE(store.ReleaseAll(kPod).ok());
  EXPECT_FALSE(store.IsReserved(A("10.0.0.7")).value());
}

TEST(IpStoreTest, DamagedFilesDoNotStopIt) {
  TempDir dir;
  IpStore store = OpenOrDie(dir);
  dir.Write("net/last_reserved_ip.0", "garbage");
  dir.Write("net/10.0.0.9", "");
  dir.Write("net/notes.txt", "hello");
  EXPECT_FALSE(store.LastReserved(0).has_value());
  EXPECT_FALSE(store.LastReserved(1).has_value());
  EXPECT_TRUE(store.All().value().empty());
  // Empty, and yet taken: the reference plugin makes the file first and fills it then.
  EXPECT_FALSE(store.Reserve(A("10.0.0.9"), kPod, 0).value());
  EXPECT_TRUE(store.Reserve(A("10.0.0.10"), kPod, 0).value());
  EXPECT_EQ(store.LastReserved(0), A("10.0.0.10"));
}

TEST(IpStoreTest, WhatAKilledProcessLeftAsideIsNoObstacle) {
  TempDir dir;
  dir.Write(".podroute/.spare.net", "a container with a long name\r\neth0");
  IpStore store = OpenOrDie(dir);
  EXPECT_TRUE(store.Reserve(A("10.0.0.7"), kPod, 0).value());
  EXPECT_EQ(Read(dir.File("net/10.0.0.7")), "container1\r\neth0");
}

ino_t InodeOf(const std::string& path) {
  struct stat status {};
  return stat(path.c_str(), &status) == 0 ? status.st_ino : 0;
}

TEST(IpStoreTest, FilesThatAreNotNeededAnyMoreAreUsedAgain) {
  TempDir dir;
  IpStore store = OpenOrDie(dir);
  store.Link(kPod, {A("10.0.0.200")});
  ASSERT_TRUE(store.Reserve(A("10.0.0.200"), kPod, 0).value());
  ino_t reservation = InodeOf(dir.File("net/10.0.0.200"));
  ino_t link = InodeOf(dir.File(".podroute/net/container1@eth0"));
  ASSERT_NE(reservation, 0u);
  ASSERT_NE(link, 0u);
  ASSERT_TRUE(store.ReleaseAll(kPod).ok());
  EXPECT_EQ(InodeOf(dir.File("net/10.0.0.200")), 0u);
  EXPECT_EQ(InodeOf(dir.File(".podroute/net/container1@eth0")), 0u);

  // Shorter than before: nothing of the old content stays behind the new.
  const CniAttachment next = {"c", "e"};
  store.Link(next, {A("10.0.0.2")});
  ASSERT_TRUE(store.Reserve(A("10.0.0.2"), next, 0).value());
  EXPECT_EQ(InodeOf(dir.File("net/10.0.0.2")), reservation);
  EXPECT_EQ(InodeOf(dir.File(".podroute/net/c@e")), link);
  EXPECT_EQ(Read(dir.File("net/10.0.0.2")), "c\r\ne");
  EXPECT_EQ(store.LinkedAddressesOf(next), std::vector<IpAddress>{A("10.0.0.2")});
}

TEST(IpStoreTest, WithoutASpareFileOneIsMade) {
  TempDir dir;
  IpStore store = OpenOrDie(dir);
  for (int i = 2; i < 6; ++i) {
    EXPECT_TRUE(store.Reserve(A("10.0.0." + std::to_string(i)), kPod, 0).value());
  }
  // Of four only one is kept, and reservations do not depend on it.
  for (int i = 2; i < 6; ++i) EXPECT_TRUE(store.ReleaseAny(A("10.0.0." + std::to_string(i))).ok());
  EXPECT_EQ(Names(dir.File(".podroute")), std::set<std::string>{".spare.net"});
  std::filesystem::remove_all(dir.File(".podroute"));
  EXPECT_TRUE(store.Reserve(A("10.0.0.2"), kPod, 0).value());
  EXPECT_EQ(Read(dir.File("net/10.0.0.2")), "container1\r\neth0");
}

// A write that fits in part only is no error of the kernel's: whatever errno said before stays.
TEST(IpStoreTest, ADiskThatTakesOnlyAPartIsSaidToBeFull) {
  TempDir dir;
  IpStore store = OpenOrDie(dir);
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  rlimit few = before;
  few.rlim_cur = 4;
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &few), 0);
  errno = EINTR;
  Result<bool> reserved = store.Reserve(A("10.0.0.7"), kPod, 0);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  ASSERT_FALSE(reserved.ok());
  EXPECT_NE(reserved.status().message().find("No space left on device"), std::string::npos)
      << reserved.status().message();
  EXPECT_FALSE(Names(dir.File("net")).contains("10.0.0.7"));
  EXPECT_TRUE(store.Reserve(A("10.0.0.7"), kPod, 0).value());
  EXPECT_EQ(Read(dir.File("net/10.0.0.7")), "container1\r\neth0");
}

TEST(IpStoreTest, OpenExistingMakesNothing) {
  TempDir dir;
  Result<IpStore> store = IpStore::OpenExisting(dir.path(), "net");
  ASSERT_FALSE(store.ok());
  EXPECT_EQ(store.status().code(), StatusCode::kNotFound);
  EXPECT_TRUE(Names(dir.path()).empty());
}

TEST(IpStoreTest, WaitsForTheLockButNotForEver) {
  TempDir dir;
  std::optional<IpStore> holder(OpenOrDie(dir));
  Result<IpStore> store = IpStore::Open(dir.path(), "net", std::chrono::milliseconds(1));
  ASSERT_FALSE(store.ok());
  EXPECT_EQ(store.status().code(), StatusCode::kDeadlineExceeded);
  EXPECT_NE(store.status().message().find("net/lock"), std::string::npos);
  holder.reset();
  EXPECT_TRUE(IpStore::Open(dir.path(), "net", std::chrono::milliseconds(1)).ok());
}

TEST(IpStoreTest, KeepsAMarkInTheLockFile) {
  TempDir dir;
  OpenOrDie(dir).SetMark("a longer text");
  OpenOrDie(dir).SetMark("short");
  EXPECT_EQ(OpenOrDie(dir).ReadMark().text, "short");
  EXPECT_GT(OpenOrDie(dir).ReadMark().written_ns, 0);
}

TEST(IpStoreTest, OneProcessAtATime) {
  TempDir dir;
  // Each child takes what it thinks is free, without the exclusive creation that would save it.
  constexpr int kChildren = 8;
  constexpr int kEach = 25;
  for (int child = 0; child < kChildren; ++child) {
    if (fork() == 0) {
      for (int i = 0; i < kEach; ++i) {
        Result<IpStore> store = IpStore::Open(dir.path(), "net");
        if (!store.ok()) _exit(1);
        IpAddress next = store->LastReserved(0).value_or(A("10.0.0.1")).Plus(1);
        CniAttachment owner{"c" + std::to_string(child) + "." + std::to_string(i), "eth0"};
        if (store->IsReserved(next).value() || !store->Reserve(next, owner, 0).value()) _exit(2);
      }
      _exit(0);
    }
  }
  for (int child = 0; child < kChildren; ++child) {
    int status = 0;
    ASSERT_GT(wait(&status), 0);
    EXPECT_EQ(status, 0);
  }
  IpStore store = OpenOrDie(dir);
  EXPECT_EQ(store.Addresses().value().size(), size_t{kChildren * kEach});
}

}  // namespace
}  // namespace podroute
