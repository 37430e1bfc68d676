#include "cni/bridge_plugin.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cni/cni_result.h"
#include "cni/link_ops.h"
#include "tests/cni/bridge_fixture.h"

namespace podroute {
namespace {

TEST_F(BridgePluginTest, TwoPodsReachEachOtherAndTheHostOnBothFamilies) {
  TestPod a;
  TestPod b;
  MustAdd("a", a, DualStack(R"("hairpinMode":true,)"));
  MustAdd("b", b, DualStack(R"("hairpinMode":true,)"));
  Shell(AwaitIpv6());
  for (const TestPod* pod : {&a, &b}) pod->Run(AwaitIpv6());
  for (const char* address : {"10.1.0.3", "fd00:1::3", "10.1.0.1", "fd00:1::1"}) {
    EXPECT_EQ(a.Try(std::string("ping -c1 -W5 ") + address), 0) << address;
  }
  EXPECT_EQ(TryShell("ping -c1 -W5 10.1.0.2"), 0);
  EXPECT_EQ(TryShell("ping -c1 -W5 fd00:1::2"), 0);
  MustDel("a", a.path(), DualStack());
  MustDel("b", b.path(), DualStack());
  ExpectNothingLeft();
}

TEST_F(BridgePluginTest, ThePodHasWhatTheResultSays) {
  TestPod pod;
  std::string result = MustAdd("a", pod, DualStack(R"("mtu":1400,)"));
  std::string link = pod.Run("ip -d link show eth0");
  EXPECT_TRUE(Has(link, "mtu 1400")) << link;
  EXPECT_TRUE(Has(link, "link/ether 0a:58:0a:01:00:02")) << link;
  EXPECT_TRUE(Has(result, "0a:58:0a:01:00:02")) << result;
  std::string addresses = pod.Run("ip addr show eth0");
  EXPECT_TRUE(Has(addresses, "inet 10.1.0.2/24")) << addresses;
  EXPECT_TRUE(Has(addresses, "inet6 fd00:1::2/64 scope global nodad")) << addresses;
  EXPECT_TRUE(Has(pod.Run("ip route"), "default via 10.1.0.1 dev eth0"));
  EXPECT_TRUE(Has(pod.Run("ip -6 route"), "default via fd00:1::1 dev eth0"));
  EXPECT_TRUE(Has(pod.Run("ip link show lo"), "LOOPBACK,UP"));
  EXPECT_EQ(Shell("cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv6/conf/all/forwarding"),
            "1\n1\n");
  EXPECT_EQ(Shell("cat /proc/sys/net/ipv6/conf/cni0/accept_ra"), "0\n");
}

// Else what others send to a pod that has not sent anything yet waits for two seconds: the kernel
// asks for the pod's hardware address from the gateway's link-local address.
TEST_F(BridgePluginTest, TheGatewaysLinkLocalAddressIsUsableAtOnce) {
  TestPod pod;
  MustAdd("a", pod, DualStack());
  EXPECT_EQ(Shell("cat /proc/sys/net/ipv6/conf/cni0/accept_dad"), "0\n");
}

TEST_F(BridgePluginTest, TheHostEndSaysWhoseItIs) {
  TestPod pod;
  MustAdd("a", pod, V4(R"("hairpinMode":true,)"));
  std::string name = HostVethName({"a", "eth0"});
  std::string link = Shell("ip -d link show " + name);
  EXPECT_TRUE(Has(link, "master cni0")) << link;
  EXPECT_TRUE(Has(link, "hairpin on")) << link;
  EXPECT_TRUE(Has(link, "addrgenmode none")) << link;
  EXPECT_TRUE(Has(link, "alias podroute pods a eth0")) << link;
  EXPECT_EQ(Shell("ip -6 addr show dev " + name), "");
}

TEST_F(BridgePluginTest, DelWorksWithoutNamespaceAndWithoutState) {
  {
    TestPod pod;
    MustAdd("a", pod, V4());
    std::filesystem::remove_all(dir_.path() + "/pods");
    std::filesystem::remove_all(dir_.path() + "/.podroute");
    MustDel("a", "", V4());
    EXPECT_EQ(pod.Try("ip link show eth0"), 1);
  }
  MustDel("a", "", V4());
  MustDel("a", "/does/not/exist", V4());
  ExpectNothingLeft();
}

TEST_F(BridgePluginTest, DelOfWhatAddRefusedSucceeds) {
  TestPod pod;
  std::string conf =
      V4(R"("runtimeConfig":{"portMappings":[{"hostPort":80,"containerPort":-80}]},)");
  CniAnswer answer = Call("ADD", "a", pod.path(), conf);
  EXPECT_EQ(answer.exit_code, 1);
  EXPECT_TRUE(Has(answer.output, R"("code":7)")) << answer.output;
  MustDel("a", pod.path(), conf);
  ExpectNothingLeft();
}

TEST_F(BridgePluginTest, ASecondAddOfTheSameAttachmentFailsAndHarmsNothing) {
  TestPod pod;
  MustAdd("a", pod, V4());
  CniAnswer again = Call("ADD", "a", pod.path(), V4());
  EXPECT_EQ(again.exit_code, 1);
  // Even when the store has forgotten it.
  std::filesystem::remove_all(dir_.path() + "/pods");
  again = Call("ADD", "a", pod.path(), V4());
  EXPECT_EQ(again.exit_code, 1) << again.output;
  EXPECT_EQ(pod.Try("ping -c1 -W5 10.1.0.1"), 0);
  EXPECT_FALSE(std::filesystem::exists(dir_.path() + "/pods/10.1.0.2"));
}

TEST_F(BridgePluginTest, WhatFailsHalfWayIsUndone) {
  // The pod has an eth0 already: the pair cannot be made.
  TestPod taken;
  taken.Run("ip link add eth0 type bridge");
  CniAnswer answer = Call("ADD", "a", taken.path(), V4());
  EXPECT_EQ(answer.exit_code, 1);
  EXPECT_TRUE(Has(answer.output, R"("code":100)")) << answer.output;
  ExpectNothingLeft();

  // A route that the kernel refuses: the last step of all.
  TestPod pod;
  std::string conf = R"({"cniVersion":"1.1.0","name":"pods","isDefaultGateway":true,
      "ipam":{"type":"host-local","dataDir":")" +
                     dir_.path() + R"(","ranges":[[{"subnet":"10.1.0.0/24"}]],
      "routes":[{"dst":"10.9.0.0/16","gw":"224.0.0.1"}]}})";
  std::filesystem::remove_all(dir_.path() + "/pods");
  answer = Call("ADD", "b", pod.path(), conf);
  EXPECT_EQ(answer.exit_code, 1) << answer.output;
  EXPECT_TRUE(Has(answer.output, "10.9.0.0/16 via 224.0.0.1")) << answer.output;
  ExpectNothingLeft();
  EXPECT_EQ(pod.Try("ip link show eth0"), 1);

