// The file that bird.conf includes, on disk.
#ifndef PODROUTE_ROUTING_BIRD_FILE_H_
#define PODROUTE_ROUTING_BIRD_FILE_H_

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "base/status.h"

namespace podroute {

// DIR/NAME, and beside it DIR/.NAME.new, which becomes it, and DIR/.NAME.old, which it can become
// again. The dot keeps those two out of an operator's `include "DIR/*"` (glob(7)). One thread.
//
// A change is Stage, Commit, then Settle or PutBack. Each but the first is one rename(2) or
// unlink(2), so that whatever ends us in between leaves the whole old file or the whole new one;
// that DIR/.NAME.old is there then says that it happened.
class BirdFile {
 public:
  // REQUIRES: `path` is absolute and ends with a name.
  explicit BirdFile(const std::string& path);

  const std::string& path() const { return path_; }

  // kNotFound when there is none.
  Result<std::string> Read() const;

  // Makes both companions. `good_old`: what PutBack puts back where the file itself is missing or
  // not to be trusted; null: the file as it is. An old one that is there already stays: it is the
  // last one that BIRD confirmed. On error nothing has changed.
  Status Stage(std::string_view text, const std::string* good_old);
  // Only marks that a change is under way, for one that leaves the file as it is.
  Status Mark();
  Status Commit();
  Status PutBack();
  // The change has come to its end: the companions go.
  void Settle();
  // A change was begun and has not been settled.
  bool Marked() const;

  // Differs when somebody replaced or changed the file. Zero when there is none.
  struct Identity {
    uint64_t device = 0, inode = 0;
    int64_t size = 0, modified_ns = 0, changed_ns = 0;
    bool operator==(const Identity&) const = default;
  };
  Identity Look() const;

 private:
  const std::string path_, new_path_, old_path_;
  bool swept_ = false;  // What others left has been looked for.
};

}  // namespace podroute

#endif  // PODROUTE_ROUTING_BIRD_FILE_H_
