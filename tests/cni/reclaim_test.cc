#include "cni/reclaim.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <map>
#include <set>
#include <string>

#include "base/file.h"
#include "cni/host_local.h"
#include "cni/host_view.h"
#include "tests/base/temp_dir.h"

namespace podroute {
namespace {

constexpr int64_t kSecond = 1'000'000'000;
constexpr int64_t kBoot = 1'000'000 * kSecond;  // Of the wall clock.

// A host whose reboots, processes, links and libcni results are what a test says.
class FakeHost : public HostView {
 public:
  std::optional<ReservationStamp> Self() override { return self; }
  int64_t BootTimeNs() override { return boot_time_ns; }
  bool IsRunning(pid_t pid) override { return running.count(pid) != 0; }
  bool HasLink(const CniAttachment& owner) override { return links.count(owner) != 0; }
  Listing ListingOf(const std::string&, const CniAttachment& owner) override {
    auto found = listings.find(owner);
    return found == listings.end() ? Listing::kNone : found->second;
  }
  bool Forget(const CniAttachment& owner) override {
    forgotten.insert(owner);
    return forgets;
  }

  std::optional<ReservationStamp> self = ReservationStamp{"boot1", "host1", 100};
  int64_t boot_time_ns = kBoot;
  std::set<pid_t> running;
  std::set<CniAttachment> links;
  std::map<CniAttachment, Listing> listings;
  std::set<CniAttachment> forgotten;
  bool forgets = true;
};

class ReclaimTest : public ::testing::Test {
 protected:
  static constexpr char kFull[] = "101 no free address in 10.0.0.1-10.0.0.6";

  // Five addresses.
  std::string Add(const std::string& container) {
    CniOr<NetConf> conf = ParseNetConf(
        R"({"cniVersion":"1.1.0","name":"net","ipam":{"type":"host-local","dataDir":")" +
        dir_.path() + R"(","ranges":[[{"subnet":"10.0.0.0/29"}]]}})");
    CniOr<CniResult> result = HostLocalAdd(conf->ipam, "net", {container, "eth0"}, &host_);
    if (!result.ok()) return std::to_string(result.error().number()) + " " + result.error().message;
    return result->ips[0].address.address.ToString();
  }
  // By a process that has ended since.
  void AddAll(const std::string& prefix, bool with_links) {
    for (int i = 0; i < 5; ++i) {
      ++host_.self->pid;
      std::string container = prefix + std::to_string(i);
      ASSERT_EQ(Add(container), "10.0.0." + std::to_string(i + 2));
      if (with_links) host_.links.insert({container, "eth0"});
    }
    ++host_.self->pid;
  }
  void Reboot() {
    host_.self->boot += "x";
    host_.links.clear();
    host_.running.clear();
  }
  // As the reference plugin leaves it.
  void Foreign(const std::string& address, const std::string& content, int64_t written_s) {
    std::string path = dir_.Write("net/" + address, content);
    timespec times[2] = {{written_s, 0}, {written_s, 0}};
    ASSERT_EQ(utimensat(AT_FDCWD, path.c_str(), times, 0), 0);
  }
  bool Has(const std::string& address) {
    return access(dir_.File("net/" + address).c_str(), F_OK) == 0;
  }
  size_t Sweep(ReclaimScope scope) {
    Result<IpStore> store = IpStore::Open(dir_.path(), "net");
    EXPECT_TRUE(store.ok());
    return Reclaim(*store, "net", host_, scope);
  }

  TempDir dir_;
  FakeHost host_;
};

TEST_F(ReclaimTest, WhatIsInUseStaysWhenTheRangeIsFull) {
  AddAll("a", true);
  EXPECT_EQ(Add("b"), kFull);
  EXPECT_TRUE(host_.forgotten.empty());
}

TEST_F(ReclaimTest, AContainerWhoseLinkIsGoneGivesItsAddressBack) {
  AddAll("a", true);
  host_.links.erase({"a3", "eth0"});
  EXPECT_EQ(Add("b"), "10.0.0.5");
  EXPECT_EQ(host_.forgotten, (std::set<CniAttachment>{{"a3", "eth0"}}));
  host_.links.insert({"b", "eth0"});
  ++host_.self->pid;
  EXPECT_EQ(Add("c"), kFull);
}

TEST_F(ReclaimTest, AnAddThatIsUnderWayKeepsItsAddress) {
  AddAll("a", true);
  Foreign("10.0.0.2", "x\r\neth0", kBoot / kSecond + 1);
  host_.links.erase({"a4", "eth0"});
  host_.running.insert(host_.self->pid - 1);  // Its process: no link yet.
  EXPECT_EQ(Add("b"), kFull);
  host_.running.clear();
  EXPECT_EQ(Add("b"), "10.0.0.6");
}

