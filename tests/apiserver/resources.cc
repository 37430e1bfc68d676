#include "tests/apiserver/resources.h"

#include <array>

#include "tests/apiserver/json.h"

namespace podroute {

namespace {

constexpr std::string_view kCoordination = "coordination.k8s.io";

constexpr std::array<ResourceType, 6> kResources = {{
    {"", "v1", "nodes", "node", "Node", "no", false, true, false, true},
    {"", "v1", "namespaces", "namespace", "Namespace", "ns", false, true, false, true},
    {"", "v1", "configmaps", "configmap", "ConfigMap", "cm", true, false, false, true},
    {"", "v1", "events", "event", "Event", "ev", true, false, true, true},
    // Always empty, unless somebody makes some: "kubectl describe node" asks for them.
    {"", "v1", "pods", "pod", "Pod", "po", true, true, false, true},
    {kCoordination, "v1", "leases", "lease", "Lease", "", true, false, true, false},
}};

std::string Version() {
  return R"({"major":"1","minor":"20","gitVersion":"v1.20.2",)"
         R"("gitCommit":"0000000000000000000000000000000000000000","gitTreeState":"clean",)"
         R"("buildDate":"2021-01-13T13:20:00Z","goVersion":"go1.15.5","compiler":"gc",)"
         R"("platform":"linux/amd64"})";
}

std::string Group() {
  return R"({"name":"coordination.k8s.io","versions":[{"groupVersion":"coordination.k8s.io/v1",)"
         R"("version":"v1"}],"preferredVersion":{"groupVersion":"coordination.k8s.io/v1",)"
         R"("version":"v1"}})";
}

std::string ResourceEntry(const ResourceType& type, std::string_view subresource) {
  std::string name(type.plural);
  if (!subresource.empty()) name += "/" + std::string(subresource);
  std::string entry = "{\"name\":" + Quoted(name) + ",\"singularName\":\"\",\"namespaced\":" +
                      (type.namespaced ? "true" : "false") + ",\"kind\":" + Quoted(type.kind);
  entry += subresource.empty() ? R"(,"verbs":["create","delete","deletecollection","get","list",)"
                                 R"("patch","update","watch"])"
                               : R"(,"verbs":["get","patch","update"])";
  if (subresource.empty() && !type.short_name.empty()) {
    entry += ",\"shortNames\":[" + Quoted(type.short_name) + "]";
  }
  return entry + "}";
}

std::string ResourceList(std::string_view group, std::string_view version) {
  std::string list = "{\"kind\":\"APIResourceList\",";
  if (!group.empty()) list += "\"apiVersion\":\"v1\",";
  list += "\"groupVersion\":" +
          Quoted(group.empty() ? std::string(version)
                               : std::string(group) + "/" + std::string(version)) +
          ",\"resources\":[";
  bool first = true;
  for (const ResourceType& type : kResources) {
    if (type.group != group) continue;
    list += (first ? "" : ",") + ResourceEntry(type, "");
    if (type.has_status) list += "," + ResourceEntry(type, "status");
    first = false;
  }
  return list + "]}";
}

std::string ItemPath(const ResourceType& type) {
  std::string path = type.group.empty() ? "/api/v1" : "/apis/" + type.ApiVersion();
  if (type.namespaced) path += "/namespaces/{namespace}";
  return path + "/" + std::string(type.plural) + "/{name}";
}

// What kubectl looks for before it creates or applies: that a patch of the kind knows the parameter
// fieldValidation. Then it leaves validation to the server.
std::string OpenApiPath(const ResourceType& type) {
  std::string gvk = "\"x-kubernetes-group-version-kind\":{\"group\":" + Quoted(type.group) +
                    ",\"version\":" + Quoted(type.version) + ",\"kind\":" + Quoted(type.kind) + "}";
  return Quoted(ItemPath(type)) +
         R"(:{"patch":{"responses":{"200":{"description":"OK"}},"parameters":[{"name":"fieldValidation",)"
         R"("in":"query","schema":{"type":"string"}},{"name":"dryRun","in":"query",)"
         R"("schema":{"type":"string"}}],)" +
         gvk + "}}";
}

std::string OpenApiV3(std::string_view group) {
  std::string doc =
      R"({"openapi":"3.0.0","info":{"title":"Kubernetes","version":"v1.20.2"},"paths":{)";
  bool first = true;
  for (const ResourceType& type : kResources) {
    if (type.group != group) continue;
    doc += (first ? "" : ",") + OpenApiPath(type);
    first = false;
  }
  return doc + R"(},"components":{"schemas":{}}})";
}

}  // namespace

std::string ResourceType::ApiVersion() const {
  return group.empty() ? std::string(version) : std::string(group) + "/" + std::string(version);
}

std::string ResourceType::QualifiedName() const {
  return group.empty() ? std::string(plural) : std::string(plural) + "." + std::string(group);
}

size_t ResourceType::index() const { return static_cast<size_t>(this - kResources.data()); }

std::span<const ResourceType> AllResources() { return kResources; }

const ResourceType* FindResource(std::string_view group, std::string_view version,
                                 std::string_view plural) {
  for (const ResourceType& type : kResources) {
    if (type.group == group && type.version == version && type.plural == plural) return &type;
  }
  return nullptr;
}

const ResourceType* FindKind(std::string_view api_version, std::string_view kind) {
  for (const ResourceType& type : kResources) {
    if (type.ApiVersion() == api_version && type.kind == kind) return &type;
  }
  return nullptr;
}

std::string Discovery(std::string_view path, std::string_view address) {
  if (path == "/version") return Version();
  if (path == "/api") {
    return R"({"kind":"APIVersions","versions":["v1"],"serverAddressByClientCIDRs":[)"
           R"({"clientCIDR":"0.0.0.0/0","serverAddress":)" +
           Quoted(address) + "}]}";
  }
  if (path == "/api/v1") return ResourceList("", "v1");
  if (path == "/apis") {
    return R"({"kind":"APIGroupList","apiVersion":"v1","groups":[)" + Group() + "]}";
  }
  if (path == "/apis/coordination.k8s.io") {
    return R"({"kind":"APIGroup","apiVersion":"v1",)" + Group().substr(1);
  }
  if (path == "/apis/coordination.k8s.io/v1") return ResourceList(kCoordination, "v1");
  if (path == "/openapi/v3") {
    return R"({"paths":{"api/v1":{"serverRelativeURL":"/openapi/v3/api/v1?hash=1"},)"
           R"("apis/coordination.k8s.io/v1":)"
           R"({"serverRelativeURL":"/openapi/v3/apis/coordination.k8s.io/v1?hash=1"}}})";
  }
  if (path == "/openapi/v3/api/v1") return OpenApiV3("");
  if (path == "/openapi/v3/apis/coordination.k8s.io/v1") return OpenApiV3(kCoordination);
  return "";
}

}  // namespace podroute
