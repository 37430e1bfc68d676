// What a child that is left behind has, and has not.
#include "cni/left_behind.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>

#include "cni/netfilter_socket.h"
#include "tests/lab/netns.h"

namespace podroute {
namespace {

void ReapAll() {
  while (waitpid(-1, nullptr, 0) > 0 || errno == EINTR) {
  }
}

TEST(LeaveBehindTest, ChildHasOnlyWhatItIsToKeepInThatOrder) {
  int first[2];
  int second[2];
  ASSERT_EQ(pipe2(first, O_CLOEXEC), 0);
  ASSERT_EQ(pipe2(second, O_CLOEXEC), 0);
  ASSERT_GT(LeaveBehind({second[1], first[1]},
                        [] {
                          std::string open;
                          for (int fd = 0; fd < 100; ++fd) {
                            if (fcntl(fd, F_GETFD) >= 0) open += std::to_string(fd) + " ";
                          }
                          (void)!write(1, open.data(), open.size());
                          (void)!write(0, "second", 6);
                        }),
            0);
  close(first[1]);
  close(second[1]);
  char text[100] = {};
  EXPECT_EQ(read(second[0], text, sizeof text - 1), 6);
  EXPECT_STREQ(text, "second");
  ssize_t size = read(first[0], text, sizeof text - 1);
  EXPECT_EQ(std::string(text, static_cast<size_t>(std::max<ssize_t>(size, 0))), "0 1 ");
  close(first[0]);
  close(second[0]);
  ReapAll();
}

// In place a child writes what it has open without a string of its own.
void TellWhatIsOpen() {
  for (int fd = 0; fd < 100; ++fd) {
    char name = static_cast<char>('0' + fd);
    if (fcntl(fd, F_GETFD) >= 0) (void)!write(1, &name, 1);
  }
}

TEST(LeaveBehindTest, ChildrenInPlaceHaveOnlyWhatTheyAreToKeepAndDoNotDisturbEachOther) {
  constexpr int kChildren = 20;
  int ends[kChildren][2];
  for (auto& pair : ends) {
    ASSERT_EQ(pipe2(pair, O_CLOEXEC), 0);
    ASSERT_GT(LeaveBehindInPlace(pair[0], pair[1], TellWhatIsOpen), 0);
  }
  for (auto& pair : ends) {
    close(pair[1]);
    char text[100] = {};
    std::string all;
    ssize_t size;
    while ((size = read(pair[0], text, sizeof text)) > 0)
      all.append(text, static_cast<size_t>(size));
    EXPECT_EQ(all, "01");
    close(pair[0]);
  }
  ReapAll();
}

TEST(LeaveBehindTest, ClosedSocketIsClosedHereOnReturnAndEverywhereSoon) {
  Status entered = EnterPrivateNetns();
  if (!entered.ok()) GTEST_SKIP() << "no network namespaces here: " << entered.message();
  Result<NetfilterSocket> socket = OpenNetfilter();
  if (!socket.ok()) GTEST_SKIP() << "no netfilter here: " << socket.status().message();
  int fd = (*socket)->fd();
  socket->reset();
  EXPECT_EQ(fcntl(fd, F_GETFD), -1);
  EXPECT_EQ(errno, EBADF);
  // The child sees that the pipe's other end is closed, and ends: else this waits for ever.
  ReapAll();
}

}  // namespace
}  // namespace podroute
