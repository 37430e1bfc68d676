#include "tests/apiserver/rbac.h"

#include <algorithm>

namespace podroute {
namespace {

Status Wrong(std::string_view where, const std::string& what) {
  return Status(StatusCode::kInvalidArgument, std::string(where) + ": " + what);
}

std::string Where(const JsonValue& object) {
  return std::string(StringAt(object, {"kind"})) + "/" +
         std::string(StringAt(object, {"metadata", "name"}));
}

// Of a List, or the one object.
std::vector<const JsonValue*> Objects(const JsonDocument& document) {
  const JsonValue* items = Find(document, "items");
  if (items == nullptr || !items->IsArray()) return {&document};
  std::vector<const JsonValue*> objects;
  for (const JsonValue& item : items->GetArray()) objects.push_back(&item);
  return objects;
}

// Null when there is none of that name.
const JsonValue* FindRole(const JsonDocument& document, std::string_view kind, std::string_view ns,
                          std::string_view name) {
  for (const JsonValue* object : Objects(document)) {
    if (StringAt(*object, {"kind"}) == kind && StringAt(*object, {"metadata", "name"}) == name &&
        StringAt(*object, {"metadata", "namespace"}) == ns) {
      return object;
    }
  }
  return nullptr;
}

std::vector<std::string> Strings(const JsonValue& object, std::string_view key) {
  std::vector<std::string> strings;
  const JsonValue* list = Find(object, key);
  if (list == nullptr || !list->IsArray()) return strings;
  for (const JsonValue& item : list->GetArray()) {
    if (item.IsString()) strings.emplace_back(View(item));
  }
  return strings;
}

std::string JsonList(std::vector<std::string> texts) {
  std::sort(texts.begin(), texts.end());
  std::string json = "[";
  for (const std::string& text : texts) json += (json.size() > 1 ? "," : "") + Quoted(text);
  return json + "]";
}

}  // namespace

Result<Rbac> Rbac::Parse(std::string_view json) {
  PODROUTE_ASSIGN_OR_RETURN(JsonDocument document, ParseJson(json));
  Rbac rbac;
  for (const JsonValue* object : Objects(document)) {
    std::string_view kind = StringAt(*object, {"kind"});
    if (kind != "ClusterRoleBinding" && kind != "RoleBinding") continue;
    PODROUTE_RETURN_IF_ERROR(rbac.Bind(*object, document).WithContext(Where(*object)));
  }
  return rbac;
}

Status Rbac::Bind(const JsonValue& binding, const JsonDocument& document) {
  // A RoleBinding grants what a role says in its own namespace, also a ClusterRole's rules.
  std::string ns(StringAt(binding, {"metadata", "namespace"}));
  std::string_view kind = StringAt(binding, {"roleRef", "kind"});
  std::string_view name = StringAt(binding, {"roleRef", "name"});
  const JsonValue* role = FindRole(document, kind, kind == "Role" ? ns : "", name);
  if (role == nullptr) {
    return Wrong("roleRef", "there is no " + std::string(kind) + " \"" + std::string(name) + "\"");
  }
  const JsonValue* rules = Find(*role, "rules");
  const JsonValue* subjects = Find(binding, "subjects");
  if (rules == nullptr || !rules->IsArray() || subjects == nullptr || !subjects->IsArray()) {
    return Wrong("rules, subjects", "not both are lists");
  }
  for (const JsonValue& subject : subjects->GetArray()) {
    std::string_view subject_ns = StringAt(subject, {"namespace"});
    if (StringAt(subject, {"kind"}) != "ServiceAccount" || subject_ns.empty()) {
      return Wrong("subjects", "only a ServiceAccount with a namespace is understood");
    }
    Access whom;
    whom.user = "system:serviceaccount:" + std::string(subject_ns) + ":" +
                std::string(StringAt(subject, {"name"}));
    whom.ns = ns;
    for (const JsonValue& rule : rules->GetArray()) PODROUTE_RETURN_IF_ERROR(Expand(rule, whom));
  }
  return Status::Ok();
}

Status Rbac::Expand(const JsonValue& rule, const Access& whom) {
  std::vector<std::string> names = Strings(rule, "resourceNames");
  if (names.empty()) names.emplace_back();
  size_t before = grants_.size();
  for (const std::string& group : Strings(rule, "apiGroups")) {
    for (const std::string& resource : Strings(rule, "resources")) {
      for (const std::string& verb : Strings(rule, "verbs")) {
        for (const std::string& name : names) {
          Grant grant{{whom.user, verb, group, resource, whom.ns, name}};
          if (grant.access.ToText().find('*') != std::string::npos) {
            return Wrong("rules", "a wildcard: " + grant.access.ToText());
          }
          grants_.push_back(std::move(grant));
        }
      }
    }
  }
  if (grants_.size() > before) return Status::Ok();
  return Wrong("rules", "one without apiGroups, resources or verbs");
}

bool Rbac::Allowed(const Access& access) {
  for (Grant& grant : grants_) {
    const Access& granted = grant.access;
    if (granted.user == access.user && granted.verb == access.verb &&
        granted.group == access.group && granted.resource == access.resource &&
        (granted.ns.empty() || granted.ns == access.ns) &&
        (granted.name.empty() || granted.name == access.name)) {
      grant.used = true;
      return true;
    }
  }
  denied_.insert(access.ToText());
  return false;
}

std::string Rbac::Json() const {
  std::vector<std::string> used, unused;
  for (const Grant& grant : grants_) (grant.used ? used : unused).push_back(grant.access.ToText());
  return "{\"denied\":" + JsonList({denied_.begin(), denied_.end()}) +
         ",\"used\":" + JsonList(std::move(used)) + ",\"unused\":" + JsonList(std::move(unused)) +
         "}";
}

}  // namespace podroute
