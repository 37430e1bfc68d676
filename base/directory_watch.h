// Directories under a name, watched for changes of what they hold.
#ifndef PODROUTE_BASE_DIRECTORY_WATCH_H_
#define PODROUTE_BASE_DIRECTORY_WATCH_H_

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/event_loop.h"
#include "base/status.h"
#include "base/unique_fd.h"

namespace podroute {

// inotify(7) on an EventLoop. What it cannot see: that a directory further up is renamed, a
// symbolic link on the way points elsewhere, or something is mounted over. So the owner calls Watch
// again now and then, which follows the name to wherever it leads by then. One thread.
class DirectoryWatch {
 public:
  // `name` has been made, written to and closed, renamed, changed in its attributes or taken away
  // in `path`. Empty: the directory itself has come or gone, or notifications were lost.
  using Callback = std::function<void(const std::string& path, const std::string& name)>;

  // The loop must outlive this. Unavailable when this user has too many of them
  // (fs.inotify.max_user_instances).
  static Result<std::unique_ptr<DirectoryWatch>> Create(EventLoop& loop, Callback callback);
  ~DirectoryWatch();
  DirectoryWatch(const DirectoryWatch&) = delete;
  DirectoryWatch& operator=(const DirectoryWatch&) = delete;

  // Watches what `path` leads to now, instead of what it did at the last call. Where it leads
  // nowhere, the nearest directory above that is there is watched for the next one on the way.
  Status Watch(const std::string& path);

 private:
  struct Place {
    int descriptor = -1;
    std::string awaited;  // In that directory; empty: it is the one that is meant.
  };

  DirectoryWatch(EventLoop& loop, UniqueFd fd, Callback callback)
      : loop_(loop), fd_(std::move(fd)), callback_(std::move(callback)) {}
  void Drain();
  void Note(int descriptor, const std::string& name);
  void Release(int descriptor);

  EventLoop& loop_;
  const UniqueFd fd_;
  const Callback callback_;
  std::map<std::string, Place> places_;  // By path. Two may share a descriptor.
};

}  // namespace podroute

#endif  // PODROUTE_BASE_DIRECTORY_WATCH_H_
