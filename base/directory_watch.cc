#include "base/directory_watch.h"

#include <limits.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

namespace podroute {
namespace {

// Not IN_MODIFY: a file that is being written is told of when it is closed, which is once.
constexpr uint32_t kMask = IN_CREATE | IN_CLOSE_WRITE | IN_ATTRIB | IN_MOVED_FROM | IN_MOVED_TO |
                           IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;

std::string WithoutTrailingSlashes(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path;
}

}  // namespace

Result<std::unique_ptr<DirectoryWatch>> DirectoryWatch::Create(EventLoop& loop, Callback callback) {
  UniqueFd fd(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  if (!fd) {
    if (errno == EMFILE) {
      return Status(StatusCode::kUnavailable,
                    "no more watches: sysctl fs.inotify.max_user_instances is the limit");
    }
    return Status::FromErrno(errno, "inotify_init1");
  }
  std::unique_ptr<DirectoryWatch> watch(
      new DirectoryWatch(loop, std::move(fd), std::move(callback)));
  DirectoryWatch* raw = watch.get();
  PODROUTE_RETURN_IF_ERROR(loop.Add(watch->fd_.get(), [raw] { raw->Drain(); }));
  return watch;
}

DirectoryWatch::~DirectoryWatch() { loop_.Remove(fd_.get()); }

Status DirectoryWatch::Watch(const std::string& path) {
  Place place;
  int error = 0;
  std::string next;  // On the way to `path`, missing when it was looked for.
  for (std::string at = WithoutTrailingSlashes(path);;) {
    place.descriptor = inotify_add_watch(fd_.get(), at.c_str(), kMask);
    if (place.descriptor >= 0) {
      // Made between the two calls, nothing would tell of it: once more.
      if (next.empty() || access(next.c_str(), F_OK) != 0) break;
      at = next;
      next.clear();
      place.awaited.clear();
      continue;
    }
    error = errno;
    size_t slash = at.rfind('/');
    bool missing = error == ENOENT || error == ENOTDIR;
    if (!missing || at == "/" || slash == std::string::npos) break;
    next = error == ENOENT ? at : "";
    place.awaited = at.substr(slash + 1);
    at = WithoutTrailingSlashes(at.substr(0, slash + 1));
  }
  Place old = std::exchange(places_[path], place);
  if (old.descriptor != place.descriptor) Release(old.descriptor);
  if (place.descriptor < 0) {
    places_.erase(path);
    return Status::FromErrno(error, "watch " + path);
  }
  return Status::Ok();
}

void DirectoryWatch::Release(int descriptor) {
  bool used = std::any_of(places_.begin(), places_.end(),
                          [&](const auto& place) { return place.second.descriptor == descriptor; });
  // EINVAL: the kernel has let it go already, with the directory.
  if (descriptor >= 0 && !used) inotify_rm_watch(fd_.get(), descriptor);
}

void DirectoryWatch::Drain() {
  alignas(inotify_event) char buffer[16 * (sizeof(inotify_event) + NAME_MAX + 1)];
  while (true) {
    ssize_t size = read(fd_.get(), buffer, sizeof buffer);
    if (size <= 0) return;
    for (ssize_t at = 0; at < size;) {
      inotify_event event;
      std::memcpy(&event, buffer + at, sizeof event);
      std::string name;
      if (event.len > 0) name = buffer + at + sizeof event;
      at += static_cast<ssize_t>(sizeof event + event.len);
      bool lost = (event.mask & IN_Q_OVERFLOW) != 0;
      // What follows a Release is of no interest any more.
      if (lost || (event.mask & IN_IGNORED) == 0) Note(lost ? -1 : event.wd, name);
    }
  }
}

void DirectoryWatch::Note(int descriptor, const std::string& name) {
  // The callback may call Watch.
  std::vector<std::pair<std::string, std::string>> calls;
  for (const auto& [path, place] : places_) {
    if (descriptor == -1) {
      calls.emplace_back(path, "");
    } else if (place.descriptor == descriptor) {
      if (place.awaited.empty()) calls.emplace_back(path, name);
      if (place.awaited == name || name.empty()) calls.emplace_back(path, "");
    }
  }
  for (const auto& [path, what] : calls) callback_(path, what);
}

}  // namespace podroute
