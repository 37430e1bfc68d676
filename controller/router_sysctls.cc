#include "controller/router_sysctls.h"

#include <glog/logging.h>

#include <algorithm>

#include "base/file.h"
#include "base/text.h"
#include "cni/sysctl.h"

namespace podroute {
namespace {

std::string Get(const std::string& root, const std::string& name) {
  Result<std::string> text = ReadFile(root + "/" + name);
  if (!text.ok()) return "";
  text->erase(text->find_last_not_of(" \n") + 1);
  return *text;
}

std::set<std::string> LinksAndFamilies(const RouteSet& routes) {
  std::set<std::string> keys;
  for (const Route& route : routes) {
    keys.insert((route.dst.is_v4() ? "4 " : "6 ") + route.dev);
  }
  return keys;
}

// sysctl(8) takes dots or slashes; a link's name may have a dot, and then it needs the slashes.
std::string SysctlName(std::string name) {
  if (name.find('.') == std::string::npos) std::replace(name.begin(), name.end(), '/', '.');
  return name;
}

}  // namespace

std::vector<RouterSetting> CheckRouterSettings(const RouteSet& routes, const std::string& root) {
  std::vector<RouterSetting> wrong;
  auto check = [&](const std::string& name, const std::string& bad, const std::string& good,
                   const std::string& why) {
    if (Get(root, name) == bad) wrong.push_back({name, bad, good, why});
  };
  std::set<std::string> v4_links;
  bool v4 = false, v6 = false;
  for (const Route& route : routes) {
    (route.dst.is_v4() ? v4 : v6) = true;
    if (route.dst.is_v4() && !route.dev.empty()) v4_links.insert(route.dev);
  }
  const std::string nothing = "this machine forwards nothing, so no pod is reached through it";
  if (v4) check("net/ipv4/ip_forward", "0", "1", nothing);
  if (v6) check("net/ipv6/conf/all/forwarding", "0", "1", nothing);
  if (v4_links.empty()) return wrong;
  const std::string conf = "net/ipv4/conf/";
  const std::string redirects = "nodes are told to go past this router, to each other";
  check(conf + "all/send_redirects", "1", "0", redirects);
  bool strict_all = Get(root, conf + "all/rp_filter") == "1";
  for (const std::string& link : v4_links) {
    check(conf + link + "/send_redirects", "1", "0", redirects);
    std::string own = Get(root, conf + link + "/rp_filter");
    if (own != "1" && !(own == "0" && strict_all)) continue;
    wrong.push_back({conf + link + "/rp_filter", own, "2",
                     "packets that come back by another link than they left are dropped (strict " +
                         std::string(own == "1" ? "here)" : "by net.ipv4.conf.all.rp_filter)")});
  }
  return wrong;
}

void RouterSysctls::Look(const RouteSet& routes) {
  std::set<std::string> keys = LinksAndFamilies(routes);
  if (std::includes(seen_.begin(), seen_.end(), keys.begin(), keys.end())) return;
  seen_.insert(keys.begin(), keys.end());
  for (const RouterSetting& setting : CheckRouterSettings(routes, root_)) {
    std::string name = SysctlName(setting.name);
    Status status = set_ ? EnsureSysctl(setting.name, setting.should, root_)
                         : Status(StatusCode::kUnsupported, "");
    if (status.ok()) {
      LOG(INFO) << "kernel setting changed " << Printable(name) << "=" << setting.should
                << " was=" << setting.is;
      continue;
    }
    if (!said_.insert(name).second) continue;
    LOG(WARNING) << "kernel setting " << Printable(name) << "=" << setting.is << ": " << setting.why
                 << "; " << setting.should << " would be right"
                 << (set_ ? ", but it cannot be set: " + status.message()
                          : " (--set_sysctls sets it)");
  }
}

}  // namespace podroute
