#include "tests/apiserver/table.h"

#include <algorithm>

#include "tests/apiserver/json.h"
#include "tests/apiserver/objects.h"

namespace podroute {

namespace {

struct Column {
  std::string_view name;
  int priority;  // Above 0: only with -o wide.
};

std::vector<Column> Columns(const ResourceType& type) {
  if (type.kind == "Node") {
    return {{"Name", 0},           {"Status", 0},           {"Roles", 0},       {"Age", 0},
            {"Version", 0},        {"Internal-IP", 1},      {"External-IP", 1}, {"OS-Image", 1},
            {"Kernel-Version", 1}, {"Container-Runtime", 1}};
  }
  if (type.kind == "Event") {
    return {{"Last Seen", 0}, {"Type", 0}, {"Reason", 0}, {"Object", 0}, {"Message", 0}};
  }
  if (type.kind == "Lease") return {{"Name", 0}, {"Holder", 0}, {"Age", 0}};
  if (type.kind == "ConfigMap") return {{"Name", 0}, {"Data", 0}, {"Age", 0}};
  return {{"Name", 0}, {"Status", 0}, {"Age", 0}};
}

std::string Age(const JsonValue& time, int64_t now) {
  std::optional<int64_t> seconds;
  if (time.IsString()) seconds = ParseRfc3339(View(time));
  return seconds ? HumanDuration(now - *seconds) : "<unknown>";
}

std::string OrUnknown(std::string_view text, std::string_view otherwise) {
  return std::string(text.empty() ? otherwise : text);
}

std::string NodeStatus(const JsonValue& node) {
  std::string status = "Unknown";
  const JsonValue* conditions = FindPath(node, {"status", "conditions"});
  if (conditions != nullptr && conditions->IsArray()) {
    for (const JsonValue& condition : conditions->GetArray()) {
      if (StringAt(condition, {"type"}) != "Ready") continue;
      status = StringAt(condition, {"status"}) == "True" ? "Ready" : "NotReady";
    }
  }
  const JsonValue* unschedulable = FindPath(node, {"spec", "unschedulable"});
  if (unschedulable != nullptr && unschedulable->IsTrue()) status += ",SchedulingDisabled";
  return status;
}

std::string NodeRoles(const JsonValue& node) {
  constexpr std::string_view kRolePrefix = "node-role.kubernetes.io/";
  std::string roles;
  const JsonValue* labels = FindPath(node, {"metadata", "labels"});
  if (labels != nullptr && labels->IsObject()) {
    for (const auto& label : labels->GetObject()) {
      std::string_view name = View(label.name);
      if (!name.starts_with(kRolePrefix)) continue;
      roles += (roles.empty() ? "" : ",") + std::string(name.substr(kRolePrefix.size()));
    }
  }
  return roles.empty() ? "<none>" : roles;
}

std::string NodeAddress(const JsonValue& node, std::string_view type) {
  const JsonValue* addresses = FindPath(node, {"status", "addresses"});
  if (addresses != nullptr && addresses->IsArray()) {
    for (const JsonValue& address : addresses->GetArray()) {
      if (StringAt(address, {"type"}) == type) return std::string(StringAt(address, {"address"}));
    }
  }
  return "<none>";
}

std::vector<std::string> Cells(const ResourceType& type, const JsonValue& object, int64_t now) {
  std::string name(StringAt(object, {"metadata", "name"}));
  const JsonValue* created = FindPath(object, {"metadata", "creationTimestamp"});
  std::string age = created == nullptr ? "<unknown>" : Age(*created, now);
  if (type.kind == "Node") {
    auto info = [&](std::string_view key) {
      return OrUnknown(StringAt(object, {"status", "nodeInfo", key}), "<unknown>");
    };
    return {name,
            NodeStatus(object),
            NodeRoles(object),
            age,
            std::string(StringAt(object, {"status", "nodeInfo", "kubeletVersion"})),
            NodeAddress(object, "InternalIP"),
            NodeAddress(object, "ExternalIP"),
            info("osImage"),
            info("kernelVersion"),
            info("containerRuntimeVersion")};
  }
  if (type.kind == "Event") {
    const JsonValue* last = Find(object, "lastTimestamp");
    if (last == nullptr || last->IsNull()) last = Find(object, "eventTime");
    std::string about(StringAt(object, {"involvedObject", "kind"}));
    std::transform(about.begin(), about.end(), about.begin(),
                   [](unsigned char c) { return std::tolower(c); });
    return {last == nullptr ? "<unknown>" : Age(*last, now),
            std::string(StringAt(object, {"type"})), std::string(StringAt(object, {"reason"})),
            about + "/" + std::string(StringAt(object, {"involvedObject", "name"})),
            std::string(StringAt(object, {"message"}))};
  }
  if (type.kind == "Lease") {
    return {name, std::string(StringAt(object, {"spec", "holderIdentity"})), age};
  }
  if (type.kind == "ConfigMap") {
    const JsonValue* data = Find(object, "data");
    size_t count = data != nullptr && data->IsObject() ? data->MemberCount() : 0;
    return {name, std::to_string(count), age};
  }
  return {name, std::string(StringAt(object, {"status", "phase"})), age};
}

std::string ColumnsJson(const ResourceType& type) {
  std::string json;
  for (const Column& column : Columns(type)) {
    json += std::string(json.empty() ? "" : ",") + "{\"name\":" + Quoted(column.name) +
            R"(,"type":"string","format":)" + (column.name == "Name" ? "\"name\"" : "\"\"") +
            ",\"description\":\"\",\"priority\":" + std::to_string(column.priority) + "}";
  }
  return json;
}

std::string RowJson(const ResourceType& type, const StoredObject& object, TableObjects include,
                    int64_t now) {
  Result<JsonDocument> document = ParseJson(object.json);
  std::string cells;
  for (const std::string& cell : Cells(type, *document, now)) {
    cells += (cells.empty() ? "" : ",") + Quoted(cell);
  }
  std::string row = "{\"cells\":[" + cells + "]";
  if (include == TableObjects::kObject) row += ",\"object\":" + object.json;
  if (include == TableObjects::kMetadata) {
    row +=
        R"(,"object":{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":)" +
        ToText(*Find(*document, "metadata")) + "}";
  }
  return row + "}";
}

}  // namespace

