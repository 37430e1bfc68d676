#include "cni/link_removal.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <memory>
#include <optional>
#include <vector>

#include "base/unique_fd.h"
#include "cni/left_behind.h"
#include "cni/link_codec.h"
#include "cni/link_query.h"
#include "routing/netlink_socket.h"

namespace podroute {
namespace {

// Lets through the notification that the link itself is gone: RTM_DELLINK of family AF_UNSPEC (that
// it left its bridge comes as one of AF_BRIDGE). BPF loads swap to host order what netlink has in
// host order, so what is compared with is swapped too. Jumps are relative to the next instruction.
auto GoneFilter(int ifindex) {
  constexpr uint32_t kTypeAt = offsetof(nlmsghdr, nlmsg_type);
  constexpr uint32_t kFamilyAt = NLMSG_HDRLEN + offsetof(ifinfomsg, ifi_family);
  constexpr uint32_t kIndexAt = NLMSG_HDRLEN + offsetof(ifinfomsg, ifi_index);
  return std::to_array<sock_filter>({
      BPF_STMT(BPF_LD | BPF_H | BPF_ABS, kTypeAt),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(RTM_DELLINK), 0, 5),
      BPF_STMT(BPF_LD | BPF_B | BPF_ABS, kFamilyAt),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_UNSPEC, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, kIndexAt),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htonl(static_cast<uint32_t>(ifindex)), 0, 1),
      BPF_STMT(BPF_RET | BPF_K, 0xffffffff),
      BPF_STMT(BPF_RET | BPF_K, 0),
  });
}

// Returns when the kernel is through with it.
Result<bool> RemoveAndWait(const std::string& name) {
  PODROUTE_ASSIGN_OR_RETURN(std::unique_ptr<NetlinkSocket> netlink, NetlinkSocket::Create());
  NetlinkBatch batch;
  EncodeDeleteLink(batch, name);
  PODROUTE_ASSIGN_OR_RETURN(std::vector<NetlinkFailure> failures, netlink->Execute(batch));
  if (failures.empty()) return true;
  if (failures[0].error == ENODEV) return false;
  return failures[0].ToStatus("delete link " + name);
}

// What the child tells: one of these, if it can tell at all before the caller is gone.
enum class Answer : char { kRemoved = 'r', kNotThere = 'n', kFailed = 'f' };

// The child's work. It has nothing open but where to tell, as descriptor 0.
void RemoveAndTell(const std::string& name) {
  Result<bool> removed = RemoveAndWait(name);
  Answer answer = Answer::kFailed;
  if (removed.ok()) answer = *removed ? Answer::kRemoved : Answer::kNotThere;
  // Nobody may be there to read it: then SIGPIPE ends the child a moment earlier.
  (void)!write(STDIN_FILENO, &answer, 1);
}

// nullopt: the child cannot tell.
std::optional<Answer> Await(int answer_fd, NotificationSocket& gone) {
  for (;;) {
    pollfd fds[] = {{.fd = answer_fd, .events = POLLIN, .revents = 0},
                    {.fd = gone.fd(), .events = POLLIN, .revents = 0}};
    if (poll(fds, 2, -1) < 0) {
      if (errno == EINTR) continue;
      return std::nullopt;
    }
    if (fds[0].revents != 0) {
      Answer answer = Answer::kFailed;
      if (read(answer_fd, &answer, 1) != 1) return std::nullopt;
      return answer;
    }
    bool seen = false;
    Result<bool> drained = gone.Drain([&](const NetlinkMessage&) { seen = true; });
    if (!drained.ok()) return std::nullopt;
    if (seen) return Answer::kRemoved;
  }
}

}  // namespace

Result<bool> RemoveLink(const std::string& name) {
  PODROUTE_ASSIGN_OR_RETURN(std::optional<LinkSummary> link, QueryLink(name));
  if (!link) return false;
  constexpr int kReceiveBufferBytes = 64 << 10;
  auto filter = GoneFilter(link->ifindex);
  sock_fprog program{static_cast<unsigned short>(filter.size()), filter.data()};
  PODROUTE_ASSIGN_OR_RETURN(
      std::unique_ptr<NotificationSocket> gone,
      NotificationSocket::Create({RTNLGRP_LINK}, kReceiveBufferBytes, &program));
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return Status::FromErrno(errno, "pipe2");
  UniqueFd read_end(ends[0]);
  UniqueFd write_end(ends[1]);
  pid_t child = LeaveBehind({write_end.get()}, [&] { RemoveAndTell(name); });
  if (child < 0) return RemoveAndWait(name);  // No room for another process: then slowly.
  write_end.reset();
  switch (Await(read_end.get(), *gone).value_or(Answer::kFailed)) {
    case Answer::kRemoved:
      return true;
    case Answer::kNotThere:
      return false;
    case Answer::kFailed:
      break;
  }
  // Again, for the kernel's reason; or the child was killed.
  return RemoveAndWait(name);
}

}  // namespace podroute
