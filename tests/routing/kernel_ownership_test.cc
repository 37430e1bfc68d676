// What the kernel backend must never touch (DESIGN rule 1), and how it changes next hops without a
// gap (rule 5); IPv4 and IPv6, with nexthop objects and with plain routes.
#include <gtest/gtest.h>
#include <linux/rtnetlink.h>

#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "routing/kernel_backend.h"
#include "routing/netlink_codec.h"
#include "routing/netlink_socket.h"
#include "tests/routing/kernel_test_util.h"

namespace podroute {
namespace {

class KernelOwnershipTest : public KernelCaseTest {};
class KernelNexthopOwnershipTest : public KernelCaseTest {};
INSTANTIATE_TEST_SUITE_P(Families, KernelOwnershipTest, ::testing::ValuesIn(kKernelCases),
                         KernelCaseName);
INSTANTIATE_TEST_SUITE_P(Families, KernelNexthopOwnershipTest,
                         ::testing::ValuesIn(kNexthopObjectCases), KernelCaseName);

// Routes of every sort that are somebody else's.
void AddStrangers(const KernelOwnershipTest& test) {
  auto prefix = [&](int i) { return test.family().Prefix(i); };
  std::string via = " via " + test.family().Gateway(200) + " dev lan";
  auto add = [&](const std::string& what) { KernelCaseTest::Ip("route add " + what); };
  add("default" + via);
  add(prefix(1) + via + " proto static");  // Ours too, other metric.
  add(prefix(1) + via + " proto static metric 500");
  add(prefix(1) + via + " proto bgp metric 20 table 1000");
  add(prefix(1) + via + " proto 110 metric 110 table 1000");  // Our mark but for the table.
  add(prefix(2) + via + " proto 110 metric 111");             // ... but for the metric.
  add(prefix(3) + via + " proto ospf metric 110");            // ... but for the protocol.
  add("blackhole " + prefix(4) + " proto 110 metric 110");    // ... but for the type.
  add("unreachable " + prefix(5) + " proto bgp metric 110");
  add(prefix(6) + " proto static metric 30 nexthop" + via + " nexthop via " +
      test.family().Gateway(201) + " dev lan");
  Shell("ip nexthop add id 77 via " + test.family().Gateway(202) + " dev lan proto zebra");
  add(prefix(7) + " nhid 77 proto zebra");
  // In our range of ids.
  Shell("ip nexthop add id " + std::to_string(kFirstNexthopId) + " via " +
        test.family().Gateway(203) + " dev lan proto zebra");
  add(prefix(8) + " nhid " + std::to_string(kFirstNexthopId) + " proto zebra");
}

// All that is not ours, by the whole mark; in order, for IPv6 may change that of equal prefixes.
std::string Strangers() {
  return Shell(
      "{ for f in -4 -6; do"
      " ip $f -d route show table main | grep -v '^unicast .* proto 110 .*metric 110 ';"
      " for t in local 1000; do ip $f -d route show table $t 2>/dev/null; done;"
      " done; ip -d nexthop; } | grep -v '\\(nh_info\\|^id\\) .*proto 110' | sort");
}

TEST_P(KernelOwnershipTest, LeavesStrangersRoutesOfEverySortAlone) {
  AddStrangers(*this);
  const std::string before = Strangers();
  RouteSet desired = {To(1, 2), To(2, 2), To(6, 3), To(7, 3), To(8, 4)};
  EXPECT_EQ(ToText(ReadOrDie(*backend_)), "");
  EXPECT_TRUE(AllOk(Reconcile(*backend_, desired)));
  EXPECT_EQ(Strangers(), before);
  EXPECT_TRUE(AllOk(Reconcile(*backend_, {To(1, 3), To(2, 3), To(6, 2), To(7, 9), To(8, 8)})));
  EXPECT_EQ(Strangers(), before);
  EXPECT_TRUE(AllOk(Reconcile(*backend_, {})));
  EXPECT_EQ(Strangers(), before);
  ASSERT_TRUE(AllOk(Reconcile(*backend_, desired)));
  Result<RemovedCounts> removed = NewBackend()->RemoveAllOwned();
  ASSERT_TRUE(removed.ok()) << removed.status().message();
  EXPECT_EQ(removed->routes, 5u);
  EXPECT_EQ(Strangers(), before);
}

TEST_P(KernelOwnershipTest, AStrangersRouteOfOurMetricInTheWayIsNamedAndLeft) {
  AddStrangers(*this);
  const std::string before = Strangers();
  std::vector<RouteResult> results = Reconcile(*backend_, {To(2, 2), To(3, 2)});
  ASSERT_EQ(results.size(), 2u);
  EXPECT_TRUE(results[0].status.ok()) << results[0].status.message();
  EXPECT_EQ(results[1].status.code(), StatusCode::kAlreadyExists);
  EXPECT_NE(results[1].status.message().find("protocol 188"), std::string::npos)
      << results[1].status.message();
  EXPECT_EQ(Strangers(), before);
  EXPECT_EQ(ToText(ReadOrDie(*backend_)), ToText({To(2, 2)}));
}

TEST_P(KernelNexthopOwnershipTest, KeepsAnObjectThatSomebodyElsesRouteRefersTo) {
  ASSERT_TRUE(AllOk(Reconcile(*backend_, {To(1, 2), To(2, 3)})));
  std::string id = std::to_string(ReadOrDie(*backend_)[0].nexthop_id);
  Ip("route add " + family().Prefix(100) + " nhid " + id + " proto static");
  EXPECT_TRUE(AllOk(Reconcile(*backend_, {})));
  EXPECT_NE(Ip("route show " + family().Prefix(100)), "");
  EXPECT_NE(OurNexthops().find("id " + id), std::string::npos) << OurNexthops();
  Result<RemovedCounts> removed = NewBackend()->RemoveAllOwned();
  ASSERT_TRUE(removed.ok()) << removed.status().message();
  EXPECT_EQ(removed->nexthops_in_use, 1u);
  // It is good for the same node again, and goes when it is free.
  EXPECT_TRUE(AllOk(Reconcile(*backend_, {To(1, 2)})));
  EXPECT_EQ(std::to_string(ReadOrDie(*backend_)[0].nexthop_id), id);
  Ip("route del " + family().Prefix(100) + " proto static");
  EXPECT_TRUE(AllOk(Reconcile(*backend_, {})));
  EXPECT_EQ(OurNexthops(), "");
}

TEST_P(KernelOwnershipTest, RemovesObjectsThatACrashLeft) {
  Shell("ip nexthop add id " + std::to_string(kFirstNexthopId + 5) + " via " + family().Gateway(9) +
        " dev lan proto 110");
  Shell("ip nexthop add id " + std::to_string(kFirstNexthopId + 6) + " via " + family().Gateway(9) +
        " fdb proto 110");  // Between retiring and deleting.
  ReadOrDie(*backend_);
  EXPECT_TRUE(backend_->HasOrphans());
  EXPECT_TRUE(backend_->Apply({}, {}).empty());
  EXPECT_FALSE(backend_->HasOrphans());
  EXPECT_EQ(OurNexthops(), "");
}

TEST_P(KernelOwnershipTest, TakesHandMadeRoutesWithOurMarkForItsOwn) {
  std::string mark = " proto 110 metric 110";
  Ip("route add " + family().Prefix(1) + " dev lan" + mark);
  Ip("route add " + family().Prefix(2) + mark + " nexthop via " + family().Gateway(2) +
     " dev lan nexthop via " + family().Gateway(3) + " dev lan");
  Ip("route add " + family().Prefix(3) + " dev lan" + mark);
  Shell("ip nexthop add id 5 via " + family().Gateway(5) + " dev lan");
  Ip("route add " + family().Prefix(4) + " nhid 5" + mark);
  RouteSet desired = {To(1, 2), To(2, 2), To(4, 6)};
  EXPECT_TRUE(AllOk(Reconcile(*backend_, desired)));
  EXPECT_EQ(ToText(ReadOrDie(*backend_)), ToText(desired));
  EXPECT_NE(Shell("ip nexthop show id 5"), "");
}

// ---- Make before break

// What happened to prefix `i` and to nexthop objects, as others see it:
// "+10.244.1.0/24>192.168.0.2".
class Witness {
 public:
  Witness() {
    auto socket = NotificationSocket::Create(
        {RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE, RTNLGRP_NEXTHOP}, 1 << 20, nullptr);
    EXPECT_TRUE(socket.ok()) << socket.status().message();
    socket_ = std::move(*socket);
  }
  std::vector<std::string> Seen() {
    std::vector<std::string> seen;
    Result<bool> complete = socket_->Drain([&](const NetlinkMessage& message) {
      uint16_t type = message.header.nlmsg_type;
      if (type == RTM_NEWROUTE || type == RTM_DELROUTE) {
        auto route = DecodeRoute(message);
        if (!route || route->mark.protocol != 110) return;
        seen.push_back((type == RTM_NEWROUTE ? "+" : "-") + route->dst.ToString());
      } else {
        auto nexthop = DecodeNexthop(message);
        if (!nexthop || nexthop->fdb) return;  // On its way out.
        seen.push_back((type == RTM_NEWNEXTHOP ? "+object " : "-object ") +
                       nexthop->via.gateway.ToString());
      }
    });
    EXPECT_TRUE(complete.ok() && *complete);
    return seen;
  }

