// Taking a store of reservations away.

#include "cni/store_removal.h"

#include <gtest/gtest.h>
#include <sys/file.h>

#include <filesystem>
#include <fstream>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "cni/ip_store.h"
#include "tests/base/temp_dir.h"

namespace podroute {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::milliseconds kPatience{10'000};
const CniAttachment kPod = {"c1", "eth0"};

IpAddress A(const std::string& text) { return IpAddress::Parse(text).value(); }

// A host where only the pods in `alive` have links.
class FakeHost : public HostView {
 public:
  std::optional<ReservationStamp> Self() override { return ReservationStamp{"boot", "place", 7}; }
  int64_t BootTimeNs() override { return 0; }
  bool IsRunning(pid_t) override { return false; }
  bool HasLink(const CniAttachment& owner) override { return alive.contains(owner.container_id); }
  Listing ListingOf(const std::string&, const CniAttachment&) override { return Listing::kNone; }
  bool Forget(const CniAttachment&) override { return true; }

  std::set<std::string> alive;
};

class StoreRemovalTest : public ::testing::Test {
 protected:
  std::string Data() const { return dir_.File("data"); }
  IpStore Open(const std::string& network = "net") const {
    return IpStore::Open(Data(), network).value();
  }
  void ReserveOurs(const std::string& network = "net") {
    IpStore store = Open(network);
    store.Link(kPod, {A("10.0.0.7")}, host_.Self());
    EXPECT_TRUE(store.Reserve(A("10.0.0.7"), kPod, 0).value());
    EXPECT_TRUE(store.RereadTaken().ok());
    EXPECT_TRUE(store.EndOfTakenRun(A("10.0.0.7")).ok());
    // And one that has come back: its files wait to be used again.
    store.Link({"c0", "eth0"}, {A("10.0.0.6")}, host_.Self());
    EXPECT_TRUE(store.Reserve(A("10.0.0.6"), {"c0", "eth0"}, 0).value());
    EXPECT_TRUE(store.ReleaseAll({"c0", "eth0"}).ok());
  }
  StoreRemoval Remove() {
    Result<StoreRemoval> removal = RemoveStore(Data(), "net", host_, kPatience);
    EXPECT_TRUE(removal.ok()) << removal.status().message();
    return *removal;
  }
  bool Exists(const std::string& name) const { return fs::exists(Data() + "/" + name); }
  void Write(const std::string& name, const std::string& text) const {
    std::ofstream(Data() + "/" + name) << text;
  }

  TempDir dir_;
  FakeHost host_;
};

TEST_F(StoreRemovalTest, WithoutReservationsAllOfItGoes) {
  ReserveOurs();
  EXPECT_TRUE(Open().ReleaseAll(kPod).ok());
  ASSERT_TRUE(Exists(".podroute/.taken.net.10.0.0.0"));
  ASSERT_TRUE(Exists(".podroute/.spare.net"));
  EXPECT_TRUE(Remove().removed);
  EXPECT_FALSE(fs::exists(Data()));
  EXPECT_FALSE(Remove().removed);
}

TEST_F(StoreRemovalTest, ReservationsOfPodsThatAreGoneGoToo) {
  ReserveOurs();
  EXPECT_TRUE(Remove().removed);
  EXPECT_FALSE(fs::exists(Data()));
}

TEST_F(StoreRemovalTest, AReservationOfAPodThatIsThereKeepsEverything) {
  ReserveOurs();
  host_.alive = {"c1"};
  StoreRemoval removal = Remove();
  EXPECT_FALSE(removal.removed);
  EXPECT_EQ(removal.ours, 1u);
  EXPECT_EQ(removal.others, 0u);
  EXPECT_TRUE(Exists("net/10.0.0.7") && Exists(".podroute/net/c1@eth0"));
  EXPECT_TRUE(Exists("net/lock"));
}

TEST_F(StoreRemovalTest, AnotherPluginsReservationsKeepTheirStoreAndWhatIsOursAloneGoes) {
  ReserveOurs();
  Write("net/10.0.0.9", "theirs\r\neth0");
  StoreRemoval removal = Remove();
  EXPECT_FALSE(removal.removed);
  EXPECT_EQ(removal.ours, 0u);
  EXPECT_EQ(removal.others, 1u);
  EXPECT_TRUE(Exists("net/10.0.0.9") && Exists("net/lock") && Exists("net/last_reserved_ip.0"));
  EXPECT_FALSE(Exists("net/10.0.0.7"));
  EXPECT_FALSE(Exists(".podroute"));
}

TEST_F(StoreRemovalTest, OtherPeoplesFilesAndNetworksStay) {
  ReserveOurs();
  ReserveOurs("net.other");
  Write("net/notes", "theirs");
  Write("elsewhere", "theirs");
  EXPECT_FALSE(Remove().removed);
  EXPECT_TRUE(Exists("net/notes") && Exists("elsewhere") && Exists("net.other/10.0.0.7"));
  EXPECT_TRUE(Exists("net/lock"));  // Whoever uses the directory may hold it.
  EXPECT_TRUE(Exists(".podroute/net.other/c1@eth0"));
  EXPECT_TRUE(Exists(".podroute/.taken.net.other.10.0.0.0"));
  EXPECT_TRUE(Exists(".podroute/.spare.net.other"));
  EXPECT_FALSE(Exists(".podroute/net") || Exists(".podroute/.spare.net"));
  EXPECT_FALSE(Exists(".podroute/.taken.net.10.0.0.0"));
  fs::remove(Data() + "/net/notes");
  EXPECT_TRUE(Remove().removed);
  EXPECT_TRUE(Exists("elsewhere"));
}

TEST_F(StoreRemovalTest, WithoutAStoreNothingIsMade) {
  EXPECT_FALSE(Remove().removed);
  EXPECT_FALSE(fs::exists(Data()));
}

TEST_F(StoreRemovalTest, SomebodyWhoKeepsTheLockIsNotWaitedForForEver) {
  ReserveOurs();
  UniqueFd lock(open((Data() + "/net/lock").c_str(), O_RDONLY | O_CLOEXEC));
  ASSERT_EQ(flock(lock.get(), LOCK_EX), 0);
  Result<StoreRemoval> removal = RemoveStore(Data(), "net", host_, std::chrono::milliseconds(1));
  EXPECT_EQ(removal.status().code(), StatusCode::kDeadlineExceeded);
  EXPECT_TRUE(Exists("net/10.0.0.7"));
}

}  // namespace
}  // namespace podroute
