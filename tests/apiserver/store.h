// The objects and their history: what etcd is to the real server. Pure: no I/O, no clock, no
// threads.
#ifndef PODROUTE_TESTS_APISERVER_STORE_H_
#define PODROUTE_TESTS_APISERVER_STORE_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/apiserver/json.h"
#include "tests/apiserver/resources.h"

namespace podroute {

// One version of one object. Immutable; shared between the store, its history and every answer
// under way, so that nobody copies a Node.
struct StoredObject {
  std::string key;  // "name", or "namespace/name".
  uint64_t version = 0;
  std::string json;        // Compact; begins with kind and apiVersion.
  size_t item_offset = 0;  // Where the rest begins, just after "apiVersion":"...",

  // As it stands in a list's items: without kind and apiVersion. Without its opening brace.
  std::string_view item_tail() const { return std::string_view(json).substr(item_offset); }
};
using ObjectPtr = std::shared_ptr<const StoredObject>;

enum class ChangeType { kAdded, kModified, kDeleted };

struct Change {
  uint64_t version = 0;
  ChangeType type = ChangeType::kAdded;
  const ResourceType* resource = nullptr;
  ObjectPtr object;    // As it is now; when deleted, as it was, with the version of the deletion.
  ObjectPtr previous;  // Null when added.
  // The watch event as it goes over the wire, made by the first watcher that needs it.
  mutable std::shared_ptr<const std::string> frame;
};

// Not thread-safe.
class Store {
 public:
  // Remembers the last `history` changes. Versions begin after `first_version`.
  explicit Store(size_t history, uint64_t first_version = 200);

  // The newest version, and the newest that a watch or a continued list cannot start from any more.
  uint64_t version() const { return version_; }
  uint64_t compacted() const { return compacted_; }

  ObjectPtr Get(const ResourceType& type,
                const std::string& key) const;  // Null when there is none.
  size_t Count(const ResourceType& type) const { return objects_[type.index()].size(); }

  // Creates or replaces the object with that key: sets metadata.resourceVersion and records the
  // change. REQUIRES: kind and apiVersion are the first two members.
  ObjectPtr Put(const ResourceType& type, const std::string& key, JsonDocument document);
  // Returns the object with the version of its deletion; null when there was none.
  ObjectPtr Delete(const ResourceType& type, const std::string& key);

  // Those whose key begins with `prefix`, by key.
  std::vector<ObjectPtr> List(const ResourceType& type, std::string_view prefix = "") const;
  // The same as it was at `version`; nullopt when that is compacted. REQUIRES: version <= version()
  std::optional<std::vector<ObjectPtr>> ListAt(const ResourceType& type, std::string_view prefix,
                                               uint64_t version) const;

  // Changes with a version above `version`, oldest first, begin there. Ends before history_end().
  std::deque<Change>::const_iterator After(uint64_t version) const;
  std::deque<Change>::const_iterator history_end() const { return history_.end(); }

  // Forgets all history: versions before now are too old.
  void Compact();
  // Versions go on after `version` at least, and none before it is known: a server that has kept
  // its objects.
  void GoOnAfter(uint64_t version);
  // A server restored from nothing but the objects: versions begin again, lower than they were.
  void LoseVersions();
  // No objects; the version stays.
  void Clear();

  // Called after every change. Set once.
  void SetOnChange(std::function<void()> on_change) { on_change_ = std::move(on_change); }

 private:
  void Record(Change change);

  const size_t history_limit_;
  const uint64_t first_version_;
  uint64_t version_;
  uint64_t compacted_;
  std::vector<std::map<std::string, ObjectPtr, std::less<>>> objects_;  // By ResourceType::index().
  std::deque<Change> history_;  // Versions strictly increase.
  std::function<void()> on_change_;
};

}  // namespace podroute

#endif  // PODROUTE_TESTS_APISERVER_STORE_H_
