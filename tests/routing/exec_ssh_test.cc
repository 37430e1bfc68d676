// The exec backend with a router in a namespace of its own: FRR behind Debian's sshd.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <string>
#include <vector>

#include "base/file.h"
#include "routing/exec_backend.h"
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

const RouteSet kTwo = {R("10.244.1.0/24", "192.168.0.1"), R("fd01::/64", "fd00::1")};

// sshd keeps an empty directory in /run, which need not be there: in a mount namespace of the
// test's own it is.
Status EnterMountNamespace() {
  if (unshare(CLONE_NEWNS) != 0) return Status::FromErrno(errno, "unshare mount namespace");
  if (mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
      mount("none", "/run", "tmpfs", 0, "mode=755") != 0) {
    return Status::FromErrno(errno, "mount");
  }
  Shell("mkdir /run/sshd");
  return Status::Ok();
}

// The controller is where the test is; the router is at 10.9.0.1, its LAN 192.168.0.0/16.
class ExecSshTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (access("/usr/sbin/sshd", X_OK) != 0 || access("/usr/bin/ssh", X_OK) != 0) {
      GTEST_SKIP() << "no sshd and ssh here (packages openssh-server, openssh-client)";
    }
    PODROUTE_NEED_FRR_OR_SKIP();
    static const Status mounts = EnterMountNamespace();
    if (!mounts.ok()) GTEST_SKIP() << mounts.message();
    PODROUTE_ENTER_NETNS_OR_SKIP();
    AddLan("lan", "192.168.0.254/16 fd00::254/64");
    frr_ = std::make_unique<FrrRouter>();
    frr_->StartStatic();
    in_router_ = "nsenter -n -t " + std::to_string(frr_->pid("zebra")) + " ";
    PODROUTE_ENTER_NETNS_OR_SKIP();
    // By a file: a process id means something else to the kernel in our process namespace.
    Shell("mkdir -p /run/netns; touch /run/netns/router; mount --bind /proc/" +
          std::to_string(frr_->pid("zebra")) + "/ns/net /run/netns/router");
    Shell("set -e; ip link add router type veth peer name mgmt netns router; " +
          ("ip addr add 10.9.0.2/24 dev router; ip link set router up; " + in_router_) +
          "ip addr add 10.9.0.1/24 dev mgmt; " + in_router_ + "ip link set mgmt up; umount " +
          "/run/netns/router");
    MakeKeys();
    StartSshd();
  }
  void TearDown() override {
    if (sshd_ > 0) {
      kill(sshd_, SIGKILL);
      waitpid(sshd_, nullptr, 0);
    }
  }

  void MakeKeys() {
    for (const char* key : {"host", "client"}) {
      Shell("ssh-keygen -q -t ed25519 -N '' -C '' -f " + dir_.File(key));
    }
    // As Kubernetes mounts a Secret with defaultMode 0400: links to a directory of root's.
    Shell(
        "cd " + dir_.path() + " && mkdir -p secret/..2026 && mv client secret/..2026/key && " +
        "chmod 400 secret/..2026/key && ln -s ..2026 secret/..data && ln -s ..data/key secret/key");
    Shell("cd " + dir_.path() + " && echo \"10.9.0.1 $(cat host.pub)\" >known_hosts");
    Authorize("");
  }
  // What the key may do; empty: anything.
  void Authorize(const std::string& options) const {
    dir_.Write("authorized",
               (options.empty() ? "" : options + " ") + ReadFile(dir_.File("client.pub")).value());
  }
  void StartSshd() {
    dir_.Write("sshd_config", "ListenAddress 10.9.0.1:22\nHostKey " + dir_.File("host") +
                                  "\nAuthorizedKeysFile " + dir_.File("authorized") +
                                  "\nStrictModes no\nUsePAM no\nPidFile none\n" +
                                  "PermitRootLogin prohibit-password\nPasswordAuthentication no\n");
    std::string command = "exec " + in_router_ + "/usr/sbin/sshd -D -e -f " +
                          dir_.File("sshd_config") + " 2>" + dir_.File("log");
    std::vector<std::string> words = {"sh", "-c", command};
    char* argv[] = {words[0].data(), words[1].data(), words[2].data(), nullptr};
    ASSERT_EQ(posix_spawnp(&sshd_, "sh", nullptr, nullptr, argv, environ), 0);
    for (int i = 0; i < 5000; ++i) {
      Result<std::string> log = ReadFile(dir_.File("log"));
      if (log.ok() && log->find("listening") != std::string::npos) return;
      ASSERT_EQ(waitpid(sshd_, nullptr, WNOHANG), 0) << *log;
      poll(nullptr, 0, 2);
    }
    FAIL() << "sshd does not listen: " << ReadFile(dir_.File("log")).value();
  }

  std::string Ssh() const {
    return "ssh -F none -i " + dir_.File("secret/key") +
           " -o BatchMode=yes -o UserKnownHostsFile=" + dir_.File("known_hosts") +
           " -o ConnectTimeout=5 root@10.9.0.1";
  }
  std::string RemoteVtysh(const std::string& args) const {
    return Ssh() + " 'VTYSH_HISTFILE=/dev/null vtysh --vty_socket " + frr_->dir() + " -d staticd " +
           args + "'";
  }
  ExecOptions Options() const {
    ExecOptions options;
    options.format = ExecFormat::kFrr;
    // vtysh opens /dev/stdin by its name, which Linux does not do with the socket that sshd gives
    // to a command: cat makes it a pipe.
    options.push_command = Ssh() + " 'cat | VTYSH_HISTFILE=/dev/null vtysh --vty_socket " +
                           frr_->dir() + " -d staticd -f /dev/stdin'";
    options.read_command = RemoteVtysh("-c \"show running-config\"");
    return options;
  }
  static std::unique_ptr<ExecBackend> Make(const ExecOptions& options) {
    Result<std::unique_ptr<ExecBackend>> made = ExecBackend::Create(options);
    EXPECT_TRUE(made.ok()) << made.status().message();
    return std::move(*made);
  }
  static Status Reconcile(ExecBackend& backend, const RouteSet& desired) {
    Result<RouteSet> actual = backend.ReadOwned();
    if (!actual.ok()) return actual.status();
    for (const RouteResult& result : backend.Apply(Plan(*actual, desired), desired)) {
      if (!result.status.ok()) return result.status;
    }
    return Status::Ok();
  }
  std::string Routes() const {
    return Shell(frr_->VtyshCommand("-d staticd -c 'show running-config'") +
                 " | grep route || true");
  }
  void AwaitKernel(const std::string& expected) const {
    std::string have;
    for (int i = 0; i < 5000; ++i) {
      have = Shell("for f in -4 -6; do " + in_router_ +
                   "ip $f route show proto 196 | sed 's/ nhid [0-9]*//; s/ dev .*//'; done");
      if (have == expected) return;
      poll(nullptr, 0, 2);
    }
    ADD_FAILURE() << "the router has\n" << have << "and not\n" << expected;
  }

  TempDir dir_;
  std::unique_ptr<FrrRouter> frr_;
  std::string in_router_;
  pid_t sshd_ = -1;
};

