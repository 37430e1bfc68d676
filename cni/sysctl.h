// Kernel settings of the network namespace that the calling thread is in.
#ifndef PODROUTE_CNI_SYSCTL_H_
#define PODROUTE_CNI_SYSCTL_H_

#include <string>
#include <string_view>

#include "base/status.h"

namespace podroute {

inline constexpr char kSysctlDir[] = "/proc/sys";

// Makes `dir`/`name` ("net/ipv4/ip_forward") read `value`; writes only when it does not already, so
// that a read-only /proc/sys is no obstacle where nothing has to change. NotFound when this kernel
// has no such setting.
Status EnsureSysctl(const std::string& name, std::string_view value,
                    const std::string& dir = kSysctlDir);

}  // namespace podroute

#endif  // PODROUTE_CNI_SYSCTL_H_
