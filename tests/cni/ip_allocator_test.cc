#include "cni/ip_allocator.h"

#include <gtest/gtest.h>

#include <random>
#include <set>
#include <string>
#include <vector>

namespace podroute {
namespace {

IpAddress A(const std::string& text) { return IpAddress::Parse(text).value(); }

IpRange Range(const std::string& subnet, const std::string& first, const std::string& last,
              const std::string& gateway) {
  return {IpPrefix::Parse(subnet).value(), A(first), A(last), A(gateway)};
}

std::string Walk(const RangeSet& set, const std::optional<IpAddress>& last) {
  std::string text;
  AddressWalk walk(set, last);
  while (auto address = walk.Next()) text += (text.empty() ? "" : " ") + address->ToString();
  return text;
}

const RangeSet& Small() {
  static const RangeSet set = {Range("10.0.0.0/29", "10.0.0.1", "10.0.0.6", "10.0.0.1")};
  return set;
}

TEST(AddressWalkTest, StartsAtTheBeginningAndSkipsTheGateway) {
  EXPECT_EQ(Walk(Small(), std::nullopt), "10.0.0.2 10.0.0.3 10.0.0.4 10.0.0.5 10.0.0.6");
}

TEST(AddressWalkTest, GoesOnBehindTheLastOneAndEndsWithIt) {
  EXPECT_EQ(Walk(Small(), A("10.0.0.4")), "10.0.0.5 10.0.0.6 10.0.0.2 10.0.0.3 10.0.0.4");
  EXPECT_EQ(Walk(Small(), A("10.0.0.6")), "10.0.0.2 10.0.0.3 10.0.0.4 10.0.0.5 10.0.0.6");
}

TEST(AddressWalkTest, ALastOneFromElsewhereMeansTheBeginning) {
  EXPECT_EQ(Walk(Small(), A("10.9.9.9")), Walk(Small(), std::nullopt));
  EXPECT_EQ(Walk(Small(), A("fd00::1")), Walk(Small(), std::nullopt));
}

TEST(AddressWalkTest, WalksSeveralRangesInTheirOrder) {
  RangeSet set = {Range("10.0.0.0/24", "10.0.0.8", "10.0.0.9", "10.0.0.1"),
                  Range("10.0.1.0/24", "10.0.1.1", "10.0.1.3", "10.0.1.2")};
  EXPECT_EQ(Walk(set, std::nullopt), "10.0.0.8 10.0.0.9 10.0.1.1 10.0.1.3");
  EXPECT_EQ(Walk(set, A("10.0.0.9")), "10.0.1.1 10.0.1.3 10.0.0.8 10.0.0.9");
  EXPECT_EQ(Walk(set, A("10.0.1.3")), "10.0.0.8 10.0.0.9 10.0.1.1 10.0.1.3");
}

TEST(AddressWalkTest, ARangeOfOneAddress) {
  RangeSet set = {Range("fd00::/64", "fd00::5", "fd00::5", "fd00::1")};
  EXPECT_EQ(Walk(set, std::nullopt), "fd00::5");
  EXPECT_EQ(Walk(set, A("fd00::5")), "fd00::5");
}

TEST(AddressWalkTest, ARangeOfTheGatewayAloneHasNothing) {
  RangeSet set = {Range("10.0.0.0/24", "10.0.0.1", "10.0.0.1", "10.0.0.1")};
  EXPECT_EQ(Walk(set, std::nullopt), "");
}

// What SkipTo leaves out is what asking for each address would have left out.
TEST(AddressWalkTest, SkippingTakenRunsFindsTheSameAddressesAsLookingAtEach) {
  RangeSet set = {Range("10.0.1.0/24", "10.0.1.3", "10.0.1.60", "10.0.1.40"),
                  Range("10.0.0.0/24", "10.0.0.1", "10.0.0.1", "10.0.0.9"),
                  Range("10.0.2.0/24", "10.0.2.1", "10.0.2.40", "10.0.2.1")};
  std::mt19937 random(7);
  for (int round = 0; round < 2000; ++round) {
    std::set<IpAddress> taken;
    unsigned share = random() % 100;
    for (const IpRange& range : set) {
      for (IpAddress at = range.first; at <= range.last; at = at.Plus(1)) {
        if (random() % 100 < share) taken.insert(at);
      }
    }
    std::optional<IpAddress> last;
    if (random() % 4 != 0) last = A("10.0.0.0").Plus(random() % 800);
    std::vector<IpAddress> expected;
    std::vector<IpAddress> found;
    AddressWalk slow(set, last);
    while (auto address = slow.Next()) {
      if (taken.count(*address) == 0) expected.push_back(*address);
    }
    AddressWalk quick(set, last);
    while (auto address = quick.Next()) {
      if (taken.count(*address) == 0) {
        found.push_back(*address);
        continue;
      }
      IpAddress end = *address;
      while (taken.count(end.Plus(1)) != 0) end = end.Plus(1);
      quick.SkipTo(end);
    }
    ASSERT_EQ(found, expected) << "round " << round;
  }
}

TEST(IsAllocatableTest, OnlyRangesAndNoGateway) {
  EXPECT_TRUE(IsAllocatable(Small(), A("10.0.0.2")));
  EXPECT_FALSE(IsAllocatable(Small(), A("10.0.0.0")));
  EXPECT_FALSE(IsAllocatable(Small(), A("10.0.0.1")));
  EXPECT_FALSE(IsAllocatable(Small(), A("10.0.0.7")));
  EXPECT_FALSE(IsAllocatable(Small(), A("fd00::2")));
}

TEST(AssignRequestedTest, EachSetTakesAtMostOne) {
  std::vector<RangeSet> sets = {Small(), {Range("fd00::/64", "fd00::1", "fd00::ffff", "fd00::1")}};
  RequestedIps assigned = AssignRequested(sets, {A("fd00::9"), A("10.0.0.3"), A("10.0.0.4")});
  ASSERT_EQ(assigned.by_set.size(), 2u);
  EXPECT_EQ(assigned.by_set[0], A("10.0.0.3"));
  EXPECT_EQ(assigned.by_set[1], A("fd00::9"));
  EXPECT_EQ(assigned.left_over, std::vector<IpAddress>{A("10.0.0.4")});
}

}  // namespace
}  // namespace podroute
