// The exec backend with commands on this machine; exec_ssh_test has a real router behind ssh.
#include "routing/exec_backend.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "base/file.h"
#include "routing/owner.h"
#include "tests/base/temp_dir.h"
#include "tests/lab/netns.h"

namespace podroute {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;

Route R(const std::string& dst, const std::string& gateway, const std::string& node = "") {
  Route route;
  route.dst = IpPrefix::Parse(dst).value();
  route.via.gateway = IpAddress::Parse(gateway).value();
  route.node = node;
  return route;
}

std::unique_ptr<ExecBackend> Make(const ExecOptions& options) {
  Result<std::unique_ptr<ExecBackend>> made = ExecBackend::Create(options);
  EXPECT_TRUE(made.ok()) << made.status().message();
  return std::move(*made);
}

ExecOptions With(ExecFormat format, const std::string& push, const std::string& read = "") {
  ExecOptions options;
  options.format = format;
  options.push_command = push;
  options.read_command = read;
  return options;
}

// Read, plan, apply: one pass of the reconcile loop. The first error, if any.
Status Reconcile(ExecBackend& backend, const RouteSet& desired) {
  Result<RouteSet> actual = backend.ReadOwned();
  if (!actual.ok()) return actual.status();
  for (const RouteResult& result : backend.Apply(Plan(*actual, desired), desired)) {
    if (!result.status.ok()) return result.status;
  }
  return Status::Ok();
}

const RouteSet kTwo = {R("10.244.1.0/24", "192.168.0.1", "master1"),
                       R("10.244.2.0/24", "192.168.0.2")};

// A "router": a directory with the file `taken`, and `pushes`, a line for each push.
class ExecBackendTest : public ::testing::Test {
 protected:
  ExecBackendTest() {
    push_ = dir_.WriteScript(
        "push", "cd " + dir_.path() + "; echo push >>pushes; cat >new && mv new taken");
  }
  std::string Taken() const { return ReadFile(dir_.File("taken")).value(); }
  int Pushes() const {
    Result<std::string> pushes = ReadFile(dir_.File("pushes"));
    return pushes.ok() ? static_cast<int>(std::count(pushes->begin(), pushes->end(), '\n')) : 0;
  }
  // The error of pushing two routes to this script.
  Status ErrorOf(const std::string& script, Duration timeout = std::chrono::seconds(30)) const {
    ExecOptions options = With(ExecFormat::kJson, dir_.WriteScript("bad", script));
    options.push_timeout = timeout;
    return Reconcile(*Make(options), kTwo);
  }

  TempDir dir_;
  std::string push_;
};

TEST_F(ExecBackendTest, JsonIsPushedWholeAndOnlyWhenItChanged) {
  auto backend = Make(With(ExecFormat::kJson, push_));
  ASSERT_EQ(Reconcile(*backend, kTwo), Status::Ok());
  EXPECT_EQ(Taken(), R"({
  "owner": "",
  "routes": [
    {
      "dst": "10.244.1.0/24",
      "via": "192.168.0.1",
      "node": "master1"
    },
    {
      "dst": "10.244.2.0/24",
      "via": "192.168.0.2"
    }
  ]
}
)");
  ASSERT_EQ(Reconcile(*backend, kTwo), Status::Ok());
  EXPECT_EQ(Pushes(), 1);
  ASSERT_EQ(Reconcile(*backend, {}), Status::Ok());
  EXPECT_EQ(Taken(), "{\n  \"owner\": \"\",\n  \"routes\": []\n}\n");
  EXPECT_EQ(Pushes(), 2);
}

TEST_F(ExecBackendTest, WithoutAReadCommandEveryStartPushes) {
  ASSERT_EQ(Reconcile(*Make(With(ExecFormat::kJson, push_)), kTwo), Status::Ok());
  ASSERT_EQ(Reconcile(*Make(With(ExecFormat::kJson, push_)), kTwo), Status::Ok());
  EXPECT_EQ(Pushes(), 2);
  // But nothing deletes blindly.
  ASSERT_EQ(Reconcile(*Make(With(ExecFormat::kJson, push_)), {}), Status::Ok());
  EXPECT_EQ(Pushes(), 2);
}

