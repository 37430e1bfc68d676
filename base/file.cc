#include "base/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
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

Result<std::string> WriteTemporaryFile(const std::string& prefix, std::string_view content,
                                       mode_t mode) {
  std::string temporary = prefix + "XXXXXX";
  // In messages, which are the same each time.
  const std::string name = prefix + "*";
  UniqueFd fd(mkostemp(temporary.data(), O_CLOEXEC));
  if (!fd) return Status::FromErrno(errno, "create " + name);
  Status status = WriteAll(fd.get(), content, name);
  if (status.ok() && fchmod(fd.get(), mode) != 0)
    status = Status::FromErrno(errno, "chmod " + name);
  if (status.ok() && fsync(fd.get()) != 0) status = Status::FromErrno(errno, "fsync " + name);
  if (status.ok()) return temporary;
  unlink(temporary.c_str());  // Best effort: the first error is the one to report.
  return status;
}

Status MoveIntoPlace(const std::string& temporary, const std::string& path, bool replace) {
  int failed = -1;
  if (replace) {
    failed = rename(temporary.c_str(), path.c_str());
  } else {
    // By number: musl 1.2.3, which the plugin is linked with, has no function for it.
    failed = static_cast<int>(syscall(SYS_renameat2, AT_FDCWD, temporary.c_str(), AT_FDCWD,
                                      path.c_str(), RENAME_NOREPLACE));
    // Some file systems do not know the flag; all but the poorest know links.
    if (failed != 0 && errno == EINVAL) {
      failed = link(temporary.c_str(), path.c_str());
      if (failed == 0) unlink(temporary.c_str());
    }
  }
  if (failed != 0) {
    Status status = Status::FromErrno(errno, "rename a temporary file to " + path);
    unlink(temporary.c_str());  // Best effort: the first error is the one to report.
    return status;
  }
  // The new content is in place; a directory that cannot be synced is not worth failing for.
  UniqueFd directory_fd(open(DirectoryOf(path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory_fd) fsync(directory_fd.get());
  return Status::Ok();
}

Status WriteFileAtomically(const std::string& path, std::string_view content, mode_t mode) {
  PODROUTE_ASSIGN_OR_RETURN(std::string temporary, WriteTemporaryFile(path + ".", content, mode));
  return MoveIntoPlace(temporary, path, /*replace=*/true);
}

}  // namespace podroute
