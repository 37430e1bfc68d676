// YAML (and so JSON) text as a plain tree that knows its line numbers. The only file that touches
// yaml-cpp is this one's .cc.
#ifndef PODROUTE_K8SCLIENT_YAML_VALUE_H_
#define PODROUTE_K8SCLIENT_YAML_VALUE_H_

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace podroute {

// A value; copies are deep. Anchors, aliases and tags are resolved while parsing.
struct YamlValue {
  enum class Kind { kNull, kScalar, kList, kMap };

  Kind kind = Kind::kNull;
  int line = 0;        // Where it starts, from 1.
  std::string text;    // kScalar
  bool plain = false;  // kScalar: stands without quotes, so it may mean a number or boolean.
  std::vector<YamlValue> items;   // kList: the elements; kMap: the values.
  std::vector<std::string> keys;  // kMap: one for each of `items`.

  // The value under `key`; null when there is none, when it is YAML's null, or when this is no map.
  // Of equal keys the last counts. Valid as long as this is not changed.
  const YamlValue* Find(std::string_view key) const;

  // What a plain true/false (or YAML 1.1's yes/no/on/off, as Go reads them) means.
  std::optional<bool> AsBool() const;
};

// "text", "list", "mapping" or "nothing", for messages.
std::string_view YamlKindName(YamlValue::Kind kind);

// Parses the first document of `text`; empty text is kNull. `name` is the file, for messages
// ("name:line: ..."). Bounded: more than `max_values` values after aliases are expanded, or nesting
// beyond 100, is an error, as are control characters (yaml-cpp takes one of them for the end).
Result<YamlValue> ParseYaml(const std::string& text, const std::string& name,
                            size_t max_values = 1'000'000);

// The same as JSON text on one line. Plain scalars that are JSON numbers or booleans become such.
std::string ToJson(const YamlValue& value);

}  // namespace podroute

#endif  // PODROUTE_K8SCLIENT_YAML_VALUE_H_
