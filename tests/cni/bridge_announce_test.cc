// That the neighbours of a new pod are told where its addresses are, and IPv6 where it is disabled.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netpacket/packet.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <string>
#include <thread>
#include <vector>

#include "cni/link_ops.h"
#include "routing/netlink_socket.h"
#include "tests/cni/bridge_fixture.h"

namespace podroute {
namespace {

constexpr int kPatienceMs = 10'000;

// Every frame that comes in at `link`, from its construction on.
class Frames {
 public:
  explicit Frames(const std::string& link)
      : socket_(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL))) {
    sockaddr_ll address{};
    address.sll_family = AF_PACKET;
    address.sll_protocol = htons(ETH_P_ALL);
    address.sll_ifindex = IfIndex(link);
    EXPECT_EQ(bind(socket_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  }
  // Waits for a frame that holds `first` at byte `first_at` and `second` at `second_at`.
  bool Await(uint16_t protocol, size_t first_at, const std::string& first, size_t second_at,
             const std::string& second) {
    for (;;) {
      pollfd readable{socket_.get(), POLLIN, 0};
      if (poll(&readable, 1, kPatienceMs) <= 0) return false;
      std::string frame(2048, '\0');
      ssize_t size = recv(socket_.get(), frame.data(), frame.size(), 0);
      if (size < 14) continue;
      frame.resize(static_cast<size_t>(size));
      auto type = static_cast<uint16_t>(static_cast<uint8_t>(frame[12]) << 8 |
                                        static_cast<uint8_t>(frame[13]));
      auto holds = [&](size_t at, const std::string& part) {
        return frame.size() >= at && frame.compare(at, part.size(), part) == 0;
      };
      if (type == protocol && holds(first_at, first) && holds(second_at, second)) return true;
    }
  }
  // A gratuitous ARP: sender's and target's protocol address are the same.
  bool AwaitArp(const std::string& ip, const std::array<uint8_t, 6>& mac) {
    std::string address = Packed(AF_INET, ip, 4);
    return Await(ETHERTYPE_ARP, 22, std::string(mac.begin(), mac.end()) + address, 38, address);
  }
  // A neighbour advertisement to all nodes, with the hardware address as its option.
  bool AwaitAdvertisement(const std::string& ip, const std::array<uint8_t, 6>& mac) {
    return Await(ETHERTYPE_IPV6, 54, "\x88", 62,
                 Packed(AF_INET6, ip, 16) + "\x02\x01" + std::string(mac.begin(), mac.end()));
  }

 private:
  static std::string Packed(int family, const std::string& ip, size_t size) {
    std::string bytes(size, '\0');
    EXPECT_EQ(inet_pton(family, ip.c_str(), bytes.data()), 1);
    return bytes;
  }
  UniqueFd socket_;
};

class BridgeAnnounceTest : public BridgePluginTest {
 protected:
  // The MAC in a neighbour's entry.
  static std::string Known(const TestPod& pod, const std::string& address) {
    return pod.Run("ip neigh show " + address + " dev eth0 | grep -o 'lladdr [0-9a-f:]*'; true");
  }
  static bool AwaitKnown(const TestPod& pod, const std::string& address, const std::string& mac) {
    auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(kPatienceMs);
    while (Known(pod, address) != "lladdr " + mac + "\n") {
      if (std::chrono::steady_clock::now() > end) return false;
    }
    return true;
  }
};

TEST_F(BridgeAnnounceTest, EveryAddressOfANewPodIsAnnouncedOnTheBridge) {
  TestPod first;
  MustAdd("first", first, DualStack());
  Frames frames("cni0");
  TestPod pod;
  MustAdd("a", pod, Conf(R"([[{"subnet":"10.1.0.0/24"}],[{"subnet":"fd00:1::/64"}],
                             [{"subnet":"10.2.0.0/24"}]])"));
  std::array<uint8_t, 6> mac = {0x0a, 0x58, 10, 1, 0, 3};
  EXPECT_TRUE(frames.AwaitArp("10.1.0.3", mac));
  EXPECT_TRUE(frames.AwaitArp("10.2.0.2", mac));
  Frames again("cni0");
  TestPod other;
  MustAdd("b", other, DualStack(R"("runtimeConfig":{"mac":"02:00:00:00:00:77"},)"));
  EXPECT_TRUE(again.AwaitAdvertisement("fd00:1::4", {2, 0, 0, 0, 0, 0x77}));
  EXPECT_TRUE(frames.AwaitAdvertisement("fd00:1::3", mac));
}

TEST_F(BridgeAnnounceTest, ANeighbourForgetsTheFormerHolderOfAnAddressAtOnce) {
  for (const std::string& more :
       {std::string(), std::string(R"("runtimeConfig":{"mac":"02:00:00:00:00:77"},)"),
        std::string(R"("args":{"cni":{"mac":"02:00:00:00:00:77"}},)")}) {
    TestPod neighbour;
    TestPod pod;
    std::string asks = R"("runtimeConfig":{"ips":["10.1.0.9","fd00:1::9"]},)";
    MustAdd("n", neighbour, DualStack());
    std::string ips = more.empty() ? asks : more;
    std::string v4 = more.empty() ? "10.1.0.9" : "10.1.0.99";
    std::string v6 = more.empty() ? "fd00:1::9" : "fd00:1::99";
    std::string conf = DualStack(ips);
    if (!more.empty()) {
      conf = Conf(R"([[{"subnet":"10.1.0.0/24","rangeStart":"10.1.0.99"}],
                      [{"subnet":"fd00:1::/64","rangeStart":"fd00:1::99"}]])",
                  more);
    }
    std::string mac = more.empty() ? "0a:58:0a:01:00:09" : "02:00:00:00:00:77";
    neighbour.Run("ip neigh replace " + v4 + " lladdr 02:de:ad:00:00:01 nud reachable dev eth0");
    neighbour.Run("ip neigh replace " + v6 + " lladdr 02:de:ad:00:00:01 nud reachable dev eth0");
    MustAdd("a", pod, conf);
    EXPECT_TRUE(AwaitKnown(neighbour, v4, mac)) << Known(neighbour, v4);
    EXPECT_TRUE(AwaitKnown(neighbour, v6, mac)) << Known(neighbour, v6);
    EXPECT_EQ(neighbour.Try("ping -c1 -w15 " + v4), 0);
    EXPECT_EQ(neighbour.Try("ping -c1 -w15 " + v6), 0);
    MustDel("a", pod.path(), conf);
    MustDel("n", neighbour.path(), DualStack());
    std::filesystem::remove_all(dir_.path() + "/pods");
  }
}

