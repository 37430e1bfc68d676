#include "k8sclient/yaml_value.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <sstream>
#include <utility>

namespace podroute {
namespace {

constexpr size_t kMaxDepth = 100;

size_t CountValues(const YamlValue& value) {
  size_t count = 1;
  for (const YamlValue& item : value.items) count += CountValues(item);
  return count;
}

// Builds the tree from yaml-cpp's events. Throws only what yaml-cpp's own parser throws, through
// which it is called.
class TreeBuilder final : public YAML::EventHandler {
 public:
  explicit TreeBuilder(size_t max_values) : max_values_(max_values) {}

  YamlValue TakeRoot() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    Leaf(mark, anchor, YamlValue());
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& text) override {
    YamlValue value;
    value.kind = YamlValue::Kind::kScalar;
    value.text = text;
    value.plain = tag == "?";
    Leaf(mark, anchor, std::move(value));
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    auto it = anchors_.find(anchor);
    if (it == anchors_.end())
      throw YAML::ParserException(mark, "an alias inside what it stands for");
    Count(mark, CountValues(it->second));
    Place(mark, it->second);
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    Open(mark, anchor, YamlValue::Kind::kList);
  }
  void OnSequenceEnd() override { Close(); }

  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    Open(mark, anchor, YamlValue::Kind::kMap);
  }
  void OnMapEnd() override { Close(); }

 private:
  struct Level {
    YamlValue value;
    YAML::anchor_t anchor;
    YAML::Mark mark;
  };

  void Count(const YAML::Mark& mark, size_t values) {
    values_ += values;
    if (values_ > max_values_) {
      throw YAML::ParserException(mark, "more than " + std::to_string(max_values_) + " values");
    }
  }

  void Leaf(const YAML::Mark& mark, YAML::anchor_t anchor, YamlValue value) {
    Count(mark, 1);
    value.line = mark.line + 1;
    if (anchor != 0) anchors_[anchor] = value;
    Place(mark, std::move(value));
  }

  void Open(const YAML::Mark& mark, YAML::anchor_t anchor, YamlValue::Kind kind) {
    Count(mark, 1);
    if (levels_.size() >= kMaxDepth) throw YAML::ParserException(mark, "nested too deeply");
    levels_.push_back({.value = {}, .anchor = anchor, .mark = mark});
    levels_.back().value.kind = kind;
    levels_.back().value.line = mark.line + 1;
  }

  void Close() {
    Level level = std::move(levels_.back());
    levels_.pop_back();
    if (level.anchor != 0) anchors_[level.anchor] = level.value;
    Place(level.mark, std::move(level.value));
  }

  void Place(const YAML::Mark& mark, YamlValue value) {
    if (levels_.empty()) {
      root_ = std::move(value);
      return;
    }
    YamlValue& parent = levels_.back().value;
    if (parent.kind == YamlValue::Kind::kMap && parent.keys.size() == parent.items.size()) {
      if (value.kind != YamlValue::Kind::kScalar) {
        throw YAML::ParserException(mark, "a key that is not text");
      }
      parent.keys.push_back(std::move(value.text));
      return;
    }
    parent.items.push_back(std::move(value));
  }

  const size_t max_values_;
  size_t values_ = 0;
  YamlValue root_;
  std::vector<Level> levels_;
  std::map<YAML::anchor_t, YamlValue> anchors_;
};

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// RFC 8259 section 6.
bool IsJsonNumber(std::string_view text) {
  size_t at = 0;
  auto peek = [&] { return at < text.size() ? text[at] : '\0'; };
  auto digits = [&] {
    size_t start = at;
    while (IsDigit(peek())) ++at;
    return at > start;
  };
  if (peek() == '-') ++at;
  if (peek() == '0') {
    ++at;
  } else if (!digits()) {
    return false;
  }
  if (peek() == '.') {
    ++at;
    if (!digits()) return false;
  }
  if (peek() == 'e' || peek() == 'E') {
    ++at;
    if (peek() == '+' || peek() == '-') ++at;
    if (!digits()) return false;
  }
  return at == text.size();
}

