#include "routing/netlink_socket.h"

#include <linux/filter.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace podroute {
namespace {

constexpr size_t kReadBytes = 256 << 10;  // A dump's answers come in pieces of up to 32 KiB.

// Left as it comes: a short-lived program reads a few KiB, and touching the rest costs it 0.2 ms.
std::unique_ptr<uint8_t[]> MakeBuffer() {
  return std::make_unique_for_overwrite<uint8_t[]>(kReadBytes);
}
constexpr size_t kSendBytes =
    64 << 10;  // All sizes from 4 KiB up are alike (measured, Linux 6.18).
// Some 20,000 map elements: more than any transaction has.
constexpr size_t kTransactionBytes = 4 << 20;
constexpr int kReceiveBufferBytes = 1 << 20;
// What one refusal takes of a receive buffer: up to 840 bytes without a text (measured,
// Linux 6.18).
constexpr size_t kRefusalBytes = 2304;
constexpr char kReading[] = "read from netlink socket";
constexpr timeval kDumpTimeout = {.tv_sec = 10, .tv_usec = 0};

struct SocketDeleter {
  void operator()(nl_sock* socket) const { nl_socket_free(socket); }
};
using SocketPtr = std::unique_ptr<nl_sock, SocketDeleter>;

Status Set(int fd, int level, int option, int value, const char* name) {
  if (setsockopt(fd, level, option, &value, sizeof value) == 0) return Status::Ok();
  return Status::FromErrno(errno, std::string("setsockopt ") + name);
}

// As large as we may: SO_RCVBUFFORCE wants CAP_NET_ADMIN in the first user namespace.
Status SetReceiveBuffer(int fd, int bytes) {
  if (Set(fd, SOL_SOCKET, SO_RCVBUFFORCE, bytes, "SO_RCVBUFFORCE").ok()) return Status::Ok();
  return Set(fd, SOL_SOCKET, SO_RCVBUF, bytes, "SO_RCVBUF");
}

Result<SocketPtr> OpenSocket(int protocol, int receive_buffer_bytes) {
  SocketPtr socket(nl_socket_alloc());
  if (!socket) return Status(StatusCode::kInternal, "netlink socket: out of memory");
  errno = 0;
  if (int error = nl_connect(socket.get(), protocol); error < 0) {
    if (errno == EPROTONOSUPPORT) {
      return Status(StatusCode::kUnsupported, "netlink socket: this kernel has no such protocol");
    }
    if (errno != 0) return Status::FromErrno(errno, "netlink socket");
    return Status(StatusCode::kInternal, std::string("netlink socket: ") + nl_geterror(error));
  }
  PODROUTE_RETURN_IF_ERROR(SetReceiveBuffer(nl_socket_get_fd(socket.get()), receive_buffer_bytes));
  return socket;
}

// One datagram from the kernel into `buffer`, of kReadBytes; empty when nothing is there. Returns
// errno, 0 if all is well.
int Receive(int fd, int flags, uint8_t* buffer, std::span<const uint8_t>& received) {
  received = {};
  for (;;) {
    sockaddr_nl from{};
    iovec part = {buffer, kReadBytes};
    msghdr message{};
    message.msg_name = &from;
    message.msg_namelen = sizeof from;
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    ssize_t got = recvmsg(fd, &message, flags);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno == EAGAIN ? 0 : errno;
    if (from.nl_pid != 0) continue;  // Not the kernel.
    if (message.msg_flags & MSG_TRUNC) return EMSGSIZE;
    received = std::span<const uint8_t>(buffer, static_cast<size_t>(got));
    return 0;
  }
}

Status SendAll(int fd, std::span<const uint8_t> bytes) {
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  for (;;) {
    ssize_t sent = sendto(fd, bytes.data(), bytes.size(), 0,
                          reinterpret_cast<const sockaddr*>(&kernel), sizeof kernel);
    if (sent == static_cast<ssize_t>(bytes.size())) return Status::Ok();
    if (sent < 0 && errno == EINTR) continue;
    return Status::FromErrno(sent < 0 ? errno : EIO, "write to netlink socket");
  }
}

}  // namespace

