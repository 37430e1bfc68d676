// One watch: which changes it has seen, and the frames that go out for the others. Pure.
#ifndef PODROUTE_TESTS_APISERVER_WATCHER_H_
#define PODROUTE_TESTS_APISERVER_WATCHER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tests/apiserver/selector.h"
#include "tests/apiserver/store.h"
#include "tests/apiserver/table.h"

namespace podroute {

struct WatchSpec {
  const ResourceType* type = nullptr;
  std::string prefix;  // Of the keys; "" is all.
  Selector selector;
  uint64_t from = 0;              // Changes above it.
  bool initial = false;           // What there is comes first, as ADDED.
  bool initial_bookmark = false;  // A bookmark with k8s.io/initial-events-end closes it.
  bool bookmarks = false;
  bool table = false;
  TableObjects table_objects = TableObjects::kMetadata;
  double timeout_seconds = 0;  // 0: the server's own.
};

// Frames are chunks of a chunked body, complete with their size lines.
using Frame = std::shared_ptr<const std::string>;

std::string Chunk(std::string_view payload);

// Not thread-safe. The store must outlive it.
class Watcher {
 public:
  Watcher(const Store* store, WatchSpec spec, std::function<int64_t()> now_seconds);

  // The next frame to send, or null when there is none just now.
  Frame Next();
  // True once an ERROR frame has been returned: the stream ends after it.
  bool done() const { return done_; }

  // A bookmark of what has been looked at, or null: not asked for, or nothing new since the watch
  // began.
  Frame Bookmark();
  // An ERROR event with code 410; sets done().
  Frame Gone();

  const WatchSpec& spec() const { return spec_; }

 private:
  Frame FrameFor(const Change& change);
  Frame TableFrame(std::string_view type, const ObjectPtr& object);

  const Store* store_;
  const WatchSpec spec_;
  const std::function<int64_t()> now_seconds_;
  std::vector<ObjectPtr> initial_;
  size_t initial_sent_ = 0;
  bool initial_bookmark_due_ = false;
  uint64_t seen_;  // All changes up to this version have been looked at.
  bool columns_sent_ = false;
  bool done_ = false;
};

}  // namespace podroute

#endif  // PODROUTE_TESTS_APISERVER_WATCHER_H_
