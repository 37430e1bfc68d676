#include "tests/apiserver/api.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "tests/apiserver/negotiation.h"
#include "tests/apiserver/patch.h"

namespace podroute {

namespace {

constexpr std::string_view kJson = "application/json";

std::string PercentDecode(std::string_view text, bool plus_is_space) {
  auto hex = [](char c) -> int {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
  };
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && hex(text[i + 1]) >= 0 && hex(text[i + 2]) >= 0) {
      out += static_cast<char>(hex(text[i + 1]) * 16 + hex(text[i + 2]));
      i += 2;
    } else {
      out += plus_is_space && text[i] == '+' ? ' ' : text[i];
    }
  }
  return out;
}

std::string_view Verb(const ApiRequest& request, bool named) {
  if (request.method == "GET" || request.method == "HEAD") {
    if (request.Query("watch") == "1" || request.Query("watch") == "true") return "watch";
    return named ? "get" : "list";
  }
  if (request.method == "POST") return "create";
  if (request.method == "PUT") return "update";
  if (request.method == "PATCH") return "patch";
  if (request.method == "DELETE") return named ? "delete" : "deletecollection";
  return "other";
}

bool IsPublic(std::string_view path) {
  return path == "/version" || path == "/healthz" || path == "/livez" || path == "/readyz";
}

std::string_view MediaType(std::string_view header) {
  std::string_view type = header.substr(0, header.find(';'));
  while (!type.empty() && type.back() == ' ') type.remove_suffix(1);
  return type;
}

std::optional<ApiError> CheckBodyType(const ApiRequest& request) {
  std::string_view type = MediaType(request.content_type);
  if (type.empty() || type == kJson) return std::nullopt;
  return UnsupportedMediaType(
      "the body of the request was in an unknown format - accepted media types include: "
      "application/json");
}

}  // namespace

const std::string& ApiRequest::Query(const std::string& key) const {
  static const std::string kNone;
  auto it = query.find(key);
  return it == query.end() ? kNone : it->second;
}

void ParseTarget(std::string_view target, ApiRequest* request) {
  size_t mark = std::min(target.find('?'), target.size());
  request->path = PercentDecode(target.substr(0, mark), false);
  std::string_view query = target.substr(std::min(mark + 1, target.size()));
  while (!query.empty()) {
    size_t end = std::min(query.find('&'), query.size());
    std::string_view pair = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    size_t equals = std::min(pair.find('='), pair.size());
    request->query.emplace(PercentDecode(pair.substr(0, equals), true),
                           PercentDecode(pair.substr(std::min(equals + 1, pair.size())), true));
  }
}

Api::Api(Store* store, const Authenticator* authenticator, ApiOptions options)
    : store_(store), authenticator_(authenticator), options_(std::move(options)) {}

ApiResponse Api::ErrorResponse(const ApiRequest& request, const ApiError& error) {
  ApiResponse response = JsonResponse(request, error.code, error.ToJson());
  if (error.code == 403) response.headers.emplace_back("X-Content-Type-Options", "nosniff");
  if (error.details && error.details->retry_after_seconds > 0) {
    response.headers.emplace_back("Retry-After",
                                  std::to_string(error.details->retry_after_seconds));
  }
  return response;
}

