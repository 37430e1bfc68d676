#include "routing/ip_route_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace podroute {
namespace {

using ::testing::HasSubstr;

Route R(const std::string& dst, const std::string& gateway) {
  Route route;
  route.dst = IpPrefix::Parse(dst).value();
  route.via.gateway = IpAddress::Parse(gateway).value();
  return route;
}

std::string Read(const std::string& text, const RouteMark& mark = {}) {
  Result<RouteSet> routes = ParseIpRoutes(text, mark);
  if (!routes.ok()) return routes.status().message();
  std::string out;
  for (const Route& route : *routes) {
    out += route.dst.ToString() + " via " + route.via.gateway.ToString() +
           (route.dev.empty() ? "" : " dev " + route.dev) + "\n";
  }
  return out;
}

TEST(IpRouteTextTest, OneLineARoute) {
  struct {
    const char* line;
    const char* read;  // "": not ours.
  } cases[] = {
      {"10.244.1.0/24 via 192.168.0.1 dev lan proto 110 metric 110",
       "10.244.1.0/24 via 192.168.0.1 dev lan\n"},
      {"10.244.1.0/24 via 192.168.0.1 dev lan proto podroute metric 110 onlink linkdown",
       "10.244.1.0/24 via 192.168.0.1 dev lan\n"},
      {"unicast 10.244.1.0/24 via 192.168.0.1 dev lan table main proto 110 scope global metric 110",
       "10.244.1.0/24 via 192.168.0.1 dev lan\n"},
      {"10.244.7.0/24 nhid 5 via 192.168.0.3 dev lan proto 110 metric 110",
       "10.244.7.0/24 via 192.168.0.3 dev lan\n"},
      {"10.244.4.5 via 192.168.0.1 dev lan proto 110 metric 110",
       "10.244.4.5/32 via 192.168.0.1 dev lan\n"},
      {"10.244.6.0/24 via inet6 fd00::1 dev lan proto 110 metric 110",
       "10.244.6.0/24 via fd00::1 dev lan\n"},
      {"fd01::/64 via fd00::1 dev lan proto 110 metric 110 pref medium",
       "fd01::/64 via fd00::1 dev lan\n"},
      {"fd01::7 via fd00::1 dev lan proto 110 metric 110 pref medium",
       "fd01::7/128 via fd00::1 dev lan\n"},
      {"default via 192.168.0.1 dev lan proto 110 metric 110",
       "0.0.0.0/0 via 192.168.0.1 dev lan\n"},
      {"default via fd00::1 dev lan proto 110 metric 110", "::/0 via fd00::1 dev lan\n"},
      {"10.244.1.0/24 dev lan proto 110 scope link metric 110",
       "10.244.1.0/24 via 0.0.0.0 dev lan\n"},
      {"10.244.2.0/24 proto 110 metric 110 \\\tnexthop via 192.168.0.1 dev lan weight 1",
       "10.244.2.0/24 via 0.0.0.0\n"},
      {"10.244.1.0/24 via 192.168.0.1 dev lan proto 110 metric 110\r",
       "10.244.1.0/24 via 192.168.0.1 dev lan\n"},
      {"10.244.1.0/24 via 192.168.0.1 dev lan", ""},
      {"10.244.1.0/24 via 192.168.0.1 dev lan proto 110", ""},
      {"10.244.1.0/24 via 192.168.0.1 dev lan proto 110 metric 1100", ""},
      {"10.244.1.0/24 via 192.168.0.1 dev lan proto 11 metric 110", ""},
      {"10.244.1.0/24 via 192.168.0.1 dev lan proto static metric 110", ""},
      {"10.244.1.0/24 via 192.168.0.1 dev lan table 9 proto 110 metric 110", ""},
      {"blackhole 10.244.3.0/24 proto 110 metric 110", ""},
      {"192.168.0.0/16 dev lan proto kernel scope link src 192.168.0.254", ""},
      {"default dev lan proto 110 metric 110", ""},
      {"proto 110 metric 110", ""},
      {"x", ""},
      {"", ""},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(Read(c.line), c.read) << c.line;
    EXPECT_EQ(Read(std::string(c.line) + "\n"), c.read) << c.line;
  }
}

TEST(IpRouteTextTest, TheMarkIsTheTableTheProtocolAndTheMetric) {
  RouteMark mark{.table = 9, .protocol = 77, .metric = 5};
  EXPECT_EQ(Read("10.244.1.0/24 via 192.168.0.1 dev lan table 9 proto 77 metric 5\n"
                 "10.244.2.0/24 via 192.168.0.1 dev lan proto 77 metric 5\n",
                 mark),
            "10.244.1.0/24 via 192.168.0.1 dev lan\n");
}

TEST(IpRouteTextTest, LinesBelowARouteAreItsNextHops) {
  EXPECT_EQ(Read("10.244.2.0/24 proto 110 metric 110 \n"
                 "\tnexthop via 192.168.0.1 dev lan weight 1 \n"
                 "\tnexthop via 192.168.0.2 dev lan weight 1 \n"
                 "10.244.1.0/24 via 192.168.0.1 dev lan proto 110 metric 110 \n"),
            "10.244.1.0/24 via 192.168.0.1 dev lan\n10.244.2.0/24 via 0.0.0.0\n");
  EXPECT_EQ(Read("fd01::/64 proto 110 metric 110 pref medium\n"
                 "\tnexthop via fd00::1 dev lan weight 1 \n"
                 "\tnexthop via fd00::9 dev lan weight 1 \n"),
            "fd01::/64 via fd00::1\nfd01::/64 via fd00::9\n");
  EXPECT_EQ(Read(R"([{"dst":"fd01::/64","protocol":"110","metric":110,"nexthops":[
                 {"gateway":"fd00::1","dev":"lan"},{"gateway":"fd00::9","dev":"lan"}]}])"),
            "fd01::/64 via fd00::1\nfd01::/64 via fd00::9\n");
}

