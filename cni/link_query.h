// Questions about links that the kernel answers without its RTNL lock. A netlink RTM_GETLINK waits
// for that lock, which every pod that starts or ends just then holds for milliseconds.
#ifndef PODROUTE_CNI_LINK_QUERY_H_
#define PODROUTE_CNI_LINK_QUERY_H_

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "base/status.h"

namespace podroute {

struct LinkSummary {
  int ifindex = 0;
  uint32_t flags = 0;  // IFF_*, the lower 16 bits.
  uint32_t mtu = 0;
  std::array<uint8_t, 6> mac{};
};

// The link of that name in the calling thread's network namespace; nullopt when there is none.
Result<std::optional<LinkSummary>> QueryLink(const std::string& name);

}  // namespace podroute

#endif  // PODROUTE_CNI_LINK_QUERY_H_
