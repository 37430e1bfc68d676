#include "routing/frr_vty.h"

#include <string_view>
#include <vector>

#include "base/text.h"
#include "routing/daemon_socket.h"

namespace podroute {
namespace {

// Of a running configuration: that of a large BGP router has some MB.
constexpr size_t kMaxAnswerBytes = 64u << 20;
constexpr size_t kReadBytes = 256u << 10;
// Each answer ends with three zeros and a code, of which 0 is success (lib/vty.c, vtysh_read).
constexpr std::string_view kEnd("\0\0\0", 3);

Result<std::string> Ask(const DaemonSocket& daemon, std::string_view command,
                        MonotonicTime deadline) {
  const std::string what = "\"" + std::string(command) + "\"";
  PODROUTE_RETURN_IF_ERROR(daemon.Send(std::string(command) + '\0', deadline));
  std::string answer;
  std::vector<char> buffer(kReadBytes);
  while (answer.size() <= kEnd.size() ||
         answer.compare(answer.size() - kEnd.size() - 1, kEnd.size(), kEnd) != 0) {
    if (answer.size() > kMaxAnswerBytes) {
      return Status(StatusCode::kInternal, daemon.name() + ": the answer to " + what +
                                               " has more than " + std::to_string(kMaxAnswerBytes) +
                                               " bytes");
    }
    PODROUTE_ASSIGN_OR_RETURN(size_t bytes, daemon.Read(buffer, deadline, what));
    answer.append(buffer.data(), bytes);
  }
  const char code = answer.back();
  answer.resize(answer.size() - kEnd.size() - 1);
  if (code != 0) {
    return Status(StatusCode::kInternal,
                  daemon.name() + " refuses " + what + ": " + OneLine(answer));
  }
  return answer;
}

}  // namespace

Result<std::string> ReadFrrRunningConfig(const std::string& daemon, const std::string& path,
                                         MonotonicTime deadline, StopToken* stop) {
  PODROUTE_ASSIGN_OR_RETURN(DaemonSocket socket,
                            DaemonSocket::Connect(daemon, path, deadline, stop));
  PODROUTE_RETURN_IF_ERROR(Ask(socket, "enable", deadline).status());
  return Ask(socket, "show running-config", deadline);
}

}  // namespace podroute