TEST_F(BridgeAnnounceTest, APodWithoutAnIpv6AddressHasNoPartInIpv6) {
  TestPod pod;
  MustAdd("a", pod, V4());
  EXPECT_EQ(pod.Run("ip -o -6 address show dev eth0"), "");
  EXPECT_EQ(pod.Try("ping -c1 -W5 ::1"), 0);  // To itself it has.
  EXPECT_EQ(pod.Run("cat /proc/sys/net/ipv6/conf/eth0/disable_ipv6"), "0\n");
}

TEST_F(BridgeAnnounceTest, TheLinkLocalAddressIsTheKernelsOwnAndThereAtOnce) {
  // The next word behind "inet6", and all flags.
  constexpr char kShow[] = "ip -o -6 address show dev eth0 scope link";
  TestPod pod;
  MustAdd("a", pod, DualStack(R"("runtimeConfig":{"mac":"02:00:00:00:00:77"},)"));
  std::string at_once = pod.Run(kShow);
  EXPECT_TRUE(Has(at_once, "inet6 fe80::ff:fe00:77/64 scope link")) << at_once;
  EXPECT_FALSE(Has(at_once, "tentative")) << at_once;
  TestPod other;
  MustAdd("b", other, DualStack());
  EXPECT_EQ(other.Try("ping -c1 -W5 fe80::ff:fe00:77%eth0"), 0);

  // The kernel's own, where it is to look for duplicates.
  TestPod careful;
  MustAdd("c", careful, DualStack(R"("enabledad":true,)"));
  std::string own = careful.Run(kShow);
  std::string first = careful.Run("cat /sys/class/net/eth0/address 2>/dev/null; true");
  EXPECT_TRUE(Has(own, "inet6 fe80::858:aff:fe01:4/64 scope link")) << own << first;
}

