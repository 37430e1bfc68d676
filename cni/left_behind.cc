#include "cni/left_behind.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <vector>

namespace podroute {
namespace {

// False when one of them could not be kept.
bool KeepOnly(std::initializer_list<int> keep) {
  constexpr int kAside = 64;  // Above the places that they are to get.
  std::vector<int> aside;
  for (int fd : keep) aside.push_back(fcntl(fd, F_DUPFD, kAside));
  int place = 0;
  for (int fd : aside) {
    if (fd < 0 || dup2(fd, place++) < 0) return false;
  }
  // Linux 5.9. Before it, what a plugin has open is within the first few.
  if (syscall(SYS_close_range, static_cast<unsigned>(place), ~0u, 0u) != 0) {
    constexpr int kMostFds = 256;
    for (int fd = place; fd < kMostFds; ++fd) close(fd);
  }
  return true;
}

}  // namespace

pid_t LeaveBehind(std::initializer_list<int> keep, const std::function<void()>& work) {
  pid_t child = fork();
  if (child != 0) return child;
  if (KeepOnly(keep)) work();
  _exit(0);
}

}  // namespace podroute
