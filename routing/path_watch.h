// Notices that files come, go and change.
#ifndef PODROUTE_ROUTING_PATH_WATCH_H_
#define PODROUTE_ROUTING_PATH_WATCH_H_

#include <string>
#include <vector>

#include "base/status.h"
#include "base/unique_fd.h"

namespace podroute {

// Watches the directories of the files, not the files: a socket or a file that is replaced is
// another one. Where a directory is not there, its nearest ancestor that is is watched until it
// comes. One thread.
class PathWatch {
 public:
  // `paths` are absolute. Errors: inotify has no instances or watches left.
  static Result<PathWatch> Create(const std::vector<std::string>& paths);

  // An inotify descriptor, readable when Drain has something to read (events of other files in the
  // same directories too).
  int fd() const { return inotify_.get(); }

  // Reads all there is; true when one of the files was made, replaced, changed, or taken away, its
  // permissions changed (a daemon's last step when it makes a socket), or when that cannot be
  // known. Never blocks.
  bool Drain();

 private:
  struct Target {
    std::string directory, name;
    int watch = -1;       // On `directory` or an ancestor of it.
    bool direct = false;  // On `directory` itself.
  };

  PathWatch(std::vector<Target> targets, UniqueFd inotify)
      : targets_(std::move(targets)), inotify_(std::move(inotify)) {}
  bool Rearm();
  void DropUnused(const std::vector<int>& before);

  std::vector<Target> targets_;
  UniqueFd inotify_;
};

}  // namespace podroute

#endif  // PODROUTE_ROUTING_PATH_WATCH_H_
