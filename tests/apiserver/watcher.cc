#include "tests/apiserver/watcher.h"

#include <charconv>
#include <optional>
#include <utility>

#include "tests/apiserver/api_error.h"

namespace podroute {

namespace {

std::string EventJson(std::string_view type, std::string_view object) {
  std::string json;
  json.reserve(object.size() + 40);
  json.append(R"({"type":")").append(type).append(R"(","object":)").append(object).append("}\n");
  return json;
}

Frame MakeFrame(std::string_view type, std::string_view object) {
  return std::make_shared<const std::string>(Chunk(EventJson(type, object)));
}

std::string_view TypeName(ChangeType type) {
  switch (type) {
    case ChangeType::kAdded:
      return "ADDED";
    case ChangeType::kModified:
      return "MODIFIED";
    case ChangeType::kDeleted:
      return "DELETED";
  }
  return "";
}

// An empty object of the kind, as Go prints it, that carries nothing but a version.
std::string BookmarkJson(const ResourceType& type, uint64_t version, bool initial_end) {
  std::string json = "{\"kind\":" + Quoted(type.kind) +
                     ",\"apiVersion\":" + Quoted(type.ApiVersion()) +
                     R"(,"metadata":{"resourceVersion":")" + std::to_string(version) +
                     R"(","creationTimestamp":null)";
  if (initial_end) json += R"(,"annotations":{"k8s.io/initial-events-end":"true"})";
  json += "}";
  if (type.kind == "Node") {
    json += R"(,"spec":{},"status":{"daemonEndpoints":{"kubeletEndpoint":{"Port":0}},"nodeInfo":{)"
            R"("machineID":"","systemUUID":"","bootID":"","kernelVersion":"","osImage":"",)"
            R"("containerRuntimeVersion":"","kubeletVersion":"","kubeProxyVersion":"",)"
            R"("operatingSystem":"","architecture":""}})";
  } else if (type.kind == "Lease") {
    json += ",\"spec\":{}";
  } else if (type.kind == "Namespace") {
    json += R"(,"spec":{},"status":{})";
  }
  return json + "}";
}

}  // namespace

std::string Chunk(std::string_view payload) {
  char size[17];
  char* end = std::to_chars(size, size + sizeof(size), payload.size(), 16).ptr;
  std::string chunk;
  chunk.reserve(payload.size() + 24);
  chunk.append(size, end).append("\r\n").append(payload).append("\r\n");
  return chunk;
}

Watcher::Watcher(const Store* store, WatchSpec spec, std::function<int64_t()> now_seconds)
    : store_(store),
      spec_(std::move(spec)),
      now_seconds_(std::move(now_seconds)),
      seen_(spec_.from) {
  if (!spec_.initial) return;
  for (ObjectPtr& object : store_->List(*spec_.type, spec_.prefix)) {
    if (spec_.selector.Matches(*object)) initial_.push_back(std::move(object));
  }
  initial_bookmark_due_ = spec_.initial_bookmark;
  seen_ = store_->version();
}

Frame Watcher::Next() {
  if (done_) return nullptr;
  if (initial_sent_ < initial_.size()) {
    ObjectPtr object = std::move(initial_[initial_sent_++]);
    if (spec_.table) return TableFrame("ADDED", object);
    return MakeFrame("ADDED", object->json);
  }
  if (initial_bookmark_due_) {
    initial_bookmark_due_ = false;
    return MakeFrame("BOOKMARK", BookmarkJson(*spec_.type, seen_, true));
  }
  if (seen_ < store_->compacted()) return Gone();
  for (auto it = store_->After(seen_); it != store_->history_end(); ++it) {
    seen_ = it->version;
    if (it->resource != spec_.type || !it->object->key.starts_with(spec_.prefix)) continue;
    if (Frame frame = FrameFor(*it)) return frame;
  }
  return nullptr;
}

Frame Watcher::FrameFor(const Change& change) {
  ChangeType type = change.type;
  if (!spec_.selector.empty()) {
    // An object that comes to match is added, one that ceases to is deleted.
    bool before = change.previous != nullptr && spec_.selector.Matches(*change.previous);
    bool after = change.type != ChangeType::kDeleted && spec_.selector.Matches(*change.object);
    if (!before && !after) return nullptr;
    type = !before ? ChangeType::kAdded : (after ? ChangeType::kModified : ChangeType::kDeleted);
  }
  if (spec_.table) return TableFrame(TypeName(type), change.object);
  if (type != change.type) return MakeFrame(TypeName(type), change.object->json);
  if (!change.frame) change.frame = MakeFrame(TypeName(type), change.object->json);
  return change.frame;
}

Frame Watcher::TableFrame(std::string_view type, const ObjectPtr& object) {
  std::string table = TableJson(*spec_.type, {object},
                                "{\"resourceVersion\":\"" + std::to_string(object->version) + "\"}",
                                spec_.table_objects, !columns_sent_, now_seconds_());
  columns_sent_ = true;
  return MakeFrame(type, table);
}

Frame Watcher::Bookmark() {
  // v1.20 filters a bookmark as it does any event: it must be newer than the watch's beginning.
  if (!spec_.bookmarks || spec_.table || done_ || seen_ <= spec_.from) return nullptr;
  if (initial_sent_ < initial_.size()) return nullptr;
  return MakeFrame("BOOKMARK", BookmarkJson(*spec_.type, seen_, false));
}

Frame Watcher::Gone() {
  done_ = true;
  return MakeFrame("ERROR", Expired("too old resource version: " + std::to_string(seen_) + " (" +
                                    std::to_string(store_->compacted()) + ")")
                                .ToJson());
}

}  // namespace podroute
