#include "cni/net_conf.h"

#include <gtest/gtest.h>
#include <netinet/in.h>

#include <string>
#include <vector>

#include "cni/cni_args.h"

namespace podroute {
namespace {

std::string Conf(const std::string& more) {
  return R"({"cniVersion":"1.1.0","name":"pods","type":"podroute-cni")" +
         (more.empty() ? "" : "," + more) + "}";
}

std::string WithRanges(const std::string& ranges) {
  return Conf(R"("ipam":{"type":"host-local","ranges":)" + ranges + "}");
}

// What ADD and CHECK answer with; nullopt when the configuration is good.
CniProblem ProblemOfAdd(const CniOr<NetConf>& conf) {
  if (!conf.ok()) return conf.error();
  return conf->unsupported ? conf->unsupported : conf->unattachable;
}

TEST(NetConfTest, ReadsTheConflistsOfTheDesign) {
  CniOr<NetConf> conf = ParseNetConf(R"({
    "cniVersion":"1.0.0","name":"podroute","type":"podroute-cni","bridge":"cni0","mtu":1450,
    "isDefaultGateway":true,"hairpinMode":true,"capabilities":{"portMappings":true},
    "ipam":{"type":"host-local","dataDir":"/run/cni-ipam-state",
            "ranges":[[{"subnet":"10.244.2.0/24"}],[{"subnet":"fd00:2::/64"}]],
            "routes":[{"dst":"0.0.0.0/0"}]}})");
  ASSERT_TRUE(conf.ok()) << conf.error().message;
  EXPECT_EQ(conf->version, CniVersion::k100);
  EXPECT_EQ(conf->bridge, "cni0");
  EXPECT_EQ(conf->mtu, 1450u);
  EXPECT_TRUE(conf->is_gateway);
  EXPECT_TRUE(conf->is_default_gateway);
  EXPECT_TRUE(conf->hairpin_mode);
  EXPECT_FALSE(conf->unsupported.has_value());
  ASSERT_EQ(conf->ipam.range_sets.size(), 2u);
  const IpRange& v4 = conf->ipam.range_sets[0][0];
  EXPECT_EQ(v4.first.ToString(), "10.244.2.1");
  EXPECT_EQ(v4.last.ToString(), "10.244.2.254");
  EXPECT_EQ(v4.gateway.ToString(), "10.244.2.1");
  EXPECT_EQ(conf->ipam.range_sets[1][0].last.ToString(), "fd00:2::ffff:ffff:ffff:ffff");
  EXPECT_EQ(conf->ipam.routes.size(), 1u);
}

TEST(NetConfTest, ReadsRuntimeConfigBeforeArgs) {
  CniOr<NetConf> conf = ParseNetConf(Conf(R"(
    "args":{"cni":{"mac":"02:00:00:00:00:01","ips":["10.0.0.9"]}},
    "runtimeConfig":{"mac":"02:00:00:00:00:02","ips":["10.0.0.7/24","fd00::7","10.0.0.9"],
                     "dns":{"servers":["10.96.0.10"],"searches":["svc"],"options":["ndots:5"]}},
    "dns":{"nameservers":["1.1.1.1"]})"));
  ASSERT_TRUE(conf.ok()) << conf.error().message;
  EXPECT_EQ(MacToString(*conf->mac), "02:00:00:00:00:02");
  ASSERT_EQ(conf->ipam.requested.size(), 3u);
  EXPECT_EQ(conf->ipam.requested[1].ToString(), "10.0.0.7");
  EXPECT_EQ(conf->dns.nameservers, std::vector<std::string>{"10.96.0.10"});
  EXPECT_EQ(conf->dns.search, std::vector<std::string>{"svc"});
}

TEST(NetConfTest, TheShortFormOfARangeAndRuntimeRangesCountToo) {
  CniOr<NetConf> conf = ParseNetConf(Conf(R"(
    "ipam":{"type":"host-local","subnet":"10.1.0.0/24","rangeStart":"10.1.0.10",
            "rangeEnd":"10.1.0.20","gateway":"10.1.0.99","ranges":[[{"subnet":"10.2.0.0/24"}]]},
    "runtimeConfig":{"ipRanges":[[{"subnet":"10.3.0.0/24"}]]})"));
  ASSERT_TRUE(conf.ok()) << conf.error().message;
  ASSERT_EQ(conf->ipam.range_sets.size(), 3u);
  EXPECT_EQ(conf->ipam.range_sets[0][0].subnet.ToString(), "10.3.0.0/24");
  const IpRange& shorthand = conf->ipam.range_sets[1][0];
  EXPECT_EQ(shorthand.first.ToString(), "10.1.0.10");
  EXPECT_EQ(shorthand.last.ToString(), "10.1.0.20");
  EXPECT_EQ(shorthand.gateway.ToString(), "10.1.0.99");
}

TEST(NetConfTest, NetworkAndBroadcastAreNeverInARange) {
  CniOr<NetConf> conf = ParseNetConf(
      WithRanges(R"([[{"subnet":"10.0.0.0/30","rangeStart":"10.0.0.0","rangeEnd":"10.0.0.3"}]])"));
  ASSERT_TRUE(conf.ok()) << conf.error().message;
  EXPECT_EQ(conf->ipam.range_sets[0][0].first.ToString(), "10.0.0.1");
  EXPECT_EQ(conf->ipam.range_sets[0][0].last.ToString(), "10.0.0.2");
}

TEST(NetConfTest, UnknownKeysAndNullsAreIgnored) {
  EXPECT_TRUE(ParseNetConf(Conf(R"("whatever":[1,{"x":2}],"mtu":null,"dns":null)")).ok());
}

TEST(NetConfTest, WrongTypesAndValuesAreRefusedByName) {
  struct Case {
    std::string more;
    const char* named;
  };
  const Case kCases[] = {
      {R"("bridge":5)", "bridge"},
      {R"("bridge":"a name with blanks")", "bridge"},
      {R"("bridge":"sixteencharacters")", "bridge"},
      {R"("isGateway":"true")", "isGateway"},
      {R"("mtu":"1500")", "mtu"},
      {R"("mtu":-1)", "mtu"},
      {R"("mtu":1.5)", "mtu"},
      {R"("mtu":20)", "mtu"},
      {R"("hairpinMode":true,"promiscMode":true)", "promiscMode"},
      {R"("ipam":[])", "ipam"},
      {R"("ipam":{"type":7})", "ipam.type"},
      {R"("ipam":{"type":"host-local"})", "ipam.ranges"},
      {R"("ipam":{"type":"host-local","ranges":[]})", "ipam.ranges"},
      {R"("ipam":{"type":"host-local","ranges":[[]]})", "ipam.ranges"},
      {R"("ipam":{"type":"host-local","ranges":{}})", "ipam.ranges"},
      {R"("ipam":{"type":"host-local","ranges":[{"subnet":"10.0.0.0/24"}]})", "ipam.ranges[0]"},
      {R"("ipam":{"type":"host-local","ranges":[[{"subnet":"10.0.0.7/24"}]]})",
       "ipam.ranges[0][0].subnet"},
      {R"("ipam":{"type":"host-local","ranges":[[{"subnet":"10.0.0.0/31"}]]})", "subnet"},
      {R"("ipam":{"type":"host-local","ranges":[[{"subnet":"10.0.0.0/24"}]],"rangeStart":5})",
       "ipam.rangeStart"},
      {R"("ipam":{"type":"host-local","ranges":[[{"subnet":"10.0.0.0/24"}]],"gateway":"x"})",
       "ipam.gateway"},
      {R"("ipam":{"type":"host-local","ranges":[[{"subnet":"10.0.0.0/24","rangeStart":"10.0.1.1"}]]})",
       "rangeStart"},
      {R"("ipam":{"type":"host-local","ranges":[[{"subnet":"10.0.0.0/24","rangeStart":"10.0.0.9","rangeEnd":"10.0.0.8"}]]})",
       "rangeEnd"},
      {R"("ipam":{"type":"host-local","ranges":[[{"subnet":"10.0.0.0/24","gateway":"fd00::1"}]]})",
       "gateway"},
      {R"("ipam":{"type":"host-local","ranges":[[{"subnet":"10.0.0.0/24"}],[{"subnet":"10.0.0.0/25"}]]})",
       "overlaps"},
      {R"("ipam":{"type":"host-local","ranges":[[{"subnet":"10.0.0.0/24"},{"subnet":"fd00::/64"}]]})",
       "mixes"},
      {R"("ipam":{"type":"host-local","ranges":[[{"subnet":"10.0.0.0/24"}]],"routes":[{"dst":"x"}]})",
       "ipam.routes[0].dst"},
      {R"("runtimeConfig":{"mac":"zz"})", "runtimeConfig.mac"},
      {R"("runtimeConfig":{"ips":["x"]})", "runtimeConfig.ips"},
      {R"("runtimeConfig":{"portMappings":{}})", "runtimeConfig.portMappings"},
      {R"("runtimeConfig":{"portMappings":[1]})", "runtimeConfig.portMappings[0]"},
      {R"("capabilities":{"portMappings":1})", "capabilities.portMappings"},
      {R"("ipMasq":"yes")", "ipMasq"},
      {R"("ipMasqBackend":true)", "ipMasqBackend"},
      {R"("ipMasqBackend":"ebpf")", "ipMasqBackend"},
      {R"("dns":{"nameservers":"1.1.1.1"})", "dns.nameservers"},
      {R"("prevResult":{"ips":[{"address":"10.0.0.7"}]})", "prevResult.ips[0].address"},
      {R"("disableContainerInterface":true,"ipam":{"type":"x"})", "disableContainerInterface"},
      {R"("name":"../up")", "name"},
      {R"("vlan":"100")", "vlan"},
      {R"("vlan":-1)", "vlan"},
      {R"("vlan":4095)", "vlan"},
      {R"("vlan":1.5)", "vlan"},
      {R"("vlan":1000,"isGateway":true,"bridge":"elevenchars")", "elevenchars.1000"},
      {R"("vlan":100,"vlanTrunk":[{"id":101}])", "vlanTrunk"},
      {R"("vlanTrunk":{"id":101})", "vlanTrunk"},
      {R"("vlanTrunk":[101])", "vlanTrunk[0]"},
      {R"("vlanTrunk":[{}])", "vlanTrunk[0].id"},
      {R"("vlanTrunk":[{"id":5},{"id":0}])", "vlanTrunk[1].id"},
      {R"("vlanTrunk":[{"id":4095}])", "vlanTrunk[0].id"},
      {R"("vlanTrunk":[{"id":"5"}])", "vlanTrunk[0].id"},
      {R"("vlanTrunk":[{"minID":5}])", "vlanTrunk[0].maxID"},
      {R"("vlanTrunk":[{"maxID":5}])", "vlanTrunk[0].minID"},
      {R"("vlanTrunk":[{"minID":0,"maxID":5}])", "vlanTrunk[0].minID"},
      {R"("vlanTrunk":[{"minID":5,"maxID":4095}])", "vlanTrunk[0].maxID"},
      {R"("vlanTrunk":[{"minID":6,"maxID":5}])", "vlanTrunk[0].maxID"},
      {R"("preserveDefaultVlan":1)", "preserveDefaultVlan"},
      {R"("portIsolation":"yes")", "portIsolation"},
      {R"("macspoofchk":1)", "macspoofchk"},
  };
  for (const Case& c : kCases) {
    CniOr<NetConf> conf = ParseNetConf(Conf(c.more));
    CniProblem problem = ProblemOfAdd(conf);
    ASSERT_TRUE(problem.has_value()) << c.more;
    EXPECT_EQ(problem->code, CniErrorCode::kInvalidConfig) << c.more;
    EXPECT_NE(problem->message.find(c.named), std::string::npos)
        << c.more << " -> " << problem->message;
    // DEL and GC fail where they cannot know what to delete, and nowhere else.
    std::string named = c.named;
    bool needed = named == "name" || named == "bridge" || named == "ipam" || named == "ipam.type";
    EXPECT_EQ(conf.ok(), !needed) << c.more;
  }
}

TEST(NetConfTest, WhatDelNeedsIsRefusedToEveryCommand) {
  for (const char* more : {R"("name":7)", R"("bridge":"a/b")", R"("ipam":"host-local")",
                           R"("ipam":{"type":[]})", R"("ipam":{"type":"host-local","dataDir":7})",
                           R"("ipam":{"type":"host-local","dataDir":"a\u0000b"})"}) {
    CniOr<NetConf> conf = ParseNetConf(Conf(more));
    ASSERT_FALSE(conf.ok()) << more;
    EXPECT_EQ(conf.error().code, CniErrorCode::kInvalidConfig) << more;
  }
}

TEST(NetConfTest, APrevResultThatIsWrongIsKeptFromAllButAddAndCheck) {
  for (const char* prev : {R"("garbage")", "[]", "7", R"({"ips":5})", R"({"interfaces":[1]})",
                           R"({"ips":[{"address":"10.0.0.7/24","interface":-1}]})"}) {
    CniOr<NetConf> conf = ParseNetConf(Conf(R"("prevResult":)" + std::string(prev)));
    ASSERT_TRUE(conf.ok()) << prev;
    EXPECT_FALSE(conf->unsupported.has_value()) << prev;
    ASSERT_TRUE(conf->unattachable.has_value()) << prev;
    EXPECT_EQ(conf->unattachable->code, CniErrorCode::kInvalidConfig) << prev;
    EXPECT_NE(conf->unattachable->message.find("prevResult"), std::string::npos);
  }
}

TEST(NetConfTest, StatusDoesNotNeedRanges) {
  CniOr<NetConf> conf = ParseNetConf(Conf(R"("ipam":{"type":"host-local","dataDir":"/d"})"));
  ASSERT_TRUE(conf.ok()) << conf.error().message;
  EXPECT_FALSE(conf->unsupported.has_value());
  ASSERT_TRUE(conf->unattachable.has_value());
  EXPECT_NE(conf->unattachable->message.find("ipam.ranges"), std::string::npos);
  EXPECT_EQ(conf->ipam.data_dir, "/d");
}

TEST(NetConfTest, RangesMayShareASubnetButNoAddress) {
  auto range = [](const std::string& first, const std::string& last) {
    return R"({"subnet":"10.0.0.0/16","rangeStart":")" + first + R"(","rangeEnd":")" + last + "\"}";
  };
  std::string low = range("10.0.1.10", "10.0.1.99");
  std::string high = range("10.0.2.10", "10.0.2.99");
  for (const std::string& good : {"[[" + low + "," + high + "]]", "[[" + low + "],[" + high + "]]",
                                  "[[" + low + "," + range("10.0.1.100", "10.0.1.100") + "]]"}) {
    CniProblem problem = ProblemOfAdd(ParseNetConf(WithRanges(good)));
    EXPECT_FALSE(problem.has_value()) << good << " -> " << problem->message;
  }
  for (const std::string& bad : {"[[" + low + "," + range("10.0.1.99", "10.0.2.1") + "]]",
                                 "[[" + low + "],[" + range("10.0.0.1", "10.0.1.10") + "]]",
                                 "[[" + low + "," + range("10.0.1.20", "10.0.1.21") + "]]",
                                 "[[" + low + "," + high + "],[{\"subnet\":\"10.0.0.0/8\"}]]"}) {
    CniProblem problem = ProblemOfAdd(ParseNetConf(WithRanges(bad)));
    ASSERT_TRUE(problem.has_value()) << bad;
    EXPECT_NE(problem->message.find("overlaps"), std::string::npos) << problem->message;
  }
}

TEST(NetConfTest, ANullListOfAttachmentsIsEmptyAndAMissingOneIsNone) {
  EXPECT_FALSE(ParseNetConf(Conf(""))->valid_attachments.has_value());
  CniOr<NetConf> null = ParseNetConf(Conf(R"("cni.dev/valid-attachments":null)"));
  ASSERT_TRUE(null->valid_attachments.has_value());
  EXPECT_TRUE(null->valid_attachments->empty());
  EXPECT_FALSE(null->unlisted.has_value());
  CniOr<NetConf> older = ParseNetConf(Conf(
      R"("cni.dev/attachments":[{"containerID":"a","ifname":"e"}],"cni.dev/valid-attachments":null)"));
  EXPECT_EQ(older->valid_attachments->size(), 1u);
  for (const char* bad : {"{}", "[1]", R"([{"containerID":1}])", R"("all")"}) {
    CniOr<NetConf> conf = ParseNetConf(Conf(R"("cni.dev/valid-attachments":)" + std::string(bad)));
    ASSERT_TRUE(conf.ok()) << bad;
    EXPECT_TRUE(conf->unlisted.has_value()) << bad;
    EXPECT_FALSE(ProblemOfAdd(conf).has_value()) << bad;
  }
}

TEST(NetConfTest, ATrunkIsTheUnionOfItsIdsAndRanges) {
  CniOr<NetConf> conf = ParseNetConf(Conf(R"("vlanTrunk":[
      {"minID":100,"maxID":103},{"id":4094},{"id":7,"minID":102,"maxID":110},{"id":111},{"id":1}])"));
  ASSERT_TRUE(conf.ok()) << conf.error().message;
  EXPECT_EQ(conf->vlan_trunk, (std::vector<VlanRange>{{1, 1}, {7, 7}, {100, 111}, {4094, 4094}}));
  EXPECT_TRUE(conf->uses_vlans());
  EXPECT_FALSE(conf->unsupported.has_value());
}

TEST(NetConfTest, ThePortStaysInTheDefaultVlanUnlessToldOtherwise) {
  EXPECT_TRUE(ParseNetConf(Conf(R"("vlan":4094)"))->preserve_default_vlan);
  EXPECT_TRUE(ParseNetConf(Conf(R"("preserveDefaultVlan":true)"))->preserve_default_vlan);
  EXPECT_FALSE(ParseNetConf(Conf(R"("preserveDefaultVlan":false)"))->preserve_default_vlan);
  EXPECT_EQ(ParseNetConf(Conf(R"("vlan":4094)"))->vlan, 4094);
  EXPECT_FALSE(ParseNetConf(Conf(R"("vlan":0,"vlanTrunk":[])"))->uses_vlans());
}

TEST(NetConfTest, NoKeyOfTheReferencePluginIsRefused) {
  for (const char* more :
       {R"("ipMasq":true,"vlan":100,"macspoofchk":true,"portIsolation":true)",
        R"("ipMasq":false,"vlan":0,"macspoofchk":false,"preserveDefaultVlan":true)",
        R"("runtimeConfig":{"portMappings":[{"hostPort":0,"containerPort":80}]})"}) {
    CniOr<NetConf> conf = ParseNetConf(Conf(more));
    ASSERT_TRUE(conf.ok()) << conf.error().message;
    EXPECT_FALSE(conf->unsupported.has_value()) << more;
  }
  EXPECT_TRUE(ParseNetConf(Conf(R"("macspoofchk":true)"))->mac_spoof_check);
}

TEST(NetConfTest, PortMappingsAndMasqueradingAreRead) {
  CniOr<NetConf> conf = ParseNetConf(Conf(
      R"("ipMasq":true,"ipMasqBackend":"iptables","capabilities":{"portMappings":true},
         "runtimeConfig":{"portMappings":[
           {"hostPort":8080,"containerPort":80},
           {"hostPort":53,"containerPort":5353,"protocol":"UdP","hostIP":"::"},
           {"hostPort":0,"containerPort":80},
           {"hostPort":9,"containerPort":9,"protocol":"SCTP","hostIP":"192.0.2.1"}]})"));
  ASSERT_TRUE(conf.ok()) << conf.error().message;
  EXPECT_FALSE(conf->unsupported.has_value());
  EXPECT_TRUE(conf->ip_masq);
  EXPECT_TRUE(conf->has_port_mappings_capability);
  const std::vector<PortMapping> kWanted = {
      {8080, 80, IPPROTO_TCP, std::nullopt},
      {53, 5353, IPPROTO_UDP, *IpAddress::Parse("::")},
      {9, 9, IPPROTO_SCTP, *IpAddress::Parse("192.0.2.1")},
  };
  EXPECT_EQ(conf->port_mappings, kWanted);
}

TEST(NetConfTest, WhatIsWrongInAPortMappingIsNamedAndKeptFromDel) {
  struct Case {
    const char* mappings;
    const char* named;
  };
  for (const Case& c : std::initializer_list<Case>{
           {R"({"hostPort":65536,"containerPort":80})", "runtimeConfig.portMappings[0].hostPort"},
           {R"({"hostPort":-1,"containerPort":80})", "runtimeConfig.portMappings[0].hostPort"},
           {R"({"hostPort":"80","containerPort":80})", "runtimeConfig.portMappings[0].hostPort"},
           {R"({"hostPort":80,"containerPort":0})", "runtimeConfig.portMappings[0].containerPort"},
           {R"({"hostPort":80,"containerPort":70000})", "[0].containerPort"},
           {R"({"hostPort":80})", "runtimeConfig.portMappings[0].containerPort"},
           {R"({"hostPort":80,"containerPort":80,"protocol":"icmp"})", "[0].protocol"},
           {R"({"hostPort":80,"containerPort":80,"protocol":6})", "[0].protocol"},
           {R"({"hostPort":80,"containerPort":80,"hostIP":"node1"})", "[0].hostIP"},
           {R"({"hostPort":80,"containerPort":80},{"hostPort":80,"containerPort":81})",
            "[1].hostPort: tcp port 80 is to lead to port 81 here and to port 80"},
           {R"({"hostPort":80,"containerPort":80},
               {"hostPort":80,"containerPort":81,"hostIP":"::"})",
            "[1].hostPort: tcp port 80 of ::"},
           {R"({"hostPort":80,"containerPort":80,"hostIP":"192.0.2.1"},
               {"hostPort":80,"containerPort":81,"hostIP":"192.0.2.1"})",
            "tcp port 80 of 192.0.2.1"}}) {
    CniOr<NetConf> conf =
        ParseNetConf(Conf(R"("runtimeConfig":{"portMappings":[)" + std::string(c.mappings) + "]}"));
    ASSERT_TRUE(conf.ok()) << c.mappings << " -> " << conf.error().message;
    ASSERT_TRUE(conf->unsupported.has_value()) << c.mappings;
    EXPECT_EQ(conf->unsupported->code, CniErrorCode::kInvalidConfig);
    EXPECT_NE(conf->unsupported->message.find(c.named), std::string::npos)
        << conf->unsupported->message;
  }
  CniOr<NetConf> conf = ParseNetConf(Conf(
      R"("runtimeConfig":{"portMappings":[{"hostPort":80,"containerPort":80},
         {"hostPort":80,"containerPort":80},{"hostPort":80,"containerPort":81,"protocol":"udp"},
         {"hostPort":80,"containerPort":82,"hostIP":"192.0.2.1"}]})"));
  ASSERT_TRUE(conf.ok()) << conf.error().message;
  EXPECT_FALSE(conf->unsupported.has_value()) << conf->unsupported->message;
}

TEST(NetConfTest, TextThatIsNoJsonObjectIsADecodingFailure) {
  for (const char* text : {"", "{", "[]", "5", "null", "{\"a\":}", "\xff"}) {
    CniOr<NetConf> conf = ParseNetConf(text);
    ASSERT_FALSE(conf.ok()) << text;
    EXPECT_EQ(conf.error().code, CniErrorCode::kDecodingFailure) << text;
  }
}

TEST(NetConfTest, ADeeplyNestedTextIsNoDanger) {
  std::string deep(1 << 20, '[');
  EXPECT_FALSE(ParseNetConf(R"({"a":)" + deep).ok());
}

TEST(NetConfTest, OtherVersionsAreIncompatible) {
  for (const char* version : {"0.1.0", "0.2.0", "1.2.0", "", "1.0"}) {
    CniOr<NetConf> conf =
        ParseNetConf(R"({"name":"x","cniVersion":")" + std::string(version) + "\"}");
    ASSERT_FALSE(conf.ok()) << version;
    EXPECT_EQ(conf.error().code, CniErrorCode::kIncompatibleVersion) << version;
  }
}

}  // namespace
}  // namespace podroute
