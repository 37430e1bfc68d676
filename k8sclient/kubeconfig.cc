#include "k8sclient/kubeconfig.h"

#include <algorithm>

#include "base/file.h"
#include "base/text.h"

namespace podroute {
namespace {

constexpr size_t kMaxKubeconfigBytes = 16u << 20;

// "clusters" holds [{name: N, cluster: {...}}].
Status ReadEntries(const ConfigEntry& root, const std::string& list_name, const std::string& kind,
                   std::map<std::string, ConfigEntry>& entries) {
  const YamlValue* list = root.Find(list_name);
  if (list == nullptr) return Status::Ok();
  if (list->kind != YamlValue::Kind::kList) return root.WrongKind(list_name, "list");
  for (const YamlValue& item : list->items) {
    ConfigEntry named("an entry of " + list_name, root.file(), item);
    if (item.kind != YamlValue::Kind::kMap) return named.Error("", "is not a mapping with a name");
    PODROUTE_ASSIGN_OR_RETURN(std::string name, named.Text("name"));
    // kubectl accepts the empty name, and so it may be referred to: that is, by mistake.
    if (name.empty()) return named.Error("name", "is missing");
    std::string what = kind + " \"" + Printable(name) + "\"";
    const YamlValue* body = named.Find(kind);
    if (body != nullptr && body->kind != YamlValue::Kind::kMap) {
      return ConfigEntry(what, root.file(), item).WrongKind(kind, "mapping");
    }
    YamlValue empty;
    empty.line = item.line;
    bool added =
        entries.emplace(name, ConfigEntry(what, root.file(), body != nullptr ? *body : empty))
            .second;
    if (!added) return named.Error("name", "\"" + Printable(name) + "\" is there twice");
  }
  return Status::Ok();
}

}  // namespace

Result<Kubeconfig> ParseKubeconfig(const std::string& text, const std::string& file) {
  PODROUTE_ASSIGN_OR_RETURN(YamlValue document, ParseYaml(text, file));
  Kubeconfig config;
  config.files.push_back(file);
  if (document.kind == YamlValue::Kind::kNull) return config;
  ConfigEntry root("kubeconfig", file, std::move(document));
  if (!root.IsMap()) return root.Error("", "is not a mapping with clusters, users and contexts");
  PODROUTE_ASSIGN_OR_RETURN(std::string kind, root.Text("kind"));
  if (!kind.empty() && kind != "Config") {
    return root.Error("kind", "is " + Printable(kind) + "; Config would be right");
  }
  PODROUTE_ASSIGN_OR_RETURN(std::string version, root.Text("apiVersion"));
  if (!version.empty() && version != "v1") {
    return root.Error("apiVersion", "is " + Printable(version) + "; v1 would be right");
  }
  PODROUTE_ASSIGN_OR_RETURN(config.current_context, root.Text("current-context"));
  PODROUTE_RETURN_IF_ERROR(ReadEntries(root, "clusters", "cluster", config.clusters));
  PODROUTE_RETURN_IF_ERROR(ReadEntries(root, "users", "user", config.users));
  PODROUTE_RETURN_IF_ERROR(ReadEntries(root, "contexts", "context", config.contexts));
  return config;
}

void MergeKubeconfig(Kubeconfig& into, Kubeconfig later) {
  into.files.insert(into.files.end(), later.files.begin(), later.files.end());
  if (into.current_context.empty()) into.current_context = std::move(later.current_context);
  into.clusters.merge(later.clusters);
  into.users.merge(later.users);
  into.contexts.merge(later.contexts);
}

Result<Kubeconfig> ReadKubeconfig(const std::string& file) {
  PODROUTE_ASSIGN_OR_RETURN(std::string text, ReadFile(file, kMaxKubeconfigBytes));
  return ParseKubeconfig(text, file);
}

Result<Kubeconfig> ReadKubeconfigList(const std::string& list) {
  Kubeconfig merged;
  std::vector<std::string> seen;
  size_t start = 0;
  while (start <= list.size()) {
    size_t end = std::min(list.find(':', start), list.size());
    std::string file = list.substr(start, end - start);
    start = end + 1;
    if (file.empty() || std::find(seen.begin(), seen.end(), file) != seen.end()) continue;
    seen.push_back(file);
    Result<Kubeconfig> config = ReadKubeconfig(file);
    if (!config.ok() && config.status().code() == StatusCode::kNotFound) continue;
    if (!config.ok()) return config.status();
    MergeKubeconfig(merged, std::move(config).value());
  }
  if (merged.files.empty()) {
    return Status(StatusCode::kNotFound, "KUBECONFIG=" + Printable(list, 300) + ": no such file");
  }
  return merged;
}

}  // namespace podroute
