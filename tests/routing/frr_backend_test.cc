// The FRR backend with real daemons.
#include "routing/frr_backend.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/routing/frr_test_util.h"

namespace podroute {
namespace {

using ::testing::HasSubstr;

class FrrBackendTest : public FrrTest {};

TEST_F(FrrBackendTest, RoutesAreAddedReplacedAndDeletedInFrrAndInTheKernel) {
  ASSERT_EQ(Reconcile({R("10.244.1.0/24", "192.168.0.1"), R("10.244.2.0/24", "192.168.0.2"),
                       R("fd01:0:0:1::/64", "fd00::1")}),
            Status::Ok());
  EXPECT_EQ(Ours(),
            "ip route 10.244.1.0/24 192.168.0.1 tag 110\nip route 10.244.2.0/24 192.168.0.2 tag "
            "110\nipv6 route fd01:0:0:1::/64 fd00::1 tag 110\n");
  AwaitKernel("-4", "10.244.1.0/24 192.168.0.1\n10.244.2.0/24 192.168.0.2\n");
  AwaitKernel("-6", "fd01:0:0:1::/64 fd00::1\n");

  ASSERT_EQ(Reconcile({R("10.244.1.0/24", "192.168.0.9"), R("10.244.3.0/24", "192.168.0.3"),
                       R("fd01:0:0:1::/64", "fd00::9")}),
            Status::Ok());
  AwaitKernel("-4", "10.244.1.0/24 192.168.0.9\n10.244.3.0/24 192.168.0.3\n");
  AwaitKernel("-6", "fd01:0:0:1::/64 fd00::9\n");

  Result<RouteSet> owned = backend_->ReadOwned();
  ASSERT_TRUE(owned.ok()) << owned.status().message();
  ASSERT_EQ(owned->size(), 3u);
  EXPECT_TRUE((*owned)[0].SameAs(R("10.244.1.0/24", "192.168.0.9")));

  ASSERT_EQ(Reconcile({}), Status::Ok());
  EXPECT_EQ(Ours(), "");
  AwaitKernel("-4", "");
  AwaitKernel("-6", "");
}

TEST_F(FrrBackendTest, TheIfindexOfWhatIsDesiredIsNoDifference) {
  Route route = R("10.244.1.0/24", "192.168.0.1");
  route.via.ifindex = IfIndex("lan");
  route.dev = "lan";
  ASSERT_EQ(Reconcile({route}), Status::Ok());
  Result<RouteSet> owned = backend_->ReadOwned();
  ASSERT_TRUE(owned.ok());
  EXPECT_TRUE(Plan(*owned, {route}).empty());
  // Of another process's: a replacement by itself.
  EXPECT_EQ(Reconcile(*NewBackend(kFrrTag), {route}), Status::Ok());
  EXPECT_EQ(Ours(), "ip route 10.244.1.0/24 192.168.0.1 tag 110\n");
}

TEST_F(FrrBackendTest, EcmpLeftoversOfAnInterruptedChangeGo) {
  frr_->Configure(
      "ip route 10.244.1.0/24 192.168.0.1 tag 110\n"
      "ip route 10.244.1.0/24 192.168.0.2 tag 110\n"
      "ip route 10.244.1.0/24 192.168.0.3 tag 110\n");
  ASSERT_EQ(Reconcile({R("10.244.1.0/24", "192.168.0.2")}), Status::Ok());
  EXPECT_EQ(Ours(), "ip route 10.244.1.0/24 192.168.0.2 tag 110\n");
}

TEST_F(FrrBackendTest, AGatewayThatIsNotReachableYetIsNoError) {
  ASSERT_EQ(Reconcile({R("10.244.1.0/24", "172.16.0.1")}), Status::Ok());
  EXPECT_EQ(Ours(), "ip route 10.244.1.0/24 172.16.0.1 tag 110\n");
  AwaitKernel("-4", "");
  Shell("ip addr add 172.16.0.254/16 dev lan");
  AwaitKernel("-4", "10.244.1.0/24 172.16.0.1\n");
}

TEST_F(FrrBackendTest, OneNodeOfAThousandCostsOneLine) {
  RouteSet desired;
  for (int i = 0; i < 1000; ++i) {
    desired.push_back(
        R("10." + std::to_string(100 + i / 256) + "." + std::to_string(i % 256) + ".0/24",
          "192.168." + std::to_string(1 + i / 250) + "." + std::to_string(1 + i % 250)));
  }
  TempDir seen;
  FakeVtysh fake("*", "case \"$*\" in *'-f /dev/stdin') tee -a " + seen.File("lines") +
                          " | vtysh \"$@\";; *) exec vtysh \"$@\";; esac");
  ASSERT_EQ(Reconcile(*Make(Options(fake.path())), Ordered(desired)), Status::Ok());
  // Checked, and entered.
  EXPECT_EQ(Shell("wc -l <" + seen.File("lines") + "; : >" + seen.File("lines")), "2000\n");
  desired.push_back(R("10.200.0.0/24", "192.168.9.9"));
  ASSERT_EQ(Reconcile(*Make(Options(fake.path())), Ordered(desired)), Status::Ok());
  EXPECT_EQ(Shell("cat " + seen.File("lines")),
            "ip route 10.200.0.0/24 192.168.9.9 tag 110\n"
            "ip route 10.200.0.0/24 192.168.9.9 tag 110\n");
}

TEST(FrrOptionsTest, ARelativeSocketDirectoryIsRefused) {
  FrrOptions options;
  options.vty_socket_dir = "frr";
  EXPECT_THAT(FrrBackend::Create(options).status().message(),
              HasSubstr("\"frr\" is no absolute path; /run/frr would be"));
}

}  // namespace
}  // namespace podroute
