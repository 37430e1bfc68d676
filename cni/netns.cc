#include "cni/netns.h"

#include <fcntl.h>
#include <linux/nsfs.h>
#include <linux/sockios.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdlib>

namespace podroute {

Result<UniqueFd> OpenNetns(const std::string& path) {
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return Status::FromErrno(errno, "open network namespace " + path);
  // Linux 4.11. ENOTTY: some other file.
  if (ioctl(fd.get(), NS_GET_NSTYPE) != CLONE_NEWNET) {
    return Status(StatusCode::kNotFound, path + " is no network namespace");
  }
  return fd;
}

Result<UniqueFd> OpenOwnNetns() {
  // By way of a socket (Linux 4.9, CAP_NET_ADMIN): in /proc the kernel makes each entry on the way
  // for whoever asks first, 30 us for a process that has just started.
  UniqueFd any(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  UniqueFd own(any ? ioctl(any.get(), SIOCGSKNS) : -1);
  if (own) return own;
  constexpr char kOwnNetns[] = "/proc/thread-self/ns/net";
  own = UniqueFd(open(kOwnNetns, O_RDONLY | O_CLOEXEC));
  if (!own) return Status::FromErrno(errno, std::string("open ") + kOwnNetns);
  return own;
}

Result<bool> IsOwnNetns(int netns) {
  struct stat own;
  struct stat other;
  PODROUTE_ASSIGN_OR_RETURN(UniqueFd own_netns, OpenOwnNetns());
  if (fstat(own_netns.get(), &own) != 0 || fstat(netns, &other) != 0) {
    return Status::FromErrno(errno, "stat network namespace");
  }
  return own.st_dev == other.st_dev && own.st_ino == other.st_ino;
}

Status RunInNetns(int netns, const std::function<Status()>& work) {
  PODROUTE_ASSIGN_OR_RETURN(UniqueFd own, OpenOwnNetns());
  if (setns(netns, CLONE_NEWNET) != 0) return Status::FromErrno(errno, "enter network namespace");
  Status status = work();
  if (setns(own.get(), CLONE_NEWNET) != 0) std::abort();  // Never go on in the wrong one.
  return status;
}

}  // namespace podroute