TEST_F(ExecSshTest, TheRouterHasTheRoutesAndKeepsTheOperators) {
  frr_->Configure("ip route 10.0.0.0/8 192.168.0.7\n");
  auto backend = Make(Options());
  ASSERT_EQ(Reconcile(*backend, kTwo), Status::Ok());
  AwaitKernel("10.0.0.0/8 via 192.168.0.7\n10.244.1.0/24 via 192.168.0.1\nfd01::/64 via fd00::1\n");
  RouteSet desired = {R("10.244.1.0/24", "192.168.0.9")};
  ASSERT_EQ(Reconcile(*backend, desired), Status::Ok());
  AwaitKernel("10.0.0.0/8 via 192.168.0.7\n10.244.1.0/24 via 192.168.0.9\n");
  // Somebody who starts anew finds them there.
  Result<RouteSet> owned = Make(Options())->ReadOwned();
  ASSERT_TRUE(owned.ok()) << owned.status().message();
  EXPECT_TRUE(Plan(*owned, desired).empty());
  ASSERT_EQ(Reconcile(*backend, {}), Status::Ok());
  EXPECT_EQ(Routes(), "ip route 10.0.0.0/8 192.168.0.7\n");
}

TEST_F(ExecSshTest, AKeyThatMayRunOneCommandIsEnough) {
  std::string forced = dir_.WriteScript(
      "forced",
      "case $SSH_ORIGINAL_COMMAND in push) cat | VTYSH_HISTFILE=/dev/null vtysh --vty_socket " +
          frr_->dir() +
          " -d staticd -f /dev/stdin ;; read) export VTYSH_HISTFILE=/dev/null; exec vtysh "
          "--vty_socket " +
          frr_->dir() + " -d staticd -c 'show running-config' ;; *) echo no >&2; exit 1 ;; esac");
  Authorize("restrict,command=\"" + forced + "\"");
  ExecOptions options = Options();
  options.push_command = Ssh() + " push";
  options.read_command = Ssh() + " read";
  ASSERT_EQ(Reconcile(*Make(options), kTwo), Status::Ok());
  EXPECT_EQ(Routes(),
            "ip route 10.244.1.0/24 192.168.0.1 tag 110\n"
            "ipv6 route fd01::/64 fd00::1 tag 110\n");
}

TEST_F(ExecSshTest, FailuresOfSshAndOfTheRouterAreSaidInTheirWords) {
  ExecOptions options = Options();
  auto backend = Make(options);
  ASSERT_EQ(Reconcile(*backend, kTwo), Status::Ok());
  frr_->Kill("staticd");
  EXPECT_THAT(Reconcile(*backend, {}).message(), HasSubstr("failed to connect to any daemons"));
  frr_->Start("staticd");
  ASSERT_EQ(Reconcile(*backend, kTwo), Status::Ok());

  Authorize("command=\"false\"");
  EXPECT_THAT(Reconcile(*backend, {}).message(), HasSubstr("exit code 1"));
  dir_.Write("authorized", "");
  EXPECT_THAT(Reconcile(*backend, {}).message(),
              AllOf(HasSubstr("exit code 255"), HasSubstr("Permission denied (publickey")));
  Authorize("");
  dir_.Write("known_hosts", "");
  EXPECT_THAT(Reconcile(*backend, {}).message(), HasSubstr("Host key verification failed"));
  EXPECT_EQ(Routes(),
            "ip route 10.244.1.0/24 192.168.0.1 tag 110\n"
            "ipv6 route fd01::/64 fd00::1 tag 110\n");
}

TEST_F(ExecSshTest, ARouterThatHangsIsLeftAtTheTimeLimitAndFoundAgain) {
  ExecOptions options = Options();
  options.push_timeout = options.read_timeout = std::chrono::seconds(1);
  auto backend = Make(options);
  frr_->Signal("staticd", SIGSTOP);
  EXPECT_EQ(Reconcile(*backend, kTwo).code(), StatusCode::kDeadlineExceeded);
  frr_->Signal("staticd", SIGCONT);
  EXPECT_EQ(Reconcile(*Make(Options()), kTwo), Status::Ok());
}

}  // namespace
}  // namespace podroute
