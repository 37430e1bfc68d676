#include "controller/reconciler.h"

#include <gtest/gtest.h>

#include <random>

#include "tests/base/fake_clock.h"
#include "tests/controller/fake_backend.h"

namespace podroute {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

Node MakeNode(int i, const std::string& gateway = "") {
  Node node;
  node.name = "n" + std::to_string(i);
  node.creation_seconds = 100 + i;
  node.pod_cidrs = {"10." + std::to_string(i / 256) + "." + std::to_string(i % 256) + ".0/24"};
  node.pod_cidrs_total = 1;
  node.internal_ips = {gateway.empty() ? "192.168." + std::to_string(i / 250) + "." +
                                             std::to_string(i % 250 + 1)
                                       : gateway};
  node.addresses_total = 1;
  return node;
}

NextHop Via(const std::string& gateway) { return {IpAddress::Parse(gateway).value(), 2}; }
IpPrefix Dst(const std::string& text) { return IpPrefix::Parse(text).value(); }

class ReconcilerTest : public testing::Test {
 protected:
  ReconcilerTest() {
    local_.links = {{2, "eth0", true, false}};
    IpAddress own = IpAddress::Parse("192.168.255.254").value();
    local_.addresses = {{2, own, IpPrefix::Of(own, 16)}};
    ReconcilerOptions options;
    options.retry.jitter = 0;
    ReconcilerWorld world;
    world.backend = &backend_;
    world.read_local = [this] {
      ++local_reads_;
      return local_error_.ok() ? Result<LocalNetwork>(local_) : Result<LocalNetwork>(local_error_);
    };
    world.take_nodes = [this] { return store_.TakeSnapshot(); };
    world.request_consistent_list = [this] { ++consistent_asked_; };
    world.clock = &clock_;
    reconciler_ = std::make_unique<Reconciler>(options, world);
  }

  void List(int first, int last, bool consistent = false) {
    std::vector<Node> nodes;
    for (int i = first; i <= last; ++i) nodes.push_back(MakeNode(i));
    store_.Replace(std::move(nodes), consistent, clock_.Now());
  }
  void Upsert(Node node) { store_.Upsert(std::move(node), clock_.Now()); }

