#include "controller/node_sysctls.h"

#include <algorithm>

#include "base/file.h"
#include "cni/sysctl.h"

namespace podroute {
namespace {

constexpr char kForwardV4[] = "net/ipv4/ip_forward";
constexpr char kForwardV6[] = "net/ipv6/conf/all/forwarding";

void Set(const std::string& dir, const std::string& name, const std::string& value,
         std::vector<SysctlProblem>* problems) {
  Status status = EnsureSysctl(name, value, dir);
  if (status.ok()) return;
  // sysctl(8) takes either; a link's name may have a dot, and then it needs the slashes.
  std::string setting = name;
  if (name.find('.') == std::string::npos) std::replace(setting.begin(), setting.end(), '/', '.');
  problems->push_back({setting + "=" + value, status});
}

std::string Get(const std::string& dir, const std::string& name) {
  Result<std::string> text = ReadFile(dir + "/" + name);
  if (!text.ok()) return "";
  while (!text->empty() && text->back() == '\n') text->pop_back();
  return *text;
}

}  // namespace

std::vector<SysctlProblem> EnableForwardingV4(const std::string& dir) {
  std::vector<SysctlProblem> problems;
  Set(dir, kForwardV4, "1", &problems);
  return problems;
}

std::vector<SysctlProblem> EnableForwardingV6(const std::string& dir,
                                              const std::vector<std::string>& uplinks) {
  std::vector<SysctlProblem> problems;
  if (Get(dir, kForwardV6) == "1") return problems;
  for (const std::string& link : uplinks) {
    std::string accept = "net/ipv6/conf/" + link + "/accept_ra";
    if (Get(dir, accept) == "1") Set(dir, accept, "2", &problems);
  }
  // Without it forwarding would take the default route away.
  if (problems.empty()) Set(dir, kForwardV6, "1", &problems);
  return problems;
}

}  // namespace podroute