TEST(IpRouteTextTest, Json) {
  EXPECT_EQ(
      Read(
          R"([{"dst":"10.244.4.5","gateway":"192.168.0.1","dev":"lan","protocol":"110","metric":110,"flags":[]},
        {"dst":"10.244.1.0/24","gateway":"192.168.0.9","dev":"lan","metric":5,"flags":[]},
        {"type":"unicast","dst":"10.244.7.0/24","nhid":5,"gateway":"192.168.0.3","dev":"lan","table":"main","protocol":"podroute","metric":110},
        {"dst":"10.244.2.0/24","protocol":"110","metric":110,"nexthops":[{"gateway":"192.168.0.1","dev":"lan"}]},
        {"type":"blackhole","dst":"10.244.3.0/24","protocol":"110","metric":110,"flags":[]},
        {"dst":"10.244.6.0/24","via":{"family":"inet6","host":"fd00::1"},"dev":"lan","protocol":"110","metric":110},
        {"dst":"10.244.9.0/24","gateway":"192.168.0.3","table":"9","protocol":"110","metric":110},
        "x",{}]
       [{"dst":"fd01::/64","gateway":"fd00::1","dev":"lan","protocol":"110","metric":110}])"
          "\n"),
      "10.244.2.0/24 via 0.0.0.0\n10.244.4.5/32 via 192.168.0.1 dev lan\n"
      "10.244.6.0/24 via fd00::1 dev lan\n10.244.7.0/24 via 192.168.0.3 dev lan\n"
      "fd01::/64 via fd00::1 dev lan\n");
  EXPECT_EQ(Read("[ ]\n"), "");
  EXPECT_THAT(Read("[{\"dst\":"), HasSubstr("not what `ip -json route` prints"));
  EXPECT_THAT(Read("[]{}"), HasSubstr("no array"));
  EXPECT_THAT(Read("{\"error\":1}"), HasSubstr("no array"));
}

TEST(IpRouteTextTest, TheWholeIsCommandsThatDoNoHarmWhereItAlreadyIs) {
  EXPECT_EQ(RenderIpReplace({R("10.244.1.0/24", "192.168.0.1"), R("10.244.2.0/24", "fd00::1"),
                             R("fd01::/64", "fd00::1")},
                            {R("10.244.9.0/24", "192.168.0.9"), R("fd09::/64", "fd00::9")}, {}),
            "ip route replace 10.244.1.0/24 via 192.168.0.1 proto 110 metric 110\n"
            "ip route replace 10.244.2.0/24 via inet6 fd00::1 proto 110 metric 110\n"
            "ip -6 route replace fd01::/64 via fd00::1 proto 110 metric 110\n"
            "ip route flush exact 10.244.9.0/24 proto 110 metric 110\n"
            "ip -6 route flush exact fd09::/64 proto 110 metric 110\n");
}

}  // namespace
}  // namespace podroute
