// What the BIRD backend does when something is in the way: a refusal, a daemon that is gone or
// hangs, a full disk, a permission that ends, a kill in the middle.
#include <gtest/gtest.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <thread>
#include <vector>

#include "tests/routing/bird_test_util.h"

namespace podroute {
namespace {

const RouteSet kOld = {BirdRoute("10.244.1.0/24", "192.168.0.11", "node1"),
                       BirdRoute("fd01:0:0:1::/64", "fd00::11", "node1")};
const RouteSet kNew = {BirdRoute("10.244.1.0/24", "192.168.0.11", "node1"),
                       BirdRoute("10.244.2.0/24", "192.168.0.12", "node2"),
                       BirdRoute("fd01:0:0:2::/64", "fd00::12", "node2")};

class BirdFaultsTest : public BirdTest {
 protected:
  void StartWithOld() {
    StartBoth();
    ASSERT_TRUE(AllOk(Reconcile(kOld)));
    ExpectInPlace(kOld);
  }
  // All of the plan's changes failed with one message; that.
  static std::string Failure(const std::vector<RouteResult>& results) {
    if (results.empty()) return "no results";
    for (const RouteResult& result : results) {
      EXPECT_FALSE(result.status.ok());
      EXPECT_EQ(result.status.message(), results[0].status.message());
    }
    return results[0].status.message();
  }
  void AwaitEvent() {
    pollfd waiting = {.fd = backend_->event_fd(), .events = POLLIN, .revents = 0};
    ASSERT_EQ(poll(&waiting, 1, 60000), 1) << "nothing was noticed";
    backend_->DrainEvents();
  }
  void ExpectNoUndoPending() {
    EXPECT_EQ(bird_->Birdc("configure status").find("undo in"), std::string::npos);
  }
};

TEST_F(BirdFaultsTest, WhatBirdRefusesIsTakenBack) {
  StartWithOld();
  const std::string conf = Slurp(bird_->conf_path());
  bird_->WriteConf(conf + "protocol nonsense {}\n");
  const std::string failure = Failure(Reconcile(kNew));
  // File, line and text as BIRD has them.
  EXPECT_NE(failure.find(bird_->conf_path() + ":6:"), std::string::npos) << failure;
  EXPECT_NE(failure.find("syntax error"), std::string::npos) << failure;
  EXPECT_EQ(Slurp(bird_->file_path()), RenderBirdConfig(kOld, ""));
  bird_->WriteConf(conf);
  ExpectInPlace(kOld);
  EXPECT_TRUE(AllOk(Reconcile(kNew)));
  ExpectInPlace(kNew);
}

// So many that `configure timeout` alone has to refuse them.
TEST_F(BirdFaultsTest, WhatBirdRefusesOfManyRoutesIsTakenBackToo) {
  StartWithOld();
  const std::string conf = Slurp(bird_->conf_path());
  bird_->WriteConf(conf + "protocol nonsense {}\n");
  RouteSet many;
  for (int i = 0; i < 4000; ++i) {
    many.push_back(BirdRoute(
        "10." + std::to_string(i / 250) + "." + std::to_string(i % 250) + ".0/24", "192.168.0.11"));
  }
  const std::string failure = Failure(Reconcile(many));
  EXPECT_NE(failure.find(bird_->conf_path() + ":6:"), std::string::npos) << failure;
  EXPECT_EQ(Slurp(bird_->file_path()), RenderBirdConfig(kOld, ""));
  bird_->WriteConf(conf);
  ExpectInPlace(kOld);
  EXPECT_TRUE(AllOk(Reconcile(many)));
  ExpectInPlace(many);
}

TEST_F(BirdFaultsTest, AProtocolOfTheOperatorsWithOurNameIsRefusedByBird) {
  bird_->WriteConf(bird_->DefaultConf() + "protocol static podroute4 { ipv4; }\n");
  bird_->Start();
  backend_ = NewBackend(options_);
  const std::string failure = Failure(Reconcile(kNew));
  EXPECT_NE(failure.find(bird_->conf_path() + ":6:"), std::string::npos) << failure;
  EXPECT_EQ(Slurp(bird_->file_path()), RenderBirdConfig({}, ""));
  ExpectNothingLeft();
}

TEST_F(BirdFaultsTest, AProtocolOfAnotherKindWithOurNameIsLeftAlone) {
  bird_->WriteConf("router id 1.1.1.1; protocol device podroute4 {}\n");
  bird_->Start();
  backend_ = NewBackend(options_);
  const Result<RouteSet> routes = backend_->ReadOwned();
  ASSERT_FALSE(routes.ok());
  EXPECT_NE(routes.status().message().find("podroute4"), std::string::npos);
}

TEST_F(BirdFaultsTest, AMissingIncludeIsOneClearError) {
  bird_->WriteConf("router id 192.168.0.1;\nprotocol device {}\n");
  StartBoth();
  EXPECT_TRUE(ReadOrDie().empty());
  const std::string failure = Failure(Reconcile(kNew));
  EXPECT_NE(failure.find("add this line to it: include \"" + bird_->file_path() + "\";"),
            std::string::npos)
      << failure;
  EXPECT_NE(failure.find(bird_->conf_path()), std::string::npos) << failure;
  EXPECT_EQ(failure.find('\n'), std::string::npos);
  ExpectNoUndoPending();
  ExpectNothingLeft();
  // The file is there for the line to find, and then all is well.
  EXPECT_EQ(Slurp(bird_->file_path()), RenderBirdConfig(kNew, ""));
  bird_->WriteConf("router id 192.168.0.1;\nprotocol device {}\ninclude \"" + bird_->file_path() +
                   "\";\n");
  EXPECT_TRUE(AllOk(Reconcile(kNew)));
  ExpectInPlace(kNew);
}

TEST_F(BirdFaultsTest, AnIncludeThatIsTakenOutIsSaid) {
  StartWithOld();
  bird_->WriteConf("router id 192.168.0.1;\nprotocol device {}\n");
  bird_->Birdc("configure");
  EXPECT_TRUE(ReadOrDie().empty());
  EXPECT_NE(Failure(Reconcile(kOld)).find("include \""), std::string::npos);
  bird_->WriteConf(bird_->DefaultConf());
  EXPECT_TRUE(AllOk(Reconcile(kOld)));
  ExpectInPlace(kOld);
}

TEST_F(BirdFaultsTest, ABirdThatReadsAnotherFileIsNoticedAndUndone) {
  StartWithOld();
  const std::string frozen = bird_->File("frozen.conf");
  Shell("cp " + bird_->file_path() + " " + frozen);
  bird_->WriteConf("router id 192.168.0.1;\nprotocol device {}\ninclude \"" + frozen + "\";\n");
  const std::string failure = Failure(Reconcile(kNew));
  EXPECT_NE(failure.find("has not what " + bird_->file_path()), std::string::npos) << failure;
  EXPECT_EQ(Slurp(bird_->file_path()), RenderBirdConfig(kOld, ""));
  ExpectNoUndoPending();
  ExpectNothingLeft();
}

TEST_F(BirdFaultsTest, ABirdThatIsGoneAndBackIsNoticed) {
  StartWithOld();
  bird_->Kill();
  AwaitEvent();
  const Result<RouteSet> gone = backend_->ReadOwned();
  EXPECT_EQ(gone.status().code(), StatusCode::kUnavailable) << gone.status().message();
  EXPECT_NE(gone.status().message().find(bird_->socket_path()), std::string::npos);
  const std::string failure = Failure(backend_->Apply(Plan({}, kNew), kNew));
  EXPECT_NE(failure.find(bird_->socket_path()), std::string::npos) << failure;
  // The file is as it was: BIRD starts with it.
  EXPECT_EQ(Slurp(bird_->file_path()), RenderBirdConfig(kOld, ""));
  bird_->Start();
  AwaitEvent();
  EXPECT_TRUE(Plan(ReadOrDie(), kOld).empty());
  EXPECT_TRUE(AllOk(Reconcile(kNew)));
  ExpectInPlace(kNew);
}

TEST_F(BirdFaultsTest, ABirdThatCameBackBetweenTwoChangesIsAskedAnew) {
  StartWithOld();
  bird_->Kill();
  bird_->Start();
  // No reading in between: the connection of the last change is dead.
  EXPECT_TRUE(AllOk(backend_->Apply(Plan(kOld, kNew), kNew)));
  ExpectInPlace(kNew);
}

TEST_F(BirdFaultsTest, ABirdThatRestartedWithAnOldFileGetsItsRoutes) {
  StartWithOld();
  const std::string old = Slurp(bird_->file_path());
  ASSERT_TRUE(AllOk(Reconcile(kNew)));
  bird_->Kill();
  for (const std::string& text : {old, RenderBirdConfig({}, ""), std::string()}) {
    Spill(bird_->file_path(), text);
    bird_->Start();
    EXPECT_TRUE(AllOk(Reconcile(kNew)));
    ExpectInPlace(kNew);
    bird_->Kill();
  }
  // Started without a file at all.
  Shell("rm " + bird_->file_path());
  bird_->Start();
  EXPECT_TRUE(AllOk(Reconcile(kNew)));
  ExpectInPlace(kNew);
}

TEST_F(BirdFaultsTest, ABirdThatCannotStartWithoutOurFileGetsOne) {
  bird_->WriteConf("router id 192.168.0.1;\nprotocol device {}\ninclude \"" + bird_->file_path() +
                   "\";\n");
  EXPECT_FALSE(bird_->TryStart());
  backend_ = NewBackend(options_);
  EXPECT_FALSE(backend_->ReadOwned().ok());
  EXPECT_EQ(Slurp(bird_->file_path()), RenderBirdConfig({}, ""));
  bird_->Start();
  EXPECT_TRUE(AllOk(Reconcile(kNew)));
  ExpectInPlace(kNew);
  // Nor with a broken one; it gets what it had.
  bird_->Kill();
  Spill(bird_->file_path(), "garbage");
  EXPECT_FALSE(bird_->TryStart());
  EXPECT_FALSE(backend_->ReadOwned().ok());
  bird_->Start();
  ExpectInPlace(kNew);
}

TEST_F(BirdFaultsTest, AHangingBirdIsAnErrorWithinTheLimit) {
  StartWithOld();
  options_.apply_timeout = std::chrono::milliseconds(300);
  backend_ = NewBackend(options_);
  bird_->Signal(SIGSTOP);
  Result<RouteSet> routes = backend_->ReadOwned();
  EXPECT_EQ(routes.status().code(), StatusCode::kDeadlineExceeded) << routes.status().message();
  EXPECT_NE(Failure(backend_->Apply(Plan(kOld, kNew), kNew)).find("hangs"), std::string::npos);
  EXPECT_EQ(Slurp(bird_->file_path()), RenderBirdConfig(kOld, ""));
  bird_->Signal(SIGCONT);
  options_.apply_timeout = std::chrono::seconds(60);
  backend_ = NewBackend(options_);
  EXPECT_TRUE(AllOk(Reconcile(kNew)));
  ExpectInPlace(kNew);
}

// At each of the times when it asks for the permission, which is before each step.
TEST_F(BirdFaultsTest, ABirdThatHangsInTheMiddleOfAChangeIsAnErrorAndMendedLater) {
  StartWithOld();
  int steps = 0;
  for (int stop_at = 1;; ++stop_at) {
    SCOPED_TRACE(stop_at);
    steps = 0;
    BirdOptions options = options_;
    options.may_write = [&] {
      if (++steps == stop_at) bird_->Signal(SIGSTOP);
      return true;
    };
    options.apply_timeout = std::chrono::seconds(1);
    backend_ = NewBackend(options);
    const std::vector<RouteResult> results = Reconcile(kNew);
    if (steps < stop_at) break;
    EXPECT_NE(Failure(results).find("BIRD on "), std::string::npos) << Failure(results);
    EXPECT_EQ(Slurp(bird_->file_path()), RenderBirdConfig(kOld, ""));
    bird_->Signal(SIGCONT);
    bird_->Birdc("show status");  // What was in its queue has been done.
    options.may_write = nullptr;
    options.apply_timeout = std::chrono::seconds(60);
    // Whatever it was asked before it hung it does now, and would undo it later.
    backend_ = NewBackend(options);
    EXPECT_TRUE(AllOk(Reconcile(kOld)));
    ExpectInPlace(kOld);
  }
  EXPECT_GE(steps, 5);
  ExpectInPlace(kNew);
}

TEST_F(BirdFaultsTest, AStopEndsAWaitForAHangingBird) {
  StopToken stop;
  options_.stop = &stop;
  options_.apply_timeout = std::chrono::minutes(10);
  StartWithOld();
  bird_->Signal(SIGSTOP);
  std::thread stopper([&] { stop.Stop(); });
  EXPECT_EQ(backend_->Apply(Plan(kOld, kNew), kNew)[0].status.code(), StatusCode::kCancelled);
  stopper.join();
  EXPECT_EQ(backend_->ReadOwned().status().code(), StatusCode::kCancelled);
  bird_->Signal(SIGCONT);
}

TEST_F(BirdFaultsTest, WithoutThePermissionNothingChanges) {
  bool permitted = true;
  options_.may_write = [&] { return permitted; };
  StartWithOld();
  permitted = false;
  const std::vector<RouteResult> results = Reconcile(kNew);
  EXPECT_EQ(results[0].status.code(), StatusCode::kCancelled);
  ExpectInPlace(kOld);
}

// Whoever has it next puts right what was left.
TEST_F(BirdFaultsTest, APermissionThatEndsInTheMiddleEndsTheChange) {
  StartWithOld();
  int steps = 0;
  for (int last = 0;; ++last) {
    SCOPED_TRACE(last);
    steps = 0;
    BirdOptions options = options_;
    options.may_write = [&] { return steps++ < last; };
    backend_ = NewBackend(options);
    const std::vector<RouteResult> results = Reconcile(kNew);
    if (steps <= last) break;
    EXPECT_EQ(results[0].status.code(), StatusCode::kCancelled) << Failure(results);
    // One more that asks in vain is the last.
    EXPECT_LE(steps, last + 2);
    const std::string text = Slurp(bird_->file_path());
    EXPECT_TRUE(text == RenderBirdConfig(kOld, "") || text == RenderBirdConfig(kNew, ""));
    backend_ = NewBackend(options_);
    EXPECT_TRUE(AllOk(Reconcile(kOld)));
    ExpectInPlace(kOld);
  }
  EXPECT_GE(steps, 5);
}

// Killed before each of its steps.
TEST_F(BirdFaultsTest, AKillInTheMiddleLeavesAWholeFileAndIsMended) {
  StartWithOld();
  backend_.reset();
  bool ended = false;
  for (int kill_at = 1; !ended; ++kill_at) {
    SCOPED_TRACE(kill_at);
    const pid_t pid = fork();
    ASSERT_GE(pid, 0);
    if (pid == 0) {
      int steps = 0;
      BirdOptions options = options_;
      options.may_write = [&] {
        if (++steps == kill_at) raise(SIGKILL);
        return true;
      };
      _exit(AllOk(Reconcile(*NewBackend(options), kNew)) ? 0 : 1);
    }
    int status = 0;
    ASSERT_EQ(waitpid(pid, &status, 0), pid);
    ended = WIFEXITED(status);
    EXPECT_TRUE(!ended || WEXITSTATUS(status) == 0);
    EXPECT_TRUE(ended || kill_at < 20);
    const std::string text = Slurp(bird_->file_path());
    EXPECT_TRUE(text == RenderBirdConfig(kOld, "") || text == RenderBirdConfig(kNew, "")) << text;
    // Also the same change once more: what BIRD has of it is not confirmed.
    const RouteSet& next = kill_at % 2 == 0 ? kNew : kOld;
    backend_ = NewBackend(options_);
    EXPECT_TRUE(AllOk(Reconcile(next)));
    ExpectInPlace(next);
    EXPECT_TRUE(AllOk(Reconcile(kOld)));
  }
}

TEST_F(BirdFaultsTest, AnOperatorsUnconfirmedConfigurationIsNotConfirmedByUs) {
  StartWithOld();
  options_.apply_timeout = std::chrono::seconds(1);
  backend_ = NewBackend(options_);
  bird_->Birdc("configure timeout 300");
  const std::string failure = Failure(Reconcile(kNew));
  EXPECT_NE(failure.find("configure timeout"), std::string::npos) << failure;
  EXPECT_NE(bird_->Birdc("configure status").find("undo in"), std::string::npos);
  EXPECT_EQ(Slurp(bird_->file_path()), RenderBirdConfig(kOld, ""));
  bird_->Birdc("configure confirm");
  EXPECT_TRUE(AllOk(Reconcile(kNew)));
  ExpectInPlace(kNew);
}

TEST_F(BirdFaultsTest, AFullDiskLeavesTheOldFile) {
  if (unshare(CLONE_NEWNS) != 0 || mount("", "/", "", MS_REC | MS_PRIVATE, nullptr) != 0) {
    GTEST_SKIP() << "no mount namespaces here";
  }
  const std::string tiny = bird_->File("tiny");
  Shell("mkdir " + tiny + " && mount -t tmpfs -o size=32k tiny " + tiny);
  options_.file_path = tiny + "/podroute.conf";
  bird_->WriteConf("router id 192.168.0.1;\nprotocol device {}\ninclude \"" + tiny +
                   "/podroute[.]conf\";\n");
  StartBoth();
  ASSERT_TRUE(AllOk(Reconcile(kOld)));
  RouteSet many;
  for (int i = 0; i < 1000; ++i) {
    many.push_back(BirdRoute(
        "10." + std::to_string(i / 250) + "." + std::to_string(i % 250) + ".0/24", "192.168.0.11"));
  }
  const std::string failure = Failure(Reconcile(many));
  EXPECT_NE(failure.find("No space left on device"), std::string::npos) << failure;
  EXPECT_EQ(Slurp(options_.file_path), RenderBirdConfig(kOld, ""));
  EXPECT_EQ(Shell("ls -A " + tiny), "podroute.conf\n");
  EXPECT_TRUE(Plan(ReadOrDie(), kOld).empty());
  EXPECT_TRUE(AllOk(Reconcile(kNew)));
  backend_.reset();
  bird_->Kill();
  Shell("umount " + tiny);
}

TEST_F(BirdFaultsTest, ADirectoryThatIsNotThereIsAnErrorThatNamesIt) {
  options_.file_path = bird_->File("none/podroute.conf");
  StartBoth();
  EXPECT_NE(Failure(Reconcile(kNew)).find(bird_->File("none")), std::string::npos);
  // And noticed when it comes.
  Shell("mkdir " + bird_->File("none"));
  AwaitEvent();
}

TEST(BirdOptionsTest, PathsThatCannotBeAreRefused) {
  for (const char* bad : {"", "podroute.conf", "/etc/bird/", "/etc/bi\"rd", "/etc/x\ny"}) {
    EXPECT_FALSE(BirdBackend::Create({.file_path = bad}).ok()) << bad;
  }
  EXPECT_FALSE(BirdBackend::Create({.socket_path = "bird.ctl"}).ok());
}

}  // namespace
}  // namespace podroute
