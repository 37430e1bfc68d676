// What the BIRD backend brings into a real BIRD, and what it finds there.
#include "routing/bird_backend.h"

#include <gtest/gtest.h>
#include <poll.h>

#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "tests/routing/bird_test_util.h"

namespace podroute {
namespace {

const RouteSet kTwo = {BirdRoute("10.244.1.0/24", "192.168.0.11", "node1"),
                       BirdRoute("fd01:0:0:1::/64", "fd00::11", "node1")};
const RouteSet kFour = {BirdRoute("10.244.1.0/24", "192.168.0.11", "node1"),
                        BirdRoute("10.244.2.0/24", "192.168.0.12", "node2"),
                        BirdRoute("fd01:0:0:1::/64", "fd00::11", "node1"),
                        BirdRoute("fd01:0:0:2::/64", "fd00::12", "node2")};

class BirdBackendTest : public BirdTest {
 protected:
  void StartWithFour() {
    StartBoth();
    ASSERT_TRUE(AllOk(Reconcile(kFour)));
    ExpectInPlace(kFour);
    ASSERT_GE(bird_->Reconfigurations(), 1);
  }
  bool EventPending() {
    pollfd waiting = {.fd = backend_->event_fd(), .events = POLLIN, .revents = 0};
    return poll(&waiting, 1, 0) == 1;
  }
  void AwaitEvent() {
    pollfd waiting = {.fd = backend_->event_fd(), .events = POLLIN, .revents = 0};
    ASSERT_EQ(poll(&waiting, 1, 60000), 1) << "nothing was noticed";
    backend_->DrainEvents();
  }
};

TEST_F(BirdBackendTest, AddsReplacesAndDeletes) {
  StartBoth();
  EXPECT_TRUE(ReadOrDie().empty());
  std::vector<RouteResult> results = Reconcile(kFour);
  EXPECT_EQ(results.size(), 4u);
  EXPECT_TRUE(AllOk(results));
  ExpectInPlace(kFour);

  RouteSet moved = kFour;
  moved[0].via.gateway = IpAddress::Parse("192.168.0.99").value();
  moved[2].via.gateway = IpAddress::Parse("fd00::99").value();
  results = Reconcile(moved);
  EXPECT_EQ(results.size(), 2u);
  EXPECT_TRUE(AllOk(results));
  ExpectInPlace(moved);

  EXPECT_TRUE(AllOk(Reconcile(kTwo)));
  ExpectInPlace(kTwo);
  EXPECT_TRUE(AllOk(Reconcile({})));
  ExpectInPlace({});
}

TEST_F(BirdBackendTest, TheRoutesAreInTheKernelByTheNodes) {
  StartWithFour();
  EXPECT_EQ(Shell("ip -4 route show proto bird"),
            "10.244.1.0/24 via 192.168.0.11 dev lan metric 32 \n"
            "10.244.2.0/24 via 192.168.0.12 dev lan metric 32 \n");
}

TEST_F(BirdBackendTest, ASingleChangeNeedsNoReading) {
  StartWithFour();
  const Route more = BirdRoute("10.244.3.0/24", "192.168.0.13", "node3");
  RouteSet desired = kFour;
  desired.push_back(more);
  desired = Ordered(desired);
  EXPECT_TRUE(AllOk(backend_->Apply(Plan({}, {more}), desired)));
  ExpectInPlace(desired);
}

TEST_F(BirdBackendTest, APassWithNothingToDoLeavesFileAndBirdAlone) {
  StartWithFour();
  const BirdFile::Identity before = BirdFile(bird_->file_path()).Look();
  const int reconfigurations = bird_->Reconfigurations();
  EXPECT_TRUE(Reconcile(kFour).empty());
  // Also for one that has just been started, and knows the links.
  backend_ = NewBackend(options_);
  RouteSet with_links = kFour;
  for (Route& route : with_links) route.via.ifindex = 7;
  EXPECT_TRUE(AllOk(Reconcile(with_links)));
  EXPECT_TRUE(Reconcile(with_links).empty());
  EXPECT_EQ(BirdFile(bird_->file_path()).Look(), before);
  EXPECT_EQ(bird_->Reconfigurations(), reconfigurations);
  EXPECT_FALSE(EventPending());
}

TEST_F(BirdBackendTest, WithheldDeletesStay) {
  StartWithFour();
  const RouteSet desired = {BirdRoute("10.244.3.0/24", "192.168.0.13", "node3"), kFour[3]};
  EXPECT_TRUE(AllOk(backend_->Apply(WithoutDeletes(Plan(ReadOrDie(), desired)), desired)));
  RouteSet all = kFour;
  all.push_back(desired[0]);
  ExpectInPlace(Ordered(all));
}

TEST_F(BirdBackendTest, ARouteThatBirdCannotHaveStopsNoOther) {
  StartBoth();
  RouteSet desired = kFour;
  desired[1].via.gateway = IpAddress::Parse("127.0.0.1").value();
  const std::vector<RouteResult> results = Reconcile(desired);
  ASSERT_EQ(results.size(), 4u);
  for (size_t i = 0; i < results.size(); ++i) EXPECT_EQ(results[i].status.ok(), i != 1) << i;
  desired.erase(desired.begin() + 1);
  ExpectInPlace(desired);
}

TEST_F(BirdBackendTest, ARouteWhoseNextHopIsNotReachableIsThere) {
  StartWithFour();
  const int reconfigurations = bird_->Reconfigurations();
  Shell("ip link set lan down");
  while (!bird_->Table("podroute4").empty()) poll(nullptr, 0, 5);
  EXPECT_TRUE(Reconcile(kFour).empty());
  EXPECT_EQ(bird_->Reconfigurations(), reconfigurations);
  // BIRD brings it back by itself.
  Shell("ip link set lan up");
  while (bird_->Table("podroute4").empty()) poll(nullptr, 0, 5);
  EXPECT_EQ(bird_->Reconfigurations(), reconfigurations);
}

TEST_F(BirdBackendTest, AProtocolDisabledByHandIsMissingAndComesBack) {
  StartWithFour();
  bird_->Birdc("disable podroute4");
  const RoutePlan plan = Plan(ReadOrDie(), kFour);
  EXPECT_EQ(plan.adds, 2u);
  EXPECT_EQ(plan.changes.size(), 2u);
  EXPECT_TRUE(AllOk(Reconcile(kFour)));
  ExpectInPlace(kFour);
}

TEST_F(BirdBackendTest, ARestartOfAProtocolIsNoChange) {
  StartWithFour();
  bird_->Birdc("restart podroute4");
  while (bird_->Table("podroute4").empty()) poll(nullptr, 0, 5);
  EXPECT_TRUE(Reconcile(kFour).empty());
}

TEST_F(BirdBackendTest, AFileThatSomebodyChangedIsRepaired) {
  StartWithFour();
  const std::string good = Slurp(bird_->file_path());
  std::string other_gateway = good;
  other_gateway.replace(other_gateway.find("192.168.0.12"), 12, "192.168.0.77");
  std::string one_less = good;
  one_less.erase(one_less.find("  route 10.244.2.0"),
                 one_less.find("}\n") - one_less.find("  route 10.244.2.0"));
  std::string one_more = good;
  one_more.insert(one_more.find("}\n"), "  route 10.244.9.0/24 via 192.168.0.19;\n");
  const std::vector<std::string> edits = {"",
                                          good.substr(0, good.size() / 2),
                                          good + "\n# mine\n",
                                          good + "garbage\n",
                                          RenderBirdConfig({}, ""),
                                          other_gateway,
                                          one_less,
                                          one_more};
  for (const std::string& edit : edits) {
    for (const bool reconfigured : {false, true}) {
      for (const bool restarted : {false, true}) {
        SCOPED_TRACE(edit + (reconfigured ? " reconfigured" : "") + (restarted ? " anew" : ""));
        Spill(bird_->file_path(), edit);
        if (reconfigured) bird_->Birdc("configure");
        if (restarted) backend_ = NewBackend(options_);
        if (!restarted) AwaitEvent();
        EXPECT_TRUE(AllOk(Reconcile(kFour)));
        ExpectInPlace(kFour);
        EXPECT_FALSE(EventPending());
      }
    }
  }
  Shell("rm " + bird_->file_path());
  AwaitEvent();
  EXPECT_TRUE(AllOk(Reconcile(kFour)));
  ExpectInPlace(kFour);
}

TEST_F(BirdBackendTest, RoutesThatSomebodyPutIntoOurProtocolGo) {
  StartWithFour();
  std::string text = Slurp(bird_->file_path());
  text.insert(text.find("}\n"),
              "  route 10.244.9.0/24 blackhole;\n"
              "  route 10.244.8.0/24 via \"lan\";\n"
              "  route 10.244.1.0/24 via 192.168.0.66;\n"
              "  route 10.244.2.0/24 via 192.168.0.12 via 192.168.0.13;\n");
  Spill(bird_->file_path(), text);
  bird_->Birdc("configure");
  EXPECT_TRUE(AllOk(Reconcile(kFour)));
  ExpectInPlace(kFour);
}

TEST_F(BirdBackendTest, OwnChangesAreNoEvents) {
  StartBoth();
  for (const RouteSet& desired : {kFour, kTwo, RouteSet()}) {
    EXPECT_TRUE(AllOk(Reconcile(desired)));
    EXPECT_FALSE(EventPending());
  }
}

TEST_F(BirdBackendTest, TheOperatorsConfigurationStaysAsItIs) {
  const std::string others =
      "# the operator's own: \t \"quotes\", trailing blanks   \n"
      "protocol static ops4 { ipv4; route 10.99.0.0/16 via 192.168.0.9; # mine\n"
      "  route 10.244.200.0/24 blackhole; }\n"
      "protocol static podroute4x { ipv4; route 10.98.0.0/16 via 192.168.0.9; }\n";
  Spill(bird_->File("podroute.conf2"), "# not ours\n");
  bird_->WriteConf(bird_->DefaultConf() + others);
  const std::string conf = Slurp(bird_->conf_path());
  StartBoth();
  const std::string ops_table = bird_->Table("ops4"), near_table = bird_->Table("podroute4x");
  const std::string ops = bird_->Birdc("show static ops4");
  ASSERT_FALSE(ops_table.empty());
  std::mt19937 random(3);
  RouteSet desired;
  // The long form of this proof: PODROUTE_FULL_PROOFS=1.
  const char* full = std::getenv("PODROUTE_FULL_PROOFS");
  const int rounds = full != nullptr && std::string(full) == "1" ? 1000 : 50;
  for (int i = 0; i < rounds; ++i) {
    desired.clear();
    for (int n = 0; n < 12; ++n) {
      if (random() % 2 == 0) continue;
      const std::string host = std::to_string(2 + random() % 4);
      desired.push_back(BirdRoute("10.244." + std::to_string(n) + ".0/24", "192.168.0." + host));
      desired.push_back(BirdRoute("fd01:0:0:" + std::to_string(n) + "::/64", "fd00::" + host));
    }
    desired = Ordered(desired);
    ASSERT_TRUE(AllOk(Reconcile(desired))) << i;
  }
  ExpectInPlace(desired);
  EXPECT_EQ(Slurp(bird_->conf_path()), conf);
  EXPECT_EQ(Slurp(bird_->File("podroute.conf2")), "# not ours\n");
  EXPECT_EQ(bird_->Table("ops4"), ops_table);
  EXPECT_EQ(bird_->Table("podroute4x"), near_table);
  EXPECT_EQ(bird_->Birdc("show static ops4"), ops);
}

TEST_F(BirdBackendTest, TwoOwnersLeaveEachOtherAlone) {
  BirdOptions a = options_, b = options_;
  a.owner = "lab-a";
  b.owner = "lab_a";
  a.file_path = bird_->File("podroute-a.conf");
  b.file_path = bird_->File("podroute-b.conf");
  bird_->WriteConf(bird_->DefaultConf() + "include \"" + bird_->dir() + "/podroute-*.conf\";\n");
  bird_->Start();
  std::unique_ptr<BirdBackend> backend_a = NewBackend(a), backend_b = NewBackend(b);
  EXPECT_TRUE(AllOk(Reconcile(*backend_a, kFour)));
  EXPECT_TRUE(backend_b->ReadOwned()->empty());
  const RouteSet other = {BirdRoute("10.245.1.0/24", "192.168.0.31"),
                          BirdRoute("10.245.2.0/24", "192.168.0.32")};
  EXPECT_TRUE(AllOk(Reconcile(*backend_b, other)));
  EXPECT_EQ(Lines(bird_->Table("podroute4_lab_2da")), ToText(kFour, IpFamily::kV4));
  EXPECT_EQ(Lines(bird_->Table("podroute4_lab__a")), ToText(other, IpFamily::kV4));
  EXPECT_TRUE(Reconcile(*backend_a, kFour).empty());
  EXPECT_TRUE(AllOk(Reconcile(*backend_a, {})));
  EXPECT_EQ(Lines(bird_->Table("podroute4_lab__a")), ToText(other, IpFamily::kV4));
  EXPECT_TRUE(Reconcile(*backend_b, other).empty());
  EXPECT_EQ(Slurp(b.file_path), RenderBirdConfig(other, b.owner));
}

}  // namespace
}  // namespace podroute
