// The kernel's notifications, as hints that something should be read again.
#ifndef PODROUTE_ROUTING_KERNEL_MONITOR_H_
#define PODROUTE_ROUTING_KERNEL_MONITOR_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "base/ip_prefix.h"
#include "base/status.h"
#include "routing/netlink_codec.h"
#include "routing/netlink_socket.h"
#include "routing/owner.h"

namespace podroute {

struct KernelHints {
  // A route or nexthop object of our protocol, changed by somebody else; or a link that matters
  // went down or away or lost its carrier, or an address away: that takes routes with it without a
  // word about them (IPv4).
  bool routes_changed = false;
  // Destinations of routes of ours that somebody deleted, as far as the kernel said so; at most
  // kMaxDeleted. They can be put back at once.
  static constexpr size_t kMaxDeleted = 1000;
  std::vector<IpPrefix> deleted;
  // routes_changed for more than what `deleted` names.
  bool unnamed = false;
  // A link that matters, or an address; often nothing that LocalNetwork shows.
  bool local_network_changed = false;
  bool overrun = false;  // Notifications were lost: both of the above are set too.
};

struct KernelMonitorOptions {
  RouteMark mark =
      {};  // What makes a route ours; a nexthop object is ours by its protocol, but for
  NexthopIds nexthop_ids = {};  // other owners' (IsOtherOwners).
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

  // Only these links matter from now on: those with addresses. A link that gets its first address
  // is told by the address. On a node, links come and go with every pod; without this each would be
  // a hint. Before the first call all links matter.
  void WatchLinks(std::set<int> ifindexes) { watched_ = std::move(ifindexes); }

  // Takes all that is queued. An error means that the socket is of no use any more.
  Result<KernelHints> Drain();

 private:
  KernelMonitor(const KernelMonitorOptions& options, std::unique_ptr<NotificationSocket> socket)
      : options_(options), socket_(std::move(socket)) {}
  void Note(const NetlinkMessage& message, KernelHints* hints) const;

  const KernelMonitorOptions options_;
  const std::unique_ptr<NotificationSocket> socket_;
  std::optional<std::set<int>> watched_;
};

}  // namespace podroute

#endif  // PODROUTE_ROUTING_KERNEL_MONITOR_H_
