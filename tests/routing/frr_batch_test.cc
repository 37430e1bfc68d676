// A batch that FRR refuses a line of, or that is broken on its way: each change is made as a whole,
// or taken back.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "tests/routing/frr_test_util.h"

namespace podroute {
namespace {

using ::testing::AllOf;
using ::testing::Each;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::Property;

// A step of at least so many lines is more than a pipe holds of it and vtysh's own buffers do: when
// this many have been written, some have been entered.
constexpr int kMany = 4000;

// `count` routes from 10.BLOCK.0.0/24 on, all by the same gateway.
RouteSet Routes(int block, int count, const std::string& gateway) {
  RouteSet routes;
  for (int i = 0; i < count; ++i) {
    routes.push_back(
        R("10." + std::to_string(block + i / 256) + "." + std::to_string(i % 256) + ".0/24",
          gateway));
  }
  return routes;
}

RouteSet Together(RouteSet a, const RouteSet& b) {
  a.insert(a.end(), b.begin(), b.end());
  return Ordered(a);
}

auto AllFail(StatusCode code, const std::string& text) {
  return Each(Field(&RouteResult::status, AllOf(Property(&Status::code, code),
                                                Property(&Status::message, HasSubstr(text)))));
}

class FrrBatchTest : public FrrTest {
 protected:
  // What the first vtysh that enters lines beginning with `first` ("ip", "no") does with them.
  FakeVtysh Once(const std::string& first, const std::string& then) const {
    return FakeVtysh("*'-d staticd -f /dev/stdin'",
                     "cd " + frr_->dir() + "; IFS= read -r line; all() { echo \"$line\"; cat; }\n" +
                         "case $line in '" + first +
                         " '*) ;; *) all | vtysh \"$@\"; exit ;; esac\n" +
                         "if [ -e once ]; then all | vtysh \"$@\"; exit; fi\ntouch once\n" + then);
  }
  // Kills `what`, a word of sh's, in the middle of its lines: after kMany, or some time later. It
  // ends as vtysh does.
  static std::string KillInTheMiddle(const std::string& what, int wait_ms = 0) {
    return "mkfifo lines; vtysh \"$@\" <lines & vtysh=$!; exec 4<&0; exec 3>lines\n" +
           (wait_ms > 0 ? "all <&4 >&3 & sleep " + std::to_string(wait_ms / 1000.0) + "; "
                        : "all | { sed -u " + std::to_string(kMany) + "q >&3; ") +
           "kill -9 " + what + (wait_ms > 0 ? "\n" : "; cat >&3; }\n") +
           "exec 3>&-; wait $vtysh; code=$?; rm lines\n[ $code -lt 128 ] || kill -9 $$\nexit $code";
  }
  void ExpectJust(const RouteSet& routes) const {
    std::string lines;
    for (const Route& route : routes) lines += FrrLine(route, kFrrTag) + "\n";
    EXPECT_EQ(Ours(), lines);
  }
  // The vtysh that enters lines for us, or for a process of ours; -1: none.
  static pid_t Entering() {
    return std::atoi(
        ("0" + Shell("pgrep -o -f -- '^vtysh .*-d staticd -f /dev/stdin$' || true")).c_str());
  }
};

TEST_F(FrrBatchTest, WhatTheCheckRefusesIsLeftOutWithItsWordsAndTheRestIsDone) {
  ASSERT_EQ(Reconcile({R("10.244.1.0/24", "192.168.0.1"), R("10.244.2.0/24", "192.168.0.2")}),
            Status::Ok());
  // Refuses the first line.
  FakeVtysh fake("*-C*",
                 "cat >/dev/null; echo 'line 1: % Unknown command[4]: ip route' >&2; exit 2");
  std::unique_ptr<FrrBackend> backend = Make(Options(fake.path()));
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

TEST_F(FrrBatchTest, ALineOfManyThatIsRefusedIsLeftOutAndTheRestIsDone) {
  const RouteSet desired = Routes(100, 1000, "192.168.0.1");
  RouteSet left = desired;
  left.erase(left.begin() + 700);
  // By the check, and only when it is entered.
  for (const char* when : {"*-C*", "*'-d staticd -f'*"}) {
    SCOPED_TRACE(when);
    // It becomes one that FRR itself refuses: a tag of 0 is none.
    FakeVtysh fake(when, "sed '701s/tag 110/tag 0/' | vtysh \"$@\"");
    const std::vector<RouteResult> results = Pass(*Make(Options(fake.path())), desired);
    ASSERT_EQ(results.size(), 1000u);
    for (size_t i = 0; i < results.size(); ++i) {
      EXPECT_EQ(results[i].status.ok(), i != 700) << i << " " << results[i].status.message();
    }
    EXPECT_EQ(results[700].status.code(), StatusCode::kRefused);
    EXPECT_EQ(results[700].status.message(),
              "FRR refuses it: % Unknown command[4]: ip route 10.102.188.0/24 192.168.0.1 tag 0");
    ExpectJust(left);
    ASSERT_EQ(Reconcile({}), Status::Ok());
  }
}

TEST_F(FrrBatchTest, AnOldNextHopStaysWhenTheNewOneIsNotTaken) {
  ASSERT_EQ(Reconcile({R("10.244.1.0/24", "192.168.0.1")}), Status::Ok());
  std::string before = frr_->RunningConfig();
  // As vtysh 8.4 does when it loses staticd in the middle: says something, exit code 0.
  FakeVtysh fake("*' -f '*|*' -f /dev/stdin'",
                 "case \"$*\" in *-C*) exit 0;; esac; "
                 "cat >/dev/null; echo 'closing connection to staticd'");
  Status status = Reconcile(*Make(Options(fake.path())), {R("10.244.1.0/24", "192.168.0.9")});
  EXPECT_EQ(status.code(), StatusCode::kNotConfirmed);
  EXPECT_THAT(status.message(),
              AllOf(HasSubstr("10.244.1.0/24: FRR did not carry out the replace"),
                    HasSubstr("closing connection to staticd"), HasSubstr("has been taken back")));
  EXPECT_EQ(frr_->RunningConfig(), before);
}

TEST_F(FrrBatchTest, AVtyshThatIsKilledWhileItAddsIsTakenBack) {
  const RouteSet before = Together(Routes(50, 20, "192.168.0.1"), Routes(60, 20, "192.168.0.1"));
  ASSERT_EQ(Reconcile(before), Status::Ok());
  // Half are moved, half are deleted, many come.
  const RouteSet after =
      Together(Routes(50, 20, "192.168.0.2"), Routes(100, kMany + 500, "192.168.0.1"));
  FakeVtysh fake = Once("ip", KillInTheMiddle("$vtysh"));
  EXPECT_THAT(Pass(*Make(Options(fake.path())), after),
              AllFail(StatusCode::kNotConfirmed,
                      "signal 9 (Killed); what was entered of it has been taken back"));
  ExpectJust(before);
  ASSERT_EQ(Reconcile(after), Status::Ok());
  ExpectJust(after);
}

TEST_F(FrrBatchTest, AVtyshThatIsKilledWhileItDeletesIsTakenBack) {
  const RouteSet before =
      Together(Routes(50, 20, "192.168.0.1"), Routes(100, kMany + 500, "192.168.0.1"));
  ASSERT_EQ(Reconcile(before), Status::Ok());
  const RouteSet after = Together(Routes(50, 20, "192.168.0.2"), Routes(60, 20, "192.168.0.1"));
  FakeVtysh fake = Once("no", KillInTheMiddle("$vtysh"));
  EXPECT_THAT(Pass(*Make(Options(fake.path())), after),
              AllFail(StatusCode::kNotConfirmed, "what was entered of it has been taken back"));
  ExpectJust(before);
  ASSERT_EQ(Reconcile(after), Status::Ok());
  ExpectJust(after);
}

TEST_F(FrrBatchTest, AVtyshThatIsKilledAtAnyTimeLeavesTheOldOrTheNew) {
  const RouteSet a = Together(Routes(50, 40, "192.168.0.1"), Routes(100, 1500, "192.168.0.1"));
  const RouteSet b = Together(Routes(50, 40, "192.168.0.2"), Routes(120, 1500, "192.168.0.1"));
  ASSERT_EQ(Reconcile(a), Status::Ok());
  std::mt19937 random(std::random_device{}());
  RouteSet now = a;
  for (int round = 0; round < 4; ++round) {
    const RouteSet& next = HasRoute(now, a.back()) ? b : a;
    const std::string step = round % 2 == 0 ? "ip" : "no";
    const int wait_ms = 1 + static_cast<int>(random() % 800);
    SCOPED_TRACE(step + " " + std::to_string(wait_ms));
    Shell("rm -f " + frr_->dir() + "/once");
    FakeVtysh fake = Once(step, KillInTheMiddle("$vtysh", wait_ms));
    const std::vector<RouteResult> results = Pass(*Make(Options(fake.path())), next);
    const bool done = results[0].status.ok();
    for (const RouteResult& result : results) EXPECT_EQ(result.status.ok(), done);
    if (done) now = next;
    ExpectJust(now);
  }
}

TEST_F(FrrBatchTest, APodrouteThatIsKilledLeavesNoPartOfALineAndTheNextOneGoesOn) {
  const RouteSet desired = Routes(100, 3000, "192.168.0.111");
  auto others = [&] { return Shell("echo '" + Others() + "' | grep -v '^!$'"); };
  const std::string before = others();
  for (int round = 0; round < 2; ++round) {
    const pid_t pid = fork();
    ASSERT_GE(pid, 0);
    if (pid == 0) {
      Reconcile(*NewBackend(kFrrTag), desired).ok();  // It does not get so far.
      _exit(0);
    }
    while (Entering() <= 0) poll(nullptr, 0, 1);
    poll(nullptr, 0, 100 * round);
    kill(pid, SIGKILL);
    ASSERT_EQ(waitpid(pid, nullptr, 0), pid);
    while (Entering() > 0) poll(nullptr, 0, 1);
    EXPECT_EQ(others(), before);
    ASSERT_EQ(Reconcile(desired), Status::Ok());
    ExpectJust(desired);
    ASSERT_EQ(Reconcile({}), Status::Ok());
  }
}

TEST_F(FrrBatchTest, AStaticdThatIsKilledInTheMiddleOfABatchIsAnErrorOfAllAndTheRestFollows) {
  const RouteSet before = Routes(50, 20, "192.168.0.1");
  ASSERT_EQ(Reconcile(before), Status::Ok());
  const RouteSet after = Together(before, Routes(100, kMany + 500, "192.168.0.1"));
  FakeVtysh fake = Once("ip", KillInTheMiddle("$(cat staticd.pid)"));
  // vtysh 8.4 ends with 0 then; what it said on the way is in the error.
  EXPECT_THAT(Pass(*Make(Options(fake.path())), after),
              AllFail(StatusCode::kUnavailable,
                      "whether FRR took it is not known: vtysh: error "
                      "reading from staticd"));
  frr_->Start("staticd");
  ASSERT_EQ(Reconcile(after), Status::Ok());
  ExpectJust(after);
}

// It has nothing to say about static routes; what they need of it comes when it is back.
TEST_F(FrrBatchTest, AZebraThatIsKilledInTheMiddleOfABatchIsNoError) {
  const RouteSet after = Routes(100, kMany + 500, "192.168.0.1");
  FakeVtysh fake = Once("ip", KillInTheMiddle("$(cat zebra.pid)"));
  ASSERT_EQ(Reconcile(*Make(Options(fake.path())), after), Status::Ok());
  ExpectJust(after);
}

TEST_F(FrrBatchTest, AStaticdThatIsRestartedEmptyInTheMiddleIsMended) {
  const RouteSet before = Together(Routes(50, 20, "192.168.0.1"), Routes(60, 20, "192.168.0.1"));
  const RouteSet after = Together(Routes(50, 20, "192.168.0.2"), Routes(70, 20, "192.168.0.1"));
  for (int restart_at : {1, 2}) {
    SCOPED_TRACE(restart_at);
    ASSERT_EQ(Reconcile(before), Status::Ok());
    int steps = 0;
    FrrOptions options = Options();
    options.may_write = [&] {
      if (++steps == restart_at) {
        frr_->Kill("staticd");
        frr_->Start("staticd");
      }
      return true;
    };
    const std::vector<RouteResult> results = Pass(*Make(options), after);
    // The batch may have come to the new one as a whole; whatever is said is true.
    const RouteSet now = backend_->ReadOwned().value();
    for (const RouteResult& result : results) {
      const bool deletes = result.change.action == RouteAction::kDelete;
      if (deletes && !result.status.ok()) continue;  // It is not there, and may come back.
      EXPECT_EQ(result.status.ok() != deletes, HasRoute(now, result.change.route));
    }
    EXPECT_GE(steps, restart_at);
    ASSERT_EQ(Reconcile(after), Status::Ok());
    ExpectJust(after);
  }
}

// At each of the times when it asks for the permission, which is before each step.
TEST_F(FrrBatchTest, AStaticdThatHangsInTheMiddleIsAnErrorAndMendedLater) {
  const RouteSet before = Together(Routes(50, 2, "192.168.0.1"), Routes(60, 1, "192.168.0.1"));
  const RouteSet after = Together(Routes(50, 2, "192.168.0.2"), Routes(70, 1, "192.168.0.1"));
  ASSERT_EQ(Reconcile(before), Status::Ok());
  AwaitKernel("-4",
              "10.50.0.0/24 192.168.0.1\n10.50.1.0/24 192.168.0.1\n10.60.0.0/24 192.168.0.1\n");
  for (int stop_at : {1, 2}) {
    SCOPED_TRACE(stop_at);
    int steps = 0;
    FrrOptions options = Options();
    options.apply_timeout = std::chrono::seconds(3);
    options.may_write = [&] {
      if (++steps == stop_at) frr_->Signal("staticd", SIGSTOP);
      return true;
    };
    EXPECT_THAT(Pass(*Make(options), after),
                AllFail(StatusCode::kDeadlineExceeded, "does not answer"));
    EXPECT_EQ(steps, stop_at);
    // None of the old ones has gone: where the new next hop is there, it is beside the old one.
    const std::string kernel = Shell("ip route show proto 196");
    for (const char* old : {"10.50.0.0/24", "10.50.1.0/24", "10.60.0.0/24"}) {
      EXPECT_THAT(kernel, HasSubstr(old));
    }
    frr_->Signal("staticd", SIGCONT);
    ASSERT_EQ(Reconcile(after), Status::Ok());
    ExpectJust(after);
    ASSERT_EQ(Reconcile(before), Status::Ok());
    ExpectJust(before);
  }
}

}  // namespace
}  // namespace podroute