Status NetlinkFailure::ToStatus(std::string_view what) const {
  Status status = Status::FromErrno(error, what);
  const char* name = strerrorname_np(error);
  const char* meaning = strerrordesc_np(error);
  std::string message(what);
  message += ": " + (!text.empty() ? text : std::string(meaning != nullptr ? meaning : "error"));
  message += " (" + (name != nullptr ? std::string(name) : std::to_string(error)) + ")";
  return Status(status.code(), std::move(message));
}

// ---- NetlinkSocket

// Part of a batch that goes in one send.
struct NetlinkSocket::Window {
  size_t first = 0;
  size_t last = 0;
  std::vector<NetlinkFailure>* failures = nullptr;
};

NetlinkSocket::NetlinkSocket(nl_sock* socket)
    : socket_(socket), fd_(nl_socket_get_fd(socket)), buffer_(MakeBuffer()) {}

NetlinkSocket::~NetlinkSocket() { nl_socket_free(socket_); }

uint32_t NetlinkSocket::port_id() const { return nl_socket_get_local_port(socket_); }

Result<std::unique_ptr<NetlinkSocket>> NetlinkSocket::Create(int protocol) {
  PODROUTE_ASSIGN_OR_RETURN(SocketPtr opened, OpenSocket(protocol, kReceiveBufferBytes));
  std::unique_ptr<NetlinkSocket> socket(new NetlinkSocket(opened.release()));
  int fd = socket->fd_;
  // Conveniences of newer kernels (4.12, 4.20): without them errors lack the text and dumps the
  // filter, both of which is coped with.
  (void)Set(fd, SOL_NETLINK, NETLINK_EXT_ACK, 1, "NETLINK_EXT_ACK");
  (void)Set(fd, SOL_NETLINK, NETLINK_CAP_ACK, 1, "NETLINK_CAP_ACK");
  (void)Set(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, 1, "NETLINK_GET_STRICT_CHK");
  if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &kDumpTimeout, sizeof kDumpTimeout) != 0) {
    return Status::FromErrno(errno, "setsockopt SO_RCVTIMEO");
  }
  // libnl has set it to 32 KiB, and a send must fit in.
  socket->max_bytes_ = kSendBytes;
  if (protocol == NETLINK_NETFILTER &&
      Set(fd, SOL_SOCKET, SO_SNDBUFFORCE, kTransactionBytes, "SO_SNDBUFFORCE").ok()) {
    socket->max_bytes_ = kTransactionBytes;
  } else {
    PODROUTE_RETURN_IF_ERROR(Set(fd, SOL_SOCKET, SO_SNDBUF, 2 * kSendBytes, "SO_SNDBUF"));
  }
  int bytes = 0;
  socklen_t size = sizeof bytes;
  if (getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, &size) != 0) {
    return Status::FromErrno(errno, "getsockopt SO_RCVBUF");
  }
  socket->max_messages_ = std::max<size_t>(1, static_cast<size_t>(bytes) / kRefusalBytes);
  return socket;
}

Result<std::vector<NetlinkFailure>> NetlinkSocket::Execute(NetlinkBatch& batch,
                                                           const Handler& on_reply) {
  std::vector<NetlinkFailure> failures;
  batch.Number(sequence_);
  sequence_ += static_cast<uint32_t>(batch.size());
  Window window{0, 0, &failures};
  while (window.first < batch.size()) {
    size_t bytes = 0;
    while (window.last < batch.size() && window.last - window.first < max_messages_ &&
           (bytes == 0 || bytes + batch.header(window.last).nlmsg_len <= max_bytes_)) {
      bytes += batch.header(window.last).nlmsg_len;
      ++window.last;
    }
    PODROUTE_RETURN_IF_ERROR(SendAndDrain(batch, window, on_reply));
    window.first = window.last;
  }
  return failures;
}

