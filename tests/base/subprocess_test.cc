#include "base/subprocess.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <string>
#include <string_view>
#include <thread>

#include "base/file.h"
#include "base/unique_fd.h"
#include "tests/base/temp_dir.h"

namespace podroute {
namespace {

using ::testing::StartsWith;

SubprocessOptions Shell(const std::string& script) {
  SubprocessOptions options;
  options.argv = {"sh", "-c", script};
  return options;
}

Result<SubprocessResult> RunIt(const SubprocessOptions& options) {
  return RunSubprocess(options, nullptr);
}

// Whether a process is there and is no zombie waiting for a parent that never asks.
bool IsAlive(const std::string& pid) {
  Result<std::string> stat = ReadFile("/proc/" + pid + "/stat");
  return stat.ok() && stat->find(") Z ") == std::string::npos;
}

TEST(SubprocessTest, CollectsBothOutputsAndTheExitCode) {
  Result<SubprocessResult> ran = RunIt(Shell("echo out; echo err >&2; exit 5"));
  ASSERT_TRUE(ran.ok()) << ran.status().message();
  EXPECT_EQ(ran->out, "out\n");
  EXPECT_EQ(ran->err, "err\n");
  EXPECT_EQ(ran->exit_code, 5);
  EXPECT_EQ(DescribeExit(*ran), "exit code 5");
}

TEST(SubprocessTest, CollectsMoreThanAPipeHolds) {
  Result<SubprocessResult> ran =
      RunIt(Shell("head -c 500000 /dev/zero; head -c 500000 /dev/zero >&2"));
  ASSERT_TRUE(ran.ok()) << ran.status().message();
  EXPECT_EQ(ran->out.size(), 500'000u);
  EXPECT_EQ(ran->err.size(), 500'000u);
}

TEST(SubprocessTest, NoShellTouchesTheArguments) {
  SubprocessOptions options;
  options.argv = {"printf", "%s|", "a b", "$HOME", "*", "", "'"};
  EXPECT_EQ(RunIt(options)->out, "a b|$HOME|*||'|");
}

TEST(SubprocessTest, TheEnvironmentIsOursWithAdditions) {
  setenv("PODROUTE_TEST_KEPT", "kept", 1);
  setenv("PODROUTE_TEST_REPLACED", "old", 1);
  SubprocessOptions options = Shell(
      "echo $PODROUTE_TEST_KEPT $PODROUTE_TEST_REPLACED $PODROUTE_TEST_NEW; env | grep -c "
      "REPLACED");
  options.environment = {
      {"PODROUTE_TEST_REPLACED", "new"}, {"PODROUTE_TEST_NEW", "1"}, {"PODROUTE_TEST_NEW", "2=2"}};
  EXPECT_EQ(RunIt(options)->out, "kept new 2=2\n1\n");
}

TEST(SubprocessTest, StandardInputIsEmpty) {
  EXPECT_EQ(RunIt(Shell("cat; echo end"))->out, "end\n");
}

SubprocessOptions ShellWithInput(const std::string& script, std::string_view text) {
  SubprocessOptions options = Shell(script);
  options.stdin_text = text;
  return options;
}

TEST(SubprocessTest, ATextIsItsStandardInput) {
  EXPECT_EQ(RunIt(ShellWithInput("cat; echo end", "some text\n"))->out, "some text\nend\n");
  EXPECT_EQ(RunIt(ShellWithInput("cat; echo end", ""))->out, "end\n");
  EXPECT_EQ(RunIt(ShellWithInput("cat /dev/stdin", "by its name"))->out, "by its name");
}

TEST(SubprocessTest, ATextMayBeLargerThanThePipesThatItGoesThrough) {
  std::string text(900'000, 'x');
  Result<SubprocessResult> ran = RunIt(ShellWithInput("cat", text));
  ASSERT_TRUE(ran.ok()) << ran.status().message();
  EXPECT_EQ(ran->out, text);
  EXPECT_EQ(ran->stdin_unread, 0u);
}

TEST(SubprocessTest, WhatNobodyReadOfTheTextIsCounted) {
  EXPECT_EQ(RunIt(ShellWithInput("exit 3", "twelve bytes"))->stdin_unread, 12u);
  EXPECT_EQ(RunIt(ShellWithInput("exec <&-; exit 0", "twelve bytes"))->stdin_unread, 12u);
  EXPECT_EQ(RunIt(ShellWithInput("head -c 7 | dd bs=1 count=7 status=none; exit 0", "seven b"))
                ->stdin_unread,
            0u);
  std::string text(900'000, 'x');
  Result<SubprocessResult> ran = RunIt(ShellWithInput("dd bs=1 count=5 status=none", text));
  ASSERT_TRUE(ran.ok()) << ran.status().message();
  EXPECT_EQ(ran->stdin_unread, text.size() - 5);
}

TEST(SubprocessTest, AProgramThatNeverReadsItsTextIsStillHeldToTheTimeLimit) {
  std::string text(900'000, 'x');
  SubprocessOptions options = ShellWithInput("exec sleep 100", text);
  options.timeout = std::chrono::milliseconds(50);
  EXPECT_EQ(RunIt(options).status().code(), StatusCode::kDeadlineExceeded);
}

TEST(SubprocessTest, DescriptorsOfOursAreNotInherited) {
  TempDir dir;
  std::string before = RunIt(Shell("ls /proc/self/fd | wc -l"))->out;
  EXPECT_EQ(std::stoi(before), 4);  // Three, and the one that ls reads the directory with.
}

TEST(SubprocessTest, SignalsAreUnblockedAndAtTheirDefaults) {
  sigset_t blocked, before;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &blocked, &before);
  auto handler = signal(SIGPIPE, SIG_IGN);
  Result<SubprocessResult> terminated = RunIt(Shell("kill -TERM $$"));
  Result<SubprocessResult> piped = RunIt(Shell("kill -PIPE $$"));
  signal(SIGPIPE, handler);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  ASSERT_TRUE(terminated.ok() && piped.ok());
  EXPECT_EQ(terminated->signal, SIGTERM);
  EXPECT_EQ(DescribeExit(*terminated), "signal 15 (Terminated)");
  EXPECT_EQ(piped->signal, SIGPIPE);
}

TEST(SubprocessTest, WhatCannotBeStartedSaysWhy) {
  TempDir dir;
  struct {
    std::string program;
    StatusCode code;
  } cases[] = {
      {"podroute-no-such-program", StatusCode::kNotFound},
      {dir.File("absent"), StatusCode::kNotFound},
      {dir.Write("data", "x"), StatusCode::kPermissionDenied},
      {dir.path(), StatusCode::kPermissionDenied},
      {dir.Write("interpreter", "#!/no/such/interpreter\n", 0755), StatusCode::kNotFound},
      // ENOEXEC: no shell is tried instead.
      {dir.Write("format", "echo hello\n", 0755), StatusCode::kInternal},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.program);
    SubprocessOptions options;
    options.argv = {c.program};
    Result<SubprocessResult> ran = RunIt(options);
    ASSERT_FALSE(ran.ok());
    EXPECT_EQ(ran.status().code(), c.code);
    EXPECT_THAT(ran.status().message(), StartsWith("start " + c.program + ": "));
  }
}

TEST(SubprocessTest, TooMuchOutputIsAnErrorAndEndsIt) {
  SubprocessOptions options = Shell("yes");
  options.max_output_bytes = 1000;
  EXPECT_EQ(RunIt(options).status(),
            Status(StatusCode::kInvalidArgument, "sh: wrote more than 1000 bytes"));
  options = Shell("yes >&2");
  options.max_output_bytes = 1000;
  EXPECT_FALSE(RunIt(options).ok());
}

TEST(SubprocessTest, TimeoutKillsTheWholeGroup) {
  TempDir dir;
  SubprocessOptions options = Shell("sleep 1000 & echo $! > " + dir.File("child") + "; echo $$ > " +
                                    dir.File("parent") + "; wait");
  options.timeout = std::chrono::milliseconds(300);
  Result<SubprocessResult> ran = RunIt(options);
  EXPECT_EQ(ran.status(), Status(StatusCode::kDeadlineExceeded, "sh: did not end within 0.3 s"));
  Result<std::string> child = ReadFile(dir.File("child"));
  // On a very busy machine the time may have been up before the shell began.
  if (child.ok() && !child->empty()) {
    child->pop_back();
    while (IsAlive(*child)) std::this_thread::yield();
  }
}

TEST(SubprocessTest, IgnoringSigtermDoesNotHelpIt) {
  SubprocessOptions options = Shell("trap '' TERM INT HUP; while :; do sleep 1000; done");
  options.timeout = std::chrono::milliseconds(100);
  EXPECT_EQ(RunIt(options).status().code(), StatusCode::kDeadlineExceeded);
}

TEST(SubprocessTest, StopCancels) {
  TempDir dir;
  StopToken stop;
  std::string started = dir.File("started");
  std::thread stopper([&] {
    while (access(started.c_str(), F_OK) != 0) std::this_thread::yield();
    stop.Stop();
  });
  Result<SubprocessResult> ran = RunSubprocess(Shell("echo > " + started + "; sleep 1000"), &stop);
  stopper.join();
  EXPECT_EQ(ran.status().code(), StatusCode::kCancelled);
  EXPECT_EQ(RunSubprocess(Shell("true"), &stop).status().code(), StatusCode::kCancelled);
}

TEST(SubprocessTest, WhatItLeavesRunningIsNotWaitedFor) {
  TempDir dir;
  Result<SubprocessResult> ran =
      RunIt(Shell("sleep 1000 & echo $! > " + dir.File("child") + "; echo done"));
  ASSERT_TRUE(ran.ok()) << ran.status().message();
  EXPECT_EQ(ran->out, "done\n");
  kill(std::stoi(*ReadFile(dir.File("child"))), SIGKILL);
}

TEST(SubprocessTest, ManyAtOnceFromManyThreads) {
  std::vector<std::thread> threads;
  threads.reserve(8);
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([i] {
      for (int j = 0; j < 5; ++j) {
        Result<SubprocessResult> ran = RunIt(Shell("echo " + std::to_string(i * 10 + j)));
        ASSERT_TRUE(ran.ok());
        EXPECT_EQ(ran->out, std::to_string(i * 10 + j) + "\n");
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(SubprocessTest, TheTextMayBeMadeWhileTheProgramStarts) {
  std::string text;
  SubprocessOptions options = Shell("cat; echo end");
  options.late_stdin_text = [&]() -> std::string_view {
    text = RunIt(Shell("echo made"))->out;
    return text;
  };
  EXPECT_EQ(RunIt(options)->out, "made\nend\n");
  options.late_stdin_text = [] { return std::string_view(); };
  EXPECT_EQ(RunIt(options)->out, "end\n");
}

// Its text is longer than a pipe: what the program finds there was cut off by our end.
TEST(SubprocessTest, OneThatIsKilledInTheMiddleOfItsTextHasWrittenNoPartOfALine) {
  TempDir dir;
  std::string text;
  for (int i = 0; i < 10000; ++i) text += "ip route 10.0.0.0/24 192.168.0.111 tag 110\n";
  const pid_t writer = fork();
  ASSERT_GE(writer, 0);
  if (writer == 0) {
    SubprocessOptions options =
        Shell("trap '' HUP; echo $$ >" + dir.File("pid.new") + "; mv " + dir.File("pid.new") + " " +
              dir.File("pid") + "; kill -STOP $$; cat >" + dir.File("all.new") + "; mv " +
              dir.File("all.new") + " " + dir.File("all"));
    options.stdin_text = text;
    (void)RunIt(options);
    _exit(0);
  }
  auto await = [](const std::function<bool()>& so) {
    while (!so()) poll(nullptr, 0, 1);
  };
  await([&] { return ReadFile(dir.File("pid")).ok(); });
  const std::string pid =
      ReadFile(dir.File("pid"))->substr(0, ReadFile(dir.File("pid"))->find('\n'));
  await([&] { return ReadFile("/proc/" + pid + "/stat")->find(") T ") != std::string::npos; });
  // Until the pipe is full, and it waits.
  await([&] {
    int bytes = 0;
    UniqueFd pipe(open(("/proc/" + pid + "/fd/0").c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    return ioctl(pipe.get(), FIONREAD, &bytes) == 0 && bytes > 60000;
  });
  kill(writer, SIGKILL);
  ASSERT_EQ(waitpid(writer, nullptr, 0), writer);
  kill(static_cast<pid_t>(std::stol(pid)), SIGCONT);
  await([&] { return ReadFile(dir.File("all")).ok(); });
  const std::string all = ReadFile(dir.File("all")).value();
  EXPECT_GT(all.size(), 60000u);
  EXPECT_TRUE(all.ends_with(" tag 110\n")) << all.substr(all.size() - 50);
}

}  // namespace
}  // namespace podroute