std::string TableJson(const ResourceType& type, const std::vector<ObjectPtr>& objects,
                      std::string_view list_metadata, TableObjects include, bool with_columns,
                      int64_t now_seconds) {
  std::string json = R"({"kind":"Table","apiVersion":"meta.k8s.io/v1","metadata":)" +
                     std::string(list_metadata) + ",\"columnDefinitions\":";
  json += with_columns ? "[" + ColumnsJson(type) + "]" : "null";
  json += ",\"rows\":[";
  for (const ObjectPtr& object : objects) {
    if (json.back() != '[') json += ',';
    json += RowJson(type, *object, include, now_seconds);
  }
  return json + "]}";
}

std::string HumanDuration(int64_t seconds) {
  auto with_rest = [](int64_t big, const char* unit, int64_t rest, const char* rest_unit) {
    std::string text = std::to_string(big) + unit;
    if (rest > 0) text += std::to_string(rest) + rest_unit;
    return text;
  };
  if (seconds < -1) return "<invalid>";
  seconds = std::max<int64_t>(seconds, 0);
  if (seconds < 120) return std::to_string(seconds) + "s";
  int64_t minutes = seconds / 60;
  if (minutes < 10) return with_rest(minutes, "m", seconds % 60, "s");
  if (minutes < 180) return std::to_string(minutes) + "m";
  int64_t hours = minutes / 60;
  if (hours < 8) return with_rest(hours, "h", minutes % 60, "m");
  if (hours < 48) return std::to_string(hours) + "h";
  if (hours < 192) return with_rest(hours / 24, "d", hours % 24, "h");
  int64_t days = hours / 24;
  if (days < 730) return std::to_string(days) + "d";
  if (days < 8 * 365) return with_rest(days / 365, "y", days % 365, "d");
  return std::to_string(days / 365) + "y";
}

}  // namespace podroute