  // A bridge that is none.
  Shell("ip link add br9 type veth peer name br9p");
  answer = Call("ADD", "c", pod.path(), V4(R"("bridge":"br9",)"));
  EXPECT_TRUE(Has(answer.output, "br9 is veth, not a bridge")) << answer.output;
  Shell("ip link del br9");
  ExpectNothingLeft();
}

TEST_F(BridgePluginTest, AMasterThatIsNoBridgeIsRefused) {
  if (TryShell("ip link add vrf9 type vrf table 9") != 0) GTEST_SKIP() << "no VRFs here";
  TestPod pod;
  CniAnswer answer = Call("ADD", "a", pod.path(), V4(R"("bridge":"vrf9",)"));
  EXPECT_EQ(answer.exit_code, 1);
  EXPECT_TRUE(Has(answer.output, "vrf9 is vrf, not a bridge")) << answer.output;
  ExpectNothingLeft();
}

TEST_F(BridgePluginTest, AWrongNamespaceHasTheRightCode) {
  CniAnswer answer = Call("ADD", "a", "/does/not/exist", V4());
  EXPECT_TRUE(Has(answer.output, R"("code":3)")) << answer.output;
  answer = Call("ADD", "a", "/etc/passwd", V4());
  EXPECT_TRUE(Has(answer.output, R"("code":3)")) << answer.output;
  answer = Call("ADD", "a", "/proc/thread-self/ns/net", V4());
  EXPECT_TRUE(Has(answer.output, R"("code":4)")) << answer.output;
  EXPECT_TRUE(Has(answer.output, "CNI_NETNS")) << answer.output;
  ExpectNothingLeft();
}

