// Netlink requests and their answers.
#ifndef PODROUTE_ROUTING_NETLINK_SOCKET_H_
#define PODROUTE_ROUTING_NETLINK_SOCKET_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "routing/netlink_codec.h"

struct nl_sock;
struct sock_fprog;

namespace podroute {

// A message of a batch that the kernel refused.
struct NetlinkFailure {
  size_t index = 0;  // In the batch.
  int error = 0;     // errno
  std::string text;  // The kernel's own; may be empty.

  // "what: Nexthop has invalid gateway (EINVAL)", with errno's code.
  Status ToStatus(std::string_view what) const;
};

// What a dump was like.
struct DumpResult {
  // Something changed meanwhile and the kernel noticed (it does not always): entries may be
  // missing.
  bool interrupted = false;
  // The kernel applied the request's filter. Otherwise everything came.
  bool filtered = false;
};

// The seam between netlink and those who use it. One thread at a time.
class NetlinkTransport {
 public:
  // The message is valid during the call only. Must not call the transport.
  using Handler = std::function<void(const NetlinkMessage&)>;

  virtual ~NetlinkTransport() = default;

  // Has the kernel carry out the messages in order, each whatever became of those before it.
  // Returns those that failed, by index. When it returns, all others have been carried out.
  // `on_reply` gets what comes back that is no error (answers to RTM_GET*); the sequence number
  // minus that of batch.header(0) is the index. An error: the socket is unusable and nothing is
  // known.
  virtual Result<std::vector<NetlinkFailure>> Execute(NetlinkBatch& batch,
                                                      const Handler& on_reply) = 0;
  Result<std::vector<NetlinkFailure>> Execute(NetlinkBatch& batch) {
    return Execute(batch, [](const NetlinkMessage&) {});
  }

  // Runs one dump request (the only message in `request`). Unsupported when the kernel does not
  // know what is asked for.
  virtual Result<DumpResult> Dump(NetlinkBatch& request, const Handler& on_entry) = 0;
};

// One netlink protocol (NETLINK_ROUTE, NETLINK_NETFILTER) in the network namespace that the calling
// thread is in at Create. Blocking, strict checking, the kernel's own error texts.
//
// Messages carry no NLM_F_ACK unless the caller asks for it: requests are carried out inside
// sendmsg(2), after which every error is queued, so one non-blocking drain tells all. No more
// messages go into one send than the receive buffer could hold refusals of, so no refusal is ever
// lost. A batch for NETLINK_NETFILTER is one send whatever its size, as a transaction must be.
class NetlinkSocket : public NetlinkTransport {
 public:
  static Result<std::unique_ptr<NetlinkSocket>> Create(int protocol = NETLINK_ROUTE);
  ~NetlinkSocket() override;
  NetlinkSocket(const NetlinkSocket&) = delete;
  NetlinkSocket& operator=(const NetlinkSocket&) = delete;

  using NetlinkTransport::Execute;
  Result<std::vector<NetlinkFailure>> Execute(NetlinkBatch& batch,
                                              const Handler& on_reply) override;
  Result<DumpResult> Dump(NetlinkBatch& request, const Handler& on_entry) override;

  // The address that notifications name as the one who made a change (nlmsg_pid).
  uint32_t port_id() const;
  // Stays this object's.
  int fd() const { return fd_; }

 private:
  explicit NetlinkSocket(nl_sock* socket);
  struct Window;
  Status SendAndDrain(const NetlinkBatch& batch, Window& window, const Handler& on_reply);

  nl_sock* const socket_;
  const int fd_;
  size_t max_messages_ = 0;  // In one send.
  size_t max_bytes_ = 0;     // The same.
  uint32_t sequence_ = 1;
  const std::unique_ptr<uint8_t[]> buffer_;
};

// A non-blocking socket of one netlink protocol that gets notifications of `groups` (RTNLGRP_*,
// NFNLGRP_*), with a receive buffer as near to `receive_buffer_bytes` as we are allowed. Groups
// unknown to this kernel are skipped.
class NotificationSocket {
 public:
  static Result<std::unique_ptr<NotificationSocket>> Create(std::initializer_list<int> groups,
                                                            int receive_buffer_bytes,
                                                            const sock_fprog* filter,
                                                            int protocol = NETLINK_ROUTE);
  ~NotificationSocket();
  NotificationSocket(const NotificationSocket&) = delete;
  NotificationSocket& operator=(const NotificationSocket&) = delete;

  int fd() const { return fd_; }
  // Hands over everything that is queued. False when notifications were lost (ENOBUFS) since the
  // last call; what is left is handed over even so.
  Result<bool> Drain(const NetlinkTransport::Handler& handler);

 private:
  explicit NotificationSocket(nl_sock* socket);
  nl_sock* const socket_;
  const int fd_;
  const std::unique_ptr<uint8_t[]> buffer_;
};

}  // namespace podroute

#endif  // PODROUTE_ROUTING_NETLINK_SOCKET_H_
