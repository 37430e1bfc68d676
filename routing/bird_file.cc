#include "routing/bird_file.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <memory>
#include <utility>

#include "base/file.h"

namespace podroute {
namespace {

std::string DirectoryOf(const std::string& path) { return path.substr(0, path.rfind('/') + 1); }

std::string Companion(const std::string& path, const char* suffix) {
  return DirectoryOf(path) + "." + path.substr(path.rfind('/') + 1) + suffix;
}

Status Rename(const std::string& from, const std::string& to) {
  if (rename(from.c_str(), to.c_str()) == 0) return {};
  return Status::FromErrno(errno, "rename " + from + " to " + to);
}

int64_t Nanoseconds(const timespec& time) { return time.tv_sec * 1'000'000'000 + time.tv_nsec; }

}  // namespace

BirdFile::BirdFile(const std::string& path)
    : path_(path), new_path_(Companion(path, ".new")), old_path_(Companion(path, ".old")) {}

Result<std::string> BirdFile::Read() const { return ReadFile(path_); }

Status BirdFile::Stage(std::string_view text, const std::string* good_old) {
  Status status = WriteFileAtomically(new_path_, text);
  if (status.ok() && !Marked()) {
    status = good_old != nullptr ? WriteFileAtomically(old_path_, *good_old) : Mark();
  }
  if (!status.ok()) unlink(new_path_.c_str());  // The first error is the one to report.
  return status;
}

Status BirdFile::Mark() {
  if (link(path_.c_str(), old_path_.c_str()) == 0 || errno == EEXIST) return {};
  if (errno == EPERM || errno == EOPNOTSUPP || errno == EMLINK) {
    // A file system without hard links.
    PODROUTE_ASSIGN_OR_RETURN(const std::string text, Read());
    return WriteFileAtomically(old_path_, text);
  }
  return Status::FromErrno(errno, "link " + path_ + " to " + old_path_);
}

Status BirdFile::Commit() { return Rename(new_path_, path_); }

Status BirdFile::PutBack() {
  PODROUTE_RETURN_IF_ERROR(Rename(old_path_, path_));
  // Of two names of one file rename(2) leaves both: nothing had been committed.
  Settle();
  return {};
}

void BirdFile::Settle() {
  unlink(old_path_.c_str());
  unlink(new_path_.c_str());
  // Once, as it takes the whole directory: what a kill left of the writing of either,
  // ".NAME.new.XXXXXX".
  if (std::exchange(swept_, true)) return;
  const std::string directory = DirectoryOf(path_);
  std::unique_ptr<DIR, int (*)(DIR*)> entries(opendir(directory.c_str()), closedir);
  if (entries == nullptr) return;
  const std::string_view new_name = std::string_view(new_path_).substr(directory.size());
  const std::string_view old_name = std::string_view(old_path_).substr(directory.size());
  while (const dirent* entry = readdir(entries.get())) {  // NOLINT(concurrency-mt-unsafe)
    const std::string_view name = entry->d_name;
    for (std::string_view ours : {new_name, old_name}) {
      if (name.starts_with(ours) && name.size() == ours.size() + 7 && name[ours.size()] == '.') {
        unlink((directory + entry->d_name).c_str());
      }
    }
  }
}

bool BirdFile::Marked() const { return access(old_path_.c_str(), F_OK) == 0; }

BirdFile::Identity BirdFile::Look() const {
  struct stat info;
  if (stat(path_.c_str(), &info) != 0) return {};
  return {.device = info.st_dev,
          .inode = info.st_ino,
          .size = info.st_size,
          .modified_ns = Nanoseconds(info.st_mtim),
          .changed_ns = Nanoseconds(info.st_ctim)};
}

}  // namespace podroute
