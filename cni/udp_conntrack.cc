#include "cni/udp_conntrack.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <set>

namespace podroute {
namespace {

// Which parts of the tuple a dump is filtered by (Linux 5.8; the kernel's nf_internals.h). Older
// ones send everything.
constexpr uint32_t kFilterProtocol = 1 << 3;
constexpr uint32_t kFilterDestinationPort = 1 << 5;

uint16_t MessageType(uint16_t message) {
  return static_cast<uint16_t>(NFNL_SUBSYS_CTNETLINK << 8 | message);
}

nfgenmsg Header(int family) { return {static_cast<uint8_t>(family), NFNETLINK_V0, 0}; }

struct Conversation {
  std::vector<uint8_t> tuple;  // As it came.
  std::vector<uint8_t> zone;
  IpAddress to;
  uint16_t port = 0;
};

std::optional<Conversation> Decode(const NetlinkMessage& message) {
  if (message.body.size() < sizeof(nfgenmsg)) return std::nullopt;
  NetlinkAttributes attributes(message.body.subspan(sizeof(nfgenmsg)));
  std::span<const uint8_t> tuple = attributes.get(CTA_TUPLE_ORIG);
  NetlinkAttributes parts(tuple);
  NetlinkAttributes protocol(parts.get(CTA_TUPLE_PROTO));
  NetlinkAttributes ip(parts.get(CTA_TUPLE_IP));
  std::span<const uint8_t> number = protocol.get(CTA_PROTO_NUM);
  std::span<const uint8_t> port = protocol.get(CTA_PROTO_DST_PORT);
  std::optional<IpAddress> to = ip.Address(CTA_IP_V4_DST);
  if (!to) to = ip.Address(CTA_IP_V6_DST);
  if (number.size() != 1 || number[0] != IPPROTO_UDP || port.size() != 2 || !to) {
    return std::nullopt;
  }
  std::span<const uint8_t> zone = attributes.get(CTA_ZONE);
  return Conversation{{tuple.begin(), tuple.end()},
                      {zone.begin(), zone.end()},
                      *to,
                      static_cast<uint16_t>(port[0] << 8 | port[1])};
}

// How many conversations of all kinds the kernel tracks in this namespace; nothing when it does not
// say (Linux 3.6).
std::optional<uint32_t> CountConversations(NetlinkTransport& netlink) {
  NetlinkBatch batch;
  batch.Begin(MessageType(IPCTNL_MSG_CT_GET_STATS), 0, Header(AF_UNSPEC));
  std::optional<uint32_t> count;
  auto answered = netlink.Execute(batch, [&](const NetlinkMessage& message) {
    if (message.body.size() < sizeof(nfgenmsg)) return;
    NetlinkAttributes attributes(message.body.subspan(sizeof(nfgenmsg)));
    if (attributes.has(CTA_STATS_GLOBAL_ENTRIES)) {
      count = ntohl(attributes.U32(CTA_STATS_GLOBAL_ENTRIES));
    }
  });
  return answered.ok() ? count : std::nullopt;
}

// Without a family: everything, for the kernel (6.18) takes no filter for both at once.
void EncodeDump(NetlinkBatch& batch, std::optional<IpFamily> family, std::optional<uint16_t> port) {
  if (!family) {
    batch.Begin(MessageType(IPCTNL_MSG_CT_GET), NLM_F_DUMP, Header(AF_UNSPEC));
    return;
  }
  batch.Begin(MessageType(IPCTNL_MSG_CT_GET), NLM_F_DUMP, Header(AddressFamily(*family)));
  size_t tuple = batch.Nest(CTA_TUPLE_ORIG | NLA_F_NESTED);
  size_t protocol = batch.Nest(CTA_TUPLE_PROTO | NLA_F_NESTED);
  batch.PutU8(CTA_PROTO_NUM, IPPROTO_UDP);
  if (port) {
    uint16_t big = htons(*port);
    batch.Put(CTA_PROTO_DST_PORT, {reinterpret_cast<const uint8_t*>(&big), sizeof big});
  }
  batch.EndNest(protocol);
  batch.EndNest(tuple);
  size_t filter = batch.Nest(CTA_FILTER | NLA_F_NESTED);
  batch.PutU32(CTA_FILTER_ORIG_FLAGS, kFilterProtocol | (port ? kFilterDestinationPort : 0));
  batch.PutU32(CTA_FILTER_REPLY_FLAGS, 0);
  batch.EndNest(filter);
}

void EncodeDelete(NetlinkBatch& batch, const Conversation& conversation) {
  batch.Begin(MessageType(IPCTNL_MSG_CT_DELETE), 0,
              Header(AddressFamily(conversation.to.family())));
  batch.Put(CTA_TUPLE_ORIG | NLA_F_NESTED, conversation.tuple);
  if (!conversation.zone.empty()) batch.Put(CTA_ZONE, conversation.zone);
}

// Replies to our pods' own questions (DNS) come from far away: those conversations stay.
std::set<IpAddress> LocalAddresses() {
  std::set<IpAddress> local;
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0) return local;
  std::unique_ptr<ifaddrs, decltype(&freeifaddrs)> owned(list, &freeifaddrs);
  for (const ifaddrs* entry = list; entry != nullptr; entry = entry->ifa_next) {
    if (entry->ifa_addr == nullptr) continue;
    if (entry->ifa_addr->sa_family == AF_INET) {
      const auto* v4 = reinterpret_cast<const sockaddr_in*>(entry->ifa_addr);
      local.insert(IpAddress::V4(ntohl(v4->sin_addr.s_addr)));
    } else if (entry->ifa_addr->sa_family == AF_INET6) {
      const auto* v6 = reinterpret_cast<const sockaddr_in6*>(entry->ifa_addr);
      local.insert(
          IpAddress::FromBytes(IpFamily::kV6, std::span<const uint8_t>(v6->sin6_addr.s6_addr, 16)));
    }
  }
  return local;
}

}  // namespace

