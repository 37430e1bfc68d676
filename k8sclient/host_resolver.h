// Names to addresses, in a way that can be given up.
#ifndef PODROUTE_K8SCLIENT_HOST_RESOLVER_H_
#define PODROUTE_K8SCLIENT_HOST_RESOLVER_H_

#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/ip_prefix.h"
#include "base/status.h"

namespace podroute {

// Thread-safe. getaddrinfo(3) can't be interrupted: it runs in a thread of its own (none between
// calls), and where it is given up it goes on there, which holds up neither the caller nor the end
// of the process.
class HostResolver {
 public:
  HostResolver();

  // The addresses of `host` (a name, or an address without brackets, which is its own answer), in
  // the order in which they should be tried (RFC 6724, getaddrinfo); never empty. Blocks until
  // there is an answer, `timeout` is over (kDeadlineExceeded) or Shutdown is called (kCancelled, at
  // once). kUnavailable: the name has no address, or no name server could say. Messages name the
  // host.
  Result<std::vector<IpAddress>> Resolve(const std::string& host, Duration timeout);

  // Ends every call under way and every later one. For ever.
  void Shutdown();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace podroute

#endif  // PODROUTE_K8SCLIENT_HOST_RESOLVER_H_
