#include "routing/frr_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace podroute {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

Route R(const std::string& dst, const std::string& gateway) {
  Route route;
  route.dst = IpPrefix::Parse(dst).value();
  route.via.gateway = IpAddress::Parse(gateway).value();
  return route;
}

std::string Config(const std::string& lines) {
  return "Building configuration...\n\nCurrent configuration:\n!\nfrr version 8.4.4\nhostname "
         "r\n!\n" +
         lines + "!\nend\n";
}

FrrConfig Parsed(const std::string& lines, uint32_t tag = kFrrTag) {
  Result<FrrConfig> config = ParseFrrConfig(Config(lines), tag);
  EXPECT_TRUE(config.ok()) << config.status().message();
  return config.ok() ? *config : FrrConfig();
}

RouteSet Ordered(RouteSet routes) {
  std::stable_sort(routes.begin(), routes.end(),
                   [](const Route& a, const Route& b) { return a.dst < b.dst; });
  return routes;
}

TEST(FrrTagTest, ThePlainOwnerHas110AndOthersTheirHash) {
  EXPECT_EQ(FrrTag(""), 110u);
  EXPECT_EQ(FrrTag("podroute"), 110u);
  EXPECT_EQ(FrrTag("a"), 0xe40c292cu);  // FNV-1a's own test vectors.
  EXPECT_EQ(FrrTag("foobar"), 0xbf9cf968u);
  EXPECT_NE(FrrTag("blue"), FrrTag("green"));
}

TEST(FrrLineTest, IsOneFormForBothFamilies) {
  EXPECT_EQ(FrrLine(R("10.244.1.0/24", "192.168.0.1"), 110),
            "ip route 10.244.1.0/24 192.168.0.1 tag 110");
  EXPECT_EQ(FrrLine(R("fd01:0:0:1::/64", "fd00::1"), 4294967295),
            "ipv6 route fd01:0:0:1::/64 fd00::1 tag 4294967295");
}

TEST(FrrLineTest, ARouteThatFrrCannotHoldIsACommentThatSaysWhy) {
  EXPECT_EQ(RenderFrrConfig({R("10.244.1.0/24", "fd00::1"), R("10.244.2.0/24", "192.168.0.2"),
                             R("fd01::/64", "fe80::1")},
                            110),
            "! 10.244.1.0/24 via fd00::1: FRR's static routes need a gateway of the same family\n"
            "ip route 10.244.2.0/24 192.168.0.2 tag 110\n"
            "! fd01::/64 via fe80::1: a link-local gateway needs an interface in FRR\n");
}

TEST(FrrLineTest, WhatIsRenderedIsReadAsTheSame) {
  RouteSet routes = Ordered({R("0.0.0.0/0", "192.168.0.9"), R("10.244.1.0/24", "192.168.0.1"),
                             R("10.1.2.3/32", "10.9.9.9"), R("::/0", "fd00::9"),
                             R("fd01::/64", "fd00::1"), R("fd01::1:2:3/128", "2001:db8::1"),
                             R("fd02::/64", "::ffff:1.2.3.4"), R("fd03::/64", "::1.2.3.4")});
  FrrConfig config = Parsed(RenderFrrConfig(routes, 77), 77);
  ASSERT_EQ(config.owned.size(), routes.size());
  for (size_t i = 0; i < routes.size(); ++i) EXPECT_TRUE(config.owned[i].SameAs(routes[i])) << i;
  EXPECT_THAT(config.foreign, IsEmpty());
}

