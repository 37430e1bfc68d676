#include "cni/netfilter_socket.h"

#include <fcntl.h>
#include <linux/membarrier.h>
#include <linux/netlink.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <utility>

#include "base/unique_fd.h"
#include "cni/left_behind.h"

namespace podroute {

void UnwaitedClose::operator()(NetlinkSocket* socket) const {
  std::unique_ptr<NetlinkSocket> closed_here(socket);
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return;
  UniqueFd read_end(ends[0]);
  UniqueFd write_end(ends[1]);
  // Whoever closes last waits: so the child waits for the pipe's end, which comes after the
  // caller's own close.
  pid_t child = LeaveBehindInPlace(read_end.get(), socket->fd(), [] {
    char byte;
    (void)!read(STDIN_FILENO, &byte, 1);
    // Each is a grace period of RCU, which is what the kernel waits for before it frees: one may
    // have been under way when that began. Where there is no such call, the close waits.
    for (int i = 0; i < 2; ++i) (void)syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0);
  });
  if (child >= 0) closed_here.reset();  // Before the pipe.
}

Result<NetfilterSocket> OpenNetfilter() {
  PODROUTE_ASSIGN_OR_RETURN(std::unique_ptr<NetlinkSocket> socket,
                            NetlinkSocket::Create(NETLINK_NETFILTER));
  return NetfilterSocket(socket.release());
}

}  // namespace podroute
