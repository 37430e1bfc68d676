// Owns a file descriptor.
#ifndef PODROUTE_BASE_UNIQUE_FD_H_
#define PODROUTE_BASE_UNIQUE_FD_H_

#include <unistd.h>

#include <utility>

namespace podroute {

// Closes what it owns when it goes. -1 means none. Movable, not copyable, not thread-safe.
class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(other.release()) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    reset(other.release());
    return *this;
  }
  ~UniqueFd() { reset(); }

  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  [[nodiscard]] int release() { return std::exchange(fd_, -1); }
  // close(2)'s error is ignored: on Linux the descriptor is gone whatever it says.
  void reset(int fd = -1) {
    int old = std::exchange(fd_, fd);
    if (old >= 0 && old != fd) close(old);
  }

 private:
  int fd_ = -1;
};

}  // namespace podroute

#endif  // PODROUTE_BASE_UNIQUE_FD_H_