TEST_F(ReclaimTest, AnotherHostsReservationsAreNotJudgedHere) {
  AddAll("a", false);
  host_.self->place = "host2";
  EXPECT_EQ(Add("b"), kFull);
}

TEST_F(ReclaimTest, WhatARuntimeListsStaysUnlessItsProcessIsGone) {
  AddAll("a", false);
  for (int i = 0; i < 5; ++i) {
    host_.listings[{"a" + std::to_string(i), "eth0"}] = Listing::kNamespaceGone;
  }
  host_.listings[{"a1", "eth0"}] = Listing::kNamespaceExists;
  EXPECT_EQ(Add("b"), kFull);
  host_.listings[{"a2", "eth0"}] = Listing::kProcessGone;
  EXPECT_EQ(Add("b"), "10.0.0.4");
}

TEST_F(ReclaimTest, WhatCannotBeForgottenStays) {
  AddAll("a", false);
  host_.forgets = false;
  EXPECT_EQ(Add("b"), kFull);
}

TEST_F(ReclaimTest, TheSameContainerMayStartAgainAfterItsLinkIsGone) {
  AddAll("a", true);
  EXPECT_EQ(Add("a1"), "101 10.0.0.3 is already a1's eth0");
  host_.links.erase({"a1", "eth0"});
  EXPECT_EQ(Add("a1"), "10.0.0.3");
}

TEST_F(ReclaimTest, ARequestedAddressComesBackToo) {
  AddAll("a", true);
  CniOr<NetConf> conf =
      ParseNetConf(R"({"cniVersion":"1.1.0","name":"net","runtimeConfig":{"ips":["10.0.0.4"]},)"
                   R"("ipam":{"type":"host-local","dataDir":")" +
                   dir_.path() + R"(","ranges":[[{"subnet":"10.0.0.0/29"}]]}})");
  EXPECT_FALSE(HostLocalAdd(conf->ipam, "net", {"b", "eth0"}, &host_).ok());
  host_.links.erase({"a2", "eth0"});
  EXPECT_TRUE(HostLocalAdd(conf->ipam, "net", {"b", "eth0"}, &host_).ok());
}

TEST_F(ReclaimTest, TheFirstAddAfterARebootTakesAllOfOursBack) {
  AddAll("a", true);
  Reboot();
  EXPECT_EQ(Add("b"), "10.0.0.2");
  for (int i = 3; i < 7; ++i) EXPECT_FALSE(Has("10.0.0." + std::to_string(i)));
  EXPECT_EQ(IpStore::Open(dir_.path(), "net")->Links().size(), 1u);
}

TEST_F(ReclaimTest, TheSecondAddAfterARebootDoesNotLookAgain) {
  AddAll("a", true);
  Reboot();
  Add("b");
  Foreign("10.0.0.5", "old\r\neth0", kBoot / kSecond - 1);
  EXPECT_EQ(Add("c"), "10.0.0.3");
  EXPECT_TRUE(Has("10.0.0.5"));
}

TEST_F(ReclaimTest, AClockThatRunsWildDoesNotMakeOursOlderOrYounger) {
  AddAll("a", true);
  host_.boot_time_ns = INT64_MAX;  // Put forward: all files look older than the boot.
  EXPECT_EQ(Sweep(ReclaimScope::kEverything), 0u);
  host_.boot_time_ns = 0;  // No clock at all after the reboot.
  Reboot();
  EXPECT_EQ(Sweep(ReclaimScope::kEarlierBoots), 5u);
}

TEST_F(ReclaimTest, AnotherPluginsReservationsGoByTheirAge) {
  Foreign("10.0.0.2", "old\r\neth0", kBoot / kSecond - 1);
  Foreign("10.0.0.3", "new\r\neth0", kBoot / kSecond + 1);
  EXPECT_EQ(Sweep(ReclaimScope::kEarlierBoots), 1u);
  EXPECT_FALSE(Has("10.0.0.2"));
  EXPECT_TRUE(Has("10.0.0.3"));
}

TEST_F(ReclaimTest, AnotherPluginsReservationThatLooksOldStaysWhileItsPodIsThere) {
  Foreign("10.0.0.2", "a\r\neth0", kBoot / kSecond - 1);
  Foreign("10.0.0.3", "b\r\neth0", kBoot / kSecond - 1);
  host_.listings[{"a", "eth0"}] = Listing::kNamespaceExists;
  host_.listings[{"b", "eth0"}] = Listing::kNamespaceGone;
  EXPECT_EQ(Sweep(ReclaimScope::kEverything), 1u);
  EXPECT_TRUE(Has("10.0.0.2"));
}