// Lines that FRR 8.4 prints, or other versions do, none of which is ours.
TEST(FrrParserTest, WhatIsNotExactlyOurFormWithOurTagIsTheOperators) {
  enum Harm { kAny, kSameGateway, kNone };  // Which routes of ours would harm it.
  struct {
    const char* line;
    Harm harm;
  } cases[] = {
      {"ip route 10.244.1.0/24 192.168.0.1", kAny},
      {"ip route 10.244.1.0/24 192.168.0.1 tag 111", kAny},
      {"ip route 10.244.1.0/24 192.168.0.1 tag 1100", kAny},
      {"ip route 10.244.1.0/24 192.168.0.1 lan", kAny},
      {"ip route 10.244.1.0/24 192.168.0.1 lan tag 110", kAny},
      {"ip route 10.244.1.0/24 192.168.0.1 lan onlink tag 110", kAny},
      {"ip route 10.244.1.0/24 192.168.0.1 onlink tag 110", kAny},
      {"ip route 10.244.1.0/24 192.168.0.1 tag 110 label 16", kAny},
      {"ip route 10.244.1.0/24 192.168.0.1 tag 110 nexthop-vrf red", kAny},
      {"ip route 10.244.1.0/24 192.168.0.1 tag 110 color 110", kAny},
      {"ip route 10.244.1.0/24 192.168.0.1 tag 110 bfd", kAny},
      {"ip route 10.244.1.0/24 lan tag 110", kAny},
      {"ip route 10.244.1.0/24 Null0 tag 110", kAny},
      {"ip route 10.244.1.0/24 blackhole tag 110", kAny},
      {"ip route 10.244.1.0/24 reject tag 110", kAny},
      {"ip route 10.244.1.0/24 192.168.0.1 tag 110 1", kAny},
      {"ip route 10.244.1.0/24 192.168.0.1 tag 110 110", kSameGateway},
      {"ip route 10.244.1.0/24 192.168.0.1 110", kSameGateway},
      {"ip route 10.244.1.0/24 192.168.0.1 lan tag 110 110", kNone},
      {"ip route 10.244.1.0/24 lan 110", kNone},
      {"ip route 10.244.1.0/24 blackhole 254", kNone},
      {"ip route 10.244.1.0/24 192.168.0.1 tag 110 table 110", kNone},
      {"ip route 10.244.1.0/24 192.168.0.1 tag 110 vrf red", kNone},
      {"ip route 10.244.1.0/24 192.168.0.1 vrf red", kNone},
      {"ipv6 route 10.244.1.0/24 192.168.0.1 tag 110", kAny},  // Never seen; certainly not ours.
  };
  for (const auto& c : cases) {
    FrrConfig config = Parsed(std::string(c.line) + "\n");
    EXPECT_THAT(config.owned, IsEmpty()) << c.line;
    EXPECT_EQ(config.InTheWayOf(R("10.244.1.0/24", "192.168.0.1")) != nullptr, c.harm != kNone)
        << c.line;
    EXPECT_EQ(config.InTheWayOf(R("10.244.1.0/24", "192.168.0.2")) != nullptr, c.harm == kAny)
        << c.line;
    EXPECT_EQ(config.InTheWayOf(R("10.244.0.0/23", "192.168.0.1")), nullptr) << c.line;
  }
}

TEST(FrrParserTest, LinesInBlocksAndOfOtherKindsAreNotRoutes) {
  FrrConfig config = Parsed(
      "vrf red\n ip route 10.244.1.0/24 192.168.0.1 tag 110\nexit-vrf\n!\n"
      "banner motd line ip route 10.244.2.0/24 192.168.0.1 tag 110\n"
      "interface lan\n description ip route 10.244.3.0/24 192.168.0.1 tag 110\nexit\n"
      "! ip route 10.244.4.0/24 192.168.0.1 tag 110\n"
      "#ip route 10.244.4.0/24 192.168.0.1 tag 110\n"
      "no ip route 10.244.5.0/24 192.168.0.1 tag 110\n"
      "ip router-id 1.2.3.4\nip mroute 10.244.6.0/24 192.168.0.1 tag 110\n"
      "ip route 10.244.7.0 255.255.255.0 192.168.0.1 tag 110\n"
      "ip route\nip route \nip route 10.244.8.0/24\n"
      "ipv6 route fd01::/64 from fd02::/64 fd00::1 tag 110\n");
  EXPECT_THAT(config.owned, IsEmpty());
  EXPECT_EQ(config.foreign.size(), 1u);  // Without a next hop; nobody else has one for it.
}

TEST(FrrParserTest, OursAreOrderedByDestinationWithAllTheirNextHops) {
  FrrConfig config = Parsed(
      "ip route 10.244.2.0/24 192.168.0.2 tag 110\nip route 10.244.1.0/24 192.168.0.9 tag 110\n"
      "ip route 10.244.1.0/24 192.168.0.1 tag 110\nip route 10.244.1.0/24 192.168.0.3 tag 110 50\n"
      "ipv6 route fd01::/64 fd00::1 tag 110\r\n");
  ASSERT_EQ(config.owned.size(), 4u);
  EXPECT_TRUE(config.owned[0].SameAs(R("10.244.1.0/24", "192.168.0.9")));
  EXPECT_TRUE(config.owned[1].SameAs(R("10.244.1.0/24", "192.168.0.1")));
  EXPECT_TRUE(config.owned[2].SameAs(R("10.244.2.0/24", "192.168.0.2")));
  EXPECT_TRUE(config.owned[3].SameAs(R("fd01::/64", "fd00::1")));
  EXPECT_TRUE(HasRoute(config.owned, R("10.244.1.0/24", "192.168.0.1")));
  EXPECT_FALSE(HasRoute(config.owned, R("10.244.1.0/24", "192.168.0.3")));
  EXPECT_FALSE(HasRoute(config.owned, R("10.244.3.0/24", "192.168.0.1")));
}

TEST(FrrParserTest, HalfAConfigurationIsAnErrorAndNotDeletedRoutes) {
  std::string whole = Config("ip route 10.244.1.0/24 192.168.0.1 tag 110\n");
  EXPECT_TRUE(ParseFrrConfig(whole, 110).ok());
  for (size_t size = 0; size + 4 < whole.size(); ++size) {
    EXPECT_FALSE(ParseFrrConfig(whole.substr(0, size), 110).ok()) << size;
  }
  EXPECT_FALSE(ParseFrrConfig("% Unknown command\n", 110).ok());
}