TEST_F(ExecBackendTest, WithAReadCommandOnlyDifferencesArePushed) {
  for (ExecFormat format : {ExecFormat::kJson, ExecFormat::kBird}) {
    dir_.Write("taken", "");
    dir_.Write("pushes", "");
    ExecOptions options = With(format, push_, "cat " + dir_.File("taken"));
    options.marks.owner = "blue";
    ASSERT_EQ(Reconcile(*Make(options), kTwo), Status::Ok());
    ASSERT_EQ(Reconcile(*Make(options), kTwo), Status::Ok());
    EXPECT_EQ(Pushes(), 1);
    ASSERT_EQ(Reconcile(*Make(options), {kTwo[0]}), Status::Ok());
    EXPECT_EQ(Pushes(), 2);
    EXPECT_EQ(Make(options)->ReadOwned()->size(), 1u);
    // Somebody else's is not ours to read.
    options.marks.owner = "green";
    EXPECT_FALSE(Make(options)->ReadOwned().ok());
  }
}

TEST_F(ExecBackendTest, ThePlansOwnJsonCanBeReadBack) {
  std::string file = dir_.Write("plan", R"({"mode":"router","routes":[
    {"action":"keep","dst":"10.244.1.0/24","via":"192.168.0.1","dev":"eth0","node":"master1"},
    {"action":"delete","dst":"10.244.3.0/24","via":"192.168.0.3"}],"refused":[]})");
  Result<RouteSet> owned = Make(With(ExecFormat::kJson, push_, "cat " + file))->ReadOwned();
  ASSERT_TRUE(owned.ok()) << owned.status().message();
  ASSERT_EQ(owned->size(), 1u);
  EXPECT_TRUE((*owned)[0].SameAs(kTwo[0]));
}

TEST_F(ExecBackendTest, AWholeThatWasNotTakenIsPushedAgainWhateverTheFileSays) {
  // Writes the file and then fails, as `cat >file && birdc configure` may.
  std::string fails = dir_.WriteScript(
      "fails", push_ + "; [ -e " + dir_.File("fixed") + " ] || { echo no daemon >&2; exit 4; }");
  dir_.Write("taken", "");
  auto backend = Make(With(ExecFormat::kJson, fails, "cat " + dir_.File("taken")));
  Status status = Reconcile(*backend, kTwo);
  EXPECT_THAT(status.message(),
              AllOf(HasSubstr("push command: "), HasSubstr("exit code 4: no daemon")));
  EXPECT_FALSE(Reconcile(*backend, kTwo).ok());
  EXPECT_EQ(Pushes(), 2);
  dir_.Write("fixed", "");
  EXPECT_EQ(Reconcile(*backend, kTwo), Status::Ok());
  EXPECT_EQ(Reconcile(*backend, kTwo), Status::Ok());
  EXPECT_EQ(Pushes(), 3);
}

TEST_F(ExecBackendTest, WithheldDeletesAreStillInTheWhole) {
  auto backend = Make(With(ExecFormat::kJson, push_));
  ASSERT_EQ(Reconcile(*backend, kTwo), Status::Ok());
  RouteSet desired = {R("10.244.3.0/24", "192.168.0.3")};
  backend->Apply(WithoutDeletes(Plan(backend->ReadOwned().value(), desired)), desired);
  EXPECT_THAT(Taken(), AllOf(HasSubstr("10.244.1.0/24"), HasSubstr("10.244.3.0/24")));
}

TEST_F(ExecBackendTest, FrrLinesAreAllOfThemWithDeletionsOfWhatWasPushedBefore) {
  auto backend = Make(With(ExecFormat::kFrr, push_));
  ASSERT_EQ(Reconcile(*backend, kTwo), Status::Ok());
  EXPECT_EQ(Taken(),
            "ip route 10.244.1.0/24 192.168.0.1 tag 110\n"
            "ip route 10.244.2.0/24 192.168.0.2 tag 110\n");
  ASSERT_EQ(Reconcile(*backend, {R("10.244.1.0/24", "192.168.0.9")}), Status::Ok());
  EXPECT_EQ(Taken(),
            "ip route 10.244.1.0/24 192.168.0.9 tag 110\n"
            "no ip route 10.244.1.0/24 192.168.0.1 tag 110\n"
            "no ip route 10.244.2.0/24 192.168.0.2 tag 110\n");
}

TEST_F(ExecBackendTest, WhatAFailedPushMayHaveLeftIsDeletedByTheNext) {
  std::string flaky = dir_.WriteScript("flaky", push_ + "; [ -e " + dir_.File("fixed") + " ]");
  auto backend = Make(With(ExecFormat::kFrr, flaky));
  EXPECT_FALSE(Reconcile(*backend, kTwo).ok());
  EXPECT_FALSE(Reconcile(*backend, kTwo).ok());
  dir_.Write("fixed", "");
  ASSERT_EQ(Reconcile(*backend, {kTwo[1]}), Status::Ok());
  EXPECT_EQ(Taken(),
            "ip route 10.244.2.0/24 192.168.0.2 tag 110\n"
            "no ip route 10.244.1.0/24 192.168.0.1 tag 110\n");
}

