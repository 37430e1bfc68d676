#include "base/ip_prefix.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <unordered_set>

namespace podroute {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

IpAddress Address(std::string_view text) { return IpAddress::Parse(text).value(); }
IpPrefix Prefix(std::string_view text) { return IpPrefix::Parse(text).value(); }

TEST(IpAddressTest, GoodOnesAndTheirCanonicalText) {
  struct {
    const char* text;
    const char* canonical;
  } cases[] = {
      {"0.0.0.0", "0.0.0.0"},
      {"10.244.2.1", "10.244.2.1"},
      {"255.255.255.255", "255.255.255.255"},
      {"::", "::"},
      {"::1", "::1"},
      {"fd00:10:244:2::1", "fd00:10:244:2::1"},
      {"FD00:0:0:0::A", "fd00::a"},
      {"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},
      {"::ffff:1.2.3.4", "::ffff:1.2.3.4"},
      {"1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"},
      {"ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.text);
    Result<IpAddress> address = IpAddress::Parse(c.text);
    ASSERT_TRUE(address.ok()) << address.status().message();
    EXPECT_EQ(address->ToString(), c.canonical);
    EXPECT_EQ(IpAddress::FromBytes(address->family(), address->bytes()), *address);
    EXPECT_EQ(Address(address->ToString()), *address);
  }
}

TEST(IpAddressTest, BadOnes) {
  const std::string cases[] = {
      "",
      " ",
      "1",
      "1.2.3",
      "1.2.3.4.5",
      "1.2.3.4 ",
      " 1.2.3.4",
      "1.2.3.256",
      "1.2.3.-4",
      "01.2.3.4",
      "1.2.3.04",
      "1.2.3.00",
      "1..2.3",
      ".1.2.3",
      "1.2.3.",
      "0x1.2.3.4",
      "1.2.3.4/24",
      "+1.2.3.4",
      ":",
      ":::",
      "1::2::3",
      "fe80::1%eth0",
      "[::1]",
      "::1 ",
      "1:2:3:4:5:6:7",
      "1:2:3:4:5:6:7:8:9",
      "12345::",
      "::g",
      "::1.2.3",
      "host",
      "1.2.3.4\n",
      "1,2,3,4",
      "::1/128",
      "::01.2.3.4",
      std::string("1.2.3.4\0", 8),
      std::string("::1\0", 4),
      std::string(1 << 20, ':'),
      std::string(1 << 20, '1'),
  };
  for (const std::string& text : cases) {
    SCOPED_TRACE(text.substr(0, 80));
    Result<IpAddress> address = IpAddress::Parse(text);
    ASSERT_FALSE(address.ok());
    EXPECT_EQ(address.status().code(), StatusCode::kInvalidArgument);
    EXPECT_THAT(address.status().message(), HasSubstr("is not an IP address"));
    EXPECT_THAT(address.status().message(), Not(HasSubstr("\n")));
    EXPECT_LT(address.status().message().size(), 200u);
  }
}

TEST(IpAddressTest, KnowsItsKind) {
  struct {
    const char* text;
    bool unspecified, loopback, multicast, link_local;
  } cases[] = {
      {"0.0.0.0", true, false, false, false},
      {"::", true, false, false, false},
      {"127.0.0.1", false, true, false, false},
      {"127.255.255.255", false, true, false, false},
      {"128.0.0.1", false, false, false, false},
      {"::1", false, true, false, false},
      {"::2", false, false, false, false},
      {"1::1", false, false, false, false},
      {"224.0.0.1", false, false, true, false},
      {"239.255.255.255", false, false, true, false},
      {"240.0.0.1", false, false, false, false},
      {"223.255.255.255", false, false, false, false},
      {"ff02::1", false, false, true, false},
      {"169.254.1.1", false, false, false, true},
      {"169.253.1.1", false, false, false, false},
      {"fe80::1", false, false, false, true},
      {"febf::1", false, false, false, true},
      {"fec0::1", false, false, false, false},
      // A mapped address is an IPv6 one, and none of these.
      {"::ffff:127.0.0.1", false, false, false, false},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.text);
    IpAddress address = Address(c.text);
    EXPECT_EQ(address.IsUnspecified(), c.unspecified);
    EXPECT_EQ(address.IsLoopback(), c.loopback);
    EXPECT_EQ(address.IsMulticast(), c.multicast);
    EXPECT_EQ(address.IsLinkLocal(), c.link_local);
  }
}

TEST(IpAddressTest, PlusCarriesAndWraps) {
  struct {
    const char* from;
    uint64_t n;
    const char* to;
  } cases[] = {
      {"10.244.2.0", 1, "10.244.2.1"},
      {"10.244.2.255", 1, "10.244.3.0"},
      {"10.255.255.255", 257, "11.0.1.0"},
      {"255.255.255.255", 1, "0.0.0.0"},
      {"0.0.0.0", uint64_t{1} << 32, "0.0.0.0"},
      {"::ffff", 1, "::1:0"},
      {"::ffff:ffff:ffff:ffff", 1, "0:0:0:1::"},
      {"::1", UINT64_MAX, "0:0:0:1::"},
      {"fd00::ff", UINT64_MAX, "fd00:0:0:1::fe"},
      {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 1, "::"},
      {"fd00::", 0, "fd00::"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(std::string(c.from) + " + " + std::to_string(c.n));
    EXPECT_EQ(Address(c.from).Plus(c.n).ToString(), Address(c.to).ToString());
  }
}

TEST(IpAddressTest, OrdersIpv4FirstThenByValue) {
  std::vector<IpAddress> addresses = {Address("::1"), Address("10.0.0.10"), Address("9.255.0.0"),
                                      Address("::"), Address("10.0.0.9")};
  std::sort(addresses.begin(), addresses.end());
  std::string order;
  for (const IpAddress& address : addresses) order += address.ToString() + " ";
  EXPECT_EQ(order, "9.255.0.0 10.0.0.9 10.0.0.10 :: ::1 ");
}

TEST(IpAddressTest, StandsInAUrl) {
  EXPECT_EQ(Address("10.0.0.1").ToUrlHost(), "10.0.0.1");
  EXPECT_EQ(Address("fd00::1").ToUrlHost(), "[fd00::1]");
}

TEST(IpAddressTest, V4TakesHostOrder) {
  EXPECT_EQ(IpAddress::V4(0x0af40201).ToString(), "10.244.2.1");
}

TEST(IpAddressDeathTest, FromBytesChecksItsSize) {
  std::vector<uint8_t> three(3);
  EXPECT_DEATH(IpAddress::FromBytes(IpFamily::kV4, three), "");
}

TEST(IpPrefixTest, GoodOnes) {
  struct {
    const char* text;
    const char* canonical;
    const char* last;
  } cases[] = {
      {"0.0.0.0/0", "0.0.0.0/0", "255.255.255.255"},
      {"10.0.0.0/8", "10.0.0.0/8", "10.255.255.255"},
      {"10.244.2.0/23", "10.244.2.0/23", "10.244.3.255"},
      {"10.244.2.1/32", "10.244.2.1/32", "10.244.2.1"},
      {"128.0.0.0/1", "128.0.0.0/1", "255.255.255.255"},
      {"::/0", "::/0", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
      {"FD00:10:244:2::/64", "fd00:10:244:2::/64", "fd00:10:244:2:ffff:ffff:ffff:ffff"},
      {"fd00::1/128", "fd00::1/128", "fd00::1"},
      {"fd00::8/125", "fd00::8/125", "fd00::f"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.text);
    Result<IpPrefix> prefix = IpPrefix::Parse(c.text);
    ASSERT_TRUE(prefix.ok()) << prefix.status().message();
    EXPECT_EQ(prefix->ToString(), c.canonical);
    EXPECT_EQ(prefix->Last().ToString(), c.last);
    EXPECT_TRUE(prefix->Contains(prefix->Last()));
    EXPECT_TRUE(prefix->Contains(prefix->address()));
    EXPECT_TRUE(prefix->Contains(*prefix));
    EXPECT_EQ(IpPrefix::Of(prefix->Last(), prefix->length()), *prefix);
  }
}

TEST(IpPrefixTest, BadOnesSayWhy) {
  struct {
    std::string text;
    const char* why;
  } cases[] = {
      {"", "no /length"},
      {"10.0.0.0", "no /length"},
      {"/24", "no IP address before the /"},
      {"x/24", "no IP address before the /"},
      {"10.0.0.0/", "not a number from 0 to 32"},
      {"10.0.0.0/33", "not a number from 0 to 32"},
      {"10.0.0.0/-1", "not a number from 0 to 32"},
      {"10.0.0.0/08", "not a number from 0 to 32"},
      {"10.0.0.0/00", "not a number from 0 to 32"},
      {"10.0.0.0/+8", "not a number from 0 to 32"},
      {"10.0.0.0/8 ", "not a number from 0 to 32"},
      {"10.0.0.0/ 8", "not a number from 0 to 32"},
      {"10.0.0.0/8/8", "not a number from 0 to 32"},
      {"10.0.0.0/255.0.0.0", "not a number from 0 to 32"},
      {"10.0.0.0/99999999999999999999", "not a number from 0 to 32"},
      {"fd00::/129", "not a number from 0 to 128"},
      {"10.244.2.7/24", "has host bits set; 10.244.2.0/24 would be right"},
      {"fd00::1/64", "has host bits set; fd00::/64 would be right"},
      {"1.2.3.4/0", "has host bits set; 0.0.0.0/0 would be right"},
      {"10.0.0.0/8\n", "not a number from 0 to 32"},
      {std::string(1 << 20, 'x'), "no /length"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.text.substr(0, 80));
    Result<IpPrefix> prefix = IpPrefix::Parse(c.text);
    ASSERT_FALSE(prefix.ok());
    EXPECT_EQ(prefix.status().code(), StatusCode::kInvalidArgument);
    EXPECT_THAT(prefix.status().message(), HasSubstr(c.why));
    EXPECT_THAT(prefix.status().message(), Not(HasSubstr("\n")));
    EXPECT_LT(prefix.status().message().size(), 300u);
  }
}

TEST(IpPrefixTest, ContainsAndOverlaps) {
  struct {
    const char* a;
    const char* b;
    bool contains, overlaps;
  } cases[] = {
      {"10.0.0.0/8", "10.244.2.0/24", true, true},
      {"10.244.2.0/24", "10.0.0.0/8", false, true},
      {"10.244.2.0/24", "10.244.2.0/24", true, true},
      {"10.244.2.0/24", "10.244.3.0/24", false, false},
      {"10.244.2.0/23", "10.244.3.0/24", true, true},
      {"10.244.2.0/23", "10.244.4.0/24", false, false},
      {"0.0.0.0/0", "255.255.255.255/32", true, true},
      {"0.0.0.0/0", "::/0", false, false},
      {"::/0", "0.0.0.0/0", false, false},
      {"::/0", "fd00::/8", true, true},
      {"fd00::/9", "fd80::/9", false, false},
      {"fd00:10:244:2::/64", "fd00:10:244:2:8000::/65", true, true},
      {"fd00:0:0:0:8000::/65", "fd00:0:0:0:8000::1/128", true, true},
      {"fd00:0:0:0:8000::/65", "fd00:0:0:0:7fff::1/128", false, false},
      {"fd00::1/128", "fd00::2/128", false, false},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(std::string(c.a) + " and " + c.b);
    EXPECT_EQ(Prefix(c.a).Contains(Prefix(c.b)), c.contains);
    EXPECT_EQ(Prefix(c.a).Overlaps(Prefix(c.b)), c.overlaps);
    EXPECT_EQ(Prefix(c.b).Overlaps(Prefix(c.a)), c.overlaps);
  }
  EXPECT_FALSE(Prefix("10.244.2.0/24").Contains(Address("::ffff:10.244.2.1")));
}

TEST(IpPrefixTest, EqualOnesHashAlikeAndOthersNot) {
  std::unordered_set<IpPrefix> prefixes;
  for (uint32_t i = 0; i < 1000; ++i) prefixes.insert(IpPrefix::Of(IpAddress::V4(i << 8), 24));
  prefixes.insert(Prefix("0.0.0.0/23"));
  EXPECT_EQ(prefixes.size(), 1001u);
  EXPECT_EQ(prefixes.count(Prefix("0.0.5.0/24")), 1u);
  EXPECT_EQ(prefixes.count(Prefix("::/24")), 0u);
}

TEST(IpPrefixTest, OrdersByAddressThenLength) {
  EXPECT_LT(Prefix("10.0.0.0/8"), Prefix("10.0.0.0/16"));
  EXPECT_LT(Prefix("10.0.0.0/16"), Prefix("10.1.0.0/16"));
  EXPECT_LT(Prefix("255.0.0.0/8"), Prefix("::/0"));
}

TEST(IpPrefixDeathTest, OfChecksItsLength) {
  EXPECT_DEATH(IpPrefix::Of(IpAddress(), 33), "");
  EXPECT_DEATH(IpPrefix::Of(IpAddress(), -1), "");
}

TEST(ParsePrefixListTest, GoodOnes) {
  struct {
    const char* text;
    size_t count;
  } cases[] = {{"", 0},
               {" \t", 0},
               {"10.0.0.0/8", 1},
               {" 10.0.0.0/8 , fd00::/8\t", 2},
               {"10.0.0.0/8,10.0.0.0/8", 2}};
  for (const auto& c : cases) {
    SCOPED_TRACE(c.text);
    auto prefixes = ParsePrefixList(c.text);
    ASSERT_TRUE(prefixes.ok()) << prefixes.status().message();
    EXPECT_EQ(prefixes->size(), c.count);
  }
}

TEST(ParsePrefixListTest, AnErrorNamesThePart) {
  struct {
    const char* text;
    const char* named;
  } cases[] = {{",", "\"\""},
               {"10.0.0.0/8,", "\"\""},
               {"10.0.0.0/8,,fd00::/8", "\"\""},
               {"10.0.0.0/8 fd00::/8", "10.0.0.0/8 fd00::/8"},
               {"10.0.0.0/8, 10.0.0.1/8", "\"10.0.0.1/8\" has host bits"}};
  for (const auto& c : cases) {
    SCOPED_TRACE(c.text);
    EXPECT_THAT(ParsePrefixList(c.text).status().message(), HasSubstr(c.named));
  }
}

}  // namespace
}  // namespace podroute