std::optional<Api::Target> Api::ParsePath(const ApiRequest& request) {
  std::vector<std::string_view> parts;
  std::string_view rest = request.path;
  while (!rest.empty()) {
    size_t end = std::min(rest.find('/'), rest.size());
    if (end > 0) parts.push_back(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  size_t at = 0;
  auto next = [&]() { return at < parts.size() ? parts[at++] : std::string_view(); };
  std::string_view root = next();
  if (root != "api" && root != "apis") return std::nullopt;
  std::string_view group = root == "apis" ? next() : "";
  std::string_view version = next();
  std::string_view plural = next();
  Target target;
  // namespaces/NS/PLURAL, but namespaces/NAME/status is the namespace's own.
  if (plural == "namespaces" && parts.size() >= at + 2 &&
      FindResource(group, version, parts[at + 1]) != nullptr) {
    target.ns = next();
    plural = next();
  }
  target.type = FindResource(group, version, plural);
  if (target.type == nullptr || (!target.type->namespaced && !target.ns.empty())) {
    return std::nullopt;
  }
  target.name = next();
  target.subresource = next();
  bool named_without_namespace =
      target.type->namespaced && target.ns.empty() && !target.name.empty();
  if (at < parts.size() || named_without_namespace) return std::nullopt;
  if (!target.subresource.empty() && !(target.subresource == "status" && target.type->has_status)) {
    return std::nullopt;
  }
  // A watch of one object is a watch of the collection.
  return target;
}

RequestKind Api::Classify(const ApiRequest& request) {
  std::optional<Target> target = ParsePath(request);
  if (!target) return {};
  return {std::string(Verb(request, !target->name.empty())), std::string(target->type->plural)};
}

Access Api::AccessOf(const std::string& user, const ApiRequest& request, const Target& target) {
  Access access{user,
                std::string(Verb(request, !target.name.empty())),
                std::string(target.type->group),
                std::string(target.type->plural),
                target.ns,
                target.name};
  if (!target.subresource.empty()) access.resource += "/" + target.subresource;
  // A collection that is narrowed to one name is asked for by that name.
  constexpr std::string_view kByName = "metadata.name=";
  const std::string& selector = request.Query("fieldSelector");
  if (access.name.empty() && selector.starts_with(kByName) &&
      selector.find(',') == std::string::npos) {
    access.name = selector.substr(kByName.size());
  }
  return access;
}

ApiResponse Api::Handle(const ApiRequest& request) {
  std::optional<std::string> user =
      authenticator_->User(request.authorization, request.certificate_user);
  if (!user) return ErrorResponse(request, Unauthorized());
  std::optional<Target> target = ParsePath(request);
  if (target) {
    Access access = AccessOf(*user, request, *target);
    if (!authenticator_->Allowed(access)) {
      return ErrorResponse(request, Forbidden(access, *target->type));
    }
  } else if (!IsPublic(request.path) && !authenticator_->Allowed(*user)) {
    return ErrorResponse(request, ForbiddenPath(*user, "get", request.path));
  }
  return target ? HandleResource(request, *target) : HandlePath(request);
}

ApiResponse Api::HandlePath(const ApiRequest& request) {
  ApiResponse response;
  if (IsPublic(request.path) && request.path != "/version") {
    response.content_type = "text/plain; charset=utf-8";
    response.body = "ok";
    return response;
  }
  if (request.path == "/openapi/v2") {
    // Nothing is a valid protobuf document of no kinds, in which kubectl before 1.24 has nothing to
    // validate against and leaves that to the server.
    response.content_type = "application/octet-stream";
    return response;
  }
  std::string json = Discovery(request.path, request.host);
  if (!json.empty()) return JsonResponse(request, 200, json);
  response.status = 404;
  response.content_type = "text/plain; charset=utf-8";
  response.headers.emplace_back("X-Content-Type-Options", "nosniff");
  response.body = "404 page not found\n";
  return response;
}

ApiResponse Api::HandleResource(const ApiRequest& request, const Target& target) {
  if (!request.Query("dryRun").empty()) {
    return ErrorResponse(request, BadRequest("this server has no dry run"));
  }
  bool named = !target.name.empty();
  bool status = !target.subresource.empty();
  std::string_view verb = Verb(request, named);
  if (verb == "watch") return Watch(request, target);
  if (verb == "get") return Get(request, target);
  if (verb == "list") return List(request, target);
  if (verb == "create" && !named && (!target.type->namespaced || !target.ns.empty())) {
    return Create(request, target);
  }
  if (verb == "update" && named) return Update(request, target);
  if (verb == "patch" && named) return Patch(request, target);
  if (verb == "delete" && !status) return Delete(request, target);
  if (verb == "deletecollection") return DeleteCollection(request, target);
  return ErrorResponse(request, MethodNotAllowed());
}

ApiResponse Api::ObjectResponse(const ApiRequest& request, const ResourceType& type, int status,
                                const ObjectPtr& object) const {
  if (WantsTable(request)) {
    std::string table = TableJson(
        type, {object}, "{\"resourceVersion\":\"" + std::to_string(object->version) + "\"}",
        TableObjectsOf(request), true, options_.objects.now_seconds());
    return JsonResponse(request, status, table);
  }
  return JsonResponse(request, status, object->json);
}

ApiResponse Api::Get(const ApiRequest& request, const Target& target) {
  ObjectPtr object = store_->Get(*target.type, target.key());
  if (!object) return ErrorResponse(request, NotFound(*target.type, target.name));
  return ObjectResponse(request, *target.type, 200, object);
}

ApiResponse Api::Create(const ApiRequest& request, const Target& target) {
  if (auto error = CheckBodyType(request)) return ErrorResponse(request, *error);
  Result<JsonDocument> object = ParseJson(request.body);
  if (!object.ok()) return ErrorResponse(request, BadRequest(object.status().message()));
  if (auto error = PrepareCreate(*target.type, options_.objects, target.ns, *object)) {
    return ErrorResponse(request, *error);
  }
  const ResourceType& namespaces = *FindResource("", "v1", "namespaces");
  if (target.type->namespaced && !store_->Get(namespaces, target.ns)) {
    return ErrorResponse(request, NotFound(namespaces, target.ns));
  }
  std::string name(StringAt(*object, {"metadata", "name"}));
  std::string key = ObjectKey(*target.type, target.ns, name);
  if (store_->Get(*target.type, key)) {
    return ErrorResponse(request, AlreadyExists(*target.type, name));
  }
  ObjectPtr stored = store_->Put(*target.type, key, std::move(*object));
  return ObjectResponse(request, *target.type, 201, stored);
}

ApiResponse Api::Update(const ApiRequest& request, const Target& target) {
  if (auto error = CheckBodyType(request)) return ErrorResponse(request, *error);
  Result<JsonDocument> object = ParseJson(request.body);
  if (!object.ok()) return ErrorResponse(request, BadRequest(object.status().message()));
  ObjectPtr old = store_->Get(*target.type, target.key());
  if (!old) {
    bool status = !target.subresource.empty();
    if (!target.type->create_on_update || status) {
      return ErrorResponse(request, NotFound(*target.type, target.name));
    }
    return Create(request, target);
  }
  return Replace(request, target, old, std::move(*object));
}

ApiResponse Api::Patch(const ApiRequest& request, const Target& target) {
  std::string_view media = MediaType(request.content_type);
  constexpr std::array<std::string_view, 3> kPatches = {"application/strategic-merge-patch+json",
                                                        "application/merge-patch+json",
                                                        "application/json-patch+json"};
  if (std::find(kPatches.begin(), kPatches.end(), media) == kPatches.end()) {
    return ErrorResponse(request, UnsupportedMediaType("415: Unsupported Media Type"));
  }
  ObjectPtr old = store_->Get(*target.type, target.key());
  if (!old) return ErrorResponse(request, NotFound(*target.type, target.name));
  Result<JsonDocument> patch = ParseJson(request.body);
  if (!patch.ok()) return ErrorResponse(request, BadRequest(patch.status().message()));
  JsonDocument object = std::move(ParseJson(old->json)).value();
  Status applied;
  if (media == kPatches[0]) {
    applied = ApplyStrategicMergePatch(object, *patch, object.GetAllocator());
  } else if (media == kPatches[1]) {
    ApplyMergePatch(object, *patch, object.GetAllocator());
  } else {
    applied = ApplyJsonPatch(object, *patch);
  }
  if (!applied.ok()) return ErrorResponse(request, BadRequest(applied.message()));
  return Replace(request, target, old, std::move(object));
}

ApiResponse Api::Replace(const ApiRequest& request, const Target& target, const ObjectPtr& old,
                         JsonDocument object) {
  JsonDocument before = std::move(ParseJson(old->json)).value();
  if (auto error = PrepareUpdate(*target.type, options_.objects, target.ns, target.name,
                                 !target.subresource.empty(), before, object)) {
    return ErrorResponse(request, *error);
  }
  if (ToText(object) == old->json) return ObjectResponse(request, *target.type, 200, old);
  bool deleting = FindPath(object, {"metadata", "deletionTimestamp"}) != nullptr;
  ObjectPtr stored = store_->Put(*target.type, target.key(), std::move(object));
  // The last finalizer that goes takes the object with it.
  if (deleting) Remove(*target.type, stored);
  return ObjectResponse(request, *target.type, 200, stored);
}

ObjectPtr Api::Remove(const ResourceType& type, const ObjectPtr& object) {
  JsonDocument document = std::move(ParseJson(object->json)).value();
  const JsonValue* finalizers = FindPath(document, {"metadata", "finalizers"});
  if (finalizers == nullptr || !finalizers->IsArray() || finalizers->Empty()) {
    return store_->Delete(type, object->key);
  }
  if (FindPath(document, {"metadata", "deletionTimestamp"}) != nullptr) return object;
  SetString(*Find(document, "metadata"), "deletionTimestamp",
            Rfc3339(options_.objects.now_seconds()), document.GetAllocator());
  Canonicalise(type, options_.objects, document);
  return store_->Put(type, object->key, std::move(document));
}

ApiResponse Api::Delete(const ApiRequest& request, const Target& target) {
  ObjectPtr object = store_->Get(*target.type, target.key());
  if (!object) return ErrorResponse(request, NotFound(*target.type, target.name));
  JsonDocument document = std::move(ParseJson(object->json)).value();
  std::string uid(StringAt(document, {"metadata", "uid"}));
  if (!request.body.empty()) {
    Result<JsonDocument> options = ParseJson(request.body);
    if (!options.ok()) return ErrorResponse(request, BadRequest(options.status().message()));
    std::string_view want_uid = StringAt(*options, {"preconditions", "uid"});
    std::string_view want_version = StringAt(*options, {"preconditions", "resourceVersion"});
    if (!want_uid.empty() && want_uid != uid) {
      return ErrorResponse(
          request, Conflict(*target.type, target.name,
                            "Precondition failed: UID in precondition: " + std::string(want_uid) +
                                ", UID in object meta: " + uid));
    }
    if (!want_version.empty() && want_version != std::to_string(object->version)) {
      return ErrorResponse(request, ModifiedConflict(*target.type, target.name));
    }
  }
  ObjectPtr left = Remove(*target.type, object);
  if (store_->Get(*target.type, target.key())) {
    return ObjectResponse(request, *target.type, 200, left);
  }
  if (target.type->kind == "Namespace") {
    for (const ResourceType& type : AllResources()) {
      if (!type.namespaced) continue;
      for (const ObjectPtr& inside : store_->List(type, target.name + "/")) Remove(type, inside);
    }
  }
  std::string json = R"({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Success",)"
                     R"("details":{"name":)" +
                     Quoted(target.name);
  if (!target.type->group.empty()) json += ",\"group\":" + Quoted(target.type->group);
  json += ",\"kind\":" + Quoted(target.type->plural) + ",\"uid\":" + Quoted(uid) + "}}";
  return JsonResponse(request, 200, json);
}

ApiResponse Api::DeleteCollection(const ApiRequest& request, const Target& target) {
  ApiResponse list = List(request, target);
  if (list.status != 200) return list;
  for (const ObjectPtr& object : list.items) Remove(*target.type, object);
  return list;
}

Status Api::LoadObject(JsonDocument object) {
  std::string kind(StringAt(object, {"kind"}));
  std::string version(StringAt(object, {"apiVersion"}));
  const ResourceType* type = FindKind(version, kind);
  if (type == nullptr) {
    return Status(StatusCode::kInvalidArgument, "kind \"" + kind + "\" of apiVersion \"" + version +
                                                    "\" is not one that this server keeps");
  }
  JsonAllocator& allocator = object.GetAllocator();
  JsonValue& metadata = ObjectMember(object, "metadata", allocator);
  std::string name(StringAt(metadata, {"name"}));
  if (name.empty()) {
    return Status(StatusCode::kInvalidArgument, "a " + kind + " without metadata.name");
  }
  std::string ns(StringAt(metadata, {"namespace"}));
  if (type->namespaced && ns.empty()) {
    ns = "default";
    SetString(metadata, "namespace", ns, allocator);
  }
  std::string key = ObjectKey(*type, ns, name);
  ObjectPtr old = store_->Get(*type, key);
  JsonDocument before;
  if (old) before = std::move(ParseJson(old->json)).value();
  for (std::string_view field : {"uid", "creationTimestamp"}) {
    if (!StringAt(metadata, {field}).empty()) continue;
    std::string value(StringAt(before, {"metadata", field}));
    if (value.empty()) {
      value = field == "uid" ? NewUid(options_.objects) : Rfc3339(options_.objects.now_seconds());
    }
    SetString(metadata, field, value, allocator);
  }
  Canonicalise(*type, options_.objects, object);
  store_->Put(*type, key, std::move(object));
  return Status::Ok();
}

void Api::CreateDefaultNamespaces() {
  const ResourceType& type = *FindResource("", "v1", "namespaces");
  for (std::string name : {"default", "kube-node-lease", "kube-public", "kube-system"}) {
    if (store_->Get(type, name)) continue;
    JsonDocument object;
    object.SetObject();
    SetString(ObjectMember(object, "metadata", object.GetAllocator()), "name", name,
              object.GetAllocator());
    if (PrepareCreate(type, options_.objects, "", object)) continue;
    store_->Put(type, name, std::move(object));
  }
}

Status Api::Load(std::string_view json) {
  PODROUTE_ASSIGN_OR_RETURN(JsonDocument document, ParseJson(json));
  std::string_view kind = StringAt(document, {"kind"});
  const JsonValue* items = Find(document, "items");
  if (items == nullptr || !items->IsArray()) return LoadObject(std::move(document));
  std::string_view newest = StringAt(document, {"metadata", "resourceVersion"});
  uint64_t number = 0;
  if (std::from_chars(newest.data(), newest.data() + newest.size(), number).ec == std::errc()) {
    store_->GoOnAfter(number);
  }
  // The items of a NodeList say neither kind nor apiVersion.
  std::string item_kind;
  if (kind.ends_with("List")) item_kind = kind.substr(0, kind.size() - 4);
  std::string item_version(StringAt(document, {"apiVersion"}));
  for (const JsonValue& item : items->GetArray()) {
    JsonDocument object;
    object.CopyFrom(item, object.GetAllocator());
    if (!object.IsObject()) {
      return Status(StatusCode::kInvalidArgument, "an item that is no object");
    }
    if (StringAt(object, {"kind"}).empty()) {
      SetString(object, "kind", item_kind, object.GetAllocator());
      SetString(object, "apiVersion", item_version, object.GetAllocator());
    }
    PODROUTE_RETURN_IF_ERROR(LoadObject(std::move(object)));
  }
  return Status::Ok();
}

}  // namespace podroute
