// That BIRD exports our routes by BGP, with the nodes as next hops, as docs/router.md says.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "tests/routing/bird_test_util.h"

namespace podroute {
namespace {

const RouteSet kRoutes = {BirdRoute("10.244.1.0/24", "192.168.0.11", "node1"),
                          BirdRoute("10.244.2.0/24", "192.168.0.12", "node2"),
                          BirdRoute("fd01:0:0:1::/64", "fd00::11", "node1"),
                          BirdRoute("fd01:0:0:2::/64", "fd00::12", "node2")};

constexpr char kRouterConf[] =
    "protocol bgp uplink {\n"
    "  local 192.168.0.1 as 65000;\n"
    "  neighbor 192.168.0.2 as 65001;\n"
    "  ipv4 { import none; export where proto = \"podroute4\"; next hop keep; };\n"
    "}\n"
    "protocol bgp uplink6 {\n"
    "  local fd00::1 as 65000;\n"
    "  neighbor fd00::2 as 65001;\n"
    "  ipv6 { import none; export where proto = \"podroute6\"; next hop keep; };\n"
    "}\n";

// The router's namespace and its neighbour's, one LAN between them. The thread is in the router's.
class BirdBgpTest : public BirdTest {
 protected:
  void SetUp() override {
    PODROUTE_NEED_BIRD_OR_SKIP();
    PODROUTE_ENTER_NETNS_OR_SKIP();
    neighbour_ = UniqueFd(open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
    PODROUTE_ENTER_NETNS_OR_SKIP();
    router_ = UniqueFd(open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
    Shell("ip link add lan type veth peer name lan netns /proc/" + std::to_string(getpid()) +
          "/fd/" + std::to_string(neighbour_.get()));
    AddAddresses("192.168.0.1/16", "fd00::1/64");
    InNeighbour([] { AddAddresses("192.168.0.2/16", "fd00::2/64"); });
    bird_ = std::make_unique<BirdRouter>();
    options_.socket_path = bird_->socket_path();
    options_.file_path = bird_->file_path();
    bird_->WriteConf(bird_->DefaultConf() + kRouterConf);
  }
  static void AddAddresses(const std::string& v4, const std::string& v6) {
    Shell("ip link set lan up; ip addr add " + v4 + " dev lan; ip addr add " + v6 +
          " dev lan nodad");
  }
  void InNeighbour(const std::function<void()>& work) const {
    ASSERT_EQ(setns(neighbour_.get(), CLONE_NEWNET), 0);
    work();
    ASSERT_EQ(setns(router_.get(), CLONE_NEWNET), 0);
  }

  UniqueFd neighbour_, router_;
};

TEST_F(BirdBgpTest, ABirdThatIsItsNeighbourHasTheRoutesByTheNodes) {
  StartBoth();
  BirdRouter peer;
  peer.WriteConf(
      "router id 192.168.0.2;\nprotocol device {}\nprotocol direct { ipv4; ipv6; }\n"
      "protocol kernel { ipv4 { export where source = RTS_BGP; }; }\n"
      "protocol bgp up { local 192.168.0.2 as 65001; neighbor 192.168.0.1 as 65000;\n"
      "  connect delay time 1; ipv4 { import all; export none; }; }\n"
      "protocol bgp up6 { local fd00::2 as 65001; neighbor fd00::1 as 65000;\n"
      "  connect delay time 1; ipv6 { import all; export none; }; }\n");
  InNeighbour([&] { peer.Start(); });
  auto await = [&](const RouteSet& routes) {
    const std::string v4 = ToText(routes, IpFamily::kV4), v6 = ToText(routes, IpFamily::kV6);
    for (int i = 0; Lines(peer.Table("up")) != v4 || Lines(peer.Table("up6")) != v6; ++i) {
      ASSERT_LT(i, 6000) << peer.Birdc("show protocols") << peer.Birdc("show route all");
      poll(nullptr, 0, 10);
    }
  };
  ASSERT_TRUE(AllOk(Reconcile(kRoutes)));
  await(kRoutes);
  // As next hop of the protocol too, not only resolved.
  const std::string all = peer.Birdc("show route all protocol up");
  EXPECT_NE(all.find("BGP.next_hop: 192.168.0.11"), std::string::npos) << all;
  InNeighbour([] {
    // The kernel's table follows.
    while (Shell("ip -4 route show proto bird").find("192.168.0.12") == std::string::npos) {
      poll(nullptr, 0, 10);
    }
  });

  RouteSet moved = kRoutes;
  moved[0].via.gateway = IpAddress::Parse("192.168.0.99").value();
  moved.pop_back();
  ASSERT_TRUE(AllOk(Reconcile(moved)));
  await(moved);
  ASSERT_TRUE(AllOk(Reconcile({})));
  await({});
}

// FRR's BGP daemon alone, which tells its table without installing it.
class BgpDaemon {
 public:
  BgpDaemon() {
    char path[] = "/tmp/podroute-bgpd.XXXXXX";
    if (mkdtemp(path) == nullptr) abort();
    dir_ = path;
    Spill(dir_ + "/bgpd.conf",
          "router bgp 65001\n bgp router-id 192.168.0.2\n no bgp ebgp-requires-policy\n"
          " neighbor 192.168.0.1 remote-as 65000\n neighbor fd00::1 remote-as 65000\n"
          " neighbor 192.168.0.1 timers connect 1\n neighbor fd00::1 timers connect 1\n"
          " address-family ipv6 unicast\n  neighbor fd00::1 activate\n");
    Shell("chown -R frr:frr " + dir_ + "; chmod 755 " + dir_);
    const std::vector<std::string> words = {"/usr/lib/frr/bgpd",
                                            "-f",
                                            dir_ + "/bgpd.conf",
                                            "-i",
                                            dir_ + "/pid",
                                            "--vty_socket",
                                            dir_,
                                            "-z",
                                            dir_ + "/zserv",
                                            "-P",
                                            "0",
                                            "--no_zebra",
                                            "--log",
                                            "stdout"};
    const std::string log = dir_ + "/log";
    const pid_t parent = getpid();
    pid_ = fork();
    if (pid_ < 0) abort();
    if (pid_ > 0) return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);  // Gone once it changes its user: the destructor counts.
    if (getppid() != parent) _exit(1);
    const int out = open(log.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
    dup2(out, 1);
    dup2(out, 2);
    std::vector<char*> argv;
    for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
    argv.push_back(nullptr);
    execv(argv[0], argv.data());
    _exit(127);
  }
  ~BgpDaemon() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    Shell("rm -r " + dir_);
  }
  BgpDaemon(const BgpDaemon&) = delete;
  BgpDaemon& operator=(const BgpDaemon&) = delete;

  std::string Show(const std::string& what) const {
    return Shell("VTYSH_HISTFILE=/dev/null vtysh --vty_socket " + dir_ + " --config_dir " + dir_ +
                 " -d bgpd -c 'show bgp " + what + "' || true");
  }
  std::string Log() const { return Slurp(dir_ + "/log"); }

 private:
  std::string dir_;
  pid_t pid_ = -1;
};

TEST_F(BirdBgpTest, AnFrrThatIsItsNeighbourHasTheRoutesByTheNodes) {
  if (geteuid() != 0 || getpwnam("frr") == nullptr || access("/usr/lib/frr/bgpd", X_OK) != 0) {
    GTEST_SKIP() << "no FRR here (package frr), or not root, which its daemons need";
  }
  StartBoth();
  ASSERT_TRUE(AllOk(Reconcile(kRoutes)));
  std::unique_ptr<BgpDaemon> peer;
  InNeighbour([&] { peer = std::make_unique<BgpDaemon>(); });
  for (const auto& [family, dst, gateway] : {std::tuple("ipv4", "10.244.2.0/24", "192.168.0.12"),
                                             std::tuple("ipv6", "fd01:0:0:2::/64", "fd00::12")}) {
    const std::string what = std::string(family) + " unicast " + dst;
    std::string shown = peer->Show(what);
    for (int i = 0; shown.find(gateway) == std::string::npos; ++i) {
      ASSERT_LT(i, 3000) << shown << peer->Show("summary") << peer->Log();
      poll(nullptr, 0, 20);
      shown = peer->Show(what);
    }
    EXPECT_NE(shown.find("65000"), std::string::npos) << shown;
  }
}

}  // namespace
}  // namespace podroute
