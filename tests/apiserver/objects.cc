#include "tests/apiserver/objects.h"

#include <ctime>
#include <utility>
#include <vector>

#include "tests/apiserver/validation.h"

namespace podroute {

namespace {

void SetDefault(JsonValue& object, std::string_view key, JsonValue value,
                JsonAllocator& allocator) {
  if (Find(object, key) == nullptr) SetMember(object, key, std::move(value), allocator);
}

void CanonicaliseMetadata(JsonValue& metadata, JsonAllocator& allocator) {
  for (std::string_view key : {"labels", "annotations", "finalizers", "ownerReferences",
                               "managedFields", "creationTimestamp", "generateName", "selfLink"}) {
    const JsonValue* value = Find(metadata, key);
    if (value == nullptr) continue;
    bool empty = value->IsNull() || (value->IsObject() && value->ObjectEmpty()) ||
                 (value->IsArray() && value->Empty()) ||
                 (value->IsString() && value->GetStringLength() == 0);
    if (empty || key == "selfLink") RemoveMember(metadata, key);
  }
  for (std::string_view key : {"labels", "annotations"}) {
    if (JsonValue* map = Find(metadata, key)) SortMembers(*map, allocator);
  }
  // The store fills it in, where it stands.
  SetDefault(metadata, "resourceVersion", JsonString("", allocator), allocator);
  OrderMembers(metadata,
               {"name", "generateName", "namespace", "uid", "resourceVersion", "generation",
                "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "labels",
                "annotations", "ownerReferences", "finalizers", "managedFields"},
               allocator);
}

// The two forms of a Node's pod networks, made to agree: where they differ the older field rules.
void CanonicalisePodCidrs(JsonValue& spec, bool dual_stack, JsonAllocator& allocator) {
  const JsonValue* one = Find(spec, "podCIDR");
  JsonValue* many = Find(spec, "podCIDRs");
  bool has_one = one != nullptr && one->IsString() && one->GetStringLength() > 0;
  bool has_many = many != nullptr && many->IsArray() && !many->Empty() && (*many)[0].IsString();
  if (has_one && (!has_many || (*many)[0] != *one)) {
    JsonValue list(rapidjson::kArrayType);
    list.PushBack(JsonValue(*one, allocator), allocator);
    SetMember(spec, "podCIDRs", std::move(list), allocator);
  } else if (has_many) {
    SetMember(spec, "podCIDR", JsonValue((*many)[0], allocator), allocator);
  } else if (!has_one && (one == nullptr || one->IsString() || one->IsNull())) {
    RemoveMember(spec, "podCIDR");
    if (many != nullptr && (many->IsNull() || (many->IsArray() && many->Empty()))) {
      RemoveMember(spec, "podCIDRs");
    }
  }
  many = Find(spec, "podCIDRs");
  while (!dual_stack && many != nullptr && many->IsArray() && many->Size() > 1) many->PopBack();
}

void CanonicaliseNode(const ObjectOptions& options, JsonDocument& node) {
  JsonAllocator& allocator = node.GetAllocator();
  JsonValue& spec = ObjectMember(node, "spec", allocator);
  CanonicalisePodCidrs(spec, options.dual_stack, allocator);
  OrderMembers(spec, {"podCIDR", "podCIDRs", "providerID", "unschedulable", "taints"}, allocator);
  JsonValue& status = ObjectMember(node, "status", allocator);
  JsonValue& kubelet = ObjectMember(ObjectMember(status, "daemonEndpoints", allocator),
                                    "kubeletEndpoint", allocator);
  SetDefault(kubelet, "Port", JsonValue(0), allocator);
  JsonValue& info = ObjectMember(status, "nodeInfo", allocator);
  for (std::string_view key :
       {"machineID", "systemUUID", "bootID", "kernelVersion", "osImage", "containerRuntimeVersion",
        "kubeletVersion", "kubeProxyVersion", "operatingSystem", "architecture"}) {
    SetDefault(info, key, JsonString("", allocator), allocator);
  }
  if (JsonValue* conditions = Find(status, "conditions"); conditions && conditions->IsArray()) {
    for (JsonValue& condition : conditions->GetArray()) {
      OrderMembers(
          condition,
          {"type", "status", "lastHeartbeatTime", "lastTransitionTime", "reason", "message"},
          allocator);
    }
  }
  if (JsonValue* addresses = Find(status, "addresses"); addresses && addresses->IsArray()) {
    for (JsonValue& address : addresses->GetArray()) {
      OrderMembers(address, {"type", "address"}, allocator);
    }
  }
  OrderMembers(status,
               {"capacity", "allocatable", "phase", "conditions", "addresses", "daemonEndpoints",
                "nodeInfo", "images"},
               allocator);
}

void CanonicaliseEvent(JsonDocument& event) {
  JsonAllocator& allocator = event.GetAllocator();
  ObjectMember(event, "involvedObject", allocator);
  ObjectMember(event, "source", allocator);
  for (std::string_view key : {"firstTimestamp", "lastTimestamp", "eventTime"}) {
    SetDefault(event, key, JsonValue(), allocator);
  }
  for (std::string_view key : {"reportingComponent", "reportingInstance"}) {
    SetDefault(event, key, JsonString("", allocator), allocator);
  }
  OrderMembers(event,
               {"kind", "apiVersion", "metadata", "involvedObject", "reason", "message", "source",
                "firstTimestamp", "lastTimestamp", "count", "type", "eventTime", "series", "action",
                "related", "reportingComponent", "reportingInstance"},
               allocator);
}

std::string GeneratedSuffix(const ObjectOptions& options) {
  constexpr std::string_view kLetters = "bcdfghjklmnpqrstvwxz2456789";
  std::string suffix;
  for (int i = 0; i < 5; ++i) suffix += kLetters[options.random_bits() % kLetters.size()];
  return suffix;
}

// TaintNodesByCondition, an admission plugin that is always on: a Node begins not ready.
void AddNotReadyTaint(JsonDocument& node) {
  constexpr std::string_view kNotReady = "node.kubernetes.io/not-ready";
  JsonAllocator& allocator = node.GetAllocator();
  JsonValue& spec = ObjectMember(node, "spec", allocator);
  JsonValue* taints = Find(spec, "taints");
  if (taints == nullptr || !taints->IsArray()) {
    SetMember(spec, "taints", JsonValue(rapidjson::kArrayType), allocator);
    taints = Find(spec, "taints");
  }
  for (const JsonValue& taint : taints->GetArray()) {
    if (StringAt(taint, {"key"}) == kNotReady) return;
  }
  JsonValue taint(rapidjson::kObjectType);
  SetString(taint, "key", kNotReady, allocator);
  SetString(taint, "effect", "NoSchedule", allocator);
  taints->PushBack(taint, allocator);
}

// Kind and apiVersion, where the body has them, must be the URL's.
std::optional<ApiError> CheckKind(const ResourceType& type, JsonDocument& object) {
  if (!object.IsObject()) return BadRequest("the object provided is not a JSON object");
  for (std::string_view key : {"metadata", "spec", "status"}) {
    const JsonValue* part = Find(object, key);
    if (part != nullptr && !part->IsObject() && !part->IsNull()) {
      return BadRequest(std::string(type.kind) + " in version \"" + std::string(type.version) +
                        "\" cannot be handled as a " + std::string(type.kind) + ": " +
                        std::string(key) + ": expect an object");
    }
  }
  std::string_view kind = StringAt(object, {"kind"});
  std::string_view version = StringAt(object, {"apiVersion"});
  if ((!kind.empty() && kind != type.kind) || (!version.empty() && version != type.ApiVersion())) {
    return BadRequest("the API version in the data (" + std::string(version) + ", Kind=" +
                      std::string(kind) + ") does not match the expected API version (" +
                      type.ApiVersion() + ", Kind=" + std::string(type.kind) + ")");
  }
  return std::nullopt;
}

std::optional<ApiError> CheckNamespace(const ResourceType& type, std::string_view ns,
                                       JsonValue& metadata, JsonAllocator& allocator) {
  if (!type.namespaced) {
    RemoveMember(metadata, "namespace");
    return std::nullopt;
  }
  std::string_view given = StringAt(metadata, {"namespace"});
  if (!given.empty() && given != ns) {
    return BadRequest(
        "the namespace of the provided object does not match the namespace sent on "
        "the request");
  }
  SetString(metadata, "namespace", ns, allocator);
  return std::nullopt;
}

void CopyMember(JsonValue& to, const JsonValue& from, std::string_view key,
                JsonAllocator& allocator) {
  const JsonValue* value = Find(from, key);
  if (value == nullptr) {
    RemoveMember(to, key);
  } else {
    SetMember(to, key, JsonValue(*value, allocator), allocator);
  }
}

}  // namespace

std::string Rfc3339(int64_t unix_seconds) {
  std::time_t time = unix_seconds;
  std::tm parts{};
  gmtime_r(&time, &parts);
  char text[32];
  size_t length = std::strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &parts);
  return {text, length};
}

