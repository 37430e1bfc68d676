#include "cni/sysctl.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "base/unique_fd.h"

namespace podroute {

Status EnsureSysctl(const std::string& name, std::string_view value, const std::string& dir) {
  std::string path = dir + "/" + name;
  UniqueFd reader(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!reader) return Status::FromErrno(errno, "read " + path);
  char buffer[64];
  ssize_t size = read(reader.get(), buffer, sizeof buffer);
  if (size < 0) return Status::FromErrno(errno, "read " + path);
  std::string_view text(buffer, static_cast<size_t>(size));
  if (!text.empty() && text.back() == '\n') text.remove_suffix(1);
  if (text == value) return Status::Ok();
  UniqueFd writer(open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!writer || write(writer.get(), value.data(), value.size()) < 0) {
    return Status::FromErrno(errno, "set " + path + " to " + std::string(value));
  }
  return Status::Ok();
}

}  // namespace podroute