TEST_F(ReclaimTest, WhatIsOlderThanOurWorkOfAnEarlierBootIsFromBefore) {
  Foreign("10.0.0.2", "a\r\neth0", kBoot / kSecond + 1);  // Before now, says the clock of then.
  EXPECT_EQ(Add("b"), "10.0.0.3");
  EXPECT_TRUE(Has("10.0.0.2"));
  Reboot();
  EXPECT_EQ(Sweep(ReclaimScope::kEarlierBoots), 2u);
}

TEST_F(ReclaimTest, EmptyFilesComeBack) {
  Foreign("10.0.0.2", "", kBoot / kSecond - 1);
  Foreign("10.0.0.3", "", kBoot / kSecond + 1);
  EXPECT_EQ(Sweep(ReclaimScope::kEarlierBoots), 1u);
  EXPECT_EQ(Sweep(ReclaimScope::kEverything), 1u);
  // One of ours that a power cut left empty.
  EXPECT_EQ(Add("a"), "10.0.0.2");
  ASSERT_EQ(truncate(dir_.File("net/10.0.0.2").c_str(), 0), 0);
  Reboot();
  EXPECT_EQ(Sweep(ReclaimScope::kEarlierBoots), 1u);
}

TEST_F(ReclaimTest, WhatIsNoReservationStays) {
  Add("a");
  dir_.Write("net/notes.txt", "hello");
  Reboot();
  EXPECT_EQ(Add("b"), "10.0.0.3");
  EXPECT_TRUE(Has("notes.txt"));
  EXPECT_TRUE(Has("last_reserved_ip.0"));
  EXPECT_TRUE(Has("lock"));
}

TEST_F(ReclaimTest, AKillBetweenLinkAndReservationLeavesNothingForEver) {
  {
    Result<IpStore> store = IpStore::Open(dir_.path(), "net");
    store->Link({"a", "eth0"}, {*IpAddress::Parse("10.0.0.2")}, host_.self);
  }
  EXPECT_EQ(Sweep(ReclaimScope::kEverything), 0u);
  EXPECT_TRUE(IpStore::Open(dir_.path(), "net")->Links().empty());
}

TEST_F(ReclaimTest, NothingComesBackWhereTheKernelDoesNotTellTheBoot) {
  AddAll("a", false);
  host_.self.reset();
  EXPECT_EQ(Add("b"), kFull);
}

TEST(ReservationStampTest, IsReadBackAsWritten) {
  ReservationStamp stamp{"abc", "def", 4711};
  EXPECT_EQ(stamp.ToText(), "@abc.def.4711");
  EXPECT_EQ(ReservationStamp::Parse("@abc.def.4711"), stamp);
  for (const char* bad : {"", "@", "abc.def.1", "@abc.def", "@abc.def.", "@abc.def.x", "@.def.1",
                          "@abc..1", "@abc.def.0", "@abc.def.-1", "@abc.def.1x", "10.0.0.1"}) {
    EXPECT_FALSE(ReservationStamp::Parse(bad).has_value()) << bad;
  }
}

TEST(LinuxHostViewTest, StampsAreTheSameWithinABootAndShort) {
  LinuxHostView host;
  std::optional<ReservationStamp> stamp = host.Self();
  ASSERT_TRUE(stamp.has_value());
  EXPECT_EQ(LinuxHostView().Self(), stamp);
  EXPECT_EQ(stamp->pid, getpid());
  EXPECT_LE(stamp->ToText().size(), 24u);
  EXPECT_GT(host.BootTimeNs(), 0);
}

TEST(LinuxHostViewTest, ReadsWhatLibcniRemembers) {
  TempDir dir;
  LinuxHostView host(nullptr, {dir.path(), dir.File("older")});
  auto listed = [&](const std::string& netns) {
    dir.Write("net-c-eth0", R"({"kind":"cniCacheV1","containerId":"c","netns":")" + netns + "\"}");
    return host.ListingOf("net", {"c", "eth0"});
  };
  EXPECT_EQ(host.ListingOf("net", {"c", "eth0"}), Listing::kNone);
  EXPECT_EQ(listed("/run/netns/podroute-not-there"), Listing::kNamespaceGone);
  EXPECT_EQ(listed(dir.Write("a-file", "")), Listing::kNamespaceGone);
  EXPECT_EQ(listed("/proc/4194304/ns/net"), Listing::kProcessGone);
  // A process of the host's own has the number now.
  EXPECT_EQ(listed("/proc/" + std::to_string(getpid()) + "/ns/net"), Listing::kProcessGone);
  dir.Write("net-c-eth0", "{");
  EXPECT_EQ(host.ListingOf("net", {"c", "eth0"}), Listing::kNamespaceGone);
  dir.Write("older/net-d-eth0", "{}");
  EXPECT_EQ(host.ListingOf("net", {"d", "eth0"}), Listing::kNamespaceGone);
}

}  // namespace
}  // namespace podroute
