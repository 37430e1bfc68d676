// One entry of a kubeconfig, read field by field, with messages that say where it stands.
#ifndef PODROUTE_K8SCLIENT_CONFIG_ENTRY_H_
#define PODROUTE_K8SCLIENT_CONFIG_ENTRY_H_

#include <string>
#include <string_view>

#include "base/status.h"
#include "k8sclient/yaml_value.h"

namespace podroute {

// Immutable. A field that is absent, or null, reads as empty or false. Errors are kInvalidArgument:
// "FILE:LINE: cluster \"lab\": server: ...".
class ConfigEntry {
 public:
  ConfigEntry() = default;
  // `what` for messages: "cluster \"lab\"". `body` is a mapping or null.
  ConfigEntry(std::string what, std::string file, YamlValue body)
      : what_(std::move(what)), file_(std::move(file)), body_(std::move(body)) {}

  const std::string& what() const { return what_; }
  const std::string& file() const { return file_; }
  const YamlValue* Find(std::string_view field) const { return body_.Find(field); }
  bool IsMap() const { return body_.kind == YamlValue::Kind::kMap; }
  bool Has(std::string_view field) const { return Find(field) != nullptr; }

  Result<std::string> Text(std::string_view field) const;
  Result<bool> Bool(std::string_view field) const;
  // A field of base64, decoded; it may not be empty once it is there.
  Result<std::string> Data(std::string_view field) const;
  // A file's path; a relative one belongs to the directory of the kubeconfig.
  Result<std::string> Path(std::string_view field) const;
  // A mapping inside this one; empty when absent.
  Result<ConfigEntry> Nested(std::string_view field) const;

  // An error about `field` (or about the whole entry, when empty): "FILE:LINE: WHAT: field:
  // message".
  Status Error(std::string_view field, std::string_view message) const;
  Status WrongKind(std::string_view field, std::string_view expected) const;

 private:
  std::string what_;
  std::string file_;
  YamlValue body_;
};

// `path` as it is meant in `file`: relative paths belong to the directory that the file is in.
std::string ResolvePath(const std::string& file, const std::string& path);

}  // namespace podroute

#endif  // PODROUTE_K8SCLIENT_CONFIG_ENTRY_H_
