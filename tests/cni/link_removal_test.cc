// A link is gone when RemoveLink returns, and nothing of the caller's stays open behind it.
#include "cni/link_removal.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "tests/cni/cni_test_util.h"
#include "tests/lab/netns.h"

namespace podroute {
namespace {

class RemoveLinkTest : public ::testing::Test {
 protected:
  void SetUp() override {
    Status entered = EnterPrivateNetns();
    if (!entered.ok()) GTEST_SKIP() << "no network namespaces here: " << entered.message();
  }
  void TearDown() override { ReapAll(); }

  static void ReapAll() {
    while (waitpid(-1, nullptr, 0) > 0 || errno == EINTR) {
    }
  }
};

TEST_F(RemoveLinkTest, IsGoneWithItsOtherEndOnReturn) {
  Shell("ip link add bridge0 type bridge && ip link set bridge0 up");
  TestPod pod;
  for (int round = 0; round < 20; ++round) {
    Shell("ip link add plug0 type veth peer name eth0 && ip link set plug0 master bridge0 up");
    Shell("ip link set eth0 netns " + pod.path());
    pod.Run("ip link set eth0 up && ip addr add 10.1.0.2/24 dev eth0");
    Result<bool> removed = RemoveLink("plug0");
    ASSERT_TRUE(removed.ok()) << removed.status().message();
    EXPECT_TRUE(*removed);
    EXPECT_NE(TryShell("ip link show plug0 2>/dev/null"), 0);
    EXPECT_NE(pod.Try("ip link show eth0 2>/dev/null"), 0);
    EXPECT_EQ(Shell("ip -o link show master bridge0"), "");
  }
}

TEST_F(RemoveLinkTest, NameIsFreeOnReturn) {
  for (int round = 0; round < 20; ++round) {
    Shell("ip link add plug0 type veth peer name plug1");
    ASSERT_TRUE(RemoveLink("plug0").ok());
  }
}

TEST_F(RemoveLinkTest, SaysThatThereIsNone) {
  Result<bool> removed = RemoveLink("nothing0");
  ASSERT_TRUE(removed.ok()) << removed.status().message();
  EXPECT_FALSE(*removed);
}

TEST_F(RemoveLinkTest, TellsTheKernelsRefusal) {
  Result<bool> removed = RemoveLink("lo");
  ASSERT_FALSE(removed.ok());
  EXPECT_NE(removed.status().message().find("delete link lo"), std::string::npos)
      << removed.status().message();
  EXPECT_NE(removed.status().message().find("EOPNOTSUPP"), std::string::npos)
      << removed.status().message();
}

// The child may outlive its caller: a lock or a pipe in its hands would keep others waiting.
TEST_F(RemoveLinkTest, KeepsNothingOfTheCallersOpen) {
  Shell("ip link add plug0 type veth peer name plug1");
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);  // Not close-on-exec, as a runtime's standard output is not.
  char path[] = "/tmp/podroute-lock-XXXXXX";
  int lock = mkstemp(path);
  ASSERT_GE(lock, 0);
  ASSERT_EQ(flock(lock, LOCK_EX), 0);
  ASSERT_TRUE(RemoveLink("plug0").ok());

  close(lock);
  int again = open(path, O_RDONLY | O_CLOEXEC);
  EXPECT_EQ(flock(again, LOCK_EX | LOCK_NB), 0) << "the lock is still held";
  close(again);
  unlink(path);

  close(ends[1]);
  ASSERT_EQ(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
  char byte;
  EXPECT_EQ(read(ends[0], &byte, 1), 0) << "the pipe is still open for writing";
  close(ends[0]);
}

// A program started by mistake with SIGCHLD ignored has its children reaped by the kernel.
TEST_F(RemoveLinkTest, WorksWhereChildrenAreNotWaitedFor) {
  Shell("ip link add plug0 type veth peer name plug1");
  signal(SIGCHLD, SIG_IGN);
  Result<bool> removed = RemoveLink("plug0");
  signal(SIGCHLD, SIG_DFL);
  ASSERT_TRUE(removed.ok()) << removed.status().message();
}

}  // namespace
}  // namespace podroute
