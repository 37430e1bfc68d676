#include "tests/apiserver/json.h"

#include <rapidjson/error/en.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <algorithm>
#include <utility>
#include <vector>

namespace podroute {

namespace {

rapidjson::SizeType Size(std::string_view text) {
  return static_cast<rapidjson::SizeType>(text.size());
}

JsonValue::StringRefType Ref(std::string_view text) {
  return {text.empty() ? "" : text.data(), Size(text)};
}

// Walks compact JSON and inserts the white space.
class Prettifier {
 public:
  Prettifier(std::string_view in, int level) : in_(in), level_(level) {}

  std::string Run() {
    out_.reserve(in_.size() * 3 / 2);
    while (pos_ < in_.size()) Step();
    return std::move(out_);
  }

 private:
  void NewLine() {
    out_ += '\n';
    out_.append(static_cast<size_t>(level_) * 2, ' ');
  }

  // The end of the string that begins at pos_.
  size_t StringEnd() const {
    size_t end = pos_ + 1;
    while (end < in_.size() && in_[end] != '"') end += in_[end] == '\\' ? 2 : 1;
    return std::min(end + 1, in_.size());
  }

  void CopyString() {
    size_t end = StringEnd();
    last_string_ = in_.substr(pos_, end - pos_);
    out_ += last_string_;
    pos_ = end;
  }

  // Copies the object at pos_ as it stands.
  void CopyRaw() {
    int depth = 0;
    size_t begin = pos_;
    do {
      char c = in_[pos_];
      if (c == '"') {
        pos_ = StringEnd();
        continue;
      }
      if (c == '{' || c == '[') ++depth;
      if (c == '}' || c == ']') --depth;
      ++pos_;
    } while (depth > 0 && pos_ < in_.size());
    out_ += in_.substr(begin, pos_ - begin);
  }

  void Step() {
    char c = in_[pos_];
    switch (c) {
      case '"':
        CopyString();
        return;
      case '{':
      case '[':
        Open(c);
        return;
      case '}':
      case ']':
        --level_;
        NewLine();
        out_ += c;
        break;
      case ',':
        out_ += c;
        NewLine();
        break;
      case ':':
        out_ += ": ";
        ++pos_;
        // The real server holds it as raw bytes, which its encoder copies.
        if (last_string_ == "\"fieldsV1\"" && pos_ < in_.size() && in_[pos_] == '{') CopyRaw();
        return;
      default:
        out_ += c;
    }
    ++pos_;
  }

  void Open(char c) {
    out_ += c;
    ++pos_;
    if (c == '[' && pos_ < in_.size() && in_[pos_] == ']') {
      out_ += ']';
      ++pos_;
      return;
    }
    ++level_;
    NewLine();
  }

  std::string_view in_;
  int level_;
  size_t pos_ = 0;
  std::string out_;
  std::string_view last_string_;
};

}  // namespace

Result<JsonDocument> ParseJson(std::string_view text) {
  JsonDocument document;
  // Iterative: hostile nesting must not use up the stack.
  document.Parse<rapidjson::kParseIterativeFlag>(text.data(), text.size());
  if (document.HasParseError()) {
    return Status(StatusCode::kInvalidArgument,
                  std::string(rapidjson::GetParseError_En(document.GetParseError())) + " (byte " +
                      std::to_string(document.GetErrorOffset()) + ")");
  }
  return document;
}

std::string ToText(const JsonValue& value) {
  rapidjson::StringBuffer buffer;
  rapidjson::Writer<rapidjson::StringBuffer> writer(buffer);
  value.Accept(writer);
  return {buffer.GetString(), buffer.GetSize()};
}

std::string Prettify(std::string_view compact, int level) {
  return Prettifier(compact, level).Run();
}

std::string Quoted(std::string_view text) { return ToText(JsonValue(Ref(text))); }

std::string_view View(const JsonValue& string) {
  return {string.GetString(), string.GetStringLength()};
}

JsonValue JsonString(std::string_view text, JsonAllocator& allocator) {
  return {text.empty() ? "" : text.data(), Size(text), allocator};
}

const JsonValue* Find(const JsonValue& object, std::string_view key) {
  if (!object.IsObject()) return nullptr;
  auto member = object.FindMember(JsonValue(Ref(key)));
  return member == object.MemberEnd() ? nullptr : &member->value;
}

JsonValue* Find(JsonValue& object, std::string_view key) {
  return const_cast<JsonValue*>(Find(std::as_const(object), key));
}

const JsonValue* FindPath(const JsonValue& object, std::initializer_list<std::string_view> path) {
  const JsonValue* at = &object;
  for (std::string_view key : path) {
    at = Find(*at, key);
    if (at == nullptr) return nullptr;
  }
  return at;
}

std::string_view StringAt(const JsonValue& object, std::initializer_list<std::string_view> path) {
  const JsonValue* at = FindPath(object, path);
  return at != nullptr && at->IsString() ? View(*at) : std::string_view();
}

void SetMember(JsonValue& object, std::string_view key, JsonValue value, JsonAllocator& allocator) {
  if (JsonValue* old = Find(object, key)) {
    *old = value;  // RapidJSON's assignment moves.
    return;
  }
  object.AddMember(JsonString(key, allocator), value, allocator);
}

void SetString(JsonValue& object, std::string_view key, std::string_view text,
               JsonAllocator& allocator) {
  SetMember(object, key, JsonString(text, allocator), allocator);
}

JsonValue& ObjectMember(JsonValue& object, std::string_view key, JsonAllocator& allocator) {
  JsonValue* found = Find(object, key);
  if (found == nullptr || !found->IsObject()) {
    SetMember(object, key, JsonValue(rapidjson::kObjectType), allocator);
    found = Find(object, key);
  }
  return *found;
}

void RemoveMember(JsonValue& object, std::string_view key) {
  if (!object.IsObject()) return;
  auto member = object.FindMember(JsonValue(Ref(key)));
  if (member != object.MemberEnd()) object.EraseMember(member);
}

void OrderMembers(JsonValue& object, std::initializer_list<std::string_view> first,
                  JsonAllocator& allocator) {
  if (!object.IsObject()) return;
  JsonValue ordered(rapidjson::kObjectType);
  for (std::string_view key : first) {
    auto member = object.FindMember(JsonValue(Ref(key)));
    if (member == object.MemberEnd()) continue;
    ordered.AddMember(member->name, member->value, allocator);
    object.EraseMember(member);
  }
  for (auto& member : object.GetObject()) {
    ordered.AddMember(member.name, member.value, allocator);
  }
  object = ordered;
}

void SortMembers(JsonValue& object, JsonAllocator& allocator) {
  if (!object.IsObject()) return;
  std::vector<JsonValue::MemberIterator> members;
  for (auto it = object.MemberBegin(); it != object.MemberEnd(); ++it) members.push_back(it);
  std::sort(members.begin(), members.end(),
            [](auto a, auto b) { return View(a->name) < View(b->name); });
  JsonValue sorted(rapidjson::kObjectType);
  for (const auto& member : members) sorted.AddMember(member->name, member->value, allocator);
  object = sorted;
}

}  // namespace podroute
