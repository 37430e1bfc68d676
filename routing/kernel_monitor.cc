#include "routing/kernel_monitor.h"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <array>
#include <cstddef>

namespace podroute {
namespace {

// Offsets in a notification, which starts with its nlmsghdr. A filter sees one message at a time.
constexpr uint32_t kTypeAt = offsetof(nlmsghdr, nlmsg_type);
constexpr uint32_t kFlagsAt = offsetof(nlmsghdr, nlmsg_flags);
constexpr uint32_t kPortAt = offsetof(nlmsghdr, nlmsg_pid);
constexpr uint32_t kRouteProtocolAt = NLMSG_HDRLEN + offsetof(rtmsg, rtm_protocol);
constexpr uint32_t kNexthopProtocolAt = NLMSG_HDRLEN + 2;  // struct nhmsg: family, scope, protocol.

constexpr uint32_t kDrop = 0;
constexpr uint32_t kAccept = 0xffffffff;

// BPF loads convert from network to host order, and netlink is in host order: so what is compared
// with is swapped in the same way. Jumps are relative to the next instruction.
auto Filter(uint8_t protocol, uint32_t own_port_id) {
  auto swapped = [](uint16_t value) { return static_cast<uint32_t>(htons(value)); };
  return std::to_array<sock_filter>({
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, kPortAt),
      // Port 0 is the kernel itself: nobody's own change.
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, own_port_id != 0 ? htonl(own_port_id) : kAccept, 12, 0),
      BPF_STMT(BPF_LD | BPF_H | BPF_ABS, kTypeAt),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, swapped(RTM_NEWROUTE), 3, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, swapped(RTM_DELROUTE), 4, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, swapped(RTM_NEWNEXTHOP), 5, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, swapped(RTM_DELNEXTHOP), 4, 6),
      // A route that took another's place: it may have been ours, whatever protocol it has now.
      BPF_STMT(BPF_LD | BPF_H | BPF_ABS, kFlagsAt),
      BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, swapped(NLM_F_REPLACE), 4, 0),
      BPF_STMT(BPF_LD | BPF_B | BPF_ABS, kRouteProtocolAt),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, protocol, 2, 3),
      BPF_STMT(BPF_LD | BPF_B | BPF_ABS, kNexthopProtocolAt),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, protocol, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, kAccept),
      BPF_STMT(BPF_RET | BPF_K, kDrop),
  });
}

}  // namespace

Result<std::unique_ptr<KernelMonitor>> KernelMonitor::Create(const KernelMonitorOptions& options) {
  auto filter = Filter(options.mark.protocol, options.own_port_id);
  sock_fprog program{static_cast<unsigned short>(filter.size()), filter.data()};
  PODROUTE_ASSIGN_OR_RETURN(
      std::unique_ptr<NotificationSocket> socket,
      NotificationSocket::Create({RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE, RTNLGRP_LINK,
                                  RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, RTNLGRP_NEXTHOP},
                                 options.receive_buffer_bytes, &program));
  return std::unique_ptr<KernelMonitor>(new KernelMonitor(options, std::move(socket)));
}

Result<KernelHints> KernelMonitor::Drain() {
  KernelHints hints;
  PODROUTE_ASSIGN_OR_RETURN(
      bool complete, socket_->Drain([&](const NetlinkMessage& message) { Note(message, &hints); }));
  if (!complete) {
    hints.routes_changed = hints.unnamed = hints.local_network_changed = hints.overrun = true;
  }
  return hints;
}

void KernelMonitor::Note(const NetlinkMessage& message, KernelHints* hints) const {
  switch (message.header.nlmsg_type) {
    case RTM_NEWLINK:
    case RTM_DELLINK: {
      auto link = message.Fixed<ifinfomsg>();
      if (!link || (watched_ && !watched_->contains(link->ifi_index))) return;
      hints->local_network_changed = true;
      // Without its carrier a link loses nexthop objects and the routes that refer to them, IPv4
      // without a word (seen on Linux 6.18).
      constexpr unsigned kWorks = IFF_UP | IFF_LOWER_UP;
      bool lost = message.header.nlmsg_type == RTM_DELLINK || (link->ifi_flags & kWorks) != kWorks;
      if (lost) hints->routes_changed = hints->unnamed = true;
      return;
    }
    case RTM_NEWADDR:
    case RTM_DELADDR: {
      auto address = message.Fixed<ifaddrmsg>();
      // Every link has an fe80:: address, and none is a Node's.
      bool link_local =
          address && address->ifa_family == AF_INET6 && address->ifa_scope == RT_SCOPE_LINK;
      if (!address || link_local) return;
      hints->local_network_changed = true;
      if (message.header.nlmsg_type == RTM_DELADDR) hints->routes_changed = hints->unnamed = true;
      return;
    }
    case RTM_NEWROUTE:
    case RTM_DELROUTE: {
      std::optional<KernelRoute> route = DecodeRoute(message);
      if (!route) return;
      RouteMark taken = route->mark;
      taken.protocol = options_.mark.protocol;
      // Somebody's in the place of one of ours, or ours in somebody's.
      if (taken != options_.mark) return;
      hints->routes_changed = true;
      bool deleted = message.header.nlmsg_type == RTM_DELROUTE && route->mark == options_.mark &&
                     route->type == RTN_UNICAST;
      if (deleted && hints->deleted.size() < KernelHints::kMaxDeleted) {
        hints->deleted.push_back(route->dst);
      } else {
        hints->unnamed = true;
      }
      return;
    }
    default: {
      std::optional<KernelNexthop> nexthop = DecodeNexthop(message);
      if (nexthop && IsOtherOwners(nexthop->id, options_.nexthop_ids)) return;
      hints->routes_changed = hints->unnamed = true;
    }
  }
}

}  // namespace podroute
