#include "controller/router_sysctls.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <string>

#include "tests/base/temp_dir.h"

namespace podroute {
namespace {

const std::map<std::string, std::string> kGood = {
    {"net/ipv4/ip_forward", "1"},
    {"net/ipv6/conf/all/forwarding", "1"},
    {"net/ipv4/conf/all/send_redirects", "0"},
    {"net/ipv4/conf/all/rp_filter", "0"},
    {"net/ipv4/conf/eth0/send_redirects", "0"},
    {"net/ipv4/conf/eth0/rp_filter", "0"},
    {"net/ipv4/conf/eth0.7/send_redirects", "0"},
    {"net/ipv4/conf/eth0.7/rp_filter", "2"},
};

Route Through(const std::string& dev, const std::string& dst) {
  Route route;
  route.dst = IpPrefix::Parse(dst).value();
  route.dev = dev;
  return route;
}

// "NAME=IS>SHOULD ...", with what is given instead of what is good.
std::string Wrong(const std::map<std::string, std::string>& instead, const RouteSet& routes) {
  TempDir dir;
  std::map<std::string, std::string> settings = instead;
  settings.insert(kGood.begin(), kGood.end());
  for (const auto& [name, value] : settings) {
    std::filesystem::path path = dir.path() + "/" + name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << value << "\n";
  }
  std::string text;
  for (const RouterSetting& setting : CheckRouterSettings(routes, dir.path())) {
    text += (text.empty() ? "" : " ") + setting.name + "=" + setting.is + ">" + setting.should;
    EXPECT_NE(setting.why, "");
  }
  return text;
}

TEST(RouterSysctlsTest, EachWrongSettingIsFoundWithWhatWouldBeRight) {
  const RouteSet v4 = {Through("eth0", "10.1.0.0/24"), Through("eth0.7", "10.2.0.0/24")};
  const RouteSet v6 = {Through("eth0", "fd00:1::/64")};
  struct Case {
    std::map<std::string, std::string> instead;
    const RouteSet* routes;
    std::string wrong;
  };
  for (const Case& c : {
           Case{{}, &v4, ""},
           Case{{}, &v6, ""},
           Case{{{"net/ipv4/ip_forward", "0"}}, &v4, "net/ipv4/ip_forward=0>1"},
           Case{{{"net/ipv4/ip_forward", "0"}}, &v6, ""},
           Case{{{"net/ipv6/conf/all/forwarding", "0"}}, &v6, "net/ipv6/conf/all/forwarding=0>1"},
           Case{{{"net/ipv6/conf/all/forwarding", "0"}}, &v4, ""},
           Case{{{"net/ipv4/conf/all/send_redirects", "1"}},
                &v4,
                "net/ipv4/conf/all/send_redirects=1>0"},
           Case{{{"net/ipv4/conf/eth0.7/send_redirects", "1"}},
                &v4,
                "net/ipv4/conf/eth0.7/send_redirects=1>0"},
           Case{{{"net/ipv4/conf/eth0/rp_filter", "1"}}, &v4, "net/ipv4/conf/eth0/rp_filter=1>2"},
           // The larger of the two counts.
           Case{{{"net/ipv4/conf/all/rp_filter", "1"}}, &v4, "net/ipv4/conf/eth0/rp_filter=0>2"},
           Case{{{"net/ipv4/conf/all/rp_filter", "2"}}, &v4, ""},
           Case{{{"net/ipv4/conf/all/rp_filter", "1"}}, &v6, ""},
       }) {
    EXPECT_EQ(Wrong(c.instead, *c.routes), c.wrong);
  }
}

// Nothing can be said of what cannot be read.
TEST(RouterSysctlsTest, AKernelWithoutTheSettingsHasNoWrongOnes) {
  TempDir dir;
  EXPECT_TRUE(CheckRouterSettings({Through("eth0", "10.1.0.0/24")}, dir.path()).empty());
}

}  // namespace
}  // namespace podroute