void AppendJsonString(std::string_view text, std::string& out) {
  out += '"';
  for (char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      char buffer[8];
      std::snprintf(buffer, sizeof buffer, "\\u%04x", static_cast<unsigned>(c));
      out += buffer;
    } else {
      out += c;
    }
  }
  out += '"';
}

void AppendJson(const YamlValue& value, std::string& out) {
  switch (value.kind) {
    case YamlValue::Kind::kNull:
      out += "null";
      return;
    case YamlValue::Kind::kScalar:
      if (auto boolean = value.AsBool()) {
        out += *boolean ? "true" : "false";
      } else if (value.plain && IsJsonNumber(value.text)) {
        out += value.text;
      } else {
        AppendJsonString(value.text, out);
      }
      return;
    case YamlValue::Kind::kList:
    case YamlValue::Kind::kMap:
      break;
  }
  bool map = value.kind == YamlValue::Kind::kMap;
  out += map ? '{' : '[';
  for (size_t i = 0; i < value.items.size(); ++i) {
    if (i > 0) out += ',';
    if (map) {
      AppendJsonString(value.keys[i], out);
      out += ':';
    }
    AppendJson(value.items[i], out);
  }
  out += map ? '}' : ']';
}

// yaml-cpp takes U+0004 for the end of its input, and YAML allows no such characters anyway.
Status CheckCharacters(const std::string& text, const std::string& name) {
  int line = 1;
  for (char c : text) {
    if (c == '\n') ++line;
    auto byte = static_cast<unsigned char>(c);
    if ((byte < 0x20 && c != '\n' && c != '\r' && c != '\t') || byte == 0x7f) {
      return Status(StatusCode::kInvalidArgument, name + ":" + std::to_string(line) +
                                                      ": control character " +
                                                      std::to_string(byte) + "; text is expected");
    }
  }
  return Status::Ok();
}

}  // namespace

const YamlValue* YamlValue::Find(std::string_view key) const {
  if (kind != Kind::kMap) return nullptr;
  for (size_t i = keys.size(); i-- > 0;) {
    if (keys[i] == key) return items[i].kind == Kind::kNull ? nullptr : &items[i];
  }
  return nullptr;
}

std::optional<bool> YamlValue::AsBool() const {
  if (kind != Kind::kScalar || !plain) return std::nullopt;
  for (const char* yes : {"true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON"}) {
    if (text == yes) return true;
  }
  for (const char* no : {"false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF"}) {
    if (text == no) return false;
  }
  return std::nullopt;
}

std::string_view YamlKindName(YamlValue::Kind kind) {
  switch (kind) {
    case YamlValue::Kind::kNull:
      return "nothing";
    case YamlValue::Kind::kScalar:
      return "text";
    case YamlValue::Kind::kList:
      return "list";
    case YamlValue::Kind::kMap:
      return "mapping";
  }
  std::abort();
}

Result<YamlValue> ParseYaml(const std::string& text, const std::string& name, size_t max_values) {
  PODROUTE_RETURN_IF_ERROR(CheckCharacters(text, name));
  try {
    TreeBuilder builder(max_values);
    // yaml-cpp lets an open quote pass when its input ends in a line break. This comment is nothing
    // to whole text, and makes text that was cut off inside quotes end in the middle of a line.
    std::istringstream stream(text.ends_with('\n') ? text + "#" : text);
    YAML::Parser parser(stream);
    parser.HandleNextDocument(builder);
    return builder.TakeRoot();
  } catch (const YAML::Exception& error) {
    std::string where =
        error.mark.is_null() ? name : name + ":" + std::to_string(error.mark.line + 1);
    return Status(StatusCode::kInvalidArgument, where + ": not YAML or JSON: " + error.msg);
  } catch (const std::exception& error) {
    return Status(StatusCode::kInvalidArgument, name + ": not YAML or JSON: " + error.what());
  }
}

std::string ToJson(const YamlValue& value) {
  std::string out;
  AppendJson(value, out);
  return out;
}

}  // namespace podroute