std::optional<int64_t> ParseRfc3339(std::string_view text) {
  std::tm parts{};
  std::string copy(text);
  const char* rest = strptime(copy.c_str(), "%Y-%m-%dT%H:%M:%S", &parts);
  if (rest == nullptr || (*rest != 'Z' && *rest != '.')) return std::nullopt;
  return timegm(&parts);
}

std::string NewUid(const ObjectOptions& options) {
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string uid = "xxxxxxxx-xxxx-4xxx-axxx-xxxxxxxxxxxx";
  uint64_t bits = 0;
  int left = 0;
  for (char& c : uid) {
    if (c != 'x') continue;
    if (left == 0) bits = options.random_bits(), left = 16;
    c = kHex[bits & 15];
    bits >>= 4;
    --left;
  }
  return uid;
}

std::string ObjectKey(const ResourceType& type, std::string_view ns, std::string_view name) {
  return type.namespaced ? std::string(ns) + "/" + std::string(name) : std::string(name);
}

void Canonicalise(const ResourceType& type, const ObjectOptions& options, JsonDocument& object) {
  JsonAllocator& allocator = object.GetAllocator();
  SetString(object, "kind", type.kind, allocator);
  SetString(object, "apiVersion", type.ApiVersion(), allocator);
  CanonicaliseMetadata(ObjectMember(object, "metadata", allocator), allocator);
  if (type.kind == "Node") CanonicaliseNode(options, object);
  if (type.kind == "Event") CanonicaliseEvent(object);
  if (type.kind == "Lease") {
    OrderMembers(
        ObjectMember(object, "spec", allocator),
        {"holderIdentity", "leaseDurationSeconds", "acquireTime", "renewTime", "leaseTransitions"},
        allocator);
  }
  if (JsonValue* data = Find(object, "data")) SortMembers(*data, allocator);
  OrderMembers(object, {"kind", "apiVersion", "metadata", "spec", "status"}, allocator);
}

