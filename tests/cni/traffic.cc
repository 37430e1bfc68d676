#include "tests/cni/traffic.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <utility>

#include "base/ip_prefix.h"
#include "cni/netns.h"

namespace podroute {
namespace {

union Address {
  sockaddr any;
  sockaddr_in v4;
  sockaddr_in6 v6;
};

int SocketType(int protocol) { return protocol == IPPROTO_UDP ? SOCK_DGRAM : SOCK_STREAM; }

std::string ToText(const Address& address) {
  char text[INET6_ADDRSTRLEN] = "?";
  if (address.any.sa_family == AF_INET) {
    inet_ntop(AF_INET, &address.v4.sin_addr, text, sizeof text);
  } else if (IN6_IS_ADDR_V4MAPPED(&address.v6.sin6_addr)) {
    inet_ntop(AF_INET, &address.v6.sin6_addr.s6_addr[12], text, sizeof text);
  } else {
    inet_ntop(AF_INET6, &address.v6.sin6_addr, text, sizeof text);
  }
  return text;
}

void In(const std::string& netns, const std::function<void()>& work) {
  if (netns.empty()) return work();
  Result<UniqueFd> fd = OpenNetns(netns);
  if (!fd.ok()) abort();
  Status status = RunInNetns(fd->get(), [&] {
    work();
    return Status::Ok();
  });
  if (!status.ok()) abort();
}

UniqueFd Listen(int protocol, uint16_t port) {
  UniqueFd fd(socket(AF_INET6, SocketType(protocol) | SOCK_CLOEXEC, protocol));
  int off = 0;
  int on = 1;
  Address address{};
  address.v6.sin6_family = AF_INET6;
  address.v6.sin6_port = htons(port);
  if (!fd || setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off) != 0 ||
      setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
      bind(fd.get(), &address.any, sizeof address.v6) != 0 ||
      (protocol != IPPROTO_UDP && listen(fd.get(), 64) != 0)) {
    perror("listen");
    abort();
  }
  return fd;
}

}  // namespace

WhoServer::WhoServer(const std::string& netns, int protocol, uint16_t port, std::string name)
    : protocol_(protocol), name_(std::move(name)), stop_(eventfd(0, EFD_CLOEXEC)) {
  In(netns, [&] { socket_ = Listen(protocol, port); });
  thread_ = std::thread([this] { Serve(); });
}

WhoServer::~WhoServer() {
  uint64_t one = 1;
  if (write(stop_.get(), &one, sizeof one) != sizeof one) abort();
  thread_.join();
}

void WhoServer::Serve() {
  for (;;) {
    pollfd fds[] = {{.fd = socket_.get(), .events = POLLIN, .revents = 0},
                    {.fd = stop_.get(), .events = POLLIN, .revents = 0}};
    if (poll(fds, 2, -1) < 0) continue;
    if (fds[1].revents != 0) return;
    Address peer{};
    socklen_t size = sizeof peer;
    if (protocol_ == IPPROTO_UDP) {
      char question[64];
      if (recvfrom(socket_.get(), question, sizeof question, 0, &peer.any, &size) < 0) continue;
      std::string answer = name_ + " " + ToText(peer);
      (void)sendto(socket_.get(), answer.data(), answer.size(), 0, &peer.any, size);
      continue;
    }
    UniqueFd connection(accept4(socket_.get(), &peer.any, &size, SOCK_CLOEXEC));
    if (!connection) continue;
    std::string answer = name_ + " " + ToText(peer);
    (void)send(connection.get(), answer.data(), answer.size(), MSG_NOSIGNAL);
  }
}

namespace {

std::string Failed(const char* step) {
  return std::string("no answer: ") + step + ": " +
         (errno == EAGAIN || errno == EINPROGRESS ? "timeout" : strerror(errno));
}

std::string Converse(const Question& question) {
  Result<IpAddress> to = IpAddress::Parse(question.address);
  if (!to.ok()) abort();
  Address peer{};
  Address own{};
  socklen_t size = to->is_v4() ? sizeof peer.v4 : sizeof peer.v6;
  if (to->is_v4()) {
    peer.v4.sin_family = own.v4.sin_family = AF_INET;
    peer.v4.sin_port = htons(question.port);
    own.v4.sin_port = htons(question.from_port);
    memcpy(&peer.v4.sin_addr, to->bytes().data(), 4);
  } else {
    peer.v6.sin6_family = own.v6.sin6_family = AF_INET6;
    peer.v6.sin6_port = htons(question.port);
    own.v6.sin6_port = htons(question.from_port);
    memcpy(&peer.v6.sin6_addr, to->bytes().data(), 16);
  }
  UniqueFd fd(
      socket(peer.any.sa_family, SocketType(question.protocol) | SOCK_CLOEXEC, question.protocol));
  if (!fd) return Failed("socket");
  timeval timeout = {.tv_sec = question.timeout_ms / 1000,
                     .tv_usec = question.timeout_ms % 1000 * 1000};
  setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
  setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
  if (question.from_port != 0 && bind(fd.get(), &own.any, size) != 0) return Failed("bind");
  if (connect(fd.get(), &peer.any, size) != 0) return Failed("connect");
  if (question.protocol == IPPROTO_UDP && send(fd.get(), "?", 1, 0) < 0) return Failed("send");
  char answer[256];
  ssize_t got = recv(fd.get(), answer, sizeof answer, 0);
  if (got < 0) return Failed("receive");
  return {answer, static_cast<size_t>(got)};
}

}  // namespace

std::string Ask(const Question& question) {
  std::string answer;
  In(question.netns, [&] { answer = Converse(question); });
  return answer;
}

bool HasSctp() {
  return UniqueFd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_SCTP)).get() >= 0;
}

}  // namespace podroute
