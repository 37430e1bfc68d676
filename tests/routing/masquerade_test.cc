#include "routing/masquerade.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace podroute {
namespace {

std::vector<IpPrefix> Prefixes(const std::string& text) { return ParsePrefixList(text).value(); }

std::string ToText(const std::vector<AddressRange>& ranges) {
  std::string text;
  for (const AddressRange& range : ranges) {
    text += (text.empty() ? "" : " ") + range.first.ToString() + "-";
    if (range.end) text += range.end->ToString();
  }
  return text;
}

TEST(MasqueradeTest, PrefixesThatOverlapOrTouchAreOneRange) {
  struct Case {
    std::string prefixes, ranges;
  };
  const Case kCases[] = {
      {"", ""},
      {"10.1.0.0/24", "10.1.0.0-10.1.1.0"},
      {"10.1.1.0/24,10.1.0.0/24", "10.1.0.0-10.1.2.0"},
      {"10.1.0.0/24,10.1.2.0/24", "10.1.0.0-10.1.1.0 10.1.2.0-10.1.3.0"},
      {"10.0.0.0/8,10.1.0.0/16,10.1.0.0/16", "10.0.0.0-11.0.0.0"},
      {"224.0.0.0/4,255.255.255.255/32", "224.0.0.0-240.0.0.0 255.255.255.255-"},
      {"224.0.0.0/3,255.0.0.0/8", "224.0.0.0-"},
      {"0.0.0.0/0,10.0.0.0/8", "0.0.0.0-"},
      {"::/0,255.255.255.255/32", "255.255.255.255- ::-"},
      {"fd00::/64,fd00:0:0:1::/64", "fd00::-fd00:0:0:2::"},
      {"ff00::/8,10.0.0.0/32", "10.0.0.0-10.0.0.1 ff00::-"},
  };
  for (const Case& c : kCases) EXPECT_EQ(ToText(MergeRanges(Prefixes(c.prefixes))), c.ranges);
}

TEST(MasqueradeTest, RangesCoverWhatIsWhollyInOneOfThem) {
  std::vector<AddressRange> ranges = MergeRanges(Prefixes("10.1.0.0/24,10.1.1.0/24,ff00::/8"));
  for (const char* in : {"10.1.0.0/23", "10.1.1.255/32", "ff00::/8", "ffff::/16"}) {
    EXPECT_TRUE(Covers(ranges, *IpPrefix::Parse(in))) << in;
  }
  for (const char* out : {"10.1.0.0/22", "10.1.2.0/24", "10.0.0.0/8", "::/0", "fe00::/8"}) {
    EXPECT_FALSE(Covers(ranges, *IpPrefix::Parse(out))) << out;
  }
  EXPECT_FALSE(Covers({}, *IpPrefix::Parse("10.1.0.0/24")));
}

TEST(MasqueradeTest, RangesComeBackFromTheirElementsInAnyOrder) {
  for (const char* text : {"", "10.1.0.0/24", "0.0.0.0/0", "10.1.0.0/24,10.1.2.0/24,224.0.0.0/3",
                           "::/0", "fd00::/48,fe80::/10,ff00::/8", "10.1.0.0/24,fd00::/48"}) {
    std::vector<AddressRange> ranges = MergeRanges(Prefixes(text)), back;
    for (IpFamily family : {IpFamily::kV4, IpFamily::kV6}) {
      std::vector<NftElement> elements = ToElements(ranges, family);
      std::reverse(elements.begin(), elements.end());
      auto some = ToRanges(elements, family);
      ASSERT_TRUE(some.has_value());
      back.insert(back.end(), some->begin(), some->end());
    }
    EXPECT_EQ(ToText(back), ToText(ranges));
  }
}

NftElement Element(const std::string& address, bool end) {
  NftElement element;
  element.key = NftTuple().Address(*IpAddress::Parse(address)).bytes();
  element.interval_end = end;
  return element;
}

// As other programs write them.
TEST(MasqueradeTest, ElementsMeanWhatTheKernelTakesThemFor) {
  // nft(8) begins with an end where nothing is before the first range, and leaves ranges apart that
  // touch.
  EXPECT_EQ(ToText(*ToRanges(
                {Element("0.0.0.0", true), Element("10.0.0.0", false), Element("10.1.0.0", true),
                 Element("10.1.0.0", false), Element("10.2.0.0", true)},
                IpFamily::kV4)),
            "10.0.0.0-10.2.0.0");
  EXPECT_EQ(
      ToText(*ToRanges({Element("10.0.0.0", false), Element("10.0.0.5", false)}, IpFamily::kV4)),
      "10.0.0.0-");
  EXPECT_FALSE(ToRanges({NftElement()}, IpFamily::kV4).has_value());
  EXPECT_FALSE(ToRanges({Element("10.0.0.0", false)}, IpFamily::kV6).has_value());
}

TEST(MasqueradeTest, NothingIsMasqueradedTowardsPodsAndLinkLocalAndMulticastAddresses) {
  Masquerading made =
      MakeMasquerading(Prefixes("10.244.1.0/24,fd01::/64"), Prefixes("10.0.0.0/16"));
  EXPECT_EQ(ToText(made.pods), "10.244.1.0-10.244.2.0 fd01::-fd01:0:0:1::");
  for (const char* in : {"10.0.0.0/16", "10.244.1.0/24", "fd01::/64", "169.254.0.0/16", "fe80::/10",
                         "224.0.0.0/4", "255.255.255.255/32", "ff00::/8"}) {
    EXPECT_TRUE(Covers(made.unmasqueraded, *IpPrefix::Parse(in))) << in;
  }
  for (const char* out : {"10.244.2.0/24", "192.168.0.1/32", "8.8.8.8/32", "2001:db8::1/128"}) {
    EXPECT_FALSE(Covers(made.unmasqueraded, *IpPrefix::Parse(out))) << out;
  }
}

}  // namespace
}  // namespace podroute
