#include "tests/apiserver/store.h"

#include <algorithm>
#include <utility>

namespace podroute {

namespace {

ObjectPtr MakeObject(const ResourceType& type, const std::string& key, uint64_t version,
                     JsonDocument& document) {
  JsonValue& metadata = ObjectMember(document, "metadata", document.GetAllocator());
  SetString(metadata, "resourceVersion", std::to_string(version), document.GetAllocator());
  auto object = std::make_shared<StoredObject>();
  object->key = key;
  object->version = version;
  object->json = ToText(document);
  object->item_offset = std::string_view(R"({"kind":"","apiVersion":"",)").size() +
                        type.kind.size() + type.ApiVersion().size();
  return object;
}

}  // namespace

Store::Store(size_t history, uint64_t first_version)
    : history_limit_(history),
      first_version_(first_version),
      version_(first_version),
      compacted_(first_version),
      objects_(AllResources().size()) {}

ObjectPtr Store::Get(const ResourceType& type, const std::string& key) const {
  const auto& objects = objects_[type.index()];
  auto it = objects.find(key);
  return it == objects.end() ? nullptr : it->second;
}

ObjectPtr Store::Put(const ResourceType& type, const std::string& key, JsonDocument document) {
  ObjectPtr& slot = objects_[type.index()][key];
  ObjectPtr previous = slot;
  slot = MakeObject(type, key, version_ + 1, document);
  ObjectPtr object = slot;
  Record({object->version, previous ? ChangeType::kModified : ChangeType::kAdded, &type, object,
          std::move(previous), nullptr});
  return object;
}

ObjectPtr Store::Delete(const ResourceType& type, const std::string& key) {
  auto& objects = objects_[type.index()];
  auto it = objects.find(key);
  if (it == objects.end()) return nullptr;
  ObjectPtr previous = std::move(it->second);
  objects.erase(it);
  JsonDocument document = std::move(ParseJson(previous->json)).value();
  ObjectPtr object = MakeObject(type, key, version_ + 1, document);
  Record({object->version, ChangeType::kDeleted, &type, object, std::move(previous), nullptr});
  return object;
}

std::vector<ObjectPtr> Store::List(const ResourceType& type, std::string_view prefix) const {
  const auto& objects = objects_[type.index()];
  std::vector<ObjectPtr> list;
  if (prefix.empty()) list.reserve(objects.size());
  for (auto it = objects.lower_bound(prefix); it != objects.end() && it->first.starts_with(prefix);
       ++it) {
    list.push_back(it->second);
  }
  return list;
}

std::optional<std::vector<ObjectPtr>> Store::ListAt(const ResourceType& type,
                                                    std::string_view prefix,
                                                    uint64_t version) const {
  if (version < compacted_) return std::nullopt;
  if (version == version_) return List(type, prefix);
  // Undo what came after, newest first.
  auto objects = objects_[type.index()];
  auto first = After(version);
  for (auto it = history_.end(); it != first;) {
    const Change& change = *--it;
    if (change.resource != &type) continue;
    if (change.previous) {
      objects[change.object->key] = change.previous;
    } else {
      objects.erase(change.object->key);
    }
  }
  std::vector<ObjectPtr> list;
  for (auto& [key, object] : objects) {
    if (key.starts_with(prefix)) list.push_back(std::move(object));
  }
  return list;
}

std::deque<Change>::const_iterator Store::After(uint64_t version) const {
  return std::upper_bound(history_.begin(), history_.end(), version,
                          [](uint64_t v, const Change& change) { return v < change.version; });
}

void Store::Compact() {
  history_.clear();
  compacted_ = version_;
}

void Store::GoOnAfter(uint64_t version) {
  if (version <= version_) return;
  version_ = version;
  Compact();
}

void Store::LoseVersions() {
  version_ = std::min(first_version_, uint64_t{1});
  for (const ResourceType& type : AllResources()) {
    for (auto& [key, object] : objects_[type.index()]) {
      JsonDocument document = std::move(ParseJson(object->json)).value();
      object = MakeObject(type, key, ++version_, document);
    }
  }
  Compact();
}

void Store::Clear() {
  for (const ResourceType& type : AllResources()) {
    for (const ObjectPtr& object : List(type)) Delete(type, object->key);
  }
}

void Store::Record(Change change) {
  version_ = change.version;
  history_.push_back(std::move(change));
  while (history_.size() > history_limit_) {
    compacted_ = history_.front().version;
    history_.pop_front();
  }
  if (on_change_) on_change_();
}

}  // namespace podroute
