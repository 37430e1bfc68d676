#include "routing/path_watch.h"

#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <utility>

namespace podroute {
namespace {

constexpr uint32_t kEvents = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_CLOSE_WRITE |
                             IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;
// The watch itself is gone, or is on something else than its path says.
constexpr uint32_t kLost = IN_IGNORED | IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT;

std::string ParentOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == 0 || slash == std::string::npos ? "/" : path.substr(0, slash);
}

}  // namespace

Result<PathWatch> PathWatch::Create(const std::vector<std::string>& paths) {
  UniqueFd inotify(inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (!inotify) return Status::FromErrno(errno, "inotify_init1");
  std::vector<Target> targets;
  targets.reserve(paths.size());
  for (const std::string& path : paths) {
    targets.push_back({.directory = ParentOf(path), .name = path.substr(path.rfind('/') + 1)});
  }
  PathWatch watch(std::move(targets), std::move(inotify));
  while (watch.Rearm()) {
  }
  for (const Target& target : watch.targets_) {
    if (target.watch < 0) return Status::FromErrno(errno, "inotify_add_watch " + target.directory);
  }
  return watch;
}

bool PathWatch::Rearm() {
  bool changed = false;
  std::vector<int> before;
  for (Target& target : targets_) {
    before.push_back(target.watch);
    int watch = -1;
    std::string directory = target.directory;
    while (true) {
      watch = inotify_add_watch(inotify_.get(), directory.c_str(), kEvents);
      if (watch >= 0 || directory == "/") break;
      directory = ParentOf(directory);
    }
    const bool direct = watch >= 0 && directory == target.directory;
    changed |= watch != target.watch || direct != target.direct;
    target.watch = watch;
    target.direct = direct;
  }
  DropUnused(before);
  return changed;
}

void PathWatch::DropUnused(const std::vector<int>& before) {
  for (int old : before) {
    const bool used = std::any_of(targets_.begin(), targets_.end(),
                                  [&](const Target& target) { return target.watch == old; });
    if (old >= 0 && !used) inotify_rm_watch(inotify_.get(), old);  // Gone already: EINVAL.
  }
}

bool PathWatch::Drain() {
  bool ours = false, rearm = false;
  alignas(inotify_event) char buffer[16384];
  while (true) {
    const ssize_t n = read(inotify_.get(), buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    for (const char* at = buffer; at < buffer + n;) {
      inotify_event event;
      std::memcpy(&event, at, sizeof event);
      const std::string_view name =
          event.len > 0 ? std::string_view(at + sizeof event) : std::string_view();
      if ((event.mask & IN_Q_OVERFLOW) != 0) ours = rearm = true;
      for (Target& target : targets_) {
        if (event.wd != target.watch) continue;
        rearm |= !target.direct || (event.mask & kLost) != 0;
        ours |= target.direct && ((event.mask & kLost) != 0 || name == target.name);
        // Forgotten, so that the same directory, come back, counts as another.
        if ((event.mask & kLost) != 0) target.direct = false;
      }
      at += sizeof event + event.len;
    }
  }
  // Until nothing changes any more: a directory may come while its parent is being watched.
  while (rearm && Rearm()) ours = true;
  return ours;
}

}  // namespace podroute
