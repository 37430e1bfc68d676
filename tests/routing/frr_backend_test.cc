// The FRR backend with real daemons.
#include "routing/frr_backend.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>

#include <algorithm>
#include <random>
#include <regex>
#include <sstream>
#include <string>

#include "tests/base/temp_dir.h"
#include "tests/lab/frr_router.h"
#include "tests/lab/netns.h"

namespace podroute {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

Route R(const std::string& dst, const std::string& gateway) {
  Route route;
  route.dst = IpPrefix::Parse(dst).value();
  route.via.gateway = IpAddress::Parse(gateway).value();
  return route;
}

RouteSet Ordered(RouteSet routes) {
  std::stable_sort(routes.begin(), routes.end(),
                   [](const Route& a, const Route& b) { return a.dst < b.dst; });
  return routes;
}

// The lines of our form with this tag, or all others.
std::string LinesOf(const std::string& config, const std::string& tag, bool with) {
  const std::regex form("ip(v6)? route [^ ]+ [0-9a-f.:]+ tag " + tag);
  std::istringstream in(config);
  std::string out;
  for (std::string line; std::getline(in, line);) {
    if (std::regex_match(line, form) == with) out += line + "\n";
  }
  return out;
}

class FrrBackendTest : public ::testing::Test {
 protected:
  void SetUp() override {
    PODROUTE_NEED_FRR_OR_SKIP();
    PODROUTE_ENTER_NETNS_OR_SKIP();
    AddLan("lan", "192.168.0.254/16 fd00::254/64");
    frr_ = std::make_unique<FrrRouter>();
    frr_->StartStatic();
    backend_ = NewBackend(kFrrTag);
  }
  std::unique_ptr<FrrBackend> NewBackend(uint32_t tag) {
    FrrOptions options;
    options.vty_socket_dir = frr_->dir();
    options.tag = tag;
    return Make(options);
  }
  static std::unique_ptr<FrrBackend> Make(const FrrOptions& options) {
    Result<std::unique_ptr<FrrBackend>> made = FrrBackend::Create(options);
    EXPECT_TRUE(made.ok()) << made.status().message();
    return std::move(*made);
  }
  // Read, plan, apply: one pass of the reconcile loop. The first error, if any.
  static Status Reconcile(FrrBackend& backend, const RouteSet& desired) {
    Result<RouteSet> actual = backend.ReadOwned();
    if (!actual.ok()) return actual.status();
    for (const RouteResult& result : backend.Apply(Plan(*actual, desired), desired)) {
      if (!result.status.ok()) return result.status;
    }
    return Status::Ok();
  }
  Status Reconcile(const RouteSet& desired) { return Reconcile(*backend_, Ordered(desired)); }
  std::string Ours(const std::string& tag = "110") const {
    return LinesOf(frr_->RunningConfig(), tag, true);
  }
  std::string Others() const {
    return LinesOf(frr_->Vtysh("-c 'show running-config'"), "110", false);
  }
  // Until the kernel has just these routes of zebra's: "10.244.1.0/24 192.168.0.1".
  static void AwaitKernel(const std::string& family, const std::string& expected) {
    std::string have;
    for (int i = 0; i < 5000; ++i) {
      have = Shell("ip " + family +
                   " route show proto 196 | sed 's/ nhid [0-9]*//; s/ via / /; "
                   "s/ dev .*//' | sort");
      if (have == expected) return;
      poll(nullptr, 0, 2);
    }
    ADD_FAILURE() << "the kernel has\n" << have << "and not\n" << expected;
  }

