// Reads typed fields out of JSON and complains by name about what has the wrong type.
#ifndef PODROUTE_CNI_JSON_READER_H_
#define PODROUTE_CNI_JSON_READER_H_

#include <rapidjson/document.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace podroute {

using JsonValue = rapidjson::Value;

// Parses text that must be one JSON object. Depth and size are bounded by the text alone: the
// parser does not recurse. The message says where it stops being JSON.
Result<rapidjson::Document> ParseJsonObject(std::string_view text);

// The text of `value`, compact.
std::string ToJson(const JsonValue& value);

// A view of one JSON object at `path` ("ipam.ranges[0][1]"). A missing key and null give the
// default; a wrong type or value sets the problem, once: the first stays. Of duplicate keys the
// last counts, as in the Go programs that share these files. `object` and `problem` must outlive
// it.
class JsonReader {
 public:
  // REQUIRES: object.IsObject().
  JsonReader(const JsonValue& object, std::string path, std::optional<std::string>* problem)
      : object_(object), path_(std::move(path)), problem_(problem) {}

  // nullptr when missing or null.
  const JsonValue* Find(const char* key) const;

  std::string String(const char* key) const;
  bool Bool(const char* key) const;
  // Out of [min, max] is a problem too.
  int64_t Int(const char* key, int64_t min, int64_t max, int64_t missing = 0) const;
  std::vector<std::string> Strings(const char* key) const;

  // Calls `each` with a reader for the object at `key`, if there is one.
  void Object(const char* key, const std::function<void(const JsonReader&)>& each) const;
  // Calls `each` with a reader for every element of the array of objects at `key`.
  void Objects(const char* key, const std::function<void(const JsonReader&)>& each) const;
  // The same for an array whose elements are arrays of objects; outer index first.
  void ObjectArrays(const char* key,
                    const std::function<void(size_t, const JsonReader&)>& each) const;

  std::string PathOf(const char* key) const;
  // "ipam.gateway: <what>", unless there is a problem already.
  void Complain(const char* key, std::string_view what) const;

 private:
  void ComplainAt(const std::string& path, std::string_view what) const;
  void EachObject(const JsonValue& array, const std::string& path,
                  const std::function<void(const JsonReader&)>& each) const;

  const JsonValue& object_;
  std::string path_;
  std::optional<std::string>* problem_;
};

}  // namespace podroute

#endif  // PODROUTE_CNI_JSON_READER_H_
