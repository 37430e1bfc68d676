#include "k8sclient/config_entry.h"

#include <utility>

#include "k8sclient/base64.h"

namespace podroute {

Status ConfigEntry::Error(std::string_view field, std::string_view message) const {
  const YamlValue* value = Find(field);
  std::string text =
      file_ + ":" + std::to_string(value != nullptr ? value->line : body_.line) + ": " + what_;
  if (!field.empty()) text.append(": ").append(field);
  return Status(StatusCode::kInvalidArgument, text.append(": ").append(message));
}

Status ConfigEntry::WrongKind(std::string_view field, std::string_view expected) const {
  const YamlValue* value = Find(field);
  return Error(
      field,
      "is a " + std::string(YamlKindName(value != nullptr ? value->kind : YamlValue::Kind::kNull)) +
          "; a " + std::string(expected) + " would be right");
}

Result<std::string> ConfigEntry::Text(std::string_view field) const {
  const YamlValue* value = Find(field);
  if (value == nullptr) return std::string();
  if (value->kind != YamlValue::Kind::kScalar) return WrongKind(field, "text");
  return value->text;
}

Result<bool> ConfigEntry::Bool(std::string_view field) const {
  const YamlValue* value = Find(field);
  if (value == nullptr) return false;
  if (auto boolean = value->AsBool()) return *boolean;
  return Error(field, "is no boolean; true or false, without quotes, would be right");
}

Result<std::string> ConfigEntry::Data(std::string_view field) const {
  PODROUTE_ASSIGN_OR_RETURN(std::string text, Text(field));
  Result<std::string> bytes = DecodeBase64(text);
  if (!bytes.ok()) return Error(field, bytes.status().message());
  return bytes;
}

Result<std::string> ConfigEntry::Path(std::string_view field) const {
  PODROUTE_ASSIGN_OR_RETURN(std::string text, Text(field));
  return text.empty() ? text : ResolvePath(file_, text);
}

Result<ConfigEntry> ConfigEntry::Nested(std::string_view field) const {
  std::string what = what_ + ": " + std::string(field);
  const YamlValue* value = Find(field);
  if (value == nullptr) {
    YamlValue empty;
    empty.line = body_.line;
    return ConfigEntry(what, file_, std::move(empty));
  }
  if (value->kind != YamlValue::Kind::kMap) return WrongKind(field, "mapping");
  return ConfigEntry(what, file_, *value);
}

std::string ResolvePath(const std::string& file, const std::string& path) {
  size_t slash = file.rfind('/');
  if (path.starts_with('/') || slash == std::string::npos) return path;
  return file.substr(0, slash + 1) + path;
}

}  // namespace podroute