 private:
  std::unique_ptr<NotificationSocket> socket_;
};

TEST_P(KernelOwnershipTest, AllRoutesOfANodeMoveWithOneMessage) {
  ASSERT_TRUE(AllOk(Reconcile(*backend_, {To(1, 2), To(2, 2), To(3, 3)})));
  Witness witness;
  const uint64_t before = backend_->change_messages();
  EXPECT_TRUE(AllOk(Reconcile(*backend_, {To(1, 9), To(2, 9), To(3, 3)})));
  std::vector<std::string> seen = witness.Seen();
  if (objects()) {
    EXPECT_EQ(backend_->change_messages() - before, 1u);
    // IPv6 also says that the routes have changed.
    ASSERT_FALSE(seen.empty());
    EXPECT_EQ(seen[0], "+object " + family().Gateway(9));
    for (const std::string& line : seen) EXPECT_EQ(line[0], '+') << line;
  }
  EXPECT_EQ(ToText(ReadOrDie(*backend_)), ToText({To(1, 9), To(2, 9), To(3, 3)}));
  EXPECT_FALSE(backend_->HasOrphans());
}

TEST_P(KernelOwnershipTest, ARouteIsNeverGoneWhileItsNextHopChanges) {
  // Objects stay where they are: 3 has one, and 2 keeps a route.
  ASSERT_TRUE(AllOk(Reconcile(*backend_, {To(1, 2), To(2, 2), To(3, 3)})));
  Witness witness;
  EXPECT_TRUE(AllOk(Reconcile(*backend_, {To(1, 3), To(2, 2), To(3, 3)})));
  std::string prefix = family().Prefix(1);
  EXPECT_EQ(witness.Seen(), (std::vector<std::string>{"+" + prefix, "-" + prefix}));
  EXPECT_EQ(ToText(ReadOrDie(*backend_)), ToText({To(1, 3), To(2, 2), To(3, 3)}));
}

TEST_P(KernelOwnershipTest, NodesThatSwapAddressesSwapRoutesWithoutAGap) {
  ASSERT_TRUE(AllOk(Reconcile(*backend_, {To(1, 2), To(2, 3)})));
  Witness witness;
  EXPECT_TRUE(AllOk(Reconcile(*backend_, {To(1, 3), To(2, 2)})));
  std::string first = family().Prefix(1), second = family().Prefix(2);
  EXPECT_EQ(witness.Seen(),
            (std::vector<std::string>{"+" + first, "+" + second, "-" + first, "-" + second}));
  EXPECT_EQ(ToText(ReadOrDie(*backend_)), ToText({To(1, 3), To(2, 2)}));
  EXPECT_FALSE(backend_->HasOrphans());
}

TEST_P(KernelOwnershipTest, AStrangersRouteIsNotReplacedWhenOursChangesItsNextHop) {
  ASSERT_TRUE(AllOk(Reconcile(*backend_, {To(1, 2), To(2, 2)})));
  // Behind ours: same prefix and metric.
  Ip("route append " + family().Prefix(1) + " via " + family().Gateway(7) +
     " dev lan proto static metric 110");
  // IPv6 makes one multipath route of the two plain ones; that is then of one protocol.
  if (!objects() && family().ip[1] == '6') return;
  const std::string before = Strangers();
  EXPECT_TRUE(AllOk(Reconcile(*backend_, {To(1, 3), To(2, 2)})));
  EXPECT_EQ(Strangers(), before);
  EXPECT_TRUE(AllOk(Reconcile(*backend_, {})));
  EXPECT_EQ(Strangers(), before);
}

// ---- Convergence

TEST_P(KernelOwnershipTest, AThousandRandomPassesConvergeAndTouchNothingElse) {
  AddStrangers(*this);
  const std::string strangers = Strangers();
  std::mt19937 random(20260101);
  auto dice = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
  RouteSet known = ReadOrDie(*backend_);
  for (int pass = 0; pass < 1000; ++pass) {
    RouteSet desired;
    for (int i = 10; i < 30; ++i) {
      if (dice(4) != 0) desired.push_back(To(i, 2 + dice(dice(2) == 0 ? 3 : 12)));
    }
    desired = Ordered(desired);
    switch (dice(8)) {
      case 0:  // Somebody deletes one of ours.
        if (!known.empty()) {
          Ip("route del " + known[random() % known.size()].dst.ToString() +
             " proto 110 metric 110");
        }
        known = ReadOrDie(*backend_);
        break;
      case 1:  // We start anew.
        backend_ = NewBackend();
        known = ReadOrDie(*backend_);
        break;
      case 2:
        known = ReadOrDie(*backend_);
        break;
      default:;  // From what is remembered.
    }
    std::vector<RouteResult> results = backend_->Apply(Plan(known, desired), desired);
    ASSERT_TRUE(AllOk(results)) << "pass " << pass;
    known = desired;
    if (pass % 10 != 0) continue;
    std::unique_ptr<KernelBackend> reader = NewBackend();
    ASSERT_EQ(ToText(ReadOrDie(*reader)), ToText(desired)) << "pass " << pass;
    ASSERT_FALSE(reader->HasOrphans()) << "pass " << pass;
    if (pass % 100 == 0) {
      ASSERT_EQ(Strangers(), strangers) << "pass " << pass;
    }
  }
  EXPECT_TRUE(AllOk(Reconcile(*backend_, {})));
  EXPECT_EQ(Strangers(), strangers);
}

}  // namespace
}  // namespace podroute
