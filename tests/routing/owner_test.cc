#include "routing/owner.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace podroute {
namespace {

TEST(OwnerTest, NamesAreCheckedWithOneClearLine) {
  for (const char* good : {"", "a", "cluster-1", "A_b", "01234567890123456789012345678901"}) {
    EXPECT_TRUE(CheckOwner(good).ok()) << good;
  }
  EXPECT_EQ(CheckOwner("012345678901234567890123456789012").message(), "33 characters; at most 32");
  for (const char* bad : {"a b", "a.b", "a/b", "\xc3\xbc", "a\n", "a;b"}) {
    EXPECT_EQ(CheckOwner(bad).message(), "only letters, digits, - and _ make a name") << bad;
  }
}

TEST(OwnerTest, TheOwnerWithoutANameHasTheMarkItAlwaysHad) {
  EXPECT_EQ(OwnerMetric(""), 110u);
  EXPECT_EQ(OwnerNexthopIds(""), (NexthopIds{0x6e000000, 0x6effffff}));
}

// For ever: routes of an older version must be found again.
TEST(OwnerTest, MarksDoNotChange) {
  EXPECT_EQ(OwnerMetric("cluster-1"), 0x6ed9bee9u);
  EXPECT_EQ(OwnerNexthopIds("cluster-1").first, 0x7a930000u);
}

TEST(OwnerTest, OwnersHaveMarksOfTheirOwn) {
  std::set<uint32_t> metrics, ranges;
  for (int i = 0; i < 1000; ++i) {
    std::string owner = "cluster-" + std::to_string(i);
    metrics.insert(OwnerMetric(owner));
    NexthopIds ids = OwnerNexthopIds(owner);
    EXPECT_EQ(ids.last - ids.first, 0xffffu);
    EXPECT_GE(ids.first, 0x70000000u);
    EXPECT_LE(ids.last, 0x7fffffffu);
    ranges.insert(ids.first);
    EXPECT_FALSE(IsOtherOwners(ids.first, ids));
    EXPECT_FALSE(IsOtherOwners(ids.last, ids));
    EXPECT_TRUE(IsOtherOwners(ids.first, OwnerNexthopIds("")));
  }
  EXPECT_EQ(metrics.size(), 1000u);
  EXPECT_GT(ranges.size(), 850u);  // Of 4096, by chance about 886.
}

TEST(OwnerTest, IdsOutsideTheOwnersRangesAreNobodysInParticular) {
  for (uint32_t id : {0u, 1u, 77u, 0x6e000000u, 0x6fffffffu, 0x80000000u, 0xffffffffu}) {
    EXPECT_FALSE(IsOtherOwners(id, OwnerNexthopIds("a")));
    EXPECT_FALSE(IsOtherOwners(id, {}));
  }
}

}  // namespace
}  // namespace podroute
