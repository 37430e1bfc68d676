#include "cni/conflist.h"

#include <gtest/gtest.h>

#include "cni/net_conf.h"

namespace podroute {
namespace {

IpPrefix P(const std::string& text) { return IpPrefix::Parse(text).value(); }

// What a container runtime hands to the plugin: the list's entry, with the list's name and version
// (CNI specification 1.0.0, section 3, "Deriving execution configuration").
std::string EntryAsHandedOver(const std::string& conflist) {
  size_t begin = conflist.find("{\"type\"");
  size_t end = conflist.rfind("]}");
  return R"({"cniVersion":"1.0.0","name":"podroute",)" +
         conflist.substr(begin + 1, end - begin - 1);
}

TEST(ConflistTest, IsWhatTheDesignSays) {
  EXPECT_EQ(RenderConflist({.pod_cidrs = {P("10.244.2.0/24")}, .mtu = 1500}),
            R"({"cniVersion":"1.0.0","name":"podroute","plugins":[
  {"type":"podroute-cni","bridge":"cni0","mtu":1500,"isDefaultGateway":true,"hairpinMode":true,
   "capabilities":{"portMappings":true},
   "ipam":{"type":"host-local","dataDir":"/run/cni-ipam-state","ranges":[[{"subnet":"10.244.2.0/24"}]]}}]}
)");
}

TEST(ConflistTest, ThePluginTakesItWithOneRangeSetForEachPodCidr) {
  std::string text =
      RenderConflist({.pod_cidrs = {P("fd00:10:244:2::/64"), P("10.244.2.0/24")}, .mtu = 8950});
  CniOr<NetConf> conf = ParseNetConf(EntryAsHandedOver(text));
  ASSERT_TRUE(conf.ok()) << text;
  EXPECT_FALSE(conf->unsupported.has_value()) << text;
  EXPECT_FALSE(conf->unattachable.has_value()) << text;
  EXPECT_EQ(conf->name, kNetworkName);
  EXPECT_EQ(conf->bridge, kBridgeName);
  EXPECT_EQ(conf->mtu, 8950u);
  EXPECT_TRUE(conf->is_default_gateway);
  EXPECT_TRUE(conf->hairpin_mode);
  EXPECT_EQ(conf->ipam.data_dir, kIpamDataDir);
  ASSERT_EQ(conf->ipam.range_sets.size(), 2u);
  EXPECT_EQ(conf->ipam.range_sets[0][0].subnet, P("fd00:10:244:2::/64"));
  EXPECT_EQ(conf->ipam.range_sets[1][0].subnet, P("10.244.2.0/24"));
}

TEST(ConflistTest, APodCidrIsRefusedExactlyWhereThePluginWouldRefuseIt) {
  for (const char* text :
       {"10.0.0.0/8", "10.244.2.0/29", "10.244.2.0/30", "10.244.2.0/31", "10.244.2.4/32",
        "fd00::/64", "fd00::/126", "fd00::/127", "fd00::/128"}) {
    bool accepted = CheckPodCidr(P(text)).ok();
    CniOr<NetConf> conf = ParseNetConf(EntryAsHandedOver(RenderConflist({.pod_cidrs = {P(text)}})));
    bool works = conf.ok() && !conf->unsupported && !conf->unattachable;
    EXPECT_EQ(accepted, works) << text;
  }
  EXPECT_EQ(CheckPodCidr(P("10.244.2.0/31")).message(),
            "10.244.2.0/31 is too small for a gateway and pods; /30 is the smallest podCIDR");
}

TEST(ConflistTest, ReservationsAreWhereTheyAreToldToBe) {
  std::string text = RenderConflist(
      {.pod_cidrs = {P("10.244.2.0/24")}, .network = "cbr0", .data_dir = "/var/lib/cni/networks"});
  EXPECT_TRUE(text.starts_with(R"({"cniVersion":"1.0.0","name":"cbr0","plugins":[)")) << text;
  CniOr<NetConf> conf = ParseNetConf(EntryAsHandedOver(text));
  ASSERT_TRUE(conf.ok()) << text;
  EXPECT_EQ(conf->ipam.data_dir, "/var/lib/cni/networks");
}

TEST(ConflistTest, WhatCannotStandInItIsRefused) {
  for (const char* name : {"cbr0", "kindnet", "k8s-pod_network.1"}) {
    EXPECT_TRUE(CheckNetworkName(name).ok()) << name;
  }
  for (const char* name : {"", ".", "-a", "a b", "a/b", "a\"b", "../etc"}) {
    EXPECT_FALSE(CheckNetworkName(name).ok()) << name;
  }
  for (const char* path : {"/", "/run/cni-ipam-state", "/var/lib/cni/networks/"}) {
    EXPECT_TRUE(CheckIpamDataDir(path).ok()) << path;
  }
  for (const char* path : {"", "run", "./run", "/a b", "/a\"", "/a\\", "/a\n", "/\xc3\xa4"}) {
    EXPECT_FALSE(CheckIpamDataDir(path).ok()) << path;
  }
}

TEST(ConflistTest, TheSameSpecGivesTheSameBytes) {
  ConflistSpec spec{.pod_cidrs = {P("10.244.2.0/24"), P("fd00::/64")}, .mtu = 1450};
  EXPECT_EQ(RenderConflist(spec), RenderConflist(spec));
}

}  // namespace
}  // namespace podroute
