#include "routing/bird_config.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace podroute {
namespace {

Route R(const std::string& dst, const std::string& gateway, const std::string& node = "") {
  Route route;
  route.dst = IpPrefix::Parse(dst).value();
  route.via.gateway = IpAddress::Parse(gateway).value();
  route.node = node;
  return route;
}

std::string ToText(const RouteSet& routes) {
  std::string text;
  for (const Route& route : routes) {
    text += route.dst.ToString() + " " + route.via.gateway.ToString() + " " + route.node + "\n";
  }
  return text;
}

const RouteSet kRoutes = {
    R("10.244.1.0/24", "192.168.0.1", "master1"),
    R("10.244.2.0/24", "192.168.0.2"),
    R("fd00:10:244:1::/64", "fd00::1", "master1"),
};
constexpr char kText[] =
    "# Written by podroute. Do not edit: what is changed here is put back.\n"
    "protocol static podroute4 {\n"
    "  ipv4;\n"
    "  route 10.244.1.0/24 via 192.168.0.1; # master1\n"
    "  route 10.244.2.0/24 via 192.168.0.2;\n"
    "}\n"
    "\n"
    "protocol static podroute6 {\n"
    "  ipv6;\n"
    "  route fd00:10:244:1::/64 via fd00::1; # master1\n"
    "}\n";

TEST(BirdConfigTest, RendersARouteALineInAProtocolForEachFamily) {
  EXPECT_EQ(RenderBirdConfig(kRoutes, ""), kText);
}

TEST(BirdConfigTest, AnEmptySetStillHasBothProtocols) {
  EXPECT_EQ(RenderBirdConfig({}, ""),
            "# Written by podroute. Do not edit: what is changed here is put back.\n"
            "protocol static podroute4 {\n  ipv4;\n}\n\nprotocol static podroute6 {\n  ipv6;\n}\n");
}

TEST(BirdConfigTest, TheSameRoutesInAnyOrderAreTheSameBytes) {
  RouteSet routes = kRoutes;
  std::mt19937 random(1);
  for (int i = 0; i < 20; ++i) {
    std::shuffle(routes.begin(), routes.end(), random);
    EXPECT_EQ(RenderBirdConfig(routes, ""), kText);
  }
}

TEST(BirdConfigTest, ADestinationHasOneLine) {
  RouteSet routes = kRoutes;
  routes.push_back(R("10.244.1.0/24", "192.168.0.9", "twin"));
  EXPECT_EQ(RenderBirdConfig(routes, ""), kText);
}

TEST(BirdConfigTest, OwnersNeverShareAName) {
  EXPECT_EQ(BirdProtocolName(IpFamily::kV4, ""), "podroute4");
  EXPECT_EQ(BirdProtocolName(IpFamily::kV6, "lab"), "podroute6_lab");
  const std::vector<std::string> owners = {
      "a-b", "a_b", "a.b", "a__b", "a_2db", "a-_b", "a_-b", "A-b", "ab", "a b", "a\nb", "a\"b", "_",
      "__", "-", "_2d", "_h", "ä", std::string(40, 'x'), std::string(48, 'x'), std::string(49, 'x'),
      std::string(300, 'x'), std::string(301, 'x'), std::string(30, '-'), std::string(31, '-'),
      std::string(24, '_'), std::string(25, '_'),
      // What a long name becomes is nobody's own name.
      BirdProtocolName(IpFamily::kV4, std::string(49, 'x')).substr(10)};
  std::set<std::string> names;
  for (const std::string& owner : owners) {
    const std::string name = BirdProtocolName(IpFamily::kV4, owner);
    EXPECT_TRUE(names.insert(name).second) << owner << " is " << name << " too";
    EXPECT_LE(name.size(), 63u) << name;
    for (char c : name) EXPECT_TRUE(isalnum(static_cast<unsigned char>(c)) || c == '_') << name;
    EXPECT_TRUE(name.starts_with("podroute4_")) << name;
  }
}

TEST(BirdConfigTest, AnOwnersNameStaysInItsComment) {
  const std::string text = RenderBirdConfig({}, "x\nprotocol static evil {}\n");
  EXPECT_EQ(text.find("\nprotocol static evil"), std::string::npos) << text;
}

TEST(BirdConfigTest, ANodesNameStaysInItsComment) {
  for (const std::string& name :
       {std::string("a\nroute 0.0.0.0/0 via 192.168.0.66;"), std::string("a\0b", 3),
        std::string("a b"), std::string("\x1b[31m"), std::string("n\xc3\xb6"), std::string("\r"),
        std::string(254, 'x')}) {
    EXPECT_EQ(RenderBirdConfig({R("10.1.0.0/24", "192.168.0.1", name)}, ""),
              RenderBirdConfig({R("10.1.0.0/24", "192.168.0.1")}, ""));
  }
  for (const std::string name : {"a", "a/*b", "a#b;}", "\"'"}) {
    const std::string text = RenderBirdConfig({R("10.1.0.0/24", "192.168.0.1", name)}, "");
    EXPECT_NE(text.find("192.168.0.1; # " + name + "\n"), std::string::npos);
    EXPECT_EQ(ParseBirdConfig(text, "").value()[0].node, name);
  }
}

TEST(BirdConfigTest, GatewaysThatNoNeighbourHasAreRefused) {
  const std::vector<std::pair<std::string, std::string>> bad = {
      {"10.1.0.0/24", "0.0.0.0"}, {"10.1.0.0/24", "127.0.0.1"}, {"10.1.0.0/24", "224.0.0.5"},
      {"10.1.0.0/24", "fd00::1"}, {"fd01::/64", "192.168.0.1"}, {"fd01::/64", "::"},
      {"fd01::/64", "::1"},       {"fd01::/64", "ff02::1"},     {"fd01::/64", "fe80::1"},
  };
  for (const auto& [dst, gateway] : bad) {
    const Status status = CheckBirdRoute(R(dst, gateway));
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << dst << " " << gateway;
    EXPECT_NE(status.message().find(dst), std::string::npos) << status.message();
    EXPECT_NE(status.message().find(gateway), std::string::npos) << status.message();
    EXPECT_EQ(RenderBirdConfig({R(dst, gateway)}, ""), RenderBirdConfig({}, ""));
  }
  EXPECT_TRUE(CheckBirdRoute(kRoutes[0]).ok());
}

TEST(BirdConfigTest, WhatWasWrittenIsRead) {
  EXPECT_EQ(ToText(ParseBirdConfig(kText, "").value()), ToText(kRoutes));
  std::mt19937 random(7);
  for (int i = 0; i < 50; ++i) {
    RouteSet routes;
    for (unsigned n = 0; n < random() % 50; ++n) {
      routes.push_back(R("10." + std::to_string(n) + ".0.0/" + std::to_string(16 + random() % 17),
                         "192.168.0." + std::to_string(random() % 256),
                         random() % 2 == 0 ? "" : "n" + std::to_string(n)));
    }
    for (unsigned n = 0; n < random() % 50; ++n) {
      routes.push_back(R("fd01:0:0:" + std::to_string(100 + n) + "::/64",
                         "fd00::" + std::to_string(1 + random() % 256)));
    }
    const std::string text = RenderBirdConfig(routes, "own-er");
    EXPECT_EQ(ToText(ParseBirdConfig(text, "own-er").value()), ToText(routes));
    EXPECT_FALSE(ParseBirdConfig(text, "").ok());
    EXPECT_FALSE(ParseBirdConfig(text, "own_er").ok());
  }
}

TEST(BirdConfigTest, AnythingThatIsCutOffIsSeen) {
  const std::string text = kText;
  for (size_t n = 0; n < text.size(); ++n) {
    EXPECT_FALSE(ParseBirdConfig(text.substr(0, n), "").ok()) << n;
  }
}

TEST(BirdConfigTest, AnythingThatIsAddedIsSeen) {
  const std::string text = kText;
  for (size_t n = 0; n <= text.size(); ++n) {
    for (const char* more : {"\n", " ", "#", "}"}) {
      std::string edited = text;
      edited.insert(n, more);
      // Behind a node's name it is another name: a comment that we could have written.
      Result<RouteSet> routes = ParseBirdConfig(edited, "");
      if (routes.ok()) {
        EXPECT_EQ(routes->size(), kRoutes.size()) << edited;
        EXPECT_EQ(RenderBirdConfig(*routes, ""), edited);
      }
    }
  }
}

TEST(BirdConfigTest, SaysWhichLineIsNotOurs) {
  const std::vector<std::pair<std::string, std::string>> bad = {
      {"  route 10.244.1.0/24 via 192.168.0.1 ; # master1", "line 4"},
      {"  route 10.244.1.7/24 via 192.168.0.1; # master1", "line 4"},
      {"  route 10.244.1.0/24 blackhole;", "line 4"},
      {"  route 10.244.1.0/24 via \"eth0\";", "line 4"},
      {"  route 10.244.1.0/24 via 192.168.0.1;  # x", "line 4"},
      {"  route fd00::/64 via fd00::1;", "line 4"},
      {"  route 10.244.3.0/24 via 192.168.0.1;", "line 5"},  // Out of order.
      {"include \"/etc/passwd\";", "line 4"},
  };
  const std::string line = "  route 10.244.1.0/24 via 192.168.0.1; # master1";
  for (const auto& [edited, where] : bad) {
    std::string text = kText;
    text.replace(text.find(line), line.size(), edited);
    Result<RouteSet> routes = ParseBirdConfig(text, "");
    ASSERT_FALSE(routes.ok()) << edited;
    EXPECT_NE(routes.status().message().find(where), std::string::npos)
        << edited << ": " << routes.status().message();
  }
  // The same address in another spelling: not our bytes.
  std::string text = kText;
  text.replace(text.find("fd00::1;"), 8, "fd00:0::1;");
  EXPECT_FALSE(ParseBirdConfig(text, "").ok());
}

}  // namespace
}  // namespace podroute
