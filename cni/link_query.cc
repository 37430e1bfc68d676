#include "cni/link_query.h"

#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/unique_fd.h"

namespace podroute {

Result<std::optional<LinkSummary>> QueryLink(const std::string& name) {
  // Any socket will do: the requests go to the namespace it was made in.
  UniqueFd socket_fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket_fd) return Status::FromErrno(errno, "socket");
  ifreq request{};
  if (name.size() >= sizeof request.ifr_name) return std::optional<LinkSummary>();
  std::memcpy(request.ifr_name, name.data(), name.size());
  LinkSummary link;
  for (unsigned long what : {SIOCGIFINDEX, SIOCGIFFLAGS, SIOCGIFMTU, SIOCGIFHWADDR}) {
    if (ioctl(socket_fd.get(), what, &request) != 0) {
      if (errno == ENODEV) return std::optional<LinkSummary>();
      return Status::FromErrno(errno, "look at link " + name);
    }
    // The answers share their place, so each is taken before the next is asked for.
    if (what == SIOCGIFINDEX) link.ifindex = request.ifr_ifindex;
    if (what == SIOCGIFFLAGS) link.flags = static_cast<uint16_t>(request.ifr_flags);
    if (what == SIOCGIFMTU) link.mtu = static_cast<uint32_t>(request.ifr_mtu);
    if (what == SIOCGIFHWADDR) {
      std::memcpy(link.mac.data(), request.ifr_hwaddr.sa_data, link.mac.size());
    }
  }
  return std::optional<LinkSummary>(link);
}

}  // namespace podroute
