#include "routing/netlink_codec.h"

#include <gtest/gtest.h>
#include <linux/nexthop.h>
#include <net/if.h>
#include <sys/socket.h>

#include <random>
#include <string>
#include <vector>

namespace podroute {
namespace {

IpAddress A(const std::string& text) { return IpAddress::Parse(text).value(); }
IpPrefix P(const std::string& text) { return IpPrefix::Parse(text).value(); }

NetlinkMessage First(const NetlinkBatch& batch) {
  std::span<const uint8_t> rest = batch.bytes();
  return NextMessage(rest).value();
}

TEST(NetlinkCodecTest, WhatIsEncodedAsARouteDecodesAsIt) {
  struct {
    const char* dst;
    const char* gateway;
    uint32_t nexthop_id;
    uint32_t table;
  } cases[] = {
      {"10.244.1.0/24", "192.168.0.2", 0, 254},
      {"10.244.1.0/24", "192.168.0.2", 0x6e000001, 254},
      {"10.244.1.0/24", "fd00::2", 0, 254},
      {"fd01::/64", "fd00::2", 0, 254},
      {"fd01::/64", "fd00::2", 7, 1000},
      {"0.0.0.0/0", "192.168.0.2", 0, 255},
      {"::/0", "fd00::2", 0, 256},
      {"10.1.2.3/32", "192.168.0.2", 0, 100000},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(std::string(c.dst) + " via " + c.gateway);
    RouteMark mark{c.table, 111, 42};
    NetlinkBatch batch;
    EncodeAddRoute(batch, NLM_F_CREATE, mark, P(c.dst), {A(c.gateway), 3}, c.nexthop_id);
    NetlinkMessage message = First(batch);
    EXPECT_EQ(message.header.nlmsg_type, RTM_NEWROUTE);
    EXPECT_EQ(message.header.nlmsg_flags, NLM_F_REQUEST | NLM_F_CREATE);
    EXPECT_EQ(message.header.nlmsg_len, batch.bytes().size());
    std::optional<KernelRoute> route = DecodeRoute(message);
    ASSERT_TRUE(route);
    EXPECT_EQ(route->dst, P(c.dst));
    EXPECT_EQ(route->mark.table, c.table);
    EXPECT_EQ(route->mark.protocol, 111);
    EXPECT_EQ(route->mark.metric, 42u);
    EXPECT_EQ(route->type, RTN_UNICAST);
    EXPECT_EQ(route->nexthop_id, c.nexthop_id);
    if (c.nexthop_id == 0) {
      ASSERT_EQ(route->via.size(), 1u);
      EXPECT_EQ(route->via[0], (NextHop{A(c.gateway), 3}));
    } else {
      EXPECT_TRUE(route->via.empty());
    }
  }
}

TEST(NetlinkCodecTest, WhatIsEncodedAsANexthopDecodesAsIt) {
  for (const char* gateway : {"192.168.0.2", "fd00::2"}) {
    NetlinkBatch batch;
    EncodeSetNexthop(batch, NLM_F_REPLACE, 110, 9, {A(gateway), 3});
    std::optional<KernelNexthop> nexthop = DecodeNexthop(First(batch));
    ASSERT_TRUE(nexthop);
    EXPECT_EQ(nexthop->id, 9u);
    EXPECT_EQ(nexthop->protocol, 110);
    EXPECT_TRUE(nexthop->usable);
    EXPECT_FALSE(nexthop->fdb);
    EXPECT_EQ(nexthop->via, (NextHop{A(gateway), 3}));
  }
}

TEST(NetlinkCodecTest, GroupsBlackholesAndRetiredObjectsAreNotUsable) {
  for (uint16_t attribute : {NHA_GROUP, NHA_BLACKHOLE, NHA_FDB, NHA_ENCAP}) {
    NetlinkBatch batch;
    EncodeSetNexthop(batch, 0, 110, 9, {A("192.168.0.2"), 3});
    batch.PutFlag(attribute);
    EXPECT_FALSE(DecodeNexthop(First(batch))->usable) << attribute;
  }
  NetlinkBatch batch;
  EncodeRetireNexthop(batch, 110, 9, A("192.168.0.2"));
  EXPECT_TRUE(DecodeNexthop(First(batch))->fdb);
  EXPECT_FALSE(DecodeNexthop(First(batch))->usable);
}

TEST(NetlinkCodecTest, MultipathRoutesDecodeWithAllTheirNextHops) {
  NetlinkBatch batch;
  rtmsg body{};
  body.rtm_family = AF_INET6;
  body.rtm_dst_len = 64;
  batch.Begin(RTM_NEWROUTE, 0, body);
  batch.PutAddress(RTA_DST, A("fd01::"));
  size_t nest = batch.Nest(RTA_MULTIPATH);
  for (const char* gateway : {"fd00::2", "fd00::3"}) {
    rtnexthop hop{};
    hop.rtnh_len = sizeof hop + RTA_LENGTH(16);
    hop.rtnh_ifindex = 3;
    batch.Append({reinterpret_cast<const uint8_t*>(&hop), sizeof hop});
    batch.PutAddress(RTA_GATEWAY, A(gateway));
  }
  batch.EndNest(nest);
  std::optional<KernelRoute> route = DecodeRoute(First(batch));
  ASSERT_TRUE(route);
  EXPECT_EQ(route->via, (std::vector<NextHop>{{A("fd00::2"), 3}, {A("fd00::3"), 3}}));
}

TEST(NetlinkCodecTest, LinksAndAddressesDecode) {
  NetlinkBatch batch;
  ifinfomsg link{};
  link.ifi_index = 7;
  link.ifi_flags = IFF_UP;
  batch.Begin(RTM_NEWLINK, 0, link);
  batch.PutText(IFLA_IFNAME, "eth0");
  batch.PutU32(IFLA_MTU, 9000);
  EXPECT_EQ(DecodeLink(First(batch)), (LocalLink{7, "eth0", true, false, false, 9000}));

  struct {
    const char* local;
    const char* address;
    int length;
    const char* want;
    const char* subnet;
  } cases[] = {
      {"192.168.0.1", "192.168.0.1", 24, "192.168.0.1", "192.168.0.0/24"},
      {"10.0.0.1", "10.0.0.2", 32, "10.0.0.1", "10.0.0.2/32"},  // Point to point.
      {nullptr, "fd00::1", 64, "fd00::1", "fd00::/64"},
      {"fd00::1", "fd00::2", 128, "fd00::1", "fd00::2/128"},
  };
  for (const auto& c : cases) {
    NetlinkBatch addresses;
    ifaddrmsg body{};
    body.ifa_index = 7;
    body.ifa_prefixlen = static_cast<uint8_t>(c.length);
    addresses.Begin(RTM_NEWADDR, 0, body);
    addresses.PutAddress(IFA_ADDRESS, A(c.address));
    if (c.local != nullptr) addresses.PutAddress(IFA_LOCAL, A(c.local));
    EXPECT_EQ(DecodeAddress(First(addresses)), (LocalAddress{7, A(c.want), P(c.subnet)})) << c.want;
  }
}

TEST(NetlinkCodecTest, ErrorsCarryTheKernelsText) {
  // As the kernel answers with NETLINK_CAP_ACK, and without: the refused message comes back whole.
  for (bool capped : {true, false}) {
    NetlinkBatch batch;
    nlmsgerr body{};
    body.error = -EINVAL;
    body.msg.nlmsg_len = 36;
    batch.Begin(NLMSG_ERROR, static_cast<uint16_t>(NLM_F_ACK_TLVS | (capped ? NLM_F_CAPPED : 0)),
                body);
    if (!capped) batch.Append(std::vector<uint8_t>(20));
    batch.PutText(NLMSGERR_ATTR_MSG, "Nexthop has invalid gateway");
    std::optional<NetlinkError> error = DecodeError(First(batch));
    ASSERT_TRUE(error);
    EXPECT_EQ(error->error, EINVAL);
    EXPECT_EQ(error->text, "Nexthop has invalid gateway");
  }
}

TEST(NetlinkCodecTest, MessagesAreTakenOneByOneUntilSomethingIsWrong) {
  NetlinkBatch batch;
  EncodeDeleteNexthop(batch, 1);
  EncodeDeleteNexthop(batch, 2);
  batch.Number(40);
  std::span<const uint8_t> rest = batch.bytes();
  EXPECT_EQ(NextMessage(rest)->header.nlmsg_seq, 40u);
  EXPECT_EQ(NextMessage(rest)->header.nlmsg_seq, 41u);
  EXPECT_FALSE(NextMessage(rest));
  EXPECT_EQ(batch.bytes(0, 1).size() + batch.bytes(1, 2).size(), batch.bytes().size());

  rest = batch.bytes().first(batch.bytes().size() - 1);
  EXPECT_TRUE(NextMessage(rest));
  EXPECT_FALSE(NextMessage(rest));  // Cut short.
  std::vector<uint8_t> zeros(64);
  rest = zeros;
  EXPECT_FALSE(NextMessage(rest));  // Length 0 would never end.
}

// Whatever the bytes, decoding ends and reads nothing outside of them (sanitizers watch).
TEST(NetlinkCodecTest, MalformedBytesAreHarmless) {
  NetlinkBatch batch;
  EncodeAddRoute(batch, 0, {}, P("fd01::/64"), {A("fd00::2"), 3}, 0);
  EncodeSetNexthop(batch, 0, 110, 9, {A("192.168.0.2"), 3});
  std::mt19937 random(1);
  for (int i = 0; i < 20000; ++i) {
    std::vector<uint8_t> bytes(batch.bytes().begin(), batch.bytes().end());
    bytes.resize(random() % (bytes.size() + 1));
    for (int k = 0; k < 4 && !bytes.empty(); ++k) {
      bytes[random() % bytes.size()] = static_cast<uint8_t>(random());
    }
    std::span<const uint8_t> rest = bytes;
    while (auto message = NextMessage(rest)) {
      (void)DecodeRoute(*message);
      (void)DecodeNexthop(*message);
      (void)DecodeLink(*message);
      (void)DecodeAddress(*message);
      (void)DecodeError(*message);
    }
  }
}

}  // namespace
}  // namespace podroute