TEST_F(BridgePluginTest, RequestedAddressAndHardwareAddressAreUsed) {
  TestPod pod;
  MustAdd("a", pod, V4(R"("runtimeConfig":{"ips":["10.1.0.77"],"mac":"02:00:00:00:00:77"},)"));
  EXPECT_TRUE(Has(pod.Run("ip addr show eth0"), "inet 10.1.0.77/24"));
  EXPECT_TRUE(Has(pod.Run("ip link show eth0"), "02:00:00:00:00:77"));
  EXPECT_EQ(pod.Try("ping -c1 -W5 10.1.0.1"), 0);
}

TEST_F(BridgePluginTest, ABridgeOfAnOlderRangeIsReaddressedWhileItsPodsGoOn) {
  TestPod older;
  TestPod newer;
  std::string old_conf = V4();
  std::string new_conf = Conf(R"([[{"subnet":"10.2.0.0/24"}]])");
  MustAdd("old", older, old_conf);
  std::string before = Shell("ip -br link show cni0 | awk '{print $3}'");
  MustAdd("new", newer, new_conf);
  EXPECT_EQ(older.Try("ping -c1 -W5 10.1.0.1"), 0);
  EXPECT_EQ(older.Try("ping -c1 -W5 10.2.0.2"), 0);
  MustDel("old", older.path(), new_conf);
  // Nobody uses the old gateway any more: the next ADD takes it away.
  TestPod third;
  MustAdd("third", third, new_conf);
  std::string addresses = Shell("ip addr show dev cni0");
  EXPECT_FALSE(Has(addresses, "10.1.0.1")) << addresses;
  EXPECT_TRUE(Has(addresses, "10.2.0.1/24")) << addresses;
  EXPECT_EQ(Shell("ip -br link show cni0 | awk '{print $3}'"), before);
  EXPECT_EQ(newer.Try("ping -c1 -W5 10.2.0.3"), 0);
}

TEST_F(BridgePluginTest, SomebodyElsesAddressOnTheBridgeStaysUnlessForced) {
  Shell(
      "ip link add cni0 type bridge && ip addr add 192.168.7.1/24 dev cni0 && ip link set cni0 up");
  TestPod a;
  MustAdd("a", a, V4());
  EXPECT_TRUE(Has(Shell("ip addr show dev cni0"), "192.168.7.1/24"));
  TestPod b;
  MustAdd("b", b, V4(R"("forceAddress":true,)"));
  std::string addresses = Shell("ip addr show dev cni0");
  EXPECT_FALSE(Has(addresses, "192.168.7.1/24")) << addresses;
  EXPECT_TRUE(Has(addresses, "10.1.0.1/24")) << addresses;
}

TEST_F(BridgePluginTest, GcRemovesWhatIsNotListedAndNothingElse) {
  TestPod a;
  TestPod b;
  TestPod other;
  MustAdd("a", a, V4());
  MustAdd("b", b, V4());
  std::string second = R"({"cniVersion":"1.1.0","name":"other","isGateway":true,"ipam":{
      "type":"host-local","dataDir":")" +
                       dir_.path() + R"(","ranges":[[{"subnet":"10.7.0.0/24"}]]}})";
  MustAdd("o", other, second);
  dir_.Write("pods/10.1.0.99", "gone\r\neth0");
  std::string conf = V4(R"("cni.dev/valid-attachments":[{"containerID":"a","ifname":"eth0"}],)");
  CniAnswer answer = Call("GC", "", "", conf);
  EXPECT_EQ(answer.exit_code, 0) << answer.output;
  EXPECT_EQ(a.Try("ping -c1 -W5 10.1.0.1"), 0);
  EXPECT_EQ(other.Try("ping -c1 -W5 10.7.0.1"), 0);
  EXPECT_EQ(b.Try("ip link show eth0"), 1);
  EXPECT_TRUE(std::filesystem::exists(dir_.path() + "/pods/10.1.0.2"));
  EXPECT_FALSE(std::filesystem::exists(dir_.path() + "/pods/10.1.0.3"));
  EXPECT_FALSE(std::filesystem::exists(dir_.path() + "/pods/10.1.0.99"));
  EXPECT_TRUE(std::filesystem::exists(dir_.path() + "/other/10.7.0.2"));
  EXPECT_TRUE(Has(Call("GC", "", "", V4()).output, "cni.dev/valid-attachments is missing"));
}

