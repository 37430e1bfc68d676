// The kernel backend against the real kernel, in a private network namespace, IPv4 and IPv6, with
// nexthop objects and with plain routes.
#include "routing/kernel_backend.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/routing/kernel_test_util.h"

namespace podroute {
namespace {

class KernelBackendTest : public KernelCaseTest {};
class KernelNexthopTest : public KernelCaseTest {};
INSTANTIATE_TEST_SUITE_P(Families, KernelBackendTest, ::testing::ValuesIn(kKernelCases),
                         KernelCaseName);
INSTANTIATE_TEST_SUITE_P(Families, KernelNexthopTest, ::testing::ValuesIn(kNexthopObjectCases),
                         KernelCaseName);

TEST_P(KernelBackendTest, AddsRoutesAndReadsThemBack) {
  RouteSet desired = {To(1, 2), To(2, 3), To(3, 3)};
  EXPECT_TRUE(AllOk(Reconcile(*backend_, desired)));
  RouteSet actual = ReadOrDie(*backend_);
  EXPECT_EQ(ToText(actual), ToText(desired));
  for (const Route& route : actual) {
    EXPECT_EQ(route.dev, "lan");
    EXPECT_EQ(route.nexthop_id != 0, objects());
  }
  EXPECT_EQ(backend_->uses_nexthop_objects(), objects());
  EXPECT_TRUE(Plan(actual, desired).empty());
}

TEST_P(KernelNexthopTest, SharesOneNexthopObjectBetweenTheRoutesOfANode) {
  ASSERT_TRUE(AllOk(Reconcile(*backend_, {To(1, 2), To(2, 2), To(3, 3)})));
  RouteSet actual = ReadOrDie(*backend_);
  ASSERT_EQ(actual.size(), 3u);
  EXPECT_EQ(actual[0].nexthop_id, actual[1].nexthop_id);
  EXPECT_NE(actual[0].nexthop_id, actual[2].nexthop_id);
}

TEST_P(KernelBackendTest, AnUnchangedPassSendsNothing) {
  RouteSet desired = {To(1, 2), To(2, 3)};
  ASSERT_TRUE(AllOk(Reconcile(*backend_, desired)));
  std::unique_ptr<KernelBackend> restarted = NewBackend();
  EXPECT_TRUE(Reconcile(*restarted, desired).empty());
  EXPECT_FALSE(restarted->HasOrphans());
  EXPECT_EQ(restarted->change_messages(), 0u);
}

TEST_P(KernelBackendTest, KeepsTheOtherKindOfRouteWhenItLeadsToTheSameGateway) {
  std::unique_ptr<KernelBackend> other =
      NewBackend(objects() ? NexthopMode::kNever : NexthopMode::kAuto);
  RouteSet desired = {To(1, 2)};
  ASSERT_TRUE(AllOk(Reconcile(*other, desired)));
  EXPECT_TRUE(Reconcile(*backend_, desired).empty());
  EXPECT_EQ(backend_->change_messages(), 0u);
  // And it replaces and deletes it all the same.
  EXPECT_TRUE(AllOk(Reconcile(*backend_, {To(1, 3)})));
  EXPECT_EQ(ToText(ReadOrDie(*backend_)), ToText({To(1, 3)}));
  EXPECT_TRUE(AllOk(Reconcile(*backend_, {})));
  EXPECT_EQ(Ours(), "");
  EXPECT_EQ(OurNexthops(), "");
}

TEST_P(KernelBackendTest, DeletesRoutesAndThenTheObjectsNobodyNeeds) {
  ASSERT_TRUE(AllOk(Reconcile(*backend_, {To(1, 2), To(2, 2), To(3, 3)})));
  EXPECT_TRUE(AllOk(Reconcile(*backend_, {To(2, 2)})));
  EXPECT_EQ(ToText(ReadOrDie(*backend_)), ToText({To(2, 2)}));
  EXPECT_FALSE(backend_->HasOrphans());
  EXPECT_TRUE(AllOk(Reconcile(*backend_, {})));
  EXPECT_EQ(Ours(), "");
  EXPECT_EQ(OurNexthops(), "");
}

TEST_P(KernelBackendTest, AppliesFromWhatItRememberedWithoutReading) {
  ASSERT_TRUE(AllOk(Reconcile(*backend_, {To(1, 2)})));
  // Plans as from a cache that knows no object ids.
  RouteSet now = {To(1, 2)};
  for (const RouteSet& next : {RouteSet{To(1, 2), To(2, 3)}, RouteSet{To(1, 3), To(2, 3)},
                               RouteSet{To(1, 4), To(2, 2)}, RouteSet{To(2, 2)}, RouteSet{}}) {
    EXPECT_TRUE(AllOk(backend_->Apply(Plan(now, next), next)));
    now = next;
    std::unique_ptr<KernelBackend> reader = NewBackend();
    EXPECT_EQ(ToText(ReadOrDie(*reader)), ToText(next));
    EXPECT_FALSE(reader->HasOrphans());
  }
}

TEST_P(KernelBackendTest, ResultsSayWhichObjectARouteRefersTo) {
  RouteSet desired = {To(1, 2)};
  std::vector<RouteResult> results = Reconcile(*backend_, desired);
  ASSERT_EQ(results.size(), 1u);
  EXPECT_EQ(results[0].change.route.nexthop_id, ReadOrDie(*backend_)[0].nexthop_id);
}

TEST_P(KernelBackendTest, RoutesThatWereDeletedBySomebodyElseAreSuccessfullyDeleted) {
  RouteSet desired = {To(1, 2), To(2, 3)};
  ASSERT_TRUE(AllOk(Reconcile(*backend_, desired)));
  Ip("route del " + family().Prefix(1) + " proto 110");
  if (objects()) Shell("ip nexthop flush proto 110");
  EXPECT_TRUE(AllOk(backend_->Apply(Plan(desired, {}), {})));
  EXPECT_EQ(Ours(), "");
}

TEST_P(KernelNexthopTest, ObjectsThatHaveVanishedAreMadeAgain) {
  RouteSet desired = {To(1, 2), To(2, 3)};
  ASSERT_TRUE(AllOk(Reconcile(*backend_, desired)));
  Shell("ip nexthop flush proto 110");  // And their routes with them.
  EXPECT_TRUE(AllOk(backend_->Apply(Plan({}, {To(3, 2)}), {})));
  EXPECT_TRUE(AllOk(Reconcile(*backend_, {To(1, 2), To(2, 3), To(3, 2)})));
  Shell("ip nexthop flush proto 110");
  // An object that would be replaced in place.
  RouteSet moved = {To(1, 2), To(2, 9), To(3, 2)};
  EXPECT_TRUE(AllOk(backend_->Apply(Plan({To(2, 3)}, {To(2, 9)}), moved)));
  EXPECT_EQ(ToText(ReadOrDie(*backend_)), ToText({To(2, 9)}));
}

TEST_P(KernelBackendTest, ARouteThatIsThereAlreadyAsItShouldBeIsSuccess) {
  RouteSet desired = {To(1, 2)};
  std::unique_ptr<KernelBackend> other = NewBackend();
  ASSERT_TRUE(AllOk(Reconcile(*other, desired)));
  EXPECT_TRUE(AllOk(backend_->Apply(Plan({}, desired), desired)));
  EXPECT_EQ(ToText(ReadOrDie(*backend_)), ToText(desired));
}

TEST_P(KernelBackendTest, OurOwnUnknownRouteInTheWayIsAConflictThatReadingMends) {
  std::unique_ptr<KernelBackend> other = NewBackend();
  ASSERT_TRUE(AllOk(Reconcile(*other, {To(1, 2)})));
  std::vector<RouteResult> results = backend_->Apply(Plan({}, {To(1, 3)}), {To(1, 3)});
  ASSERT_EQ(results.size(), 1u);
  EXPECT_EQ(results[0].status.code(), StatusCode::kConflict) << results[0].status.message();
  EXPECT_TRUE(AllOk(Reconcile(*backend_, {To(1, 3)})));
  EXPECT_EQ(ToText(ReadOrDie(*backend_)), ToText({To(1, 3)}));
}

TEST_P(KernelBackendTest, OneBadRouteDoesNotStopTheOthersAndSaysWhatTheKernelSays) {
  RouteSet desired = {To(1, 2), To(2, 3), To(3, 4)};
  // On no connected subnet.
  desired[1].via.gateway = A(family().ip[1] == '4' ? "172.31.0.1" : "fd99::1");
  desired[1].dev = "lan";
  std::vector<RouteResult> results = Reconcile(*backend_, desired);
  ASSERT_EQ(results.size(), 3u);
  EXPECT_TRUE(results[0].status.ok()) << results[0].status.message();
  EXPECT_TRUE(results[2].status.ok()) << results[2].status.message();
  const std::string& message = results[1].status.message();
  EXPECT_EQ(message.find("add " + family().Prefix(2) + " via " + desired[1].via.gateway.ToString() +
                         " dev lan: "),
            0u)
      << message;
  EXPECT_NE(message.find("(E"), std::string::npos) << message;
  if (family().ip[1] == '4') {
    EXPECT_NE(message.find("Nexthop has invalid gateway"), std::string::npos) << message;
  }
  EXPECT_EQ(ToText(ReadOrDie(*backend_)), ToText({To(1, 2), To(3, 4)}));
  // Once it can be done, it is.
  desired[1] = To(2, 3);
  EXPECT_TRUE(AllOk(Reconcile(*backend_, desired)));
}

TEST_P(KernelBackendTest, AFailedReplacementLeavesTheOldRoute) {
  ASSERT_TRUE(AllOk(Reconcile(*backend_, {To(1, 2), To(2, 3)})));
  Route bad = To(1, 2);
  bad.via.gateway = A(family().ip[1] == '4' ? "172.31.0.1" : "fd99::1");
  std::vector<RouteResult> results = Reconcile(*backend_, {bad, To(2, 4)});
  ASSERT_EQ(results.size(), 2u);
  EXPECT_FALSE(results[0].status.ok());
  EXPECT_TRUE(results[1].status.ok());
  EXPECT_EQ(ToText(ReadOrDie(*backend_)), ToText({To(1, 2), To(2, 4)}));
}

TEST_P(KernelBackendTest, ManyFailuresAllComeBackWithTheirOwnRoute) {
  RouteSet desired;
  for (int i = 0; i < 3000; ++i) {
    std::string dst = family().ip[1] == '4' ? "10." + std::to_string(i / 250) + "." +
                                                  std::to_string(i % 250) + ".0/24"
                                            : "fd01:0:0:" + std::to_string(1000 + i) + "::/64";
    desired.push_back(MakeRoute(dst, family().Gateway(2), lan_));
    if (i % 3 != 0) {
      desired.back().via.gateway = A(family().ip[1] == '4' ? "172.31.0.1" : "fd99::1");
    }
  }
  desired = Ordered(desired);
  std::vector<RouteResult> results = Reconcile(*backend_, desired);
  ASSERT_EQ(results.size(), desired.size());
  size_t failed = 0;
  for (const RouteResult& result : results) {
    bool good = result.change.route.via.gateway == A(family().Gateway(2));
    ASSERT_EQ(result.status.ok(), good)
        << result.change.route.dst.ToString() << " " << result.status.message();
    if (good) continue;
    ++failed;
    ASSERT_NE(result.status.message().find(result.change.route.dst.ToString()), std::string::npos);
  }
  EXPECT_EQ(failed, 2000u);
  EXPECT_EQ(ReadOrDie(*backend_).size(), 1000u);
}

TEST_P(KernelBackendTest, LinkDownTakesRoutesAndLinkUpBringsThemBackWithFreshObjects) {
  RouteSet desired = {To(1, 2), To(2, 3)};
  ASSERT_TRUE(AllOk(Reconcile(*backend_, desired)));
  Shell("ip link set lan down");
  EXPECT_EQ(ToText(ReadOrDie(*backend_)), "");
  std::vector<RouteResult> results = Reconcile(*backend_, desired);
  for (const RouteResult& result : results) EXPECT_FALSE(result.status.ok());
  Shell("ip link set lan up; ip addr replace fd00::1/64 dev lan nodad");
  EXPECT_TRUE(AllOk(Reconcile(*backend_, desired)));
  EXPECT_EQ(ToText(ReadOrDie(*backend_)), ToText(desired));
  EXPECT_FALSE(backend_->HasOrphans());
}

TEST_P(KernelBackendTest, RemovesAllThatItOwnsAndCountsIt) {
  ASSERT_TRUE(AllOk(Reconcile(*backend_, {To(1, 2), To(2, 2), To(3, 3)})));
  std::string strangers = StrangersText();
  std::unique_ptr<KernelBackend> later = NewBackend();
  Result<RemovedCounts> removed = later->RemoveAllOwned();
  ASSERT_TRUE(removed.ok()) << removed.status().message();
  EXPECT_EQ(removed->routes, 3u);
  EXPECT_EQ(removed->nexthops, objects() ? 2u : 0u);
  EXPECT_EQ(removed->nexthops_in_use, 0u);
  EXPECT_EQ(Ours(), "");
  EXPECT_EQ(OurNexthops(), "");
  EXPECT_EQ(StrangersText(), strangers);
}

TEST_P(KernelBackendTest, ReportsRoutesThatAnotherOfALowerMetricShadows) {
  RouteSet desired = {To(1, 2), To(2, 2), To(3, 2), To(4, 2)};
  ASSERT_TRUE(AllOk(Reconcile(*backend_, desired)));
  Ip("route add " + family().Prefix(1) + " via " + family().Gateway(9) + " proto static metric 5");
  // Neither shadows: higher metric; more specific.
  Ip("route add " + family().Prefix(2) + " via " + family().Gateway(9) +
     " proto static metric 500");
  IpPrefix half = IpPrefix::Of(P(family().Prefix(3)).address(), desired[2].dst.length() + 1);
  Ip("route add " + half.ToString() + " via " + family().Gateway(9) + " proto static metric 5");
  Ip("route add blackhole " + family().Prefix(4) + " proto static metric 5");
  Result<std::vector<ShadowedRoute>> shadowed = backend_->FindShadowed(desired);
  ASSERT_TRUE(shadowed.ok()) << shadowed.status().message();
  ASSERT_EQ(shadowed->size(), 2u);
  EXPECT_EQ((*shadowed)[0].dst, desired[0].dst);
  EXPECT_EQ((*shadowed)[0].protocol, 4);
  EXPECT_EQ((*shadowed)[0].metric, 5u);
  EXPECT_EQ((*shadowed)[1].dst, desired[3].dst);
}

TEST_P(KernelBackendTest, KeepsRoutesInAnotherTable) {
  KernelOptions options{.mark = {.table = 1000, .protocol = 111, .metric = 7},
                        .nexthops = GetParam().mode};
  std::unique_ptr<KernelBackend> backend = std::move(*KernelBackend::Create(options));
  EXPECT_EQ(ToText(ReadOrDie(*backend)), "");  // The table does not exist yet.
  RouteSet desired = {To(1, 2)};
  EXPECT_TRUE(AllOk(Reconcile(*backend, desired)));
  EXPECT_EQ(ToText(ReadOrDie(*backend)), ToText(desired));
  EXPECT_NE(Ip("route show table 1000").find("proto 111 metric 7"), std::string::npos)
      << Ip("route show table 1000");
  EXPECT_EQ(ToText(ReadOrDie(*backend_)), "");
}

}  // namespace
}  // namespace podroute
