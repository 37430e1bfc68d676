#include "routing/plan_printer.h"

#include <gtest/gtest.h>
#include <rapidjson/document.h>

namespace podroute {
namespace {

Route R(const std::string& dst, const std::string& gateway, const std::string& dev,
        const std::string& node) {
  Route route;
  route.dst = IpPrefix::Parse(dst).value();
  route.via = {IpAddress::Parse(gateway).value(), dev.empty() ? 0 : 2};
  route.dev = dev;
  route.node = node;
  return route;
}

const PlanContext kHost = {.mode = "host", .node = "worker1"};

RoutePlan Mixed() {
  return Plan(
      {R("10.244.1.0/24", "192.168.0.1", "eth0", ""), R("10.244.3.0/24", "192.168.0.3", "eth0", ""),
       R("10.244.9.0/24", "192.168.0.9", "eth0", "")},
      {R("10.244.1.0/24", "192.168.0.1", "eth0", "master1"),
       R("10.244.3.0/24", "192.168.0.33", "eth0", "worker2"),
       R("fd00:10:244:3::/64", "fd00:192:168::3", "eth0", "worker2")});
}

const std::vector<Refusal> kRefused = {{"worker9", "10.244.1.0/24", RefusalReason::kOverlapsNode,
                                        "10.244.1.0/24 is already master1's"}};

TEST(PlanPrinterTest, IpIsCommandsThatMakeBeforeTheyBreak) {
  EXPECT_EQ(
      PrintPlan(Mixed(), kRefused, kHost, PlanFormat::kIp),
      "ip route append 10.244.3.0/24 via 192.168.0.33 dev eth0 proto 110 metric 110  # worker2\n"
      "ip route del 10.244.3.0/24 via 192.168.0.3 dev eth0 proto 110 metric 110\n"
      "ip -6 route add fd00:10:244:3::/64 via fd00:192:168::3 dev eth0 proto 110 metric 110  # "
      "worker2\n"
      "ip route del 10.244.9.0/24 via 192.168.0.9 dev eth0 proto 110 metric 110\n"
      "# refused: worker9 OverlapsNode: 10.244.1.0/24 is already master1's\n");
}

// By gateway the kernel does not find a route that refers to a nexthop object.
TEST(PlanPrinterTest, IpDeletesRoutesWithNexthopObjectsByTheirId) {
  RouteSet actual = {R("10.244.3.0/24", "192.168.0.3", "eth0", ""),
                     R("fd00:10:244:9::/64", "fd00:192:168::9", "eth0", "")};
  actual[0].nexthop_id = 77;
  actual[1].nexthop_id = 78;
  EXPECT_EQ(
      PrintPlan(Plan(actual, {R("10.244.3.0/24", "192.168.0.33", "eth0", "worker2")}), {}, kHost,
                PlanFormat::kIp),
      "ip route append 10.244.3.0/24 via 192.168.0.33 dev eth0 proto 110 metric 110  # worker2\n"
      "ip route del 10.244.3.0/24 nhid 77 proto 110 metric 110  # via 192.168.0.3 dev eth0\n"
      "ip -6 route del fd00:10:244:9::/64 nhid 78 proto 110 metric 110"
      "  # via fd00:192:168::9 dev eth0\n");
}

TEST(PlanPrinterTest, IpDeletesARouteWithoutGatewayWithoutNamingOne) {
  EXPECT_EQ(
      PrintPlan(Plan({R("10.244.3.0/24", "0.0.0.0", "eth0", "")}, {}), {}, kHost, PlanFormat::kIp),
      "ip route del 10.244.3.0/24 dev eth0 proto 110 metric 110\n");
}

TEST(PlanPrinterTest, IpNamesAnotherTableAndQuotesLinkNames) {
  PlanContext context = kHost;
  context.table = 100;
  EXPECT_EQ(
      PrintPlan(Plan({}, {R("10.244.1.0/24", "192.168.0.1", "a;reboot'", "m")}), {}, context,
                PlanFormat::kIp),
      "ip route add 10.244.1.0/24 via 192.168.0.1 dev 'a;reboot'\\''' proto 110 metric 110 table "
      "100  # m\n");
}

TEST(PlanPrinterTest, NoNodeCanPutACommandIntoTheShell) {
  std::string text = PrintPlan(Plan({}, {R("10.244.1.0/24", "192.168.0.1", "", "x\nreboot\n")}), {},
                               kHost, PlanFormat::kIp);
  EXPECT_EQ(text, "ip route add 10.244.1.0/24 via 192.168.0.1 proto 110 metric 110  # x?reboot?\n");
}

TEST(PlanPrinterTest, NothingToDoSaysSo) {
  RouteSet routes = {R("10.244.1.0/24", "192.168.0.1", "eth0", "m")};
  EXPECT_EQ(PrintPlan(Plan(routes, routes), {}, kHost, PlanFormat::kIp),
            "# nothing to do: 1 routes are as they should be\n");
}

TEST(PlanPrinterTest, TableIsForPeople) {
  EXPECT_EQ(PrintPlan(Mixed(), kRefused, kHost, PlanFormat::kTable),
            "ACTION   DESTINATION         VIA                             DEV   NODE\n"
            "keep     10.244.1.0/24       192.168.0.1                     eth0  master1\n"
            "replace  10.244.3.0/24       192.168.0.33 (was 192.168.0.3)  eth0  worker2\n"
            "delete   10.244.9.0/24       192.168.0.9                     eth0\n"
            "add      fd00:10:244:3::/64  fd00:192:168::3                 eth0  worker2\n"
            "\n"
            "REFUSED        NODE     REASON        MESSAGE\n"
            "10.244.1.0/24  worker9  OverlapsNode  10.244.1.0/24 is already master1's\n"
            "\n"
            "1 to add, 1 to replace, 1 to delete, 1 to keep, 1 refused\n");
}

TEST(PlanPrinterTest, JsonHasTheDocumentedFields) {
  std::string text = PrintPlan(Mixed(), kRefused, kHost, PlanFormat::kJson);
  rapidjson::Document json;
  json.Parse(text.c_str());
  ASSERT_FALSE(json.HasParseError()) << text;
  EXPECT_STREQ(json["mode"].GetString(), "host");
  EXPECT_STREQ(json["node"].GetString(), "worker1");
  ASSERT_EQ(json["routes"].Size(), 4u);
  const auto& replace = json["routes"][1];
  EXPECT_STREQ(replace["action"].GetString(), "replace");
  EXPECT_STREQ(replace["dst"].GetString(), "10.244.3.0/24");
  EXPECT_STREQ(replace["via"].GetString(), "192.168.0.33");
  EXPECT_STREQ(replace["old_via"].GetString(), "192.168.0.3");
  EXPECT_STREQ(replace["dev"].GetString(), "eth0");
  EXPECT_STREQ(replace["node"].GetString(), "worker2");
  EXPECT_STREQ(json["routes"][0]["action"].GetString(), "keep");
  ASSERT_EQ(json["refused"].Size(), 1u);
  EXPECT_STREQ(json["refused"][0]["reason"].GetString(), "OverlapsNode");
  EXPECT_STREQ(json["refused"][0]["cidr"].GetString(), "10.244.1.0/24");
  EXPECT_EQ(text.back(), '\n');
}

}  // namespace
}  // namespace podroute
