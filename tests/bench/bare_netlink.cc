#include "tests/bench/bare_netlink.h"

#include <linux/netlink.h>
#include <linux/nexthop.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace podroute {
namespace {

constexpr size_t kBatchBytes = 64 << 10;

void Check(bool good, const char* what) {
  if (good) return;
  perror(what);
  abort();
}

struct Attribute {
  rtattr header;
  uint32_t value;
  Attribute(uint16_t type, uint32_t v) : header{8, type}, value(v) {}
};

struct NexthopMessage {
  nlmsghdr header{};
  nhmsg body{};
  Attribute id, gateway, device;
  NexthopMessage(const BareRoute& route, int ifindex)
      : id(NHA_ID, route.nexthop_id),
        gateway(NHA_GATEWAY, route.gateway),
        device(NHA_OIF, static_cast<uint32_t>(ifindex)) {
    header.nlmsg_len = sizeof *this;
    header.nlmsg_type = RTM_NEWNEXTHOP;
    header.nlmsg_flags = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL;
    body.nh_family = AF_INET;
    body.nh_protocol = 110;
  }
};

void FillRoute(nlmsghdr& header, rtmsg& body, size_t size, uint16_t type, uint16_t flags) {
  header.nlmsg_len = static_cast<uint32_t>(size);
  header.nlmsg_type = type;
  header.nlmsg_flags = static_cast<uint16_t>(NLM_F_REQUEST | flags);
  body.rtm_family = AF_INET;
  body.rtm_dst_len = 24;
  body.rtm_table = RT_TABLE_MAIN;
  body.rtm_protocol = 110;
  body.rtm_type = RTN_UNICAST;
}

struct ObjectRouteMessage {
  nlmsghdr header{};
  rtmsg body{};
  Attribute dst, metric, nexthop;
  explicit ObjectRouteMessage(const BareRoute& route)
      : dst(RTA_DST, route.dst), metric(RTA_PRIORITY, 110), nexthop(RTA_NH_ID, route.nexthop_id) {
    FillRoute(header, body, sizeof *this, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL);
  }
};

struct GatewayRouteMessage {
  nlmsghdr header{};
  rtmsg body{};
  Attribute dst, metric, gateway, device;
  GatewayRouteMessage(const BareRoute& route, int ifindex, uint16_t more_flags)
      : dst(RTA_DST, route.dst),
        metric(RTA_PRIORITY, 110),
        gateway(RTA_GATEWAY, route.gateway),
        device(RTA_OIF, static_cast<uint32_t>(ifindex)) {
    FillRoute(header, body, sizeof *this, RTM_NEWROUTE,
              static_cast<uint16_t>(NLM_F_CREATE | NLM_F_REPLACE | more_flags));
  }
};

struct DeleteMessage {
  nlmsghdr header{};
  rtmsg body{};
  Attribute dst, metric;
  explicit DeleteMessage(const BareRoute& route)
      : dst(RTA_DST, route.dst), metric(RTA_PRIORITY, 110) {
    FillRoute(header, body, sizeof *this, RTM_DELROUTE, 0);
    body.rtm_scope = RT_SCOPE_NOWHERE;
  }
};

struct DeleteNexthopMessage {
  nlmsghdr header{};
  nhmsg body{};
  Attribute id;
  explicit DeleteNexthopMessage(uint32_t nexthop_id) : id(NHA_ID, nexthop_id) {
    header.nlmsg_len = sizeof *this;
    header.nlmsg_type = RTM_DELNEXTHOP;
    header.nlmsg_flags = NLM_F_REQUEST;
  }
};

struct LinkMessage {
  nlmsghdr header{};
  ifinfomsg body{};
  explicit LinkMessage(const BareNetlink::LinkChange& change) {
    header.nlmsg_len = sizeof *this;
    header.nlmsg_type = RTM_NEWLINK;
    header.nlmsg_flags = NLM_F_REQUEST;
    body.ifi_index = change.ifindex;
    body.ifi_change = IFF_UP;
    body.ifi_flags = change.up ? IFF_UP : 0;
  }
};

template <typename Message>
void Append(std::vector<uint8_t>& buffer, const Message& message) {
  size_t at = buffer.size();
  buffer.resize(at + sizeof message);
  std::memcpy(buffer.data() + at, &message, sizeof message);
}

}  // namespace

BareNetlink::BareNetlink() : fd_(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE)) {
  Check(fd_ >= 0, "socket");
  int size = 1 << 20;
  Check(setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &size, sizeof size) == 0, "SO_RCVBUF");
  int on = 1;
  Check(setsockopt(fd_, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof on) == 0, "NETLINK_CAP_ACK");
}

BareNetlink::~BareNetlink() { close(fd_); }

size_t BareNetlink::Drain() {
  size_t refused = 0;
  alignas(nlmsghdr) char answer[4096];
  for (;;) {
    ssize_t got = recv(fd_, answer, sizeof answer, MSG_DONTWAIT);
    if (got < 0) {
      Check(errno == EAGAIN, "recv");
      return refused;
    }
    ++refused;
  }
}

size_t BareNetlink::Send(const void* bytes, size_t size) {
  Check(send(fd_, bytes, size, 0) == static_cast<ssize_t>(size), "send");
  return Drain();
}

size_t BareNetlink::AddWithNexthopObjects(const std::vector<BareRoute>& routes, int ifindex) {
  size_t refused = 0;
  std::vector<uint8_t> buffer;
  buffer.reserve(kBatchBytes);
  for (const BareRoute& route : routes) {
    Append(buffer, NexthopMessage(route, ifindex));
    Append(buffer, ObjectRouteMessage(route));
    if (buffer.size() + 256 < kBatchBytes) continue;
    refused += Send(buffer.data(), buffer.size());
    buffer.clear();
  }
  return buffer.empty() ? refused : refused + Send(buffer.data(), buffer.size());
}

size_t BareNetlink::ReplaceOneByOne(const std::vector<BareRoute>& routes, int ifindex) {
  size_t refused = 0;
  for (const BareRoute& route : routes) {
    GatewayRouteMessage message(route, ifindex, NLM_F_ACK);
    Check(send(fd_, &message, sizeof message, 0) == sizeof message, "send");
    struct {
      nlmsghdr header;
      nlmsgerr error;
      char rest[1024];
    } answer;
    Check(recv(fd_, &answer, sizeof answer, 0) > 0, "recv");
    if (answer.error.error != 0) ++refused;
  }
  return refused;
}

size_t BareNetlink::ReplaceBatched(const std::vector<BareRoute>& routes, int ifindex) {
  size_t refused = 0;
  std::vector<uint8_t> buffer;
  buffer.reserve(kBatchBytes);
  for (const BareRoute& route : routes) {
    Append(buffer, GatewayRouteMessage(route, ifindex, 0));
    if (buffer.size() + 256 < kBatchBytes) continue;
    refused += Send(buffer.data(), buffer.size());
    buffer.clear();
  }
  return buffer.empty() ? refused : refused + Send(buffer.data(), buffer.size());
}

size_t BareNetlink::Delete(const BareRoute& route) {
  DeleteMessage message(route);
  return Send(&message, sizeof message);
}

size_t BareNetlink::DeleteNexthop(uint32_t id) {
  DeleteNexthopMessage message(id);
  return Send(&message, sizeof message);
}

size_t BareNetlink::SetLinks(const std::vector<LinkChange>& changes) {
  std::vector<uint8_t> buffer;
  for (const LinkChange& change : changes) Append(buffer, LinkMessage(change));
  return Send(buffer.data(), buffer.size());
}

}  // namespace podroute
