#include "base/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "base/unique_fd.h"

namespace podroute {
namespace {

Status WriteAll(int fd, std::string_view content, const std::string& path) {
  while (!content.empty()) {
    ssize_t n = write(fd, content.data(), content.size());
    if (n < 0) {
      if (errno == EINTR) continue;
      return Status::FromErrno(errno, "write " + path);
    }
    content.remove_prefix(static_cast<size_t>(n));
  }
  return Status::Ok();
}

std::string DirectoryOf(const std::string& path) {
  size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace

Result<std::string> ReadAll(int fd, const std::string& name, size_t max_bytes) {
  std::string content;
  struct stat info;
  if (fstat(fd, &info) == 0 && S_ISREG(info.st_mode)) {
    if (static_cast<size_t>(info.st_size) > max_bytes) {
      return Status(StatusCode::kInvalidArgument,
                    name + " is larger than " + std::to_string(max_bytes) + " bytes");
    }
    content.reserve(static_cast<size_t>(info.st_size));
  }
  char buffer[16384];
  while (true) {
    ssize_t n = read(fd, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Status::FromErrno(errno, "read " + name);
    if (n == 0) return content;
    if (content.size() + static_cast<size_t>(n) > max_bytes) {
      return Status(StatusCode::kInvalidArgument,
                    name + " is larger than " + std::to_string(max_bytes) + " bytes");
    }
    content.append(buffer, static_cast<size_t>(n));
  }
}

Result<std::string> ReadFile(const std::string& path, size_t max_bytes) {
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return Status::FromErrno(errno, "open " + path);
  return ReadAll(fd.get(), path, max_bytes);
}

Status WriteFileAtomically(const std::string& path, std::string_view content, mode_t mode) {
  std::string directory = DirectoryOf(path);
  std::string temporary = path + ".XXXXXX";
  UniqueFd fd(mkostemp(temporary.data(), O_CLOEXEC));
  if (!fd) return Status::FromErrno(errno, "create " + temporary);
  Status status = WriteAll(fd.get(), content, temporary);
  if (status.ok() && fchmod(fd.get(), mode) != 0) {
    status = Status::FromErrno(errno, "chmod " + temporary);
  }
  if (status.ok() && fsync(fd.get()) != 0) status = Status::FromErrno(errno, "fsync " + temporary);
  if (status.ok() && rename(temporary.c_str(), path.c_str()) != 0) {
    status = Status::FromErrno(errno, "rename " + temporary + " to " + path);
  }
  if (!status.ok()) {
    unlink(temporary.c_str());  // Best effort: the first error is the one to report.
    return status;
  }
  // The new content is in place; a directory that cannot be synced is not worth failing for.
  UniqueFd directory_fd(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory_fd) fsync(directory_fd.get());
  return Status::Ok();
}

}  // namespace podroute