TEST_F(BridgeAnnounceTest, WhenAddReturnsThePortForwards) {
  for (int i = 0; i < 20; ++i) {
    TestPod pod;
    std::string container = "a" + std::to_string(i);
    MustAdd(container, pod, V4());
    std::string port = HostVethName({container, "eth0"});
    std::string link = Shell("bridge link show dev " + port);
    EXPECT_TRUE(Has(link, "state forwarding")) << link;
  }
}

TEST_F(BridgeAnnounceTest, APortThatComesUpLateIsWaitedFor) {
  Shell(
      "ip link add cni0 type bridge && ip link set cni0 up && ip link add port type veth peer "
      "name other && ip link set port master cni0 && ip link set port up");
  Result<std::unique_ptr<NetlinkSocket>> netlink = NetlinkSocket::Create();
  ASSERT_TRUE(netlink.ok());
  LinkOps ops(**netlink);
  Status waited(StatusCode::kInternal, "");
  std::thread waiter([&] { waited = ops.AwaitPort("port"); });
  Shell("ip link set other up");
  waiter.join();
  EXPECT_TRUE(waited.ok()) << waited.message();
  Shell("ip link set cni0 down");
  Status refused = ops.AwaitPort("port");
  EXPECT_EQ(refused.code(), StatusCode::kDeadlineExceeded) << refused.message();
}

TEST_F(BridgeAnnounceTest, ASpanningTreeIsNotWaitedFor) {
  Shell("ip link add cni0 type bridge stp_state 1 && ip link set cni0 up");
  TestPod pod;
  MustAdd("a", pod, V4());
  std::string link = Shell("bridge link show dev " + HostVethName({"a", "eth0"}));
  EXPECT_FALSE(Has(link, "state disabled")) << link;
}

TEST_F(BridgeAnnounceTest, Ipv6IsEnabledWhereItIsDisabledAndAnAddressIsToBeGiven) {
  constexpr char kDisable[] =
      "for i in all default lo; do echo 1 > /proc/sys/net/ipv6/conf/$i/disable_ipv6; done";
  constexpr char kShow[] =
      "cat /proc/sys/net/ipv6/conf/lo/disable_ipv6 /proc/sys/net/ipv6/conf/eth0/disable_ipv6";
  TestPod pod;
  pod.Run(kDisable);
  MustAdd("a", pod, DualStack());
  EXPECT_EQ(pod.Run(kShow), "0\n0\n");
  Shell(AwaitIpv6());
  pod.Run(AwaitIpv6());
  EXPECT_EQ(pod.Try("ping -c1 -W5 fd00:1::1"), 0);
  EXPECT_EQ(pod.Try("ping -c1 -W5 ::1"), 0);
  EXPECT_EQ(pod.Run("cat /proc/sys/net/ipv6/conf/all/disable_ipv6"), "1\n");

  TestPod v4_only;
  v4_only.Run(kDisable);
  MustAdd("b", v4_only, V4());
  EXPECT_EQ(v4_only.Run(kShow), "1\n1\n");
  EXPECT_EQ(v4_only.Try("ping -c1 -W5 10.1.0.1"), 0);
}

}  // namespace
}  // namespace podroute