Status ForgetUdpConversations(NetlinkTransport& netlink, const std::vector<MappedPort>& ports) {
  std::vector<MappedPort> udp;
  std::copy_if(ports.begin(), ports.end(), std::back_inserter(udp),
               [](const MappedPort& port) { return port.protocol == IPPROTO_UDP; });
  if (udp.empty()) return Status::Ok();
  bool same = std::all_of(udp.begin(), udp.end(),
                          [&](const MappedPort& port) { return port.port == udp[0].port; });
  std::vector<Conversation> found;
  auto on_entry = [&](const NetlinkMessage& message) {
    std::optional<Conversation> conversation = Decode(message);
    if (!conversation) return;
    bool meant = std::any_of(udp.begin(), udp.end(), [&](const MappedPort& port) {
      return port.port == conversation->port && port.family == conversation->to.family() &&
             (!port.host_ip || *port.host_ip == conversation->to);
    });
    if (meant) found.push_back(std::move(*conversation));
  };
  // The kernel walks through all of its buckets, which takes it milliseconds: not at all where they
  // are empty, and once for both families where little would come that is not wanted.
  constexpr uint32_t kFew = 1000;
  uint32_t count = CountConversations(netlink).value_or(kFew + 1);
  if (count == 0) return Status::Ok();
  std::vector<std::optional<IpFamily>> walks;
  for (IpFamily family : {IpFamily::kV4, IpFamily::kV6}) {
    bool any = std::any_of(udp.begin(), udp.end(),
                           [&](const MappedPort& port) { return port.family == family; });
    if (any) walks.emplace_back(family);
  }
  if (walks.size() > 1 && count <= kFew) walks = {std::nullopt};
  for (std::optional<IpFamily> family : walks) {
    NetlinkBatch dump;
    EncodeDump(dump, family, same ? std::optional<uint16_t>(udp[0].port) : std::nullopt);
    PODROUTE_ASSIGN_OR_RETURN(DumpResult dumped, netlink.Dump(dump, on_entry));
    (void)dumped;  // One that comes meanwhile is none of the old.
  }
  if (found.empty()) return Status::Ok();
  std::set<IpAddress> local = LocalAddresses();
  NetlinkBatch batch;
  for (const Conversation& conversation : found) {
    if (conversation.to.IsLoopback() || local.contains(conversation.to)) {
      EncodeDelete(batch, conversation);
    }
  }
  if (batch.empty()) return Status::Ok();
  PODROUTE_ASSIGN_OR_RETURN(std::vector<NetlinkFailure> failures, netlink.Execute(batch));
  for (const NetlinkFailure& failure : failures) {
    if (failure.error != ENOENT) return failure.ToStatus("forget UDP conversations");
  }
  return Status::Ok();
}

}  // namespace podroute
