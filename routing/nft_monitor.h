// The kernel's notifications about one nftables table, as hints that it should be read again.
#ifndef PODROUTE_ROUTING_NFT_MONITOR_H_
#define PODROUTE_ROUTING_NFT_MONITOR_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "base/status.h"
#include "routing/netlink_socket.h"

namespace podroute {

// What others do to their tables (kube-proxy all day long) is dropped inside the kernel by a socket
// filter, but for very long transactions, which are looked at and forgotten here. One thread.
class NftMonitor {
 public:
  // Of the table of that name, in any family, in the network namespace of the calling thread.
  // Create it before the table is read, or changes between the two go unseen. `own_port_id`: the
  // socket (NetlinkSocket::port_id) whose changes are no hints. REQUIRES: a name of 8 letters.
  static Result<std::unique_ptr<NftMonitor>> Create(const std::string& table, uint32_t own_port_id);

  // Non-blocking; readable when Drain has something to say. Stays open as long as this lives.
  int fd() const { return socket_->fd(); }

  // Takes all that is queued. Whether the table may have changed: somebody else changed something
  // about it, or notifications were lost. An error means that the socket is of no use any more.
  Result<bool> Drain();

 private:
  NftMonitor(std::string table, uint32_t own_port_id, std::unique_ptr<NotificationSocket> socket)
      : table_(std::move(table)), own_port_id_(own_port_id), socket_(std::move(socket)) {}

  const std::string table_;
  const uint32_t own_port_id_;
  const std::unique_ptr<NotificationSocket> socket_;
};

}  // namespace podroute

#endif  // PODROUTE_ROUTING_NFT_MONITOR_H_
