// The kernel's notifications, as hints that something should be read again.
#ifndef PODROUTE_ROUTING_KERNEL_MONITOR_H_
#define PODROUTE_ROUTING_KERNEL_MONITOR_H_

#include <cstdint>
#include <memory>

#include "base/status.h"
#include "routing/netlink_socket.h"

namespace podroute {

struct KernelHints {
  bool routes_changed =
      false;  // A route or nexthop object of our protocol, changed by somebody else.
  // A link or an address; often nothing that LocalNetwork shows. Links take routes with them in
  // silence: read routes again too when LocalNetwork turns out to differ.
  bool local_network_changed = false;
  bool overrun = false;  // Notifications were lost: both of the above are set too.
};

struct KernelMonitorOptions {
  uint8_t protocol = 110;
  // KernelBackend::port_id(): changes made through it are no hints. 0: nobody's.
  uint32_t own_port_id = 0;
  // 8 MB hold about 20,000 notifications. Less when we are not allowed so much.
  int receive_buffer_bytes = 8 << 20;
};

// Uninteresting messages (our own changes, other protocols' routes) are dropped inside the kernel
// by a socket filter: a router that takes a full BGP table wakes nobody here. One thread.
class KernelMonitor {
 public:
  // In the network namespace of the calling thread. Create it before the first ReadOwned, or
  // changes between the two go unseen.
  static Result<std::unique_ptr<KernelMonitor>> Create(const KernelMonitorOptions& options);

  // Non-blocking; readable when Drain has something to say. Stays open as long as this lives.
  int fd() const { return socket_->fd(); }

  // Takes all that is queued. An error means that the socket is of no use any more.
  Result<KernelHints> Drain();

 private:
  explicit KernelMonitor(std::unique_ptr<NotificationSocket> socket) : socket_(std::move(socket)) {}
  const std::unique_ptr<NotificationSocket> socket_;
};

}  // namespace podroute

#endif  // PODROUTE_ROUTING_KERNEL_MONITOR_H_
