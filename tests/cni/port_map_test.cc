#include "cni/port_map.h"

#include <gtest/gtest.h>
#include <netinet/in.h>

#include <string>
#include <vector>

#include "cni/link_ops.h"

namespace podroute {
namespace {

IpAddress Ip(const std::string& text) { return *IpAddress::Parse(text); }

CniIp PodIp(const std::string& address, int length) {
  CniIp ip;
  ip.address = {Ip(address), length};
  return ip;
}

const std::vector<CniIp> kDualStack = {PodIp("10.1.0.2", 24), PodIp("fd00:1::2", 64)};

std::vector<std::string> Described(const std::vector<NatElement>& elements) {
  std::vector<std::string> texts;
  for (const NatElement& element : elements) {
    texts.push_back(element.map + ": " + DescribeNatKey(element));
  }
  return texts;
}

TEST(PortMapTest, WithoutHostIpBothFamiliesAreMapped) {
  EXPECT_EQ(Described(PortMapElements({{8080, 80, IPPROTO_TCP, {}}}, kDualStack, "o")),
            (std::vector<std::string>{"hostport4: tcp port 8080", "hostport6: tcp port 8080"}));
}

TEST(PortMapTest, AHostIpChoosesItsFamily) {
  auto described = [](const std::string& host_ip) {
    return Described(PortMapElements({{53, 5353, IPPROTO_UDP, Ip(host_ip)}}, kDualStack, "o"));
  };
  using Texts = std::vector<std::string>;
  EXPECT_EQ(described("192.0.2.1"), Texts{"hostip4: udp port 53 of 192.0.2.1"});
  EXPECT_EQ(described("2001:db8::1"), Texts{"hostip6: udp port 53 of 2001:db8::1"});
  EXPECT_EQ(described("0.0.0.0"), Texts{"hostport4: udp port 53"});
  EXPECT_EQ(described("::"), Texts{"hostport6: udp port 53"});
}

TEST(PortMapTest, AFamilyThatThePodDoesNotHaveIsLeftOut) {
  const std::vector<CniIp> v4 = {PodIp("10.1.0.2", 24), PodIp("10.2.0.2", 24)};
  std::vector<NatElement> elements =
      PortMapElements({{80, 8080, IPPROTO_SCTP, {}}, {81, 81, IPPROTO_TCP, Ip("::1")}}, v4, "o");
  ASSERT_EQ(elements.size(), 1u);
  // The first address; key and value as nft lays them out.
  EXPECT_EQ(elements[0].element.key, (std::vector<uint8_t>{132, 0, 0, 0, 0, 80, 0, 0}));
  EXPECT_EQ(elements[0].element.data, (std::vector<uint8_t>{10, 1, 0, 2, 0x1f, 0x90, 0, 0}));
  EXPECT_EQ(elements[0].element.comment, "o");
}

TEST(PortMapTest, EqualMappingsAreOneElement) {
  EXPECT_EQ(PortMapElements({{80, 80, IPPROTO_TCP, {}},
                             {80, 80, IPPROTO_TCP, Ip("0.0.0.0")},
                             {80, 80, IPPROTO_TCP, {}}},
                            kDualStack, "o")
                .size(),
            2u);
}

TEST(PortMapTest, KeysAreReadBack) {
  for (const char* host_ip : {"", "192.0.2.1", "2001:db8::1"}) {
    PortMapping mapping{65535, 1, IPPROTO_UDP, {}};
    if (*host_ip != 0) mapping.host_ip = Ip(host_ip);
    for (const NatElement& element : PortMapElements({mapping}, kDualStack, "o")) {
      std::optional<MappedPort> port = ReadMappedPort(element);
      ASSERT_TRUE(port.has_value());
      EXPECT_EQ(port->protocol, IPPROTO_UDP);
      EXPECT_EQ(port->port, 65535);
      EXPECT_EQ(port->host_ip, mapping.host_ip);
    }
  }
  EXPECT_FALSE(ReadMappedPort({"hostport4", {{1, 2, 3}, {}, "", ""}}).has_value());
  EXPECT_FALSE(ReadMappedPort({"else", {{6, 0, 0, 0, 0, 80, 0, 0}, {}, "", ""}}).has_value());
}

TEST(PortMapTest, LocalhostIsForIpv4OnEveryAddressOrALoopbackOne) {
  auto needs = [](const std::string& host_ip, const std::vector<CniIp>& ips) {
    PortMapping mapping{80, 80, IPPROTO_TCP, {}};
    if (!host_ip.empty()) mapping.host_ip = Ip(host_ip);
    return NeedsLocalhost({mapping}, ips);
  };
  for (const char* yes : {"", "0.0.0.0", "127.0.0.1", "127.0.0.53"}) {
    EXPECT_TRUE(needs(yes, kDualStack)) << yes;
    EXPECT_FALSE(needs(yes, {PodIp("fd00:1::2", 64)})) << yes;
  }
  for (const char* no : {"192.0.2.1", "::", "::1"}) EXPECT_FALSE(needs(no, kDualStack)) << no;
  EXPECT_FALSE(NeedsLocalhost({}, kDualStack));
}

TEST(PortMapTest, AnOwnerIsReadable) {
  std::string owner = NatOwner("pods", {"0123abcd", "eth0"});
  EXPECT_EQ(owner, "pods 0123abcd eth0");
  EXPECT_TRUE(IsNatOwnerOf(owner, "pods"));
  EXPECT_FALSE(IsNatOwnerOf(owner, "pod"));
  EXPECT_FALSE(IsNatOwnerOf(owner, "pods2"));
  EXPECT_EQ(HostVethOfOwner(owner), HostVethName({"0123abcd", "eth0"}));
}

TEST(PortMapTest, ALongOwnerIsCutAndStillTellsWhose) {
  const std::string network(200, 'n');
  const std::string container(300, 'c');
  CniAttachment attachment{container + "1", "a-long-one-here"};
  std::string owner = NatOwner(network, attachment);
  EXPECT_LE(owner.size(), 128u) << owner;  // What nft(8) reads back.
  EXPECT_TRUE(IsNatOwnerOf(owner, network));
  EXPECT_FALSE(IsNatOwnerOf(owner, network + "n"));
  EXPECT_NE(owner, NatOwner(network, {container + "2", "a-long-one-here"}));
  EXPECT_NE(owner, NatOwner(network, {container + "1", "another"}));
  EXPECT_EQ(HostVethOfOwner(owner), HostVethName(attachment));
}

TEST(PortMapTest, WhatIsNoOwnerHasNoLink) {
  for (const char* text : {"", "a", "a b", "somebody's"}) EXPECT_EQ(HostVethOfOwner(text), "");
}

TEST(PortMapTest, EachAddressIsMasqueradedByItsSubnetsChain) {
  std::vector<NatElement> elements = MasqueradeElements(kDualStack, "o");
  ASSERT_EQ(elements.size(), 2u);
  EXPECT_EQ(elements[0].map, "masquerade4");
  EXPECT_EQ(elements[0].element.key, (std::vector<uint8_t>{10, 1, 0, 2}));
  EXPECT_EQ(elements[0].element.jump, "masquerade-10.1.0.0-24");
  EXPECT_EQ(elements[1].element.jump, "masquerade-fd00_1__-64");
  EXPECT_EQ(DescribeNatKey(elements[1]), "the source address fd00:1::2");
}

}  // namespace
}  // namespace podroute