TEST_F(BridgePluginTest, StatusSaysWhenAddWouldFail) {
  EXPECT_EQ(Call("STATUS", "", "", V4()).output, "");
  std::string tiny = Conf(R"([[{"subnet":"10.1.0.0/30"}]])");
  TestPod pod;
  MustAdd("a", pod, tiny);
  EXPECT_TRUE(Has(Call("STATUS", "", "", tiny).output, R"("code":50)"));
  Shell("ip link set cni0 down");
  EXPECT_TRUE(Has(Call("STATUS", "", "", tiny).output, R"("code":51)"));
  Shell("ip link add br9 type veth peer name br9p");
  std::string said = Call("STATUS", "", "", V4(R"("bridge":"br9",)")).output;
  EXPECT_TRUE(Has(said, R"("code":50)")) << said;
  EXPECT_TRUE(Has(said, "br9 is not a bridge")) << said;
}

TEST_F(BridgePluginTest, StatusSaysWhenTheIpamPluginCannotBeRun) {
  auto status = [&](const std::string& type) {
    return Call("STATUS", "", "",
                R"({"cniVersion":"1.1.0","name":"pods","ipam":{"type":")" + type + "\"}}",
                dir_.path() + "/bin")
        .output;
  };
  dir_.WriteScript("bin/silent", "exit 3");
  dir_.WriteScript("bin/busy", "echo '{\"code\":11,\"msg\":\"later\"}'; exit 1");
  EXPECT_TRUE(Has(status("missing"), R"("code":50,)")) << status("missing");
  EXPECT_TRUE(Has(status("missing"), "missing is not installed")) << status("missing");
  EXPECT_TRUE(Has(status("silent"), R"("code":50,)")) << status("silent");
  EXPECT_TRUE(Has(status("busy"), R"("code":11,)")) << status("busy");
}

TEST_F(BridgePluginTest, AnMtuTooSmallForIpv6StillServesIpv4) {
  for (int mtu : {68, 576, 1279}) {
    SCOPED_TRACE(mtu);
    TestPod pod;
    std::string conf = V4(R"("hairpinMode":true,"bridge":"br)" + std::to_string(mtu) +
                          R"(","mtu":)" + std::to_string(mtu) + ",");
    std::string result = MustAdd("a", pod, conf);
    EXPECT_TRUE(Has(pod.Run("ip link show eth0"), "mtu " + std::to_string(mtu) + " "));
    EXPECT_EQ(pod.Try("ping -c 1 -s 30 10.1.0.1"), 0);
    EXPECT_EQ(Call("CHECK", "a", pod.path(), After(conf, result)).output, "");
    MustDel("a", pod.path(), conf);
    ExpectNothingLeft();
    Shell("ip link del br" + std::to_string(mtu));
  }
}

TEST_F(BridgePluginTest, AnMtuTooSmallForIpv6IsRefusedByNameWithAnIpv6Range) {
  TestPod pod;
  std::string conf = DualStack(R"("mtu":1279,)");
  for (const CniAnswer& answer :
       {Call("ADD", "a", pod.path(), conf), Call("STATUS", "", "", conf)}) {
    EXPECT_NE(answer.exit_code, 0);
    EXPECT_TRUE(Has(answer.output, "mtu: must be 0 or at least 1280")) << answer.output;
  }
  MustDel("a", pod.path(), conf);
  MustAdd("a", pod, DualStack(R"("mtu":1280,)"));
}

