#include "routing/netlink_codec.h"

#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/nexthop.h>
#include <sys/socket.h>

#include <algorithm>

namespace podroute {
namespace {

std::optional<IpAddress> AddressOf(std::span<const uint8_t> bytes) {
  if (bytes.size() == 4) return IpAddress::FromBytes(IpFamily::kV4, bytes);
  if (bytes.size() == 16) return IpAddress::FromBytes(IpFamily::kV6, bytes);
  return std::nullopt;
}

std::optional<IpFamily> FamilyOf(uint8_t family) {
  if (family == AF_INET) return IpFamily::kV4;
  if (family == AF_INET6) return IpFamily::kV6;
  return std::nullopt;
}

IpAddress Unspecified(IpFamily family) {
  static constexpr std::array<uint8_t, 16> kZero{};
  return IpAddress::FromBytes(family, std::span(kZero).first(family == IpFamily::kV4 ? 4 : 16));
}

// RTA_GATEWAY, or RTA_VIA (an IPv4 route through an IPv6 neighbour, RFC 5549).
IpAddress GatewayOf(const NetlinkAttributes& attributes, IpFamily family) {
  if (auto gateway = attributes.Address(RTA_GATEWAY)) return *gateway;
  std::span<const uint8_t> via = attributes.get(RTA_VIA);
  if (via.size() > 2) {
    if (auto gateway = AddressOf(via.subspan(2))) return *gateway;
  }
  return Unspecified(family);
}

std::vector<NextHop> DecodeMultipath(std::span<const uint8_t> rest, IpFamily family) {
  std::vector<NextHop> hops;
  while (rest.size() >= sizeof(rtnexthop)) {
    rtnexthop hop;
    std::memcpy(&hop, rest.data(), sizeof hop);
    if (hop.rtnh_len < sizeof hop || hop.rtnh_len > rest.size()) break;
    NetlinkAttributes attributes(rest.subspan(sizeof hop, hop.rtnh_len - sizeof hop));
    hops.push_back({GatewayOf(attributes, family), hop.rtnh_ifindex});
    rest = rest.subspan(std::min<size_t>(RTNH_ALIGN(hop.rtnh_len), rest.size()));
  }
  return hops;
}

void PutGateway(NetlinkBatch& batch, const IpPrefix& dst, const NextHop& via) {
  if (!via.gateway.IsUnspecified()) {
    if (via.gateway.family() == dst.family()) {
      batch.PutAddress(RTA_GATEWAY, via.gateway);
    } else {
      std::array<uint8_t, 18> value;
      uint16_t family = static_cast<uint16_t>(AddressFamily(via.gateway.family()));
      std::memcpy(value.data(), &family, sizeof family);
      std::copy(via.gateway.bytes().begin(), via.gateway.bytes().end(), value.begin() + 2);
      batch.Put(RTA_VIA, std::span(value).first(2 + via.gateway.size()));
    }
  }
  if (via.ifindex != 0) batch.PutU32(RTA_OIF, static_cast<uint32_t>(via.ifindex));
}

void EncodeRoute(NetlinkBatch& batch, uint16_t type, uint16_t flags, uint8_t scope,
                 const RouteMark& mark, const IpPrefix& dst, const NextHop& via,
                 uint32_t nexthop_id) {
  rtmsg body{};
  body.rtm_family = static_cast<uint8_t>(AddressFamily(dst.family()));
  body.rtm_dst_len = static_cast<uint8_t>(dst.length());
  body.rtm_table = static_cast<uint8_t>(mark.table < 256 ? mark.table : uint32_t{RT_TABLE_COMPAT});
  body.rtm_protocol = mark.protocol;
  body.rtm_scope = scope;
  body.rtm_type = RTN_UNICAST;
  batch.Begin(type, flags, body);
  if (dst.length() > 0) batch.PutAddress(RTA_DST, dst.address());
  if (mark.table >= 256) batch.PutU32(RTA_TABLE, mark.table);
  batch.PutU32(RTA_PRIORITY, mark.metric);
  if (nexthop_id != 0) {
    batch.PutU32(RTA_NH_ID, nexthop_id);
  } else {
    PutGateway(batch, dst, via);
  }
}

}  // namespace

// ---- NetlinkBatch

uint8_t* NetlinkBatch::Grow(size_t size) {
  // Most batches need no more, and it saves them six steps up to it.
  constexpr size_t kFirst = 512;
  size_t at = bytes_.size();
  if (bytes_.capacity() == 0) bytes_.reserve(std::max(kFirst, NLMSG_ALIGN(size)));
  bytes_.resize(at + NLMSG_ALIGN(size));  // Zeros: padding too.
  return bytes_.data() + at;
}

void NetlinkBatch::BeginRaw(uint16_t type, uint16_t flags, const void* body, size_t size) {
  offsets_.push_back(bytes_.size());
  uint8_t* at = Grow(NLMSG_HDRLEN + size);
  std::memcpy(at + NLMSG_HDRLEN, body, size);
  nlmsghdr& header = Header(offsets_.size() - 1);
  header.nlmsg_len = static_cast<uint32_t>(NLMSG_HDRLEN + NLMSG_ALIGN(size));
  header.nlmsg_type = type;
  header.nlmsg_flags = static_cast<uint16_t>(flags | NLM_F_REQUEST);
}

uint8_t* NetlinkBatch::GrowAttribute(uint16_t type, size_t size) {
  rtattr attribute{};
  attribute.rta_len = static_cast<uint16_t>(RTA_LENGTH(size));
  attribute.rta_type = type;
  uint8_t* at = Grow(attribute.rta_len);
  std::memcpy(at, &attribute, sizeof attribute);
  Header(offsets_.size() - 1).nlmsg_len += RTA_ALIGN(attribute.rta_len);
  return at + RTA_LENGTH(0);
}

void NetlinkBatch::Put(uint16_t type, std::span<const uint8_t> value) {
  std::copy(value.begin(), value.end(), GrowAttribute(type, value.size()));
}

void NetlinkBatch::PutU32(uint16_t type, uint32_t value) {
  std::array<uint8_t, 4> bytes;
  std::memcpy(bytes.data(), &value, sizeof value);
  Put(type, bytes);
}

void NetlinkBatch::PutText(uint16_t type, std::string_view text) {
  std::copy(text.begin(), text.end(), GrowAttribute(type, text.size() + 1));  // It ends in a zero.
}

size_t NetlinkBatch::Nest(uint16_t type) {
  size_t nest = bytes_.size();
  Put(type, {});
  return nest;
}

void NetlinkBatch::EndNest(size_t nest) {
  uint16_t length = static_cast<uint16_t>(bytes_.size() - nest);
  std::memcpy(bytes_.data() + nest + offsetof(rtattr, rta_len), &length, sizeof length);
}

void NetlinkBatch::Append(std::span<const uint8_t> bytes) {
  uint8_t* at = Grow(bytes.size());
  std::copy(bytes.begin(), bytes.end(), at);
  Header(offsets_.size() - 1).nlmsg_len += static_cast<uint32_t>(NLMSG_ALIGN(bytes.size()));
}

std::span<const uint8_t> NetlinkBatch::bytes(size_t first, size_t last) const {
  size_t begin = first < size() ? offsets_[first] : bytes_.size();
  size_t end = last < size() ? offsets_[last] : bytes_.size();
  return std::span(bytes_).subspan(begin, end - begin);
}

const nlmsghdr& NetlinkBatch::header(size_t index) const {
  return *reinterpret_cast<const nlmsghdr*>(bytes_.data() + offsets_[index]);
}

void NetlinkBatch::Number(uint32_t first_sequence) {
  for (size_t i = 0; i < offsets_.size(); ++i) {
    Header(i).nlmsg_seq = first_sequence + static_cast<uint32_t>(i);
  }
}

void NetlinkBatch::Clear() {
  bytes_.clear();
  offsets_.clear();
}

// ---- Reading

std::optional<NetlinkMessage> NextMessage(std::span<const uint8_t>& rest) {
  NetlinkMessage message;
  if (rest.size() < sizeof message.header) return std::nullopt;
  std::memcpy(&message.header, rest.data(), sizeof message.header);
  size_t length = message.header.nlmsg_len;
  if (length < sizeof message.header || length > rest.size()) return std::nullopt;
  message.body = rest.subspan(sizeof message.header, length - sizeof message.header);
  rest = rest.subspan(std::min<size_t>(NLMSG_ALIGN(length), rest.size()));
  return message;
}

NetlinkAttributes::NetlinkAttributes(std::span<const uint8_t> bytes) {
  while (bytes.size() >= sizeof(rtattr)) {
    rtattr attribute;
    std::memcpy(&attribute, bytes.data(), sizeof attribute);
    if (attribute.rta_len < sizeof attribute || attribute.rta_len > bytes.size()) return;
    uint16_t type = attribute.rta_type & NLA_TYPE_MASK;
    if (type <= kMax) {
      values_[type] = bytes.subspan(sizeof attribute, attribute.rta_len - sizeof attribute);
      present_[type] = true;
    }
    bytes = bytes.subspan(std::min<size_t>(RTA_ALIGN(attribute.rta_len), bytes.size()));
  }
}

uint32_t NetlinkAttributes::U32(uint16_t type, uint32_t otherwise) const {
  std::span<const uint8_t> bytes = get(type);
  if (bytes.size() != sizeof otherwise) return otherwise;
  std::memcpy(&otherwise, bytes.data(), sizeof otherwise);
  return otherwise;
}

std::string NetlinkAttributes::Text(uint16_t type) const {
  std::span<const uint8_t> bytes = get(type);
  return {bytes.begin(), std::find(bytes.begin(), bytes.end(), 0)};
}

std::optional<IpAddress> NetlinkAttributes::Address(uint16_t type) const {
  return AddressOf(get(type));
}

std::optional<NetlinkError> DecodeError(const NetlinkMessage& message) {
  auto fixed = message.Fixed<nlmsgerr>();
  if (message.header.nlmsg_type != NLMSG_ERROR || !fixed) return std::nullopt;
  NetlinkError result;
  result.error = -fixed->error;
  result.sequence = message.header.nlmsg_seq;
  if ((message.header.nlmsg_flags & NLM_F_ACK_TLVS) == 0) return result;
  // After the header of the refused message comes the rest of it, unless it is left out (CAPPED).
  size_t skip = sizeof *fixed;
  if ((message.header.nlmsg_flags & NLM_F_CAPPED) == 0 &&
      fixed->msg.nlmsg_len >= sizeof fixed->msg) {
    skip += NLMSG_ALIGN(fixed->msg.nlmsg_len - sizeof fixed->msg);
  }
  if (skip < message.body.size()) {
    result.text = NetlinkAttributes(message.body.subspan(skip)).Text(NLMSGERR_ATTR_MSG);
  }
  return result;
}

// ---- Routes and nexthop objects

std::optional<KernelRoute> DecodeRoute(const NetlinkMessage& message) {
  auto fixed = message.Fixed<rtmsg>();
  if (!fixed) return std::nullopt;
  std::optional<IpFamily> family = FamilyOf(fixed->rtm_family);
  if (!family || fixed->rtm_dst_len > (*family == IpFamily::kV4 ? 32 : 128)) return std::nullopt;
  NetlinkAttributes attributes(message.body.subspan(NLMSG_ALIGN(sizeof *fixed)));

  KernelRoute route;
  // A default route comes without destination.
  IpAddress dst = attributes.Address(RTA_DST).value_or(Unspecified(*family));
  if (dst.family() != *family) return std::nullopt;
  route.dst = IpPrefix::Of(dst, fixed->rtm_dst_len);
  route.mark.table = attributes.U32(RTA_TABLE, fixed->rtm_table);
  route.mark.protocol = fixed->rtm_protocol;
  route.mark.metric = attributes.U32(RTA_PRIORITY);
  route.type = fixed->rtm_type;
  route.tos = fixed->rtm_tos;
  route.flags = fixed->rtm_flags;
  route.nexthop_id = attributes.U32(RTA_NH_ID);
  if (attributes.has(RTA_MULTIPATH)) {
    route.via = DecodeMultipath(attributes.get(RTA_MULTIPATH), *family);
  } else if (attributes.has(RTA_OIF) || attributes.has(RTA_GATEWAY) || attributes.has(RTA_VIA)) {
    route.via.push_back(
        {GatewayOf(attributes, *family), static_cast<int>(attributes.U32(RTA_OIF))});
  }
  return route;
}

std::optional<KernelNexthop> DecodeNexthop(const NetlinkMessage& message) {
  auto fixed = message.Fixed<nhmsg>();
  if (!fixed) return std::nullopt;
  NetlinkAttributes attributes(message.body.subspan(NLMSG_ALIGN(sizeof *fixed)));
  KernelNexthop nexthop;
  nexthop.id = attributes.U32(NHA_ID);
  if (nexthop.id == 0) return std::nullopt;
  nexthop.protocol = fixed->nh_protocol;
  nexthop.fdb = attributes.has(NHA_FDB);
  std::optional<IpAddress> gateway = attributes.Address(NHA_GATEWAY);
  nexthop.via.ifindex = static_cast<int>(attributes.U32(NHA_OIF));
  if (gateway) nexthop.via.gateway = *gateway;
  nexthop.usable = gateway && nexthop.via.ifindex != 0 && !nexthop.fdb &&
                   !attributes.has(NHA_GROUP) && !attributes.has(NHA_BLACKHOLE) &&
                   !attributes.has(NHA_ENCAP);
  return nexthop;
}

void EncodeAddRoute(NetlinkBatch& batch, uint16_t flags, const RouteMark& mark, const IpPrefix& dst,
                    const NextHop& via, uint32_t nexthop_id) {
  EncodeRoute(batch, RTM_NEWROUTE, flags, RT_SCOPE_UNIVERSE, mark, dst, via, nexthop_id);
}

void EncodeDeleteRoute(NetlinkBatch& batch, const RouteMark& mark, const IpPrefix& dst,
                       const NextHop& via, uint32_t nexthop_id) {
  EncodeRoute(batch, RTM_DELROUTE, 0, RT_SCOPE_NOWHERE, mark, dst, via, nexthop_id);
}

void EncodeSetNexthop(NetlinkBatch& batch, uint16_t flags, uint8_t protocol, uint32_t id,
                      const NextHop& via) {
  nhmsg body{};
  body.nh_family = static_cast<uint8_t>(AddressFamily(via.gateway.family()));
  body.nh_protocol = protocol;
  batch.Begin(RTM_NEWNEXTHOP, flags, body);
  batch.PutU32(NHA_ID, id);
  batch.PutAddress(NHA_GATEWAY, via.gateway);
  batch.PutU32(NHA_OIF, static_cast<uint32_t>(via.ifindex));
}

void EncodeRetireNexthop(NetlinkBatch& batch, uint8_t protocol, uint32_t id,
                         const IpAddress& gateway) {
  nhmsg body{};
  body.nh_family = static_cast<uint8_t>(AddressFamily(gateway.family()));
  body.nh_protocol = protocol;
  batch.Begin(RTM_NEWNEXTHOP, NLM_F_REPLACE, body);
  batch.PutU32(NHA_ID, id);
  batch.PutFlag(NHA_FDB);
  batch.PutAddress(NHA_GATEWAY, gateway);
}

void EncodeDeleteNexthop(NetlinkBatch& batch, uint32_t id) {
  batch.Begin(RTM_DELNEXTHOP, 0, nhmsg{});
  batch.PutU32(NHA_ID, id);
}

void EncodeDumpRoutes(NetlinkBatch& batch, IpFamily family, const RouteMark& mark) {
  rtmsg body{};
  body.rtm_family = static_cast<uint8_t>(AddressFamily(family));
  body.rtm_protocol = mark.protocol;
  batch.Begin(RTM_GETROUTE, NLM_F_DUMP, body);
  batch.PutU32(RTA_TABLE, mark.table);
}

void EncodeDumpNexthops(NetlinkBatch& batch) { batch.Begin(RTM_GETNEXTHOP, NLM_F_DUMP, nhmsg{}); }

void EncodeFindRoute(NetlinkBatch& batch, const IpAddress& address) {
  rtmsg body{};
  body.rtm_family = static_cast<uint8_t>(AddressFamily(address.family()));
  body.rtm_dst_len = static_cast<uint8_t>(address.bits());
  body.rtm_flags = RTM_F_FIB_MATCH;
  batch.Begin(RTM_GETROUTE, 0, body);
  batch.PutAddress(RTA_DST, address);
}

// ---- Links and addresses

void EncodeDumpLinks(NetlinkBatch& batch) {
  batch.Begin(RTM_GETLINK, NLM_F_DUMP, ifinfomsg{});
  // Statistics are three quarters of what a link would say.
  batch.PutU32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
}

void EncodeGetLink(NetlinkBatch& batch, int ifindex) {
  ifinfomsg body{};
  body.ifi_index = ifindex;
  batch.Begin(RTM_GETLINK, 0, body);
  batch.PutU32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
}

void EncodeDumpAddresses(NetlinkBatch& batch) { batch.Begin(RTM_GETADDR, NLM_F_DUMP, ifaddrmsg{}); }

std::optional<LocalLink> DecodeLink(const NetlinkMessage& message) {
  auto fixed = message.Fixed<ifinfomsg>();
  if (!fixed) return std::nullopt;
  NetlinkAttributes attributes(message.body.subspan(NLMSG_ALIGN(sizeof *fixed)));
  return LocalLink{fixed->ifi_index,
                   attributes.Text(IFLA_IFNAME),
                   (fixed->ifi_flags & IFF_UP) != 0,
                   (fixed->ifi_flags & IFF_LOOPBACK) != 0,
                   (fixed->ifi_flags & IFF_LOWER_UP) != 0,
                   attributes.U32(IFLA_MTU)};
}

std::optional<LocalAddress> DecodeAddress(const NetlinkMessage& message) {
  auto fixed = message.Fixed<ifaddrmsg>();
  if (!fixed) return std::nullopt;
  NetlinkAttributes attributes(message.body.subspan(NLMSG_ALIGN(sizeof *fixed)));
  // IPv6 has IFA_LOCAL only where there is a peer.
  std::optional<IpAddress> peer = attributes.Address(IFA_ADDRESS);
  std::optional<IpAddress> local = attributes.Address(IFA_LOCAL);
  if (!local) local = peer;
  if (!peer) peer = local;
  if (!local || local->family() != peer->family() || fixed->ifa_prefixlen > peer->bits()) {
    return std::nullopt;
  }
  return LocalAddress{static_cast<int>(fixed->ifa_index), *local,
                      IpPrefix::Of(*peer, fixed->ifa_prefixlen)};
}

}  // namespace podroute