  FakeClock clock_;
  FakeBackend backend_;
  LocalNetwork local_;
  Status local_error_;
  NodeStore store_;
  int local_reads_ = 0, consistent_asked_ = 0;
  std::unique_ptr<Reconciler> reconciler_;
};

TEST_F(ReconcilerTest, Rule3NothingIsTouchedBeforeTheFirstCompleteList) {
  backend_.world.emplace(Dst("10.9.9.0/24"), Via("192.168.0.9"));
  Upsert(MakeNode(1));
  PassReport report = reconciler_->RunPass();
  EXPECT_FALSE(report.synced);
  EXPECT_EQ(backend_.Text(), "10.9.9.0/24>192.168.0.9");
  EXPECT_EQ(backend_.applies, 0);
}

TEST_F(ReconcilerTest, Rule2RoutesOfNodesThatVanishedWhileWeWereDownGo) {
  backend_.world.emplace(Dst("10.9.9.0/24"), Via("192.168.0.9"));
  List(1, 2);
  PassReport report = reconciler_->RunPass();
  EXPECT_EQ(backend_.Text(), "10.0.1.0/24>192.168.0.2 10.0.2.0/24>192.168.0.3");
  EXPECT_EQ(report.added, 2u);
  EXPECT_EQ(report.deleted, 1u);
  EXPECT_TRUE(report.in_place);
}

// One bad Node must not keep a node NotReady for ever.
TEST_F(ReconcilerTest, RoutesAreUsableWhenAllHaveBeenTriedAndNotAllHaveFailed) {
  EXPECT_FALSE(reconciler_->RunPass().usable) << "before the first list";
  List(1, 2);
  backend_.failures[Dst("10.0.1.0/24")] = Status(StatusCode::kInternal, "no");
  backend_.failures[Dst("10.0.2.0/24")] = Status(StatusCode::kInternal, "no");
  EXPECT_FALSE(reconciler_->RunPass().usable) << "all failed";
  EXPECT_FALSE(reconciler_->RunPass().usable) << "and wait for their next try";
  backend_.failures.erase(Dst("10.0.2.0/24"));
  clock_.Advance(seconds(60));
  PassReport report = reconciler_->RunPass();
  EXPECT_TRUE(report.usable);
  EXPECT_FALSE(report.in_place);
  // A pass that cannot read what is there tells nothing.
  backend_.read_error = Status(StatusCode::kUnavailable, "later");
  reconciler_->InvalidateRoutes();
  EXPECT_FALSE(reconciler_->RunPass().usable);
}

TEST_F(ReconcilerTest, ADeletionThatFailsOrWaitsKeepsNobodyFromUsingTheRoutes) {
  backend_.world.emplace(Dst("10.9.9.0/24"), Via("192.168.0.9"));
  backend_.failures[Dst("10.9.9.0/24")] = Status(StatusCode::kInternal, "no");
  List(1, 1);
  EXPECT_TRUE(reconciler_->RunPass().usable);
}

TEST_F(ReconcilerTest, WithoutAnyRouteToMakeANodeIsUsableUnlessItsLinkIsDown) {
  local_.links[0].up = false;
  List(1, 1);
  EXPECT_FALSE(reconciler_->RunPass().usable);
  local_.links[0].up = true;
  reconciler_->InvalidateLocalNetwork();
  EXPECT_TRUE(reconciler_->RunPass().usable);
  List(1, 0, true);
  EXPECT_TRUE(reconciler_->RunPass().usable) << "alone";
}

TEST_F(ReconcilerTest, APassInWhichNothingChangedTouchesNothing) {
  List(1, 100);
  reconciler_->RunPass();
  int changes = backend_.changes, reads = backend_.reads, applies = backend_.applies;
  Upsert(MakeNode(1));
  PassReport report = reconciler_->RunPass();
  EXPECT_TRUE(report.in_place);
  EXPECT_EQ(backend_.changes, changes);
  EXPECT_EQ(backend_.reads, reads);
  EXPECT_EQ(backend_.applies, applies);
  EXPECT_EQ(local_reads_, 1);
}

TEST_F(ReconcilerTest, AnEventIsCarriedOutWithoutReadingTheKernel) {
  List(1, 3);
  reconciler_->RunPass();
  Upsert(MakeNode(4));
  Upsert(MakeNode(1, "192.168.7.7"));
  store_.Erase("n2", clock_.Now());
  PassReport report = reconciler_->RunPass();
  EXPECT_EQ(backend_.Text(),
            "10.0.1.0/24>192.168.7.7 10.0.3.0/24>192.168.0.4 10.0.4.0/24>192.168.0.5");
  EXPECT_EQ(report.added + report.replaced + report.deleted, 3u);
  EXPECT_EQ(backend_.reads, 1);
}

TEST_F(ReconcilerTest, Rule2ARouteThatSomebodyDeletedComesBackWhenTheKernelSaysSo) {
  List(1, 3);
  reconciler_->RunPass();
  backend_.world.erase(Dst("10.0.2.0/24"));
  reconciler_->InvalidateRoutes();
  EXPECT_EQ(reconciler_->RunPass().added, 1u);
  EXPECT_EQ(backend_.world.size(), 3u);
}

TEST_F(ReconcilerTest, ARouteKnownToBeDeletedComesBackWithoutReadingTheKernel) {
  EXPECT_FALSE(reconciler_->Forget({Dst("10.0.2.0/24")})) << "nothing is known yet";
  List(1, 3);
  reconciler_->RunPass();
  backend_.world.erase(Dst("10.0.2.0/24"));
  EXPECT_TRUE(reconciler_->Forget({Dst("10.0.2.0/24"), Dst("10.9.9.0/24")}));
  EXPECT_EQ(reconciler_->RunPass().added, 1u);
  EXPECT_EQ(backend_.reads, 1);
  EXPECT_EQ(backend_.world.size(), 3u);
}

TEST_F(ReconcilerTest, ALocalNetworkThatDiffersMeansThatRoutesMayHaveGone) {
  List(1, 3);
  reconciler_->RunPass();
  reconciler_->InvalidateLocalNetwork();
  reconciler_->RunPass();
  EXPECT_EQ(local_reads_, 2);
  EXPECT_EQ(backend_.reads, 1) << "it was the same";
  backend_.world.clear();
  local_.links[0].name = "uplink";
  reconciler_->InvalidateLocalNetwork();
  EXPECT_EQ(reconciler_->RunPass().added, 3u);
  EXPECT_EQ(backend_.reads, 2);
}

TEST_F(ReconcilerTest, Rule4AnEmptyListIsConfirmedBeforeItDeletes) {
  List(1, 3);
  reconciler_->RunPass();
  List(1, 0);
  PassReport report = reconciler_->RunPass();
  EXPECT_EQ(report.withheld, 3u);
  EXPECT_EQ(backend_.world.size(), 3u);
  EXPECT_EQ(consistent_asked_, 1);
  reconciler_->RunPass();
  EXPECT_EQ(consistent_asked_, 1) << "asked for once";
  EXPECT_EQ(backend_.world.size(), 3u);
  List(1, 0, /*consistent=*/true);
  EXPECT_EQ(reconciler_->RunPass().deleted, 3u);
  EXPECT_TRUE(backend_.world.empty());
}

// The pass may see both at once.
TEST_F(ReconcilerTest, Rule4AnEmptyListIsNoLessSuspiciousForAnEventBehindIt) {
  List(1, 3);
  reconciler_->RunPass();
  List(1, 0);
  Upsert(MakeNode(1));
  EXPECT_EQ(reconciler_->RunPass().withheld, 2u);
  EXPECT_EQ(backend_.world.size(), 3u);
  EXPECT_EQ(consistent_asked_, 1);
  List(1, 1, /*consistent=*/true);
  EXPECT_EQ(reconciler_->RunPass().deleted, 2u);
}

TEST_F(ReconcilerTest, Rule4AMassDeletionThatTheSecondListDeniesNeverHappens) {
  List(1, 30);
  reconciler_->RunPass();
  List(1, 5);
  EXPECT_EQ(reconciler_->RunPass().withheld, 25u);
  List(1, 30, /*consistent=*/true);
  PassReport report = reconciler_->RunPass();
  EXPECT_EQ(report.withheld + report.deleted, 0u);
  EXPECT_EQ(backend_.world.size(), 30u);
}

TEST_F(ReconcilerTest, WhatIsWithheldIsKnownWhateverElseFails) {
  List(1, 30);
  reconciler_->RunPass();
  EXPECT_TRUE(reconciler_->withheld().empty());
  backend_.failures[Dst("10.0.40.0/24")] = Status(StatusCode::kAlreadyExists, "no");
  List(1, 5);
  Upsert(MakeNode(40));
  EXPECT_EQ(reconciler_->RunPass().failed, 1u);
  EXPECT_EQ(reconciler_->withheld().size(), 25u);
  EXPECT_EQ(reconciler_->withheld().front(), Dst("10.0.6.0/24"));
  List(1, 30, /*consistent=*/true);
  reconciler_->RunPass();
  EXPECT_TRUE(reconciler_->withheld().empty());
}

// Who has lost the Lease knows no longer what is there.
TEST_F(ReconcilerTest, APassThatIsCutOffSaysNothingGood) {
  backend_.failures[Dst("10.0.2.0/24")] = Status(StatusCode::kCancelled, "no longer allowed");
  List(1, 3);
  PassReport report = reconciler_->RunPass();
  EXPECT_TRUE(report.cancelled);
  EXPECT_FALSE(report.in_place);
  EXPECT_FALSE(report.usable);
  EXPECT_TRUE(report.failures.empty());
  backend_.failures.clear();
  report = reconciler_->RunPass();
  EXPECT_TRUE(report.in_place && report.usable && !report.cancelled);
}

TEST_F(ReconcilerTest, AFailureIsTheNodesWhoseRouteItIs) {
  backend_.failures[Dst("10.0.2.0/24")] = Status(StatusCode::kUnavailable, "no");
  List(1, 3);
  PassReport report = reconciler_->RunPass();
  ASSERT_EQ(report.failures.size(), 1u);
  EXPECT_EQ(report.failures[0].node, "n2");
  EXPECT_EQ(report.failures[0].message, "add 10.0.2.0/24: no");
  // Once; and of a Node that is gone nobody's.
  clock_.Advance(milliseconds(100));
  EXPECT_TRUE(reconciler_->RunPass().failures.empty());
  backend_.failures.clear();
  clock_.Advance(milliseconds(200));
  reconciler_->RunPass();
  backend_.failures[Dst("10.0.3.0/24")] = Status(StatusCode::kUnavailable, "no");
  List(1, 2);
  report = reconciler_->RunPass();
  ASSERT_EQ(report.failures.size(), 1u);
  EXPECT_EQ(report.failures[0].node, "");
}

TEST_F(ReconcilerTest, Rule4AddsAndReplacesGoOnWhileDeletesWait) {
  List(1, 30);
  reconciler_->RunPass();
  List(29, 33);
  Upsert(MakeNode(30, "192.168.9.9"));
  EXPECT_EQ(reconciler_->RunPass().withheld, 28u);
  EXPECT_EQ(backend_.world.size(), 33u);
  EXPECT_EQ(backend_.world.find(Dst("10.0.30.0/24"))->second, Via("192.168.9.9"));
  // What was withheld is still known: another event needs no read, and the confirmation deletes it.
  Upsert(MakeNode(34));
  reconciler_->RunPass();
  EXPECT_EQ(backend_.reads, 1);
  List(29, 34, /*consistent=*/true);
  EXPECT_EQ(reconciler_->RunPass().deleted, 28u);
  EXPECT_EQ(backend_.world.size(), 6u);
}

TEST_F(ReconcilerTest, Rule7OneBadRouteNeverStopsTheRestAndIsRetriedWithBackoff) {
  backend_.failures[Dst("10.0.2.0/24")] = Status(StatusCode::kUnavailable, "no");
  List(1, 3);
  PassReport report = reconciler_->RunPass();
  EXPECT_EQ(report.failed, 1u);
  EXPECT_FALSE(report.in_place);
  EXPECT_EQ(backend_.world.size(), 2u);
  EXPECT_EQ(report.next_in, milliseconds(100));
  // An event in between is carried out and does not hurry the retry.
  Upsert(MakeNode(4));
  report = reconciler_->RunPass();
  EXPECT_EQ(report.failed, 0u);
  EXPECT_EQ(backend_.world.size(), 3u);
  clock_.Advance(milliseconds(100));
  EXPECT_EQ(reconciler_->RunPass().next_in, milliseconds(200));
  backend_.failures.clear();
  clock_.Advance(milliseconds(200));
  report = reconciler_->RunPass();
  EXPECT_TRUE(report.in_place);
  EXPECT_EQ(report.next_in, std::nullopt);
  EXPECT_EQ(backend_.world.size(), 4u);
}

// A cable that was out for an hour: the links look the same again, and no route waits any longer.
TEST_F(ReconcilerTest, AHintOfTheLocalNetworkHurriesTheRetry) {
  backend_.failures[Dst("10.0.2.0/24")] = Status(StatusCode::kUnavailable, "no carrier");
  List(1, 3);
  for (int i = 0; i < 20; ++i) {
    reconciler_->RunPass();
    clock_.Advance(seconds(30));
  }
  EXPECT_EQ(reconciler_->RunPass().next_in, seconds(30));
  backend_.failures.clear();
  reconciler_->InvalidateLocalNetwork();
  EXPECT_TRUE(reconciler_->RunPass().in_place);
  EXPECT_EQ(backend_.world.size(), 3u);
}

TEST_F(ReconcilerTest, RoutesThatFailedTogetherAreTriedAgainTogether) {
  Reconciler reconciler(ReconcilerOptions(),
                        {.backend = &backend_,
                         .read_local = nullptr,
                         .take_nodes = [this] { return store_.TakeSnapshot(); },
                         .request_consistent_list = [] {},
                         .clock = &clock_});
  for (int i = 1; i <= 50; ++i) backend_.failures[Dst(MakeNode(i).pod_cidrs[0])] = local_error_;
  for (auto& [dst, failure] : backend_.failures) failure = Status(StatusCode::kUnavailable, "no");
  List(1, 50);
  PassReport report = reconciler.RunPass();
  for (int i = 0; i < 5; ++i) {
    clock_.Advance(*report.next_in);
    report = reconciler.RunPass();
    EXPECT_EQ(report.failed, 50u);
  }
}

TEST_F(ReconcilerTest, WhatCannotBeReadChangesNothingAndIsTriedAgain) {
  backend_.read_error = Status(StatusCode::kUnavailable, "no");
  List(1, 3);
  EXPECT_EQ(reconciler_->RunPass().next_in, milliseconds(100));
  EXPECT_EQ(backend_.applies, 0);
  backend_.read_error = Status::Ok();
  local_error_ = Status(StatusCode::kUnavailable, "no");
  reconciler_->InvalidateLocalNetwork();
  EXPECT_EQ(reconciler_->RunPass().next_in, milliseconds(200));
  EXPECT_EQ(backend_.applies, 0);
  local_error_ = Status::Ok();
  EXPECT_TRUE(reconciler_->RunPass().in_place);
  EXPECT_EQ(backend_.world.size(), 3u);
}

TEST_F(ReconcilerTest, Rule6ABadNodeIsRefusedAndTheOthersAreProgrammed) {
  List(1, 2);
  Node bad = MakeNode(3);
  bad.pod_cidrs = {"0.0.0.0/0"};
  Upsert(bad);
  Node many = MakeNode(4);
  many.addresses_total = 10000;
  Upsert(many);
  reconciler_->RunPass();
  EXPECT_EQ(backend_.world.size(), 2u);
  ASSERT_EQ(reconciler_->refused().size(), 2u);
  EXPECT_EQ(reconciler_->refused()[0].reason, RefusalReason::kTooWide);
  EXPECT_EQ(reconciler_->refused()[1].reason, RefusalReason::kTooManyAddresses);
}

TEST_F(ReconcilerTest, EventLatencyCountsFromTheOldestChange) {
  List(1, 1);
  reconciler_->RunPass();
  store_.Upsert(MakeNode(2), clock_.Now());
  clock_.Advance(milliseconds(5));
  store_.Upsert(MakeNode(3), clock_.Now());
  clock_.Advance(milliseconds(5));
  EXPECT_EQ(reconciler_->RunPass().event_latency, milliseconds(10));
  EXPECT_EQ(reconciler_->RunPass().event_latency, std::nullopt);
}

// Whatever happens in whatever order, after the failures are over the backend holds what is
// desired.
TEST_F(ReconcilerTest, RandomEventsConverge) {
  std::mt19937 random(3);
  auto draw = [&](int below) { return static_cast<int>(random() % static_cast<unsigned>(below)); };
  List(1, 5);
  for (int round = 0; round < 3000; ++round) {
    switch (draw(8)) {
      case 0:
        List(1 + draw(10), 10 + draw(20), draw(2) == 0);
        break;
      case 1:
      case 2:
        Upsert(MakeNode(1 + draw(40), draw(2) ? "" : "192.168.8." + std::to_string(1 + draw(20))));
        break;
      case 3:
        store_.Erase("n" + std::to_string(1 + draw(40)), clock_.Now());
        break;
      case 4:
        backend_.failures[Dst("10.0." + std::to_string(1 + draw(40)) + ".0/24")] =
            Status(StatusCode::kUnavailable, "x");
        break;
      case 5:
        backend_.failures.clear();
        break;
      case 6:
        if (!backend_.world.empty()) backend_.world.erase(backend_.world.begin());
        reconciler_->InvalidateRoutes();
        break;
      default:
        clock_.Advance(milliseconds(draw(500)));
    }
    reconciler_->RunPass();
    if (round % 20 != 0) continue;
    backend_.failures.clear();
    clock_.Advance(seconds(120));
    List(1, 10 + draw(30), /*consistent=*/true);
    reconciler_->RunPass();
    NodeSnapshot nodes = store_.TakeSnapshot();
    // A mass deletion waits for a list that is asked for after it was seen.
    store_.Replace(
        [&] {
          std::vector<Node> same;
          for (const auto& node : nodes.nodes) same.push_back(*node);
          return same;
        }(),
        true, clock_.Now());
    ASSERT_TRUE(reconciler_->RunPass().in_place);
    std::string expected;
    std::map<IpPrefix, std::string> by_dst;
    for (const auto& node : nodes.nodes) by_dst[Dst(node->pod_cidrs[0])] = node->internal_ips[0];
    for (const auto& [dst, via] : by_dst) {
      expected += (expected.empty() ? "" : " ") + dst.ToString() + ">" + via;
    }
    ASSERT_EQ(backend_.Text(), expected) << "round " << round;
  }
}

}  // namespace
}  // namespace podroute