Status NetlinkSocket::SendAndDrain(const NetlinkBatch& batch, Window& window,
                                   const Handler& on_reply) {
  PODROUTE_RETURN_IF_ERROR(SendAll(fd_, batch.bytes(window.first, window.last)));
  uint32_t base = batch.header(0).nlmsg_seq;
  std::vector<NetlinkFailure>& failures = *window.failures;
  size_t known = failures.size();
  for (;;) {
    std::span<const uint8_t> rest;
    if (int error = Receive(fd_, MSG_DONTWAIT, buffer_.get(), rest); error != 0) {
      return Status::FromErrno(error, kReading);
    }
    if (rest.empty()) break;
    while (auto message = NextMessage(rest)) {
      size_t index = message->header.nlmsg_seq - base;
      if (index < window.first || index >= window.last) continue;  // Left of an abandoned dump.
      std::optional<NetlinkError> error = DecodeError(*message);
      if (!error) {
        on_reply(*message);
      } else if (error->error != 0) {
        failures.push_back({index, error->error, std::move(error->text)});
      }
    }
  }
  // The kernel answers in order; sorted all the same, for callers walk along.
  std::sort(failures.begin() + static_cast<ptrdiff_t>(known), failures.end(),
            [](const NetlinkFailure& a, const NetlinkFailure& b) { return a.index < b.index; });
  return Status::Ok();
}

Result<DumpResult> NetlinkSocket::Dump(NetlinkBatch& request, const Handler& on_entry) {
  request.Number(sequence_);
  uint32_t sequence = sequence_++;
  PODROUTE_RETURN_IF_ERROR(SendAll(fd_, request.bytes()));
  DumpResult result;
  for (;;) {
    std::span<const uint8_t> rest;
    if (int error = Receive(fd_, 0, buffer_.get(), rest); error != 0) {
      return Status::FromErrno(error, kReading);
    }
    if (rest.empty()) {
      return Status(StatusCode::kDeadlineExceeded, "netlink dump: the kernel does not answer");
    }
    while (auto message = NextMessage(rest)) {
      if (message->header.nlmsg_seq != sequence) continue;
      if (message->header.nlmsg_flags & NLM_F_DUMP_INTR) result.interrupted = true;
      if (message->header.nlmsg_flags & NLM_F_DUMP_FILTERED) result.filtered = true;
      if (std::optional<NetlinkError> error = DecodeError(*message)) {
        return NetlinkFailure{0, error->error, error->text}.ToStatus("netlink dump");
      }
      if (message->header.nlmsg_type == NLMSG_DONE) {
        int error = -message->Fixed<int>().value_or(0);
        if (error > 0) return NetlinkFailure{0, error, {}}.ToStatus("netlink dump");
        return result;
      }
      on_entry(*message);
    }
  }
}

// ---- NotificationSocket

NotificationSocket::NotificationSocket(nl_sock* socket)
    : socket_(socket), fd_(nl_socket_get_fd(socket)), buffer_(MakeBuffer()) {}

NotificationSocket::~NotificationSocket() { nl_socket_free(socket_); }

Result<std::unique_ptr<NotificationSocket>> NotificationSocket::Create(
    std::initializer_list<int> groups, int receive_buffer_bytes, const sock_fprog* filter,
    int protocol) {
  PODROUTE_ASSIGN_OR_RETURN(SocketPtr opened, OpenSocket(protocol, receive_buffer_bytes));
  std::unique_ptr<NotificationSocket> socket(new NotificationSocket(opened.release()));
  if (filter != nullptr &&
      setsockopt(socket->fd_, SOL_SOCKET, SO_ATTACH_FILTER, filter, sizeof *filter) != 0) {
    return Status::FromErrno(errno, "setsockopt SO_ATTACH_FILTER");
  }
  if (nl_socket_set_nonblocking(socket->socket_) < 0) {
    return Status(StatusCode::kInternal, "netlink socket: cannot make it non-blocking");
  }
  for (int group : groups) {
    Status joined =
        Set(socket->fd_, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group, "NETLINK_ADD_MEMBERSHIP");
    // EINVAL: a group that this kernel does not have.
    if (!joined.ok() && joined.code() != StatusCode::kInvalidArgument) return joined;
  }
  return socket;
}

Result<bool> NotificationSocket::Drain(const NetlinkTransport::Handler& handler) {
  bool complete = true;
  for (;;) {
    std::span<const uint8_t> rest;
    int error = Receive(fd_, MSG_DONTWAIT, buffer_.get(), rest);
    if (error == ENOBUFS) {
      complete = false;  // Said once; what had been queued before comes next.
      continue;
    }
    if (error != 0) return Status::FromErrno(error, kReading);
    if (rest.empty()) return complete;
    while (auto message = NextMessage(rest)) handler(*message);
  }
}

}  // namespace podroute
