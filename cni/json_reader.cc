#include "cni/json_reader.h"

#include <rapidjson/error/en.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <utility>

namespace podroute {

Result<rapidjson::Document> ParseJsonObject(std::string_view text) {
  rapidjson::Document document;
  document.Parse<rapidjson::kParseIterativeFlag | rapidjson::kParseValidateEncodingFlag>(
      text.data(), text.size());
  if (document.HasParseError()) {
    return Status(StatusCode::kInvalidArgument,
                  "not JSON at byte " + std::to_string(document.GetErrorOffset()) + ": " +
                      rapidjson::GetParseError_En(document.GetParseError()));
  }
  if (!document.IsObject()) return Status(StatusCode::kInvalidArgument, "not a JSON object");
  return document;
}

std::string ToJson(const JsonValue& value) {
  rapidjson::StringBuffer buffer;
  rapidjson::Writer<rapidjson::StringBuffer> writer(buffer);
  value.Accept(writer);
  return {buffer.GetString(), buffer.GetSize()};
}

const JsonValue* JsonReader::Find(const char* key) const {
  const std::string_view wanted(key);
  for (auto member = object_.MemberEnd(); member != object_.MemberBegin();) {
    --member;
    if (std::string_view(member->name.GetString(), member->name.GetStringLength()) == wanted) {
      return member->value.IsNull() ? nullptr : &member->value;
    }
  }
  return nullptr;
}

std::string JsonReader::String(const char* key) const {
  const JsonValue* value = Find(key);
  if (value == nullptr) return "";
  if (!value->IsString()) {
    Complain(key, "must be a string");
    return "";
  }
  return {value->GetString(), value->GetStringLength()};
}

bool JsonReader::Bool(const char* key) const {
  const JsonValue* value = Find(key);
  if (value == nullptr) return false;
  if (!value->IsBool()) {
    Complain(key, "must be true or false");
    return false;
  }
  return value->GetBool();
}

int64_t JsonReader::Int(const char* key, int64_t min, int64_t max, int64_t missing) const {
  const JsonValue* value = Find(key);
  if (value == nullptr) return missing;
  if (!value->IsInt64() || value->GetInt64() < min || value->GetInt64() > max) {
    Complain(key,
             "must be a whole number from " + std::to_string(min) + " to " + std::to_string(max));
    return missing;
  }
  return value->GetInt64();
}

std::vector<std::string> JsonReader::Strings(const char* key) const {
  std::vector<std::string> strings;
  const JsonValue* value = Find(key);
  if (value == nullptr) return strings;
  if (!value->IsArray()) {
    Complain(key, "must be an array of strings");
    return strings;
  }
  for (const JsonValue& element : value->GetArray()) {
    if (!element.IsString()) {
      Complain(key, "must be an array of strings");
      return {};
    }
    strings.emplace_back(element.GetString(), element.GetStringLength());
  }
  return strings;
}

void JsonReader::Object(const char* key, const std::function<void(const JsonReader&)>& each) const {
  const JsonValue* value = Find(key);
  if (value == nullptr) return;
  if (!value->IsObject()) {
    Complain(key, "must be an object");
    return;
  }
  each(JsonReader(*value, PathOf(key), problem_));
}

void JsonReader::EachObject(const JsonValue& array, const std::string& path,
                            const std::function<void(const JsonReader&)>& each) const {
  if (!array.IsArray()) {
    ComplainAt(path, "must be an array of objects");
    return;
  }
  for (rapidjson::SizeType i = 0; i < array.Size(); ++i) {
    std::string element_path = path + "[" + std::to_string(i) + "]";
    if (!array[i].IsObject()) {
      ComplainAt(element_path, "must be an object");
      return;
    }
    each(JsonReader(array[i], std::move(element_path), problem_));
  }
}

void JsonReader::Objects(const char* key,
                         const std::function<void(const JsonReader&)>& each) const {
  const JsonValue* value = Find(key);
  if (value != nullptr) EachObject(*value, PathOf(key), each);
}

void JsonReader::ObjectArrays(const char* key,
                              const std::function<void(size_t, const JsonReader&)>& each) const {
  const JsonValue* value = Find(key);
  if (value == nullptr) return;
  if (!value->IsArray()) {
    Complain(key, "must be an array of arrays of objects");
    return;
  }
  for (rapidjson::SizeType i = 0; i < value->Size(); ++i) {
    EachObject((*value)[i], PathOf(key) + "[" + std::to_string(i) + "]",
               [&](const JsonReader& element) { each(i, element); });
  }
}

std::string JsonReader::PathOf(const char* key) const {
  return path_.empty() ? key : path_ + "." + key;
}

void JsonReader::Complain(const char* key, std::string_view what) const {
  ComplainAt(PathOf(key), what);
}

void JsonReader::ComplainAt(const std::string& path, std::string_view what) const {
  if (!*problem_) *problem_ = path + ": " + std::string(what);
}

}  // namespace podroute