RoutePlan PlanFor(const FrrConfig& now, const RouteSet& desired) {
  return Plan(now.owned, desired);
}

std::string Text(const RouteDelta& delta) { return delta.adds.text + delta.deletes.text; }

TEST(FrrDeltaTest, NewLinesComeFirstAndOldOnesAreDeletedAfter) {
  FrrConfig now = Parsed(
      "ip route 10.244.1.0/24 192.168.0.1 tag 110\nip route 10.244.2.0/24 192.168.0.2 tag 110\n"
      "ip route 10.244.3.0/24 192.168.0.3 tag 110\n");
  RoutePlan plan =
      PlanFor(now, {R("10.244.1.0/24", "192.168.0.9"), R("10.244.3.0/24", "192.168.0.3"),
                    R("10.244.4.0/24", "192.168.0.4")});
  RouteDelta delta = MakeFrrDelta(plan, now, 110);
  EXPECT_EQ(Text(delta),
            "ip route 10.244.1.0/24 192.168.0.9 tag 110\n"
            "ip route 10.244.4.0/24 192.168.0.4 tag 110\n"
            "no ip route 10.244.1.0/24 192.168.0.1 tag 110\n"
            "no ip route 10.244.2.0/24 192.168.0.2 tag 110\n");
  EXPECT_THAT(delta.adds.changes, ElementsAre(0, 1));
  EXPECT_THAT(delta.deletes.changes, ElementsAre(0, 2));
}

TEST(FrrDeltaTest, WhatIsAlreadyAsItShouldBeHasNoLines) {
  FrrConfig now = Parsed("ip route 10.244.1.0/24 192.168.0.1 tag 110\n");
  RoutePlan plan;
  plan.changes = {
      {RouteAction::kAdd, R("10.244.1.0/24", "192.168.0.1"), {}},
      {RouteAction::kReplace, R("10.244.1.0/24", "192.168.0.1"), R("10.244.1.0/24", "192.168.0.1")},
      {RouteAction::kDelete, R("10.244.2.0/24", "192.168.0.2"), {}}};
  RouteDelta delta = MakeFrrDelta(plan, now, 110);
  EXPECT_EQ(Text(delta), "");
  for (const Status& status : delta.statuses) EXPECT_TRUE(status.ok());
}

TEST(FrrDeltaTest, AnEcmpLeftoverOfAnInterruptedChangeIsDeleted) {
  FrrConfig now = Parsed(
      "ip route 10.244.1.0/24 192.168.0.1 tag 110\nip route 10.244.1.0/24 192.168.0.9 tag 110\n");
  RoutePlan plan = PlanFor(now, {R("10.244.1.0/24", "192.168.0.9")});
  EXPECT_EQ(Text(MakeFrrDelta(plan, now, 110)), "no ip route 10.244.1.0/24 192.168.0.1 tag 110\n");
}

TEST(FrrDeltaTest, ADestinationOfTheOperatorsIsRefusedButOursThereMayGo) {
  FrrConfig now = Parsed(
      "ip route 10.244.1.0/24 192.168.0.7\n"
      "ip route 10.244.2.0/24 192.168.0.2 tag 110\nip route 10.244.2.0/24 192.168.0.8 lan tag "
      "110\n");
  RoutePlan plan = PlanFor(now, {R("10.244.1.0/24", "192.168.0.1")});
  RouteDelta delta = MakeFrrDelta(plan, now, 110);
  EXPECT_EQ(Text(delta), "no ip route 10.244.2.0/24 192.168.0.2 tag 110\n");
  EXPECT_EQ(delta.statuses[0].code(), StatusCode::kAlreadyExists);
  EXPECT_THAT(delta.statuses[0].message(), HasSubstr("\"ip route 10.244.1.0/24 192.168.0.7\""));
  EXPECT_TRUE(delta.statuses[1].ok());
}

TEST(FrrDeltaTest, ARouteThatFrrCannotHoldKeepsTheOldOne) {
  FrrConfig now = Parsed("ipv6 route fd01::/64 fd00::1 tag 110\n");
  RoutePlan plan = PlanFor(now, {R("fd01::/64", "fe80::1")});
  RouteDelta delta = MakeFrrDelta(plan, now, 110);
  EXPECT_EQ(Text(delta), "");
  EXPECT_EQ(delta.statuses[0].code(), StatusCode::kInvalidArgument);
}

TEST(VtyshErrorsTest, AreGivenByLine) {
  EXPECT_THAT(ParseVtyshErrors(
                  "line 1: % Unknown command[4]: ip rout x\nWarning: connecting to x...failed!\n"
                  "line 12: Failure to communicate[13] to staticd, line: ip route y\n"
                  "line 0: a\nline x: b\nline 99999999999: c\nline 12: again\n"),
              ElementsAre(Pair(0, "% Unknown command[4]: ip rout x"),
                          Pair(11,
                               "Failure to communicate[13] to staticd, line: ip route y; "
                               "again")));
}

}  // namespace
}  // namespace podroute