TEST_F(BridgePluginTest, TheResultHasTheBridgesMtuAsItIsNow) {
  TestPod first, second, third;
  auto mtu_of_bridge = [&](const std::string& result) {
    size_t at = result.find("\"mtu\":", result.find("\"cni0\""));
    return "mtu " + result.substr(at + 6, result.find_first_of(",}", at) - at - 6) + " ";
  };
  std::string result = MustAdd("a", first, V4(R"("mtu":1400,)"));
  EXPECT_TRUE(Has(Shell("ip link show cni0"), mtu_of_bridge(result))) << result;
  MustDel("a", first.path(), V4(R"("mtu":1400,)"));
  // Without a port the bridge has another one again.
  result = MustAdd("b", second, V4(R"("mtu":1400,)"));
  EXPECT_EQ(mtu_of_bridge(result), "mtu 1400 ");
  EXPECT_TRUE(Has(Shell("ip link show cni0"), "mtu 1400 "));
  result = MustAdd("c", third, V4(R"("mtu":1300,)"));
  EXPECT_EQ(mtu_of_bridge(result), "mtu 1300 ");
  EXPECT_TRUE(Has(Shell("ip link show cni0"), "mtu 1300 "));
}

TEST_F(BridgePluginTest, ANameThatTheKernelWouldReplaceMakesNoLink) {
  TestPod pod;
  std::string before = Shell("ip -br link");
  CniAnswer answer = Call("ADD", "a", pod.path(), V4(R"("bridge":"br%d",)"));
  EXPECT_TRUE(Has(answer.output, R"("code":7,)")) << answer.output;
  EXPECT_EQ(Shell("ip -br link"), before);
}

TEST_F(BridgePluginTest, ARouteThatIsThereAlreadyIsLeft) {
  TestPod pod;
  std::string conf = R"({"cniVersion":"1.1.0","name":"pods","isDefaultGateway":true,
      "ipam":{"type":"host-local","dataDir":")" +
                     dir_.path() + R"(","ranges":[[{"subnet":"10.1.0.0/24"}]],
      "routes":[{"dst":"10.9.0.0/16"},{"dst":"10.9.0.0/16"},{"dst":"0.0.0.0/0"}]}})";
  MustAdd("a", pod, conf);
  EXPECT_TRUE(Has(pod.Run("ip route"), "10.9.0.0/16 via 10.1.0.1 dev eth0"));
  EXPECT_TRUE(Has(pod.Run("ip route"), "default via 10.1.0.1 dev eth0"));
}

TEST_F(BridgePluginTest, CommandsThatAVersionDoesNotHaveAreRefused) {
  std::string old = R"({"cniVersion":"0.3.1","name":"pods"})";
  for (const char* command : {"CHECK", "GC", "STATUS"}) {
    CniAnswer answer = Call(command, "a", "/x", old);
    EXPECT_EQ(answer.exit_code, 1);
    EXPECT_TRUE(Has(answer.output, R"({"cniVersion":"0.3.1","code":1,)")) << answer.output;
  }
}

TEST_F(BridgePluginTest, WithoutIpamThePodIsPluggedInAndNoMore) {
  TestPod pod;
  std::string conf = R"({"cniVersion":"1.0.0","name":"l2"})";
  std::string result = MustAdd("a", pod, conf);
  EXPECT_FALSE(Has(result, "\"ips\"")) << result;
  EXPECT_TRUE(Has(pod.Run("ip link show eth0"), ",UP"));
  MustDel("a", pod.path(), conf);

  conf = R"({"cniVersion":"1.0.0","name":"l2","disableContainerInterface":true})";
  MustAdd("a", pod, conf);
  EXPECT_FALSE(Has(pod.Run("ip link show eth0"), ",UP"));
}

