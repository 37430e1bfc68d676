// Several owners' routes in one kernel: none touches another's, also where their marks collide.
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "routing/owner.h"
#include "tests/routing/kernel_test_util.h"

namespace podroute {
namespace {

class KernelOwnersTest : public KernelCaseTest {
 protected:
  static std::unique_ptr<KernelBackend> Owner(uint32_t metric, const NexthopIds& ids) {
    KernelOptions options;
    options.mark.metric = metric;
    options.nexthop_ids = ids;
    options.nexthops = GetParam().mode;
    return KernelBackend::Create(options).value();
  }
  static std::unique_ptr<KernelBackend> Owner(const std::string& name) {
    return Owner(OwnerMetric(name), OwnerNexthopIds(name));
  }
  // Whether they have just these routes, and nothing is left to do.
  static void Has(KernelBackend& backend, const RouteSet& routes) {
    EXPECT_EQ(ToText(ReadOrDie(backend)), ToText(routes));
  }
  static void Reach(KernelBackend& backend, const RouteSet& routes) {
    EXPECT_TRUE(AllOk(Reconcile(backend, routes)));
    Has(backend, routes);
  }
};
INSTANTIATE_TEST_SUITE_P(Families, KernelOwnersTest, ::testing::ValuesIn(kKernelCases),
                         KernelCaseName);

// What two owners do beside each other with the same gateways and partly the same destinations.
void LiveBesideEachOther(KernelBackend& a, KernelBackend& b, const RouteSet& of_a,
                         const RouteSet& of_b, const RouteSet& moved, const RouteSet& none,
                         const std::function<void(KernelBackend&, const RouteSet&)>& reach,
                         const std::function<void(KernelBackend&, const RouteSet&)>& has) {
  reach(a, of_a);
  reach(b, of_b);
  has(a, of_a);
  reach(a, moved);  // A node's new address: an object of a's is replaced in place.
  has(b, of_b);
  reach(a, of_a);
  reach(a, none);
  has(b, of_b);
  reach(a, of_a);
  Result<RemovedCounts> removed = b.RemoveAllOwned();
  ASSERT_TRUE(removed.ok()) << removed.status().message();
  EXPECT_EQ(removed->routes, of_b.size());
  has(a, of_a);
  has(b, none);
  reach(b, of_b);
  has(a, of_a);
}

TEST_P(KernelOwnersTest, NeitherTouchesTheOthersRoutes) {
  auto a = Owner("cluster-a"), b = Owner("cluster-b"), nameless = Owner("");
  RouteSet of_a = Ordered({To(1, 2), To(2, 3), To(3, 4)});
  RouteSet moved = Ordered({To(1, 9), To(2, 3), To(3, 4)});
  RouteSet of_b = Ordered({To(1, 2), To(4, 2), To(5, 3)});
  LiveBesideEachOther(*a, *b, of_a, of_b, moved, {}, Reach, Has);
  LiveBesideEachOther(*nameless, *b, of_a, of_b, moved, {}, Reach, Has);
  Has(*a, of_a);
}

// One metric for both, whether by hash or by --route_metric: told apart by their objects.
TEST_P(KernelOwnersTest, OneMetricForTwoIsSurvivedWithNexthopObjects) {
  if (!objects()) GTEST_SKIP() << "plain routes have no other mark";
  auto a = Owner(777, OwnerNexthopIds("cluster-a")), b = Owner(777, OwnerNexthopIds("cluster-b"));
  RouteSet of_a = Ordered({To(1, 2), To(2, 3)}), moved = Ordered({To(1, 9), To(2, 3)});
  RouteSet of_b = Ordered({To(4, 2), To(5, 3)});
  LiveBesideEachOther(*a, *b, of_a, of_b, moved, {}, Reach, Has);
  // The same destination: the second one is told, and nothing is overwritten.
  RouteSet also = Ordered({To(1, 3)});
  std::vector<RouteResult> results = Reconcile(*b, also);
  EXPECT_EQ(results.at(0).status.code(), StatusCode::kAlreadyExists) << results[0].status.message();
  Has(*a, of_a);
}

// One of 4096: then what refers to an object says whose it is.
TEST_P(KernelOwnersTest, OneRangeOfIdsForTwoIsSurvived) {
  NexthopIds ids = OwnerNexthopIds("cluster-a");
  auto a = Owner(OwnerMetric("cluster-a"), ids), b = Owner(OwnerMetric("cluster-b"), ids);
  RouteSet of_a = Ordered({To(1, 2), To(2, 3)}), moved = Ordered({To(1, 9), To(2, 3)});
  RouteSet of_b = Ordered({To(1, 2), To(4, 2), To(5, 3)});
  LiveBesideEachOther(*a, *b, of_a, of_b, moved, {}, Reach, Has);
}

TEST_P(KernelOwnersTest, WhenAllAreGoneNothingIsLeft) {
  auto a = Owner("cluster-a"), b = Owner("cluster-b");
  Reach(*a, {To(1, 2)});
  Reach(*b, {To(1, 2)});
  Reach(*a, {});
  Reach(*b, {});
  EXPECT_EQ(Ours(), "");
  EXPECT_EQ(OurNexthops(), "");
}

}  // namespace
}  // namespace podroute
