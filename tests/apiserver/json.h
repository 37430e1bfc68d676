// JSON as the API server handles it: a RapidJSON tree while an object is changed, compact text
// while it is kept, and the text form that kube-apiserver prints for people.
#ifndef PODROUTE_TESTS_APISERVER_JSON_H_
#define PODROUTE_TESTS_APISERVER_JSON_H_

#include <rapidjson/document.h>

#include <initializer_list>
#include <string>
#include <string_view>

#include "base/status.h"

namespace podroute {

using JsonValue = rapidjson::Value;
using JsonDocument = rapidjson::Document;
using JsonAllocator = JsonDocument::AllocatorType;

// kInvalidArgument with RapidJSON's words and the byte offset.
Result<JsonDocument> ParseJson(std::string_view text);

// Compact, keys in the tree's order.
std::string ToText(const JsonValue& value);

// Compact JSON text, indented by two spaces as kube-apiserver does for curl: an empty object takes
// two lines, an empty array is [], the value of "fieldsV1" stays compact, and nothing follows the
// end. `level` is the depth that the text will stand at. REQUIRES: `compact` is valid JSON.
std::string Prettify(std::string_view compact, int level = 0);

// `text` as a JSON string, quotes included.
std::string Quoted(std::string_view text);

std::string_view View(const JsonValue& string);  // REQUIRES: string.IsString()
JsonValue JsonString(std::string_view text, JsonAllocator& allocator);

// The member, or null when `object` is no object or has none of that name.
const JsonValue* Find(const JsonValue& object, std::string_view key);
JsonValue* Find(JsonValue& object, std::string_view key);
// Follows `path`, member by member.
const JsonValue* FindPath(const JsonValue& object, std::initializer_list<std::string_view> path);
// The text of the string there; "" when there is none.
std::string_view StringAt(const JsonValue& object, std::initializer_list<std::string_view> path);

// Sets a member, replacing what is there. REQUIRES: object.IsObject()
void SetMember(JsonValue& object, std::string_view key, JsonValue value, JsonAllocator& allocator);
void SetString(JsonValue& object, std::string_view key, std::string_view text,
               JsonAllocator& allocator);
// The member, made an empty object when it is missing or null. REQUIRES: object.IsObject()
JsonValue& ObjectMember(JsonValue& object, std::string_view key, JsonAllocator& allocator);
// No error when there is none. Keeps the order of the others.
void RemoveMember(JsonValue& object, std::string_view key);

// Puts the named members first, in that order; the others follow as they stood.
void OrderMembers(JsonValue& object, std::initializer_list<std::string_view> first,
                  JsonAllocator& allocator);
// Orders members by name, as Go prints a map.
void SortMembers(JsonValue& object, JsonAllocator& allocator);

}  // namespace podroute

#endif  // PODROUTE_TESTS_APISERVER_JSON_H_
