#include "controller/cni_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <utility>

#include "base/file.h"

namespace podroute {
namespace {

constexpr mode_t kPluginMode = 0755, kConflistMode = 0644;
// What podroute-cni tells somebody who starts it at a shell.
constexpr std::string_view kPluginSays = "podroute-cni is a CNI plugin";
constexpr std::string_view kElfMagic = "\177ELF";
// Of temporary files; a dot, so that nobody takes one for a plugin or a configuration.
constexpr std::string_view kTemporary = ".podroute-";
constexpr size_t kTemporarySize = kTemporary.size() + 6;

bool IsThere(const std::string& path) {
  struct stat info;
  return lstat(path.c_str(), &info) == 0;
}

// A regular file, ours alone to change, that nothing further has to be done to but for its content.
UniqueFd OpenProper(const std::string& path, mode_t mode) {
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  struct stat info;
  if (!fd || fstat(fd.get(), &info) != 0 || !S_ISREG(info.st_mode) ||
      (info.st_mode & 07777) != mode || info.st_uid != geteuid()) {
    return {};
  }
  return fd;
}

// The rest of each, from where it stands.
bool SameContent(int a, int b) {
  constexpr size_t kChunk = 64 << 10;
  auto buffers = std::make_unique<char[]>(2 * kChunk);
  auto fill = [](int fd, char* buffer) {
    size_t size = 0;
    while (size < kChunk) {
      ssize_t n = read(fd, buffer + size, kChunk - size);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return SIZE_MAX;
      if (n == 0) break;
      size += static_cast<size_t>(n);
    }
    return size;
  };
  while (true) {
    size_t size = fill(a, buffers.get());
    size_t other = fill(b, buffers.get() + kChunk);
    if (size == SIZE_MAX || size != other) return false;
    if (!std::equal(buffers.get(), buffers.get() + size, buffers.get() + kChunk)) return false;
    if (size < kChunk) return true;
  }
}

bool SameFiles(int fd, const std::string& path) {
  UniqueFd other(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat info, other_info;
  if (!other || fstat(fd, &info) != 0 || fstat(other.get(), &other_info) != 0 ||
      info.st_size != other_info.st_size || lseek(fd, 0, SEEK_SET) != 0) {
    return false;
  }
  return SameContent(fd, other.get());
}

bool WasJustWritten(const struct stat& info) {
  constexpr int64_t kNanosPerSecond = 1'000'000'000;
  timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  int64_t age =
      (now.tv_sec - info.st_mtim.tv_sec) * kNanosPerSecond + (now.tv_nsec - info.st_mtim.tv_nsec);
  // A time to come tells nothing.
  return age > -kNanosPerSecond && age < kNanosPerSecond / 2;
}

std::vector<std::string> NamesIn(const std::string& directory) {
  std::vector<std::string> names;
  std::unique_ptr<DIR, int (*)(DIR*)> stream(opendir(directory.c_str()), closedir);
  if (!stream) return names;
  while (const dirent* entry = readdir(stream.get())) names.emplace_back(entry->d_name);
  std::sort(names.begin(), names.end());
  return names;
}

// Beside `path`.
Result<std::string> WriteTemporary(const std::string& path, std::string_view content, mode_t mode) {
  std::string prefix = path.substr(0, path.rfind('/') + 1) + std::string(kTemporary);
  return WriteTemporaryFile(prefix, content, mode);
}

Status Write(const std::string& path, std::string_view content, mode_t mode) {
  PODROUTE_ASSIGN_OR_RETURN(std::string temporary, WriteTemporary(path, content, mode));
  return MoveIntoPlace(temporary, path, /*replace=*/true);
}

Result<bool> Remove(const std::string& path) {
  if (unlink(path.c_str()) == 0) {
    std::string directory = path.substr(0, path.rfind('/') + 1);
    UniqueFd fd(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (fd) fsync(fd.get());  // Best effort: it is gone for everybody but a power cut.
    return true;
  }
  if (errno == ENOENT || errno == ENOTDIR) return false;
  return Status::FromErrno(errno, "remove " + path);
}

}  // namespace

Result<std::string> FindPlugin() {
  char self[PATH_MAX];
  ssize_t size = readlink("/proc/self/exe", self, sizeof self);
  if (size < 0) return Status::FromErrno(errno, "read /proc/self/exe");
  std::string directory(self, static_cast<size_t>(size));
  directory.resize(directory.rfind('/'));
  std::string beside = directory + "/" + std::string(kPluginFile);
  std::string built =
      directory.substr(0, directory.rfind('/')) + "/cni/" + std::string(kPluginFile);
  for (const std::string& path : {beside, built}) {
    if (access(path.c_str(), R_OK) == 0) return path;
  }
  return Status(StatusCode::kNotFound, "podroute-cni is not there: neither " + beside + " nor " +
                                           built + "; --cni_plugin says where it is");
}

bool IsPodroutePlugin(const std::string& path) {
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat info;
  if (!fd || fstat(fd.get(), &info) != 0 || !S_ISREG(info.st_mode)) return false;
  Result<std::string> content = ReadAll(fd.get(), path);
  return content.ok() && content->find(kPluginSays) != std::string::npos;
}

Result<CniFiles::Look> CniFiles::LookAtPlugin() const {
  const std::string path = directories_.Plugin();
  UniqueFd fd = OpenProper(path, kPluginMode);
  if (source_.empty()) {
    if (fd && IsPodroutePlugin(path)) return Look::kRight;
  } else {
    if (access(source_.c_str(), R_OK) != 0) return Status::FromErrno(errno, "open " + source_);
    if (fd && SameFiles(fd.get(), source_)) return Look::kRight;
  }
  return IsThere(path) ? Look::kWrong : Look::kMissing;
}

Result<CniFiles::Look> CniFiles::LookAtLoopback() const {
  const std::string path = directories_.Loopback();
  if (!IsThere(path)) return Look::kMissing;
  if (Look whose = WhoseLoopback(); whose != Look::kWrong) return whose;
  UniqueFd fd = OpenProper(path, kPluginMode);
  struct stat info;
  // A hard link would be a way to write into the plugin.
  bool right = fd && fstat(fd.get(), &info) == 0 && info.st_nlink == 1 &&
               SameFiles(fd.get(), LoopbackSource());
  if (right) return Look::kRight;
  // Somebody may have begun to write into it since it was ours, whole and right.
  return WhoseLoopback();
}

std::string CniFiles::LoopbackSource() const {
  bool there = !source_.empty() && access(source_.c_str(), R_OK) == 0;
  return there ? source_ : directories_.Plugin();
}

CniFiles::Look CniFiles::WhoseLoopback() const {
  const std::string path = directories_.Loopback();
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat info;
  if (!fd || fstat(fd.get(), &info) != 0 || !S_ISREG(info.st_mode)) return Look::kForeign;
  if (SameFiles(fd.get(), directories_.Plugin())) return Look::kWrong;
  if (!source_.empty() && SameFiles(fd.get(), source_)) return Look::kWrong;
  if (IsPodroutePlugin(path)) return Look::kWrong;
  struct stat written;
  bool same_file = loopback_ && fstat(loopback_.get(), &written) == 0 &&
                   written.st_dev == info.st_dev && written.st_ino == info.st_ino;
  if (!same_file) return Look::kForeign;
  if (WasJustWritten(info)) return Look::kChanging;
  char magic[kElfMagic.size()];
  bool executable = pread(fd.get(), magic, sizeof magic, 0) == sizeof magic &&
                    std::string_view(magic, sizeof magic) == kElfMagic;
  return executable ? Look::kForeign : Look::kWrong;
}

CniFiles::Look CniFiles::LookAtConflist(std::string_view content) const {
  const std::string path = directories_.Conflist();
  if (UniqueFd fd = OpenProper(path, kConflistMode)) {
    Result<std::string> found = ReadAll(fd.get(), path);
    if (found.ok() && *found == content) return Look::kRight;
  }
  return IsThere(path) ? Look::kWrong : Look::kMissing;
}

Status CniFiles::WritePlugin() {
  PODROUTE_ASSIGN_OR_RETURN(std::string content, ReadFile(source_));
  if (content.empty()) return Status(StatusCode::kInvalidArgument, source_ + " is empty");
  Result<Look> loopback = LookAtLoopback();
  if (loopback.ok() && *loopback == Look::kWrong) PODROUTE_RETURN_IF_ERROR(WriteLoopback());
  return Write(directories_.Plugin(), content, kPluginMode);
}

Status CniFiles::WriteLoopback() {
  const std::string path = directories_.Loopback();
  PODROUTE_ASSIGN_OR_RETURN(std::string content, ReadFile(LoopbackSource()));
  PODROUTE_ASSIGN_OR_RETURN(std::string temporary, WriteTemporary(path, content, kPluginMode));
  UniqueFd written(open(temporary.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  // Where there is none, not over one that somebody else puts there at this moment.
  Status status = MoveIntoPlace(temporary, path, /*replace=*/IsThere(path));
  if (status.code() == StatusCode::kAlreadyExists) return Status::Ok();
  PODROUTE_RETURN_IF_ERROR(status);
  loopback_ = std::move(written);
  return Status::Ok();
}

Status CniFiles::WriteConflist(std::string_view content) const {
  return Write(directories_.Conflist(), content, kConflistMode);
}

std::vector<std::string> CniFiles::ConfigurationsBeforeOurs() const {
  // These endings are the ones that libcni takes (ConfFiles).
  std::vector<std::string> names = NamesIn(directories_.conf);
  std::erase_if(names, [](const std::string& name) {
    bool configures =
        name.ends_with(".conf") || name.ends_with(".conflist") || name.ends_with(".json");
    return !configures || name >= kConflistFile;
  });
  return names;
}

void CniFiles::RemoveLeftovers() const {
  for (const std::string& directory : {directories_.bin, directories_.conf}) {
    if (directory.empty()) continue;
    for (const std::string& name : NamesIn(directory)) {
      if (name.size() != kTemporarySize || !name.starts_with(kTemporary)) continue;
      std::string path = directory;
      path.append("/").append(name);
      unlink(path.c_str());
    }
  }
}

Result<bool> CniFiles::RemoveConflist() const { return Remove(directories_.Conflist()); }

Result<bool> CniFiles::RemoveLoopback() const {
  if (WhoseLoopback() != Look::kWrong) return false;
  return Remove(directories_.Loopback());
}

Result<bool> CniFiles::RemovePlugin() const { return Remove(directories_.Plugin()); }

}  // namespace podroute
