// What goes wrong half-way is undone, and what changes under running pods does not disturb them.
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <thread>

#include "cni/link_ops.h"
#include "tests/cni/bridge_fixture.h"

namespace podroute {
namespace {

class BridgeFaultsTest : public BridgePluginTest {
 protected:
  // A network whose addresses come from a plugin that prints `result` for ADD and notes each call.
  std::string Delegating(const std::string& result) {
    dir_.WriteScript("bin/my-ipam", "echo $CNI_COMMAND >> " + dir_.File("log") +
                                        "\n[ $CNI_COMMAND = ADD ] && echo '" + result + "'; true");
    return R"({"cniVersion":"1.0.0","name":"pods","isGateway":true,"ipam":{"type":"my-ipam"}})";
  }
  std::string MustRefuse(const TestPod& pod, const std::string& conf) {
    CniAnswer answer = Call("ADD", "a", pod.path(), conf, dir_.path() + "/bin");
    EXPECT_EQ(answer.exit_code, 1) << answer.output;
    EXPECT_EQ(Shell("ip -br link show type veth"), "");
    EXPECT_NE(pod.Try("ip link show eth0"), 0);
    return answer.output;
  }
};

TEST_F(BridgeFaultsTest, AnAddressGivenTwiceIsRefusedAndGivenBack) {
  TestPod pod;
  std::string conf = Delegating(
      R"({"cniVersion":"1.0.0","ips":[{"address":"10.5.0.9/24"},{"address":"10.5.0.9/24"}]})");
  std::string said = MustRefuse(pod, conf);
  EXPECT_TRUE(Has(said, "give eth0 10.5.0.9/24")) << said;
  EXPECT_EQ(Shell("cat " + dir_.File("log")), "ADD\nDEL\n");
  // Nothing is in the way of the next try.
  conf = Delegating(R"({"cniVersion":"1.0.0","ips":[{"address":"10.5.0.9/24"}]})");
  CniAnswer answer = Call("ADD", "a", pod.path(), conf, dir_.path() + "/bin");
  EXPECT_EQ(answer.exit_code, 0) << answer.output;
}

TEST_F(BridgeFaultsTest, AnAddressThatTheKernelRefusesIsGivenBack) {
  TestPod pod;
  std::string said =
      MustRefuse(pod, Delegating(R"({"cniVersion":"1.0.0","ips":[{"address":"ff02::7/64"}]})"));
  EXPECT_TRUE(Has(said, R"("code":100)")) << said;
  EXPECT_EQ(Shell("cat " + dir_.File("log")), "ADD\nDEL\n");
}

TEST_F(BridgeFaultsTest, AnMtuThatIsTooSmallForIpv6IsRefusedBeforeAnythingIsMade) {
  TestPod pod;
  std::string said = MustRefuse(pod, DualStack(R"("mtu":1000,)"));
  EXPECT_TRUE(Has(said, R"("code":7)")) << said;
  ExpectNothingLeft();
}

TEST_F(BridgeFaultsTest, ANamespaceThatIsGoneLeavesNoReservation) {
  std::string path;
  {
    TestPod pod;
    path = pod.path();
  }
  CniAnswer answer = Call("ADD", "a", path, V4());
  EXPECT_TRUE(Has(answer.output, R"("code":3)")) << answer.output;
  ExpectNothingLeft();
}

TEST_F(BridgeFaultsTest, TwoOlderPodsLoseNothingWhileTheBridgeIsReaddressed) {
  TestPod a;
  TestPod b;
  TestPod c;
  TestPod d;
  MustAdd("a", a, V4());
  MustAdd("b", b, V4());
  std::string before = Shell("ip -o link show cni0 | grep -o 'link/ether [0-9a-f:]*'");
  std::string index = Shell("ip -o link show cni0 | cut -d: -f1");
  std::string summary;
  std::thread traffic(
      [&] { summary = a.Run("ping -q -i 0.001 -c 1500 -W 2 10.1.0.3 | grep received"); });
  std::string new_conf = Conf(R"([[{"subnet":"10.2.0.0/24"}]])");
  MustAdd("c", c, new_conf);
  std::string forced = Conf(R"([[{"subnet":"10.3.0.0/24"}]])", R"("forceAddress":true,)");
  MustAdd("d", d, forced);
  MustDel("d", d.path(), forced);
  MustDel("c", c.path(), new_conf);
  traffic.join();
  EXPECT_TRUE(Has(summary, "1500 received, 0% packet loss")) << summary;
  std::string addresses = Shell("ip addr show dev cni0");
  EXPECT_TRUE(Has(addresses, "10.3.0.1/24")) << addresses;
  EXPECT_FALSE(Has(addresses, "10.1.0.1/24")) << addresses;  // forceAddress took it.
  EXPECT_EQ(Shell("ip -o link show cni0 | grep -o 'link/ether [0-9a-f:]*'"), before);
  EXPECT_EQ(Shell("ip -o link show cni0 | cut -d: -f1"), index);
}

TEST_F(BridgeFaultsTest, PromiscuousAndHairpinAreWhatIsAskedFor) {
  TestPod pod;
  std::string conf = V4(R"("promiscMode":true,)");
  std::string result = MustAdd("a", pod, conf);
  EXPECT_TRUE(Has(Shell("ip link show cni0"), "PROMISC"));
  EXPECT_EQ(Call("CHECK", "a", pod.path(), After(conf, result)).output, "");
  Shell("ip link set cni0 promisc off");
  std::string said = Call("CHECK", "a", pod.path(), After(conf, result)).output;
  EXPECT_TRUE(Has(said, "cni0 is not in promiscuous mode")) << said;
}

// One interface of one container is plugged into one network.
TEST_F(BridgeFaultsTest, AnAddIntoASecondNetworkLeavesTheFirst) {
  TestPod pod;
  MustAdd("a", pod, V4());
  std::string before = Shell("ip -o link show master cni0");
  std::string second =
      R"({"cniVersion":"1.1.0","name":"second","type":"podroute-cni","bridge":"second0"})";
  CniAnswer refused = Call("ADD", "a", pod.path(), second);
  EXPECT_EQ(refused.exit_code, 1) << refused.output;
  EXPECT_TRUE(Has(refused.output, "plugged in already")) << refused.output;
  EXPECT_EQ(Shell("ip -o link show master cni0"), before);
  EXPECT_EQ(pod.Try("ping -c1 -W5 10.1.0.1"), 0);
}

TEST_F(BridgeFaultsTest, CheckOfAVanishedNamespaceDoesNotSayThatNothingIsLeft) {
  TestPod pod;
  std::string result = MustAdd("a", pod, V4());
  CniAnswer answer = Call("CHECK", "a", "/does/not/exist", After(V4(), result));
  EXPECT_TRUE(Has(answer.output, R"("code":103)")) << answer.output;
}

// A runtime that names namespaces by process may mean another pod's when it calls DEL again.
TEST_F(BridgeFaultsTest, ADelWithAnotherPodsNamespaceLeavesThatPod) {
  TestPod pod;
  MustAdd("other", pod, V4());
  MustDel("a", pod.path(), V4());
  EXPECT_EQ(pod.Try("ping -c1 -W5 10.1.0.1"), 0);
}

}  // namespace
}  // namespace podroute