TEST_F(ExecBackendTest, ARouteThatTheFormatCannotHoldDoesNotStopTheOthers) {
  auto backend = Make(With(ExecFormat::kFrr, push_));
  RouteSet desired = {R("10.244.1.0/24", "fd00::1"), kTwo[1]};
  std::vector<RouteResult> results = backend->Apply(Plan({}, desired), desired);
  EXPECT_EQ(results[0].status.code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(results[1].status, Status::Ok());
  EXPECT_EQ(Taken(), "ip route 10.244.2.0/24 192.168.0.2 tag 110\n");
}

TEST_F(ExecBackendTest, EachFailureOfThePushCommandIsAClearError) {
  struct {
    const char* script;
    const char* message;
  } cases[] = {
      {"cat >/dev/null; printf 'no\\033[1m\\n\\n  such host\\n' >&2; exit 255",
       "exit code 255: no?[1m; such host"},
      {"cat >/dev/null; echo only said; exit 1", "exit code 1: only said"},
      {"cat >/dev/null; exit 7", "exit code 7"},
      {"exit 1", "exit code 1"},
      {"kill -9 $$", "signal 9 (Killed)"},
      {"exit 0", "bytes of its standard input were not read"},
      {"exec <&-; exit 0", "bytes of its standard input were not read"},
      {"dd bs=1 count=10 status=none >/dev/null; exit 0", "of its standard input were not read"},
      {"cat >/dev/null; yes", "wrote more than 1048576 bytes"},
      {"cat >/dev/null; yes >&2", "wrote more than 1048576 bytes"},
  };
  for (const auto& c : cases) {
    Status status = ErrorOf(c.script);
    EXPECT_FALSE(status.ok()) << c.script;
    EXPECT_THAT(status.message(), AllOf(HasSubstr("push command: "), HasSubstr(c.message)))
        << c.script;
    EXPECT_LT(status.message().size(), 600u) << c.script;
  }
}

TEST_F(ExecBackendTest, ALongComplaintIsCutOff) {
  Status status = ErrorOf("cat >/dev/null; head -c 100000 /dev/zero | tr '\\0' x >&2; exit 1");
  EXPECT_LT(status.message().size(), 600u);
  EXPECT_THAT(status.message(), EndsWith("..."));
}

TEST_F(ExecBackendTest, AHungPushCommandIsEndedAtTheTimeLimit) {
  Status status = ErrorOf("exec sleep 100", std::chrono::milliseconds(100));
  EXPECT_EQ(status.code(), StatusCode::kDeadlineExceeded);
  EXPECT_THAT(status.message(), HasSubstr("did not end within 0.1 s"));
}

TEST_F(ExecBackendTest, ACommandThatIsNotThereIsNamed) {
  Status status = Reconcile(*Make(With(ExecFormat::kJson, "/nowhere/push -x")), kTwo);
  EXPECT_EQ(status.code(), StatusCode::kNotFound);
  EXPECT_THAT(status.message(), HasSubstr("push command: start /nowhere/push"));
}

TEST_F(ExecBackendTest, WhatACommandLeavesInTheBackgroundIsNotWaitedFor) {
  // It holds all three of the command's pipes, and ends with the test.
  std::string forks = dir_.WriteScript(
      "forks", push_ + "; exec 3<&0; (while [ -e " + dir_.path() + " ]; do sleep 0.1; done) &");
  EXPECT_EQ(Reconcile(*Make(With(ExecFormat::kJson, forks)), kTwo), Status::Ok());
}

TEST_F(ExecBackendTest, FiveThousandRoutesGoThroughAPipe) {
  RouteSet many;
  for (int i = 0; i < 5000; ++i) {
    many.push_back(R("10." + std::to_string(i / 256) + "." + std::to_string(i % 256) + ".0/24",
                     "192.168.0.1"));
  }
  ASSERT_EQ(Reconcile(*Make(With(ExecFormat::kFrr, push_)), many), Status::Ok());
  std::string taken = Taken();
  EXPECT_EQ(std::count(taken.begin(), taken.end(), '\n'), 5000);
}

TEST_F(ExecBackendTest, AFailedReadingChangesNothing) {
  struct {
    const char* script;
    const char* message;
  } cases[] = {
      {"echo Permission denied >&2; exit 255", "exit code 255: Permission denied"},
      {"echo '{\"routes\":['", "not our JSON"},
      {"echo '[]'", "not our JSON: no object"},
      {"echo '{}'", "no \"routes\""},
      {"echo '{\"routes\":[{\"dst\":\"10.1.0.0/33\",\"via\":\"10.0.0.1\"}]}'", "route 1: "},
      {"echo '{\"routes\":[7]}'", "route 1: "},
      {"echo '{\"owner\":\"x\",\"routes\":[]}'", "somebody else"},
  };
  for (const auto& c : cases) {
    auto backend = Make(With(ExecFormat::kJson, push_, dir_.WriteScript("read", c.script)));
    EXPECT_THAT(Reconcile(*backend, kTwo).message(),
                AllOf(HasSubstr("read command: "), HasSubstr(c.message)))
        << c.script;
  }
  EXPECT_EQ(Pushes(), 0);
}

TEST_F(ExecBackendTest, WhatTheRouterDidNotTakeIsAnErrorAlsoAfterExitCodeZero) {
  auto backend = Make(With(ExecFormat::kIp, "sh -c 'cat >/dev/null'", "true"));
  EXPECT_THAT(Reconcile(*backend, kTwo).message(),
              HasSubstr("10.244.1.0/24: the push command ended well, but by the read command"));
}

TEST_F(ExecBackendTest, WithoutThePermitNothingIsPushed) {
  ExecOptions options = With(ExecFormat::kJson, push_);
  options.may_write = [] { return false; };
  EXPECT_EQ(Reconcile(*Make(options), kTwo).code(), StatusCode::kCancelled);
  EXPECT_EQ(Pushes(), 0);
}

TEST_F(ExecBackendTest, AStopEndsWhatIsRunning) {
  StopToken stop;
  stop.Stop();
  ExecOptions options = With(ExecFormat::kJson, push_);
  options.stop = &stop;
  EXPECT_EQ(Reconcile(*Make(options), kTwo).code(), StatusCode::kCancelled);
}

TEST_F(ExecBackendTest, NoShellIsBetween) {
  std::string marker = dir_.File("marker");
  std::string show = dir_.WriteScript("show", "cat >/dev/null; printf '%s|' \"$@\" >" + marker);
  ASSERT_EQ(Reconcile(*Make(With(ExecFormat::kJson, show + " '$HOME' \"a b\" *.c ';' >x")), kTwo),
            Status::Ok());
  EXPECT_EQ(ReadFile(marker).value(), "$HOME|a b|*.c|;|>x|");
}

TEST(ExecOptionsTest, WrongCommandsNameTheFlag) {
  auto error = [](const std::string& push, const std::string& read) {
    return ExecBackend::Create(With(ExecFormat::kJson, push, read)).status().message();
  };
  EXPECT_THAT(error("", ""), HasSubstr("--push_command: no program is named"));
  EXPECT_THAT(error("  ", ""), HasSubstr("--push_command: no program is named"));
  EXPECT_THAT(error("'' x", ""), HasSubstr("--push_command: no program is named"));
  EXPECT_THAT(error("ssh 'r", ""), HasSubstr("--push_command: a quote (') that is not closed"));
  EXPECT_THAT(error("ssh", "\""), HasSubstr("--read_command: a quote"));
  EXPECT_THAT(ParseExecFormat("yaml").status().message(),
              HasSubstr("--format: \"yaml\" is none; bird, frr, ip or json would be"));
}

// The kernel of a namespace as the router.
class ExecIpTest : public ::testing::Test {
 protected:
  void SetUp() override {
    PODROUTE_ENTER_NETNS_OR_SKIP();
    AddLan("lan", "192.168.0.254/16 fd00::254/64");
  }
  static std::string Ours() {
    return Shell(
        "for f in -4 -6; do ip $f route show proto 110 metric 110 | sed 's/ dev.*//'; "
        "done");
  }
};

TEST_F(ExecIpTest, DifferencesAreCommandsThatAShellRuns) {
  for (const char* read :
       {"sh -c 'ip route; ip -6 route'", "sh -c 'ip -json route; ip -json -6 route'"}) {
    Shell("ip route add 10.0.0.0/8 via 192.168.0.7; ip route add 10.244.1.0/24 via 192.168.0.7");
    std::string others = Shell("ip route | grep -v 'proto 110'");
    auto backend = Make(With(ExecFormat::kIp, "sh", read));
    ASSERT_EQ(Reconcile(*backend, {kTwo[0], kTwo[1], R("fd01::/64", "fd00::1")}), Status::Ok());
    EXPECT_EQ(Ours(),
              "10.244.1.0/24 via 192.168.0.1\n10.244.2.0/24 via 192.168.0.2\n"
              "fd01::/64 via fd00::1\n");
    Route elsewhere = R("10.244.2.0/24", "192.168.0.9");
    elsewhere.dev = "a link of the controller's";
    elsewhere.via.ifindex = 77;
    ASSERT_EQ(Reconcile(*backend, {elsewhere, R("fd01::/64", "fd00::9")}), Status::Ok());
    EXPECT_EQ(Ours(), "10.244.2.0/24 via 192.168.0.9\nfd01::/64 via fd00::9\n");
    EXPECT_TRUE(Plan(backend->ReadOwned().value(), {elsewhere, R("fd01::/64", "fd00::9")}).empty());
    ASSERT_EQ(Reconcile(*Make(With(ExecFormat::kIp, "sh", read)), {}), Status::Ok());
    EXPECT_EQ(Ours(), "");
    EXPECT_EQ(Shell("ip route | grep -v 'proto 110'"), others);
    Shell("ip route del 10.0.0.0/8; ip route del 10.244.1.0/24");
  }
}

TEST_F(ExecIpTest, AnOldNextHopStaysWhenTheNewOneIsRefused) {
  auto backend = Make(With(ExecFormat::kIp, "sh", "ip route"));
  ASSERT_EQ(Reconcile(*backend, kTwo), Status::Ok());
  RouteSet desired = {R("10.244.1.0/24", "172.16.0.1"), R("10.244.2.0/24", "192.168.0.9"),
                      R("10.244.3.0/24", "192.168.0.3")};
  std::vector<RouteResult> results =
      backend->Apply(Plan(backend->ReadOwned().value(), desired), desired);
  EXPECT_FALSE(results[0].status.ok());
  EXPECT_EQ(results[1].status, Status::Ok());
  EXPECT_EQ(results[2].status, Status::Ok());
  EXPECT_EQ(Ours(),
            "10.244.1.0/24 via 192.168.0.1\n10.244.2.0/24 via 192.168.0.9\n"
            "10.244.3.0/24 via 192.168.0.3\n");
}

TEST_F(ExecIpTest, TwoOwnersLeaveEachOtherAloneAlsoAtOneDestination) {
  for (const char* read : {"ip route", ""}) {
    std::vector<std::unique_ptr<ExecBackend>> backends;
    for (const char* owner : {"blue", "green"}) {
      ExecOptions options = With(ExecFormat::kIp, "sh -e", read);
      options.marks.owner = owner;
      options.marks.ip.metric = OwnerMetric(owner);
      backends.push_back(Make(options));
    }
    auto routes_of = [](const char* owner) {
      return Shell("ip route show proto 110 metric " + std::to_string(OwnerMetric(owner)) +
                   " | sed 's/ dev.*//'");
    };
    const std::string two = "10.244.1.0/24 via 192.168.0.1\n10.244.2.0/24 via 192.168.0.2\n";
    const std::string moved = "10.244.1.0/24 via 192.168.0.9\n";
    ASSERT_EQ(Reconcile(*backends[0], kTwo), Status::Ok());
    ASSERT_EQ(Reconcile(*backends[1], kTwo), Status::Ok());
    EXPECT_EQ(routes_of("blue"), two);
    EXPECT_EQ(routes_of("green"), two);
    ASSERT_EQ(Reconcile(*backends[1], {R("10.244.1.0/24", "192.168.0.9")}), Status::Ok());
    EXPECT_EQ(routes_of("blue"), two);
    EXPECT_EQ(routes_of("green"), moved);
    ASSERT_EQ(Reconcile(*backends[0], {}), Status::Ok());
    EXPECT_EQ(routes_of("blue"), "");
    EXPECT_EQ(routes_of("green"), moved);
    ASSERT_EQ(Reconcile(*backends[1], {}), Status::Ok());
    EXPECT_EQ(routes_of("green"), "");
  }
}

TEST_F(ExecIpTest, WithoutReadingTheWholeIsPushedOverWhatIsThere) {
  ASSERT_EQ(Reconcile(*Make(With(ExecFormat::kIp, "sh -e")), kTwo), Status::Ok());
  auto backend = Make(With(ExecFormat::kIp, "sh -e"));
  ASSERT_EQ(Reconcile(*backend, kTwo), Status::Ok());
  ASSERT_EQ(Reconcile(*backend, {R("10.244.2.0/24", "192.168.0.9")}), Status::Ok());
  EXPECT_EQ(Ours(), "10.244.2.0/24 via 192.168.0.9\n");
}

}  // namespace
}  // namespace podroute
