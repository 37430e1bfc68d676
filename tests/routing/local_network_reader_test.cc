#include "routing/local_network_reader.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "tests/lab/netns.h"

namespace podroute {
namespace {

IpAddress A(const std::string& text) { return IpAddress::Parse(text).value(); }
IpPrefix P(const std::string& text) { return IpPrefix::Parse(text).value(); }

TEST(LocalNetworkReaderTest, ReadsLinksAndAddressesOfBothFamilies) {
  PODROUTE_ENTER_NETNS_OR_SKIP();
  int lan = AddLan("lan", "192.168.0.1/16 192.168.0.5/16 fd00::1/64");
  Shell("ip link set lanp down; ip addr add 10.0.0.1 peer 10.0.0.2/32 dev lanp");
  Result<LocalNetwork> network = ReadLocalNetwork();
  ASSERT_TRUE(network.ok()) << network.status().message();
  int peer = IfIndex("lanp");
  ASSERT_EQ(network->links.size(), 3u);
  EXPECT_EQ(network->links[0], (LocalLink{1, "lo", true, true, true, 65536}));
  // Its peer is down, so neither has a carrier.
  EXPECT_EQ(network->links[1], (LocalLink{std::min(lan, peer), lan < peer ? "lan" : "lanp",
                                          lan < peer, false, false, 1500}));
  auto has = [&](const LocalAddress& address) {
    return std::find(network->addresses.begin(), network->addresses.end(), address) !=
           network->addresses.end();
  };
  EXPECT_TRUE(has({lan, A("192.168.0.1"), P("192.168.0.0/16")}));
  EXPECT_TRUE(has({lan, A("192.168.0.5"), P("192.168.0.0/16")}));
  EXPECT_TRUE(has({lan, A("fd00::1"), P("fd00::/64")}));
  EXPECT_TRUE(has({peer, A("10.0.0.1"), P("10.0.0.2/32")}));
  EXPECT_TRUE(has({1, A("127.0.0.1"), P("127.0.0.0/8")}));
  Result<LocalNetwork> again = ReadLocalNetwork();
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(*again, *network);
}

// Interrupts every dump.
class RestlessTransport : public NetlinkTransport {
 public:
  Result<std::vector<NetlinkFailure>> Execute(NetlinkBatch&, const Handler&) override {
    return std::vector<NetlinkFailure>();
  }
  Result<DumpResult> Dump(NetlinkBatch&, const Handler&) override {
    ++dumps;
    return DumpResult{true, false};
  }
  int dumps = 0;
};

TEST(LocalNetworkReaderTest, HalfAListIsNeverReturned) {
  RestlessTransport restless;
  Result<LocalNetwork> network = ReadLocalNetwork(restless);
  EXPECT_EQ(network.status().code(), StatusCode::kUnavailable);
  EXPECT_LT(restless.dumps, 200);
}

}  // namespace
}  // namespace podroute
