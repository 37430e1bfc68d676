// The operator's lines, and another owner's, are left alone; and what the operator makes of ours.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <random>
#include <string>

#include "tests/routing/frr_test_util.h"

namespace podroute {
namespace {

using ::testing::HasSubstr;

class FrrOwnershipTest : public FrrTest {};

TEST_F(FrrOwnershipTest, TheOperatorsRouteToADestinationOfOursIsNeitherTakenOverNorDeleted) {
  frr_->Configure("ip route 10.244.1.0/24 192.168.0.7\nip route 10.244.2.0/24 192.168.0.2\n");
  std::string before = frr_->RunningConfig();
  RouteSet desired = {R("10.244.1.0/24", "192.168.0.1"), R("10.244.2.0/24", "192.168.0.2"),
                      R("10.244.3.0/24", "192.168.0.3")};
  std::vector<RouteResult> results = backend_->Apply(Plan({}, desired), desired);
  EXPECT_THAT(results[0].status.message(), HasSubstr("ip route 10.244.1.0/24 192.168.0.7"));
  EXPECT_FALSE(results[1].status.ok());
  EXPECT_EQ(results[2].status, Status::Ok());
  EXPECT_EQ(LinesOf(frr_->RunningConfig(), "110", false), before);
  ASSERT_EQ(Reconcile({}), Status::Ok());
  EXPECT_EQ(frr_->RunningConfig(), before);
}

TEST_F(FrrOwnershipTest, TheOperatorsBackupRouteOfAnotherDistanceIsKept) {
  frr_->Configure(
      "ip route 10.244.1.0/24 192.168.0.1 200\nip route 10.244.2.0/24 192.168.0.9 200\n");
  std::string before = frr_->RunningConfig();
  RouteSet desired = {R("10.244.1.0/24", "192.168.0.1"), R("10.244.2.0/24", "192.168.0.2")};
  std::vector<RouteResult> results = backend_->Apply(Plan({}, desired), desired);
  // FRR 8.4 would replace the line by ours.
  EXPECT_THAT(results[0].status.message(), HasSubstr("ip route 10.244.1.0/24 192.168.0.1 200"));
  EXPECT_EQ(results[1].status, Status::Ok());
  EXPECT_EQ(LinesOf(frr_->RunningConfig(), "110", false), before);
  AwaitKernel("-4", "10.244.1.0/24 192.168.0.1\n10.244.2.0/24 192.168.0.2\n");
  ASSERT_EQ(Reconcile({}), Status::Ok());
  EXPECT_EQ(frr_->RunningConfig(), before);
}

TEST_F(FrrOwnershipTest, WhatTheOperatorEntersBetweenReadingAndApplyingIsSeen) {
  Result<RouteSet> actual = backend_->ReadOwned();
  ASSERT_TRUE(actual.ok());
  frr_->Configure("ip route 10.244.1.0/24 192.168.0.7\n");
  std::string before = frr_->RunningConfig();
  RouteSet desired = {R("10.244.1.0/24", "192.168.0.1")};
  EXPECT_FALSE(backend_->Apply(Plan(*actual, desired), desired)[0].status.ok());
  EXPECT_EQ(frr_->RunningConfig(), before);
}

TEST_F(FrrOwnershipTest, ADeletedRouteTakesNoneOfTheOperatorsThatLooksAlikeWithIt) {
  ASSERT_EQ(Reconcile({R("10.244.1.0/24", "192.168.0.1")}), Status::Ok());
  frr_->Configure(
      "ip route 10.244.1.0/24 192.168.0.1 tag 110 77\n"
      "ip route 10.244.1.0/24 192.168.0.1 lan tag 110\n"
      "ip route 10.244.1.0/24 192.168.0.1 tag 110 table 9\n"
      "ip route 10.244.1.0/25 192.168.0.1 tag 9\n");
  std::string before = LinesOf(frr_->RunningConfig(), "110", false);
  ASSERT_EQ(Reconcile({}), Status::Ok());
  EXPECT_EQ(Ours(), "");
  EXPECT_EQ(LinesOf(frr_->RunningConfig(), "110", false), before);
}

TEST_F(FrrOwnershipTest, TwoOwnersDoNotSeeEachOther) {
  std::unique_ptr<FrrBackend> blue = NewBackend(FrrTag("blue"));
  ASSERT_EQ(Reconcile({R("10.244.1.0/24", "192.168.0.1")}), Status::Ok());
  ASSERT_EQ(Reconcile(*blue, {R("10.245.1.0/24", "192.168.0.2")}), Status::Ok());
  EXPECT_FALSE(Reconcile(*blue, {R("10.244.1.0/24", "192.168.0.2")}).ok());
  EXPECT_EQ(Ours(), "ip route 10.244.1.0/24 192.168.0.1 tag 110\n");
  ASSERT_EQ(Reconcile(*blue, {R("10.245.1.0/24", "192.168.0.3")}), Status::Ok());
  ASSERT_EQ(Reconcile({}), Status::Ok());
  EXPECT_EQ(Ours(std::to_string(FrrTag("blue"))),
            "ip route 10.245.1.0/24 192.168.0.3 tag " + std::to_string(FrrTag("blue")) + "\n");
}

TEST_F(FrrOwnershipTest, TheOperatorsConfigurationIsTheSameAfterRandomReconciliations) {
  frr_->Start("bgpd");
  frr_->Configure(
      "hostname r\nip prefix-list PODS seq 5 permit 10.244.0.0/16 le 24\n"
      "route-map OUT permit 10\n match tag 110\nexit\n"
      "ip route 10.244.0.0/24 192.168.0.7\nip route 10.244.1.0/24 192.168.0.7 tag 5\n"
      "ip route 10.244.2.0/24 192.168.0.9 tag 110 77\nip route 10.244.3.0/24 blackhole\n"
      "ip route 10.244.4.0/24 192.168.0.1 lan tag 111\nip route 10.0.0.0/8 192.168.0.1\n"
      "ip route 10.244.5.0/24 192.168.0.1 tag 110 table 9\n"
      "ipv6 route fd01:0:0:1::/64 fd00::7\nipv6 route fd01:0:0:2::/64 lan\n"
      "interface lan\n description ip route 10.244.9.0/24 192.168.0.1 tag 110\nexit\n"
      "router bgp 65000\n no bgp ebgp-requires-policy\n neighbor 192.168.0.99 remote-as 65001\n"
      " address-family ipv4 unicast\n  redistribute static route-map OUT\n exit-address-family\n"
      "exit\n");
  std::string before = Others();
  const char* full = getenv("PODROUTE_FULL_PROOFS");  // "1": the long form of this proof.
  const int rounds = full != nullptr && std::string(full) == "1" ? 1000 : 30;
  std::mt19937 random(7);
  for (int round = 0; round < rounds; ++round) {
    RouteSet desired;
    for (int i = 0; i < 12; ++i) {
      int gateway = 1 + static_cast<int>(random() % 3);
      if (random() % 2 == 0) {
        desired.push_back(
            R("10.244." + std::to_string(i) + ".0/24", "192.168.0." + std::to_string(gateway)));
      }
      if (random() % 4 == 0) {
        desired.push_back(
            R("fd01:0:0:" + std::to_string(i) + "::/64", "fd00::" + std::to_string(gateway)));
      }
    }
    Reconcile(desired).ok();  // Destinations of the operator's are refused.
    std::erase_if(desired, [](const Route& route) {
      for (const char* taken : {"10.244.0.0/24", "10.244.1.0/24", "10.244.3.0/24", "10.244.4.0/24",
                                "fd01:0:0:1::/64", "fd01:0:0:2::/64"}) {
        if (route.dst.ToString() == taken) return true;
      }
      return false;
    });
    Result<RouteSet> owned = backend_->ReadOwned();
    ASSERT_TRUE(owned.ok()) << owned.status().message();
    ASSERT_TRUE(Plan(*owned, Ordered(desired)).empty()) << "round " << round << "\n" << Ours();
  }
  EXPECT_EQ(Others(), before);
}

TEST_F(FrrOwnershipTest, BgpHandsOutOurRoutesAndOnlyOursByTheirTag) {
  // A neighbour at another address of the same link, without a routing table.
  Shell("ip addr add 192.168.0.253/16 dev lan");
  FrrRouter neighbour;
  neighbour.Start("bgpd", "-Z -l 192.168.0.253");
  frr_->Start("bgpd", "-l 192.168.0.254");
  frr_->Configure(
      "ip route 10.0.0.0/8 192.168.0.7\nip route 10.245.0.0/24 192.168.0.7 tag 111\n"
      "route-map PODS permit 10\n match tag 110\nexit\n"
      "router bgp 65000\n bgp router-id 1.1.1.1\n no bgp ebgp-requires-policy\n"
      " timers bgp 1 3\n neighbor 192.168.0.253 remote-as 65001\n"
      " neighbor 192.168.0.253 update-source 192.168.0.254\n"
      " neighbor 192.168.0.253 timers connect 1\n neighbor 192.168.0.253 advertisement-interval 0\n"
      " address-family ipv4 unicast\n  redistribute static route-map PODS\n exit-address-family\n"
      "exit\n");
  neighbour.Configure(
      "router bgp 65001\n bgp router-id 2.2.2.2\n no bgp ebgp-requires-policy\n"
      " neighbor 192.168.0.254 remote-as 65000\n neighbor 192.168.0.254 passive\n"
      " neighbor 192.168.0.254 update-source 192.168.0.253\nexit\n");
  auto await = [&](const std::string& expected) {
    std::string have;
    for (int i = 0; i < 1000; ++i) {
      have = Shell(neighbour.VtyshCommand("-d bgpd -c 'show bgp ipv4 unicast'") +
                   " | sed -n 's/^\\*> *\\([0-9./]*\\) .*/\\1/p' | tr '\\n' ' '");
      if (have == expected) return;
      poll(nullptr, 0, 10);
    }
    ADD_FAILURE() << "the neighbour has " << have << "and not " << expected;
  };
  ASSERT_EQ(Reconcile({R("10.244.1.0/24", "192.168.0.1"), R("10.244.2.0/24", "192.168.0.2")}),
            Status::Ok());
  await("10.244.1.0/24 10.244.2.0/24 ");
  ASSERT_EQ(Reconcile({R("10.244.1.0/24", "192.168.0.9"), R("10.244.3.0/24", "192.168.0.3")}),
            Status::Ok());
  await("10.244.1.0/24 10.244.3.0/24 ");
}

}  // namespace
}  // namespace podroute