TEST_F(BridgePluginTest, OtherIpamPluginsAreDelegatedTo) {
  TestPod pod;
  std::string log = dir_.File("log");
  dir_.WriteScript("bin/my-ipam",
                   "echo \"$CNI_COMMAND $CNI_CONTAINERID $CNI_IFNAME $(cat | wc -c)\" >> " + log +
                       "\n[ $CNI_COMMAND = ADD ] && echo '{\"cniVersion\":\"0.4.0\",\"ips\":[{"
                       "\"version\":\"4\",\"address\":\"10.5.0.9/24\"}],\"dns\":{}}'; true");
  std::string conf =
      R"({"cniVersion":"0.4.0","name":"pods","isDefaultGateway":true,"ipam":{"type":"my-ipam"}})";
  std::string path = "/nowhere:" + dir_.path() + "/bin";
  CniAnswer answer = Call("ADD", "a", pod.path(), conf, path);
  EXPECT_EQ(answer.exit_code, 0) << answer.output;
  EXPECT_TRUE(Has(answer.output, R"("address":"10.5.0.9/24","gateway":"10.5.0.1")"))
      << answer.output;
  EXPECT_EQ(pod.Try("ping -c1 -W5 10.5.0.1"), 0);
  answer = Call("DEL", "a", pod.path(), conf, path);
  EXPECT_EQ(answer.exit_code, 0) << answer.output;
  std::string size = std::to_string(conf.size());
  // The plugin's own environment has no CNI variables in this test but the command.
  EXPECT_EQ(Shell("cut -d' ' -f1,4- " + log), "ADD " + size + "\nDEL " + size + "\n");
}

TEST_F(BridgePluginTest, ADelegatedPluginsTroubleIsPassedOn) {
  TestPod pod;
  auto add = [&](const std::string& type) {
    return Call("ADD", "a", pod.path(),
                R"({"cniVersion":"1.0.0","name":"pods","ipam":{"type":")" + type + "\"}}",
                dir_.path() + "/bin")
        .output;
  };
  dir_.WriteScript("bin/busy", "echo '{\"code\":11,\"msg\":\"later\"}'; exit 1");
  dir_.WriteScript("bin/silent", "exit 3");
  dir_.WriteScript("bin/garbage", "echo hello");
  dir_.WriteScript("bin/empty", "echo '{}'");
  EXPECT_TRUE(Has(add("busy"), R"("code":11,)")) << add("busy");
  EXPECT_TRUE(Has(add("silent"), R"("code":104,)")) << add("silent");
  EXPECT_TRUE(Has(add("garbage"), "not JSON")) << add("garbage");
  EXPECT_TRUE(Has(add("empty"), "gave no address")) << add("empty");
  EXPECT_TRUE(Has(add("missing"), "missing is not installed")) << add("missing");
  EXPECT_TRUE(Has(add("../bin/busy"), R"("code":7,)")) << add("../bin/busy");
  EXPECT_EQ(Shell("ip -br link show type veth"), "");
}

// `conf` with ipam's `ipam_fields` instead of its ranges, and `more`.
std::string Broken(const std::string& data_dir, const std::string& more,
                   const std::string& ipam_fields = R"("ranges":[[{"subnet":"10.1.0.0/24"}]])") {
  return R"({"cniVersion":"1.1.0","name":"pods","type":"podroute-cni",)" + more +
         R"("ipam":{"type":"host-local","dataDir":")" + data_dir + "\"" +
         (ipam_fields.empty() ? "" : "," + ipam_fields) + "}}";
}

TEST_F(BridgePluginTest, DelAndGcMindOnlyWhatTheyNeed) {
  std::vector<std::string> configs;
  for (const char* more :
       {R"("prevResult":"garbage",)", R"("prevResult":{"ips":[{"address":"x"}]},)",
        R"("args":{"cni":{"ips":["x"],"mac":"zz"}},)", R"("args":[],)",
        R"("runtimeConfig":{"ips":[7],"mac":"zz","ipRanges":"all","portMappings":5},)",
        R"("runtimeConfig":"none",)", R"("mtu":"big","vlan":-1,"vlanTrunk":[{}],)",
        R"("isGateway":"yes","hairpinMode":1,"dns":"1.1.1.1","ipMasqBackend":"ebpf",)"}) {
    configs.push_back(Broken(dir_.path(), more));
  }
  for (const char* fields : {"", R"("ranges":[])", R"("ranges":[[{"subnet":"x"}]])",
                             R"("subnet":5)", R"("ranges":[[{"subnet":"10.0.0.0/8"},{}]])",
                             R"("ranges":[[{"subnet":"10.1.0.0/24"}]],"routes":[{"dst":1}])"}) {
    configs.push_back(Broken(dir_.path(), "", fields));
  }
  for (const std::string& config : configs) {
    SCOPED_TRACE(config);
    TestPod pod;
    CniAnswer refused = Call("ADD", "a", pod.path(), config);
    EXPECT_EQ(refused.exit_code, 1);
    EXPECT_TRUE(Has(refused.output, "\"code\":7")) << refused.output;
    MustAdd("a", pod, V4());
    MustDel("a", pod.path(), config);
    ExpectNothingLeft();
    MustAdd("a", pod, V4());
    std::string gc = config;
    gc.pop_back();
    CniAnswer collected = Call("GC", "", "", gc + ",\"cni.dev/valid-attachments\":null}");
    EXPECT_EQ(collected.exit_code, 0) << collected.output;
    ExpectNothingLeft();
  }
}

