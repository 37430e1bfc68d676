#include "controller/agent_presence.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>

namespace podroute {
namespace {

// That keep the same: more than one is a mistake already.
constexpr int kMostAgents = 8;

struct Address {
  sockaddr_un address{};
  socklen_t size = 0;
};

// In the abstract namespace: a name begins with a zero byte.
Address AddressOf(const std::string& what, int number) {
  const std::string name = "podroute/" + what + "/" + std::to_string(number);
  Address result;
  result.address.sun_family = AF_UNIX;
  size_t length = std::min(name.size(), sizeof result.address.sun_path - 1);
  std::copy_n(name.begin(), length, result.address.sun_path + 1);
  result.size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + length);
  return result;
}

Result<UniqueFd> NewSocket() {
  UniqueFd fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return Status::FromErrno(errno, "unix socket");
  return fd;
}

Result<UniqueFd> Take(const std::string& what) {
  PODROUTE_ASSIGN_OR_RETURN(UniqueFd fd, NewSocket());
  for (int number = 0; number < kMostAgents; ++number) {
    const Address name = AddressOf(what, number);
    if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&name.address), name.size) != 0) {
      if (errno == EADDRINUSE) continue;
      return Status::FromErrno(errno, "name a unix socket podroute/" + what);
    }
    // What somebody sends is refused instead of kept.
    if (shutdown(fd.get(), SHUT_RD) != 0) return Status::FromErrno(errno, "unix socket");
    return fd;
  }
  return Status(StatusCode::kAlreadyExists, "many agents run here already");
}

}  // namespace

std::string KeptBy(const Options& options) {
  if (options.mode != Mode::kRouter) return "node";
  return "router-" + std::to_string(static_cast<int>(options.router.backend)) + "-" +
         options.router.owner;
}

std::string KeptWithMarkBy(const Options& options) {
  return KeptBy(options) + "/" + std::to_string(options.route_table) + "." +
         std::to_string(options.route_protocol) + "." + std::to_string(options.route_metric);
}

Result<AgentPresence> AgentPresence::Announce(const Options& options) {
  AgentPresence presence;
  for (const std::string& what : {KeptBy(options), KeptWithMarkBy(options)}) {
    PODROUTE_ASSIGN_OR_RETURN(UniqueFd fd, Take(what));
    presence.sockets_.push_back(std::move(fd));
  }
  return presence;
}

bool AgentKeeps(const std::string& what) {
  for (int number = 0; number < kMostAgents; ++number) {
    Result<UniqueFd> fd = NewSocket();
    if (!fd.ok()) return false;
    const Address name = AddressOf(what, number);
    if (connect(fd->get(), reinterpret_cast<const sockaddr*>(&name.address), name.size) == 0) {
      return true;
    }
  }
  return false;
}

}  // namespace podroute
