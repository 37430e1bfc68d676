#include "controller/check/networkd_conf.h"

#include <gtest/gtest.h>

namespace podroute {
namespace {

TEST(NetworkdConfTest, BooleansAreSystemds) {
  for (const char* text : {"1", "yes", "y", "true", "t", "on", "YES", "True", "On"}) {
    EXPECT_EQ(ParseSystemdBoolean(text), true) << text;
  }
  for (const char* text : {"0", "no", "n", "false", "f", "off", "NO", "False", "oFF"}) {
    EXPECT_EQ(ParseSystemdBoolean(text), false) << text;
  }
  for (const char* text : {"", "2", "nope", "yes please", "\"no\""}) {
    EXPECT_EQ(ParseSystemdBoolean(text), std::nullopt) << text;
  }
}

TEST(NetworkdConfTest, OnlyTheKeyOfItsSectionCounts) {
  const std::pair<const char*, std::optional<bool>> cases[] = {
      {"", std::nullopt},
      {"[Network]\nManageForeignRoutes=no\n", false},
      {"[Network]\r\n  ManageForeignRoutes = Off \r\n", false},
      {"[Network]\nManageForeignRoutes=no", false},
      {"[Network]\nManageForeignRoutes=no\nManageForeignRoutes=yes\n", true},
      {"[Network]\nManageForeignRoutes=no\nManageForeignRoutes=maybe\n", false},
      {"[Network]\nManageForeignRoutes=\n", std::nullopt},
      {"[Network]\n#ManageForeignRoutes=no\n; ManageForeignRoutes=no\n", std::nullopt},
      {"ManageForeignRoutes=no\n", std::nullopt},
      {"[DHCPv4]\nManageForeignRoutes=no\n", std::nullopt},
      {"[Network]\n[DHCPv4]\nManageForeignRoutes=no\n", std::nullopt},
      {"[DHCPv4]\n[Network]\nManageForeignRoutes=no\n", false},
      {"[Network]\nManageForeignRoutesToo=no\n", std::nullopt},
      {"[Network]\nManageForeignRoutingPolicyRules=no\n", std::nullopt},
      {"[Network]\nManageForeignRoutes= \\\n# a comment\n no\n", false},
      {"[Network]\nSpeedMeter=yes \\\nManageForeignRoutes=no\n", std::nullopt},
      {"[Network]\nManageForeignRoutes=no\\", false},
  };
  for (const auto& [text, manages] : cases)
    EXPECT_EQ(NetworkdBoolean(text, "ManageForeignRoutes"), manages) << text;
}

TEST(NetworkdConfTest, TheVersionIsInALibrarysName) {
  EXPECT_EQ(SystemdVersion("libsystemd-shared-252.so"), 252);
  EXPECT_EQ(SystemdVersion("libsystemd-shared-257.9-1.fc42.so"), 257);
  EXPECT_EQ(SystemdVersion("libsystemd-core-252.so"), 0);
  EXPECT_EQ(SystemdVersion(""), 0);
}

TEST(NetworkdConfTest, DropInsGoByNameAndTheFirstRootsHidesTheOthers) {
  using Order = std::vector<std::pair<size_t, std::string>>;
  EXPECT_EQ(OrderDropIns({{"20-b.conf"}, {"10-a.conf", "notes"}, {"20-b.conf"}, {"30-c.conf"}}),
            (Order{{1, "10-a.conf"}, {0, "20-b.conf"}, {3, "30-c.conf"}}));
}

}  // namespace
}  // namespace podroute
