#include "cni/left_behind.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <vector>

namespace podroute {
namespace {

// Closes all descriptors from `first` on.
void CloseFrom(int first) {
  // Linux 5.9. Before it, what a plugin has open is within the first few.
  if (syscall(SYS_close_range, static_cast<unsigned>(first), ~0u, 0u) == 0) return;
  constexpr int kMostFds = 256;
  for (int fd = first; fd < kMostFds; ++fd) close(fd);
}

// Sanitizers keep books for each thread, and a child in place is none that they know.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

constexpr int kAside = 64;  // Above the places that descriptors are to get.

struct Orders {
  int first, second;
  void (*work)();
};

int CarryOut(void* orders) {
  const Orders& given = *static_cast<const Orders*>(orders);
  int first = fcntl(given.first, F_DUPFD, kAside);
  int second = fcntl(given.second, F_DUPFD, kAside);
  if (first < 0 || second < 0 || dup2(first, 0) < 0 || dup2(second, 1) < 0) return 0;
  CloseFrom(2);
  given.work();
  return 0;
}

// False when one of them could not be kept.
bool KeepOnly(std::initializer_list<int> keep) {
  std::vector<int> aside;
  for (int fd : keep) aside.push_back(fcntl(fd, F_DUPFD, kAside));
  int place = 0;
  for (int fd : aside) {
    if (fd < 0 || dup2(fd, place++) < 0) return false;
  }
  CloseFrom(place);
  return true;
}

}  // namespace

pid_t LeaveBehind(std::initializer_list<int> keep, const std::function<void()>& work) {
  pid_t child = fork();
  if (child != 0) return child;
  if (KeepOnly(keep)) work();
  _exit(0);
}

pid_t LeaveBehindInPlace(int first, int second, void (*work)()) {
  if (kSanitized) return LeaveBehind({first, second}, work);
  constexpr size_t kStackBytes = 16 << 10;
  struct Place {
    Orders orders;
    alignas(16) char stack[kStackBytes];
  };
  // Never given back: nobody here knows when the child has ended.
  auto* place = new Place;
  place->orders = {first, second, work};
  return clone(CarryOut, place->stack + kStackBytes, CLONE_VM | SIGCHLD, &place->orders);
}

}  // namespace podroute
