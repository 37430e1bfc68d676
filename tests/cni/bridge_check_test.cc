// CHECK: what was changed since ADD, and what prevResult itself must say.
#include <gtest/gtest.h>

#include <string>

#include "cni/link_ops.h"
#include "tests/cni/bridge_fixture.h"

namespace podroute {
namespace {

TEST_F(BridgePluginTest, CheckSeesEachThingThatWasChanged) {
  TestPod pod;
  std::string conf = DualStack(R"("hairpinMode":true,)");
  std::string result = MustAdd("a", pod, conf);
  std::string host_end = HostVethName({"a", "eth0"});
  auto check = [&] { return Call("CHECK", "a", pod.path(), After(conf, result)).output; };
  EXPECT_EQ(check(), "");
  EXPECT_TRUE(Has(Call("CHECK", "a", pod.path(), conf).output, "prevResult is missing"));

  struct Case {
    std::string spoil;
    bool in_pod;
    std::string mend;
    const char* said;
  };
  const Case kCases[] = {
      {"ip addr del 10.1.0.2/24 dev eth0", true,
       "ip addr add 10.1.0.2/24 dev eth0 && ip route add default via 10.1.0.1",
       "eth0 does not have 10.1.0.2/24"},
      {"ip route del default", true, "ip route add default via 10.1.0.1",
       "no route 0.0.0.0/0 via 10.1.0.1"},
      {"ip -6 route del default", true, "ip -6 route add default via fd00:1::1", "no route ::/0"},
      {"ip link set " + host_end + " nomaster", false,
       "ip link set " + host_end + " master cni0 && bridge link set dev " + host_end +
           " hairpin on",
       "is not in the bridge"},
      {"bridge link set dev " + host_end + " hairpin off", false,
       "bridge link set dev " + host_end + " hairpin on", "hairpin"},
      {"ip addr del 10.1.0.1/24 dev cni0", false, "ip addr add 10.1.0.1/24 dev cni0",
       "cni0 does not have 10.1.0.1/24"},
      {"echo 0 > /proc/sys/net/ipv4/ip_forward", false, "echo 1 > /proc/sys/net/ipv4/ip_forward",
       "ip_forward is 0"},
      {"mv " + dir_.path() + "/pods/10.1.0.2 " + dir_.path() + "/kept", false,
       "mv " + dir_.path() + "/kept " + dir_.path() + "/pods/10.1.0.2", "10.1.0.2 is not reserved"},
      {"echo 0 > /proc/sys/net/ipv6/conf/all/forwarding", false,
       "echo 1 > /proc/sys/net/ipv6/conf/all/forwarding", "forwarding is 0"},
      {"ip link set eth0 address 02:00:00:00:00:99", true,
       "ip link set eth0 address 0a:58:0a:01:00:02",
       "eth0 has the hardware address 02:00:00:00:00:99, not 0a:58:0a:01:00:02"},
      {"ip -6 addr del fd00:1::2/64 dev eth0", true,
       "ip -6 addr add fd00:1::2/64 dev eth0 nodad && ip -6 route replace default via fd00:1::1",
       "eth0 does not have fd00:1::2/64"},
      {"ip link set eth0 mtu 1400", true, "ip link set eth0 mtu 1500",
       "eth0 has an MTU of 1400, not 1500"},
      {"ip link set " + host_end + " mtu 1400", false, "ip link set " + host_end + " mtu 1500",
       " has an MTU of 1400, not 1500"},
      {"echo 0 > /proc/sys/net/ipv4/conf/cni0/forwarding", false,
       "echo 1 > /proc/sys/net/ipv4/conf/cni0/forwarding", "conf/cni0/forwarding is 0"},
      {"ip link set " + host_end + " down", false, "ip link set " + host_end + " up", "is down"},
  };
  for (const Case& c : kCases) {
    c.in_pod ? pod.Run(c.spoil) : Shell(c.spoil);
    std::string said = check();
    EXPECT_TRUE(Has(said, R"("code":103)")) << c.spoil << " -> " << said;
    EXPECT_TRUE(Has(said, c.said)) << c.spoil << " -> " << said;
    c.in_pod ? pod.Run(c.mend) : Shell(c.mend);
    EXPECT_EQ(check(), "") << "after " << c.mend;
  }
}

TEST_F(BridgePluginTest, CheckSeesThatEitherEndIsGone) {
  TestPod renamed;
  std::string result = MustAdd("a", renamed, V4());
  renamed.Run("ip link set eth0 down && ip link set eth0 name eth9");
  std::string said = Call("CHECK", "a", renamed.path(), After(V4(), result)).output;
  EXPECT_TRUE(Has(said, "there is no eth0 in the pod")) << said;
  TestPod unplugged;
  result = MustAdd("b", unplugged, V4());
  std::string host_end = HostVethName({"b", "eth0"});
  Shell("ip link del " + host_end);
  said = Call("CHECK", "b", unplugged.path(), After(V4(), result)).output;
  EXPECT_TRUE(Has(said, "there is no " + host_end)) << said;
}

TEST_F(BridgePluginTest, CheckWantsAPrevResultThatIsAboutThePod) {
  TestPod pod, other;
  const std::string result = MustAdd("a", pod, V4());
  auto with = [&](const std::string& old, const std::string& fresh) {
    std::string changed = result;
    size_t at = changed.find(old);
    EXPECT_NE(at, std::string::npos) << old << " in " << result;
    return changed.replace(at, old.size(), fresh);
  };
  struct Case {
    std::string result;
    const char* said;
  } cases[] = {
      {with("\"name\":\"eth0\"", "\"name\":\"eth1\""), "has no interface eth0 in a sandbox"},
      {with("\"sandbox\":\"" + pod.path() + "\"", "\"sandbox\":\"" + other.path() + "\""),
       "not in CNI_NETNS="},
      {with("\"interface\":2", "\"interface\":7"), "on interface number 7, of which there is none"},
      {with(result.substr(result.find("\"ips\":["), result.find(']', result.find("\"ips\":[")) + 1 -
                                                        result.find("\"ips\":[")),
            "\"ips\":[]"),
       "prevResult has no addresses"},
  };
  EXPECT_EQ(Call("CHECK", "a", pod.path(), After(V4(), result)).output, "");
  for (const Case& c : cases) {
    CniAnswer answer = Call("CHECK", "a", pod.path(), After(V4(), c.result));
    EXPECT_TRUE(Has(answer.output, R"("code":103)")) << c.result << answer.output;
    EXPECT_TRUE(Has(answer.output, c.said)) << answer.output;
  }
}

}  // namespace
}  // namespace podroute