TEST_F(BridgePluginTest, GcRefusesAListThatItCannotRead) {
  TestPod pod;
  MustAdd("a", pod, V4());
  for (const char* list :
       {R"("cni.dev/valid-attachments":{},)", R"("cni.dev/valid-attachments":[{"containerID":7}],)",
        // Half of one would be nobody's.
        R"("cni.dev/valid-attachments":[{"containerID":"a"}],)",
        R"("cni.dev/valid-attachments":[{"ifname":"eth0"}],)",
        R"("cni.dev/valid-attachments":[{"containerID":"a","ifname":""}],)",
        R"("cni.dev/valid-attachments":[{}],)", ""}) {
    CniAnswer answer = Call("GC", "", "", V4(list));
    EXPECT_TRUE(Has(answer.output, "\"code\":7")) << list << answer.output;
    EXPECT_TRUE(Has(answer.output, "valid-attachments")) << list << answer.output;
  }
  EXPECT_EQ(pod.Try("ip link show eth0"), 0);
  MustDel("a", pod.path(), V4(R"("cni.dev/valid-attachments":{},)"));
  ExpectNothingLeft();
}

TEST_F(BridgePluginTest, StatusWorksWhereTheRangesAreInRuntimeConfig) {
  std::string conf = Broken(dir_.path(), "", "");
  CniAnswer status = Call("STATUS", "", "", conf);
  EXPECT_EQ(status.exit_code, 0) << status.output;
  TestPod pod;
  std::string runtime =
      Broken(dir_.path(), R"("runtimeConfig":{"ipRanges":[[{"subnet":"10.7.0.0/24"}]]},)", "");
  EXPECT_TRUE(Has(MustAdd("a", pod, runtime), "10.7.0.2/24"));
  MustDel("a", pod.path(), conf);
  ExpectNothingLeft();
}

TEST_F(BridgePluginTest, AnAddressThatIsAskedForTwiceIsOneRequest) {
  TestPod pod;
  auto environment = [&](const char* name) -> std::optional<std::string> {
    if (std::string_view(name) == "CNI_ARGS") return "IP=10.1.0.77,10.1.0.77/24";
    return RuntimeEnvironment("ADD", "a", pod.path())(name);
  };
  BridgePlugin plugin;
  CniAnswer answer =
      RunCniPlugin(plugin, environment, V4(R"("runtimeConfig":{"ips":["10.1.0.77/24"]},)"));
  EXPECT_EQ(answer.exit_code, 0) << answer.output;
  EXPECT_TRUE(Has(answer.output, "10.1.0.77/24")) << answer.output;
  MustDel("a", pod.path(), V4());
  ExpectNothingLeft();
}

TEST_F(BridgePluginTest, APodMayHaveTwoAddressesOfOneSubnet) {
  std::string conf =
      Conf(R"([[{"subnet":"10.1.0.0/16","rangeStart":"10.1.1.10","rangeEnd":"10.1.1.99"}],
               [{"subnet":"10.1.0.0/16","rangeStart":"10.1.2.10","rangeEnd":"10.1.2.99"}]])");
  TestPod pod;
  std::string result = MustAdd("a", pod, conf);
  for (const char* address : {"10.1.1.10", "10.1.2.10"}) {
    EXPECT_TRUE(Has(result, address)) << result;
    EXPECT_EQ(TryShell(std::string("ping -c1 -W5 ") + address), 0) << address;
  }
  CniAnswer checked = Call("CHECK", "a", pod.path(), After(conf, result));
  EXPECT_EQ(checked.exit_code, 0) << checked.output;
  MustDel("a", pod.path(), conf);
  ExpectNothingLeft();
}

}  // namespace
}  // namespace podroute