  std::unique_ptr<FrrRouter> frr_;
  std::unique_ptr<FrrBackend> backend_;
};

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

TEST_F(FrrBackendTest, TheOperatorsRouteToADestinationOfOursIsNeitherTakenOverNorDeleted) {
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

TEST_F(FrrBackendTest, TheOperatorsBackupRouteOfAnotherDistanceIsKept) {
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

TEST_F(FrrBackendTest, WhatTheOperatorEntersBetweenReadingAndApplyingIsSeen) {
  Result<RouteSet> actual = backend_->ReadOwned();
  ASSERT_TRUE(actual.ok());
  frr_->Configure("ip route 10.244.1.0/24 192.168.0.7\n");
  std::string before = frr_->RunningConfig();
  RouteSet desired = {R("10.244.1.0/24", "192.168.0.1")};
  EXPECT_FALSE(backend_->Apply(Plan(*actual, desired), desired)[0].status.ok());
  EXPECT_EQ(frr_->RunningConfig(), before);
}

TEST_F(FrrBackendTest, ADeletedRouteTakesNoneOfTheOperatorsThatLooksAlikeWithIt) {
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

TEST_F(FrrBackendTest, TwoOwnersDoNotSeeEachOther) {
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

TEST_F(FrrBackendTest, TheOperatorsConfigurationIsTheSameAfterRandomReconciliations) {
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

TEST_F(FrrBackendTest, AHungDaemonIsAClearErrorWithinTheLimitAndRecoversByItself) {
  ASSERT_EQ(Reconcile({R("10.244.1.0/24", "192.168.0.1")}), Status::Ok());
  FrrOptions options;
  options.vty_socket_dir = frr_->dir();
  options.read_timeout = options.apply_timeout = std::chrono::milliseconds(300);
  std::unique_ptr<FrrBackend> backend = Make(options);
  frr_->Signal("staticd", SIGSTOP);
  Result<RouteSet> owned = backend->ReadOwned();
  EXPECT_EQ(owned.status().code(), StatusCode::kDeadlineExceeded);
  EXPECT_THAT(owned.status().message(), HasSubstr("staticd does not answer"));
  RouteSet desired = {R("10.244.2.0/24", "192.168.0.2")};
  EXPECT_EQ(backend->Apply(Plan({}, desired), desired)[0].status.code(),
            StatusCode::kDeadlineExceeded);
  AwaitKernel("-4", "10.244.1.0/24 192.168.0.1\n");
  frr_->Signal("staticd", SIGCONT);
  EXPECT_EQ(Reconcile(desired), Status::Ok());
  AwaitKernel("-4", "10.244.2.0/24 192.168.0.2\n");
}

TEST_F(FrrBackendTest, AKilledDaemonIsAnErrorAndNotAnEmptyConfiguration) {
  ASSERT_EQ(Reconcile({R("10.244.1.0/24", "192.168.0.1")}), Status::Ok());
  frr_->Kill("staticd");
  Status status = Reconcile({R("10.244.1.0/24", "192.168.0.1")});
  EXPECT_EQ(status.code(), StatusCode::kUnavailable);
  EXPECT_THAT(status.message(), HasSubstr("is staticd running, with its socket in " + frr_->dir()));
}

bool Readable(int fd, int timeout_ms) {
  pollfd wait{.fd = fd, .events = POLLIN, .revents = 0};
  return poll(&wait, 1, timeout_ms) == 1;
}

TEST_F(FrrBackendTest, ARestartIsNoticedAndTheRoutesArePutBack) {
  RouteSet desired = {R("10.244.1.0/24", "192.168.0.1")};
  ASSERT_EQ(Reconcile(desired), Status::Ok());
  AwaitKernel("-4", "10.244.1.0/24 192.168.0.1\n");
  backend_->DrainEvents();
  EXPECT_FALSE(Readable(backend_->event_fd(), 0));
  frr_->Kill("staticd");
  frr_->Start("staticd");
  EXPECT_TRUE(Readable(backend_->event_fd(), -1));
  backend_->DrainEvents();
  EXPECT_EQ(Ours(), "");
  ASSERT_EQ(Reconcile(desired), Status::Ok());
  AwaitKernel("-4", "10.244.1.0/24 192.168.0.1\n");
}

TEST_F(FrrBackendTest, RoutesAreInTheKernelAgainAfterZebraWasRestarted) {
  RouteSet desired = {R("10.244.1.0/24", "192.168.0.1")};
  ASSERT_EQ(Reconcile(desired), Status::Ok());
  AwaitKernel("-4", "10.244.1.0/24 192.168.0.1\n");
  frr_->Kill("zebra");
  frr_->Start("zebra");
  EXPECT_TRUE(Readable(backend_->event_fd(), -1));
  ASSERT_EQ(Reconcile(desired), Status::Ok());
  EXPECT_EQ(Ours(), "ip route 10.244.1.0/24 192.168.0.1 tag 110\n");
  AwaitKernel("-4", "10.244.1.0/24 192.168.0.1\n");
}

TEST_F(FrrBackendTest, AGatewayThatIsNotReachableYetIsNoError) {
  ASSERT_EQ(Reconcile({R("10.244.1.0/24", "172.16.0.1")}), Status::Ok());
  EXPECT_EQ(Ours(), "ip route 10.244.1.0/24 172.16.0.1 tag 110\n");
  AwaitKernel("-4", "");
  Shell("ip addr add 172.16.0.254/16 dev lan");
  AwaitKernel("-4", "10.244.1.0/24 172.16.0.1\n");
}

TEST_F(FrrBackendTest, BgpHandsOutOurRoutesAndOnlyOursByTheirTag) {
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

TEST_F(FrrBackendTest, WithoutThePermitNothingIsSent) {
  bool leader = true;
  FrrOptions options;
  options.vty_socket_dir = frr_->dir();
  options.may_write = [&] { return leader; };
  std::unique_ptr<FrrBackend> backend = Make(options);
  ASSERT_EQ(Reconcile(*backend, {R("10.244.1.0/24", "192.168.0.1")}), Status::Ok());
  leader = false;
  std::string before = frr_->RunningConfig();
  Status status = Reconcile(*backend, {R("10.244.1.0/24", "192.168.0.2")});
  EXPECT_EQ(status.code(), StatusCode::kCancelled);
  EXPECT_EQ(frr_->RunningConfig(), before);
}

TEST_F(FrrBackendTest, AStopEndsWhatIsRunning) {
  StopToken stop;
  stop.Stop();
  FrrOptions options;
  options.vty_socket_dir = frr_->dir();
  options.stop = &stop;
  EXPECT_EQ(Make(options)->ReadOwned().status().code(), StatusCode::kCancelled);
}

// A vtysh that does something else on one of its ways of being called.
class FakeVtysh {
 public:
  // `when`: a pattern of sh's for all arguments.
  FakeVtysh(const std::string& when, const std::string& then)
      : path_(dir_.WriteScript("vtysh", "case \"$*\" in " + when + ") " + then +
                                            " ;; *) exec vtysh \"$@\" ;; esac")) {}
  const std::string& path() const { return path_; }

 private:
  TempDir dir_;
  std::string path_;
};

TEST_F(FrrBackendTest, WhatTheCheckRefusesIsLeftOutWithItsWordsAndTheRestIsDone) {
  ASSERT_EQ(Reconcile({R("10.244.1.0/24", "192.168.0.1"), R("10.244.2.0/24", "192.168.0.2")}),
            Status::Ok());
  // Refuses the first line.
  FakeVtysh fake("*-C*",
                 "cat >/dev/null; echo 'line 1: % Unknown command[4]: ip route' >&2; exit 2");
  FrrOptions options;
  options.vtysh = fake.path();
  options.vty_socket_dir = frr_->dir();
  std::unique_ptr<FrrBackend> backend = Make(options);
  RouteSet desired = {R("10.244.1.0/24", "192.168.0.9"), R("10.244.3.0/24", "192.168.0.3")};
  std::vector<RouteResult> results =
      backend->Apply(Plan(backend->ReadOwned().value(), desired), desired);
  ASSERT_EQ(results.size(), 3u);
  EXPECT_THAT(results[0].status.message(), HasSubstr("FRR refuses it: % Unknown command[4]"));
  EXPECT_EQ(results[1].status, Status::Ok());
  EXPECT_EQ(results[2].status, Status::Ok());
  EXPECT_EQ(Ours(),
            "ip route 10.244.1.0/24 192.168.0.1 tag 110\n"
            "ip route 10.244.3.0/24 192.168.0.3 tag 110\n");
}

TEST_F(FrrBackendTest, AnOldNextHopStaysWhenTheNewOneIsNotTaken) {
  ASSERT_EQ(Reconcile({R("10.244.1.0/24", "192.168.0.1")}), Status::Ok());
  std::string before = frr_->RunningConfig();
  // As vtysh 8.4 does when it loses staticd in the middle: says something, exit code 0.
  FakeVtysh fake("*' -f '*|*' -f /dev/stdin'",
                 "case \"$*\" in *-C*) exit 0;; esac; "
                 "cat >/dev/null; echo 'closing connection to staticd'");
  FrrOptions options;
  options.vtysh = fake.path();
  options.vty_socket_dir = frr_->dir();
  Status status = Reconcile(*Make(options), {R("10.244.1.0/24", "192.168.0.9")});
  EXPECT_EQ(status.code(), StatusCode::kUnavailable);
  EXPECT_THAT(status.message(), AllOf(HasSubstr("10.244.1.0/24: FRR did not carry out the replace"),
                                      HasSubstr("closing connection to staticd")));
  EXPECT_EQ(frr_->RunningConfig(), before);
}

TEST_F(FrrBackendTest, ADaemonThatIsKilledInTheMiddleOfABatchIsAnErrorOfAllAndTheRestFollows) {
  RouteSet desired;
  for (int i = 0; i < 250; ++i) {
    desired.push_back(R("10.244." + std::to_string(i) + ".0/24", "192.168.0.1"));
  }
  // Half of the lines are taken; vtysh 8.4 ends with 0 then.
  FakeVtysh fake("*' -f /dev/stdin'",
                 "case \"$*\" in *-C*) exec vtysh \"$@\";; esac; "
                 "head -n 125 | vtysh \"$@\"; kill -9 $(cat " +
                     frr_->dir() + "/staticd.pid)");
  FrrOptions options;
  options.vtysh = fake.path();
  options.vty_socket_dir = frr_->dir();
  for (const RouteResult& result : Make(options)->Apply(Plan({}, desired), desired)) {
    EXPECT_THAT(result.status.message(), HasSubstr("whether FRR took it is not known"));
  }
  frr_->Start("staticd");
  ASSERT_EQ(Reconcile(desired), Status::Ok());
}

TEST_F(FrrBackendTest, AMissingVtyshIsNamed) {
  FrrOptions options;
  options.vtysh = "/nowhere/vtysh";
  Result<RouteSet> owned = Make(options)->ReadOwned();
  EXPECT_EQ(owned.status().code(), StatusCode::kNotFound);
  EXPECT_THAT(owned.status().message(), HasSubstr("/nowhere/vtysh"));
}

TEST(FrrOptionsTest, ARelativeSocketDirectoryIsRefused) {
  FrrOptions options;
  options.vty_socket_dir = "frr";
  EXPECT_THAT(FrrBackend::Create(options).status().message(),
              HasSubstr("\"frr\" is no absolute path; /run/frr would be"));
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
  FrrOptions options;
  options.vtysh = fake.path();
  options.vty_socket_dir = frr_->dir();
  ASSERT_EQ(Reconcile(*Make(options), Ordered(desired)), Status::Ok());
  // Checked while they are entered; a single one is checked first.
  EXPECT_EQ(Shell("wc -l <" + seen.File("lines") + "; : >" + seen.File("lines")), "1000\n");
  desired.push_back(R("10.200.0.0/24", "192.168.9.9"));
  ASSERT_EQ(Reconcile(*Make(options), Ordered(desired)), Status::Ok());
  EXPECT_EQ(Shell("cat " + seen.File("lines")),
            "ip route 10.200.0.0/24 192.168.9.9 tag 110\n"
            "ip route 10.200.0.0/24 192.168.9.9 tag 110\n");
}

}  // namespace
}  // namespace podroute