std::optional<ApiError> PrepareCreate(const ResourceType& type, const ObjectOptions& options,
                                      std::string_view ns, JsonDocument& object) {
  if (auto error = CheckKind(type, object)) return error;
  JsonAllocator& allocator = object.GetAllocator();
  JsonValue& metadata = ObjectMember(object, "metadata", allocator);
  if (auto error = CheckNamespace(type, ns, metadata, allocator)) return error;
  std::string_view version = StringAt(metadata, {"resourceVersion"});
  if (!version.empty() && version != "0") {
    return ApiError{500, "", "resourceVersion should not be set on objects to be created",
                    std::nullopt, ""};
  }
  if (StringAt(metadata, {"name"}).empty() && !StringAt(metadata, {"generateName"}).empty()) {
    std::string name(StringAt(metadata, {"generateName"}));
    SetString(metadata, "name", name + GeneratedSuffix(options), allocator);
  }
  SetString(metadata, "uid", NewUid(options), allocator);
  SetString(metadata, "creationTimestamp", Rfc3339(options.now_seconds()), allocator);
  RemoveMember(metadata, "deletionTimestamp");
  if (type.kind == "Node") AddNotReadyTaint(object);
  if (type.kind == "Namespace") {
    SetMember(ObjectMember(object, "status", allocator), "phase", JsonString("Active", allocator),
              allocator);
  }
  Canonicalise(type, options, object);
  if (!options.validate) return std::nullopt;
  return ValidateObject(type, object, nullptr);
}

std::optional<ApiError> PrepareUpdate(const ResourceType& type, const ObjectOptions& options,
                                      std::string_view ns, std::string_view name, bool status,
                                      const JsonValue& old, JsonDocument& object) {
  if (auto error = CheckKind(type, object)) return error;
  JsonAllocator& allocator = object.GetAllocator();
  JsonValue& metadata = ObjectMember(object, "metadata", allocator);
  if (StringAt(metadata, {"name"}) != name) {
    return BadRequest("the name of the object (" + std::string(StringAt(metadata, {"name"})) +
                      ") does not match the name on the URL (" + std::string(name) + ")");
  }
  if (auto error = CheckNamespace(type, ns, metadata, allocator)) return error;
  const JsonValue& old_metadata = *Find(old, "metadata");
  std::string_view version = StringAt(metadata, {"resourceVersion"});
  if (version.empty() && !type.unconditional_update) {
    return Invalid(type.group, type.plural, name,
                   {{"FieldValueInvalid", "Invalid value: 0x0: must be specified for an update",
                     "metadata.resourceVersion"}});
  }
  if (!version.empty() && version != StringAt(old_metadata, {"resourceVersion"})) {
    return ModifiedConflict(type, name);
  }
  std::string_view uid = StringAt(metadata, {"uid"});
  if (!uid.empty() && uid != StringAt(old_metadata, {"uid"})) {
    return Conflict(type, name,
                    "Precondition failed: UID in precondition: " + std::string(uid) +
                        ", UID in object meta: " + std::string(StringAt(old_metadata, {"uid"})));
  }
  for (std::string_view key :
       {"uid", "resourceVersion", "creationTimestamp", "deletionTimestamp"}) {
    CopyMember(metadata, old_metadata, key, allocator);
  }
  if (type.has_status) {
    CopyMember(object, old, status ? "spec" : "status", allocator);
  }
  Canonicalise(type, options, object);
  if (!options.validate) return std::nullopt;
  return ValidateObject(type, object, &old);
}

}  // namespace podroute
