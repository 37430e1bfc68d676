#include "cni/netns.h"

#include <fcntl.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdlib>

namespace podroute {
namespace {

// The main thread's. By /proc/thread-self it would be any thread's, but the kernel makes each entry
// on the way there for whoever asks first: four more of them, 30 us.
constexpr char kOwnNetns[] = "/proc/self/ns/net";

}  // namespace

Result<UniqueFd> OpenNetns(const std::string& path) {
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return Status::FromErrno(errno, "open network namespace " + path);
  // Linux 4.11. ENOTTY: some other file.
  if (ioctl(fd.get(), NS_GET_NSTYPE) != CLONE_NEWNET) {
    return Status(StatusCode::kNotFound, path + " is no network namespace");
  }
  return fd;
}

Result<bool> IsOwnNetns(int netns) {
  struct stat own;
  struct stat other;
  if (stat(kOwnNetns, &own) != 0) return Status::FromErrno(errno, kOwnNetns);
  if (fstat(netns, &other) != 0) return Status::FromErrno(errno, "stat network namespace");
  return own.st_dev == other.st_dev && own.st_ino == other.st_ino;
}

Status RunInNetns(int netns, const std::function<Status()>& work) {
  UniqueFd own(open(kOwnNetns, O_RDONLY | O_CLOEXEC));
  if (!own) return Status::FromErrno(errno, std::string("open ") + kOwnNetns);
  if (setns(netns, CLONE_NEWNET) != 0) return Status::FromErrno(errno, "enter network namespace");
  Status status = work();
  if (setns(own.get(), CLONE_NEWNET) != 0) std::abort();  // Never go on in the wrong one.
  return status;
}

}  // namespace podroute
