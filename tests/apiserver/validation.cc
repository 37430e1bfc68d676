#include "tests/apiserver/validation.h"

#include <algorithm>
#include <cctype>
#include <string>
#include <utility>
#include <vector>

#include "base/ip_prefix.h"

namespace podroute {

namespace {

constexpr std::string_view kSubdomainMessage =
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or "
    "'.', "
    "and must start and end with an alphanumeric character (e.g. 'example.com', regex used for "
    "validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";

using Causes = std::vector<ApiErrorCause>;

void AddInvalid(Causes* causes, std::string field, std::string value, std::string_view why) {
  causes->push_back(
      {"FieldValueInvalid", "Invalid value: " + value + ": " + std::string(why), std::move(field)});
}

bool IsLabel(std::string_view text) {
  auto alphanumeric = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  return !text.empty() && alphanumeric(text.front()) && alphanumeric(text.back()) &&
         std::all_of(text.begin(), text.end(), [&](char c) { return alphanumeric(c) || c == '-'; });
}

bool IsSubdomain(std::string_view text) {
  while (true) {
    size_t dot = text.find('.');
    if (!IsLabel(text.substr(0, dot))) return false;
    if (dot == std::string_view::npos) return true;
    text.remove_prefix(dot + 1);
  }
}

void ValidateName(const JsonValue& object, Causes* causes) {
  std::string_view name = StringAt(object, {"metadata", "name"});
  if (name.empty()) {
    causes->push_back({"FieldValueRequired", "Required value: name or generateName is required",
                       "metadata.name"});
    return;
  }
  if (name.size() > 253) {
    AddInvalid(causes, "metadata.name", Quoted(name), "must be no more than 253 characters");
  }
  if (!IsSubdomain(name)) AddInvalid(causes, "metadata.name", Quoted(name), kSubdomainMessage);
}

// Go's net.ParseCIDR accepts set host bits, ours does not: only the form counts here.
std::optional<IpFamily> CidrFamily(const JsonValue& value) {
  if (!value.IsString()) return std::nullopt;
  std::string_view text = View(value);
  size_t slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  Result<IpAddress> address = IpAddress::Parse(text.substr(0, slash));
  std::string_view length = text.substr(slash + 1);
  if (!address.ok() || length.empty() || length.size() > 3) return std::nullopt;
  int bits = 0;
  for (char c : length) {
    if (!isdigit(static_cast<unsigned char>(c))) return std::nullopt;
    bits = bits * 10 + (c - '0');
  }
  if (bits > address->bits()) return std::nullopt;
  return address->family();
}

void ValidateNode(const JsonValue& node, const JsonValue* old, Causes* causes) {
  const JsonValue* cidrs = FindPath(node, {"spec", "podCIDRs"});
  if (cidrs != nullptr && cidrs->IsArray()) {
    std::string shown = ToText(*cidrs);
    std::vector<IpFamily> families;
    for (unsigned i = 0; i < cidrs->Size(); ++i) {
      std::optional<IpFamily> family = CidrFamily((*cidrs)[i]);
      if (!family) {
        AddInvalid(causes, "spec.podCIDRs[" + std::to_string(i) + "]", shown, "must be valid CIDR");
      } else {
        families.push_back(*family);
      }
    }
    if (cidrs->Size() > 2 || (families.size() == 2 && families[0] == families[1])) {
      AddInvalid(causes, "spec.podCIDRs", shown,
                 "may specify no more than one CIDR for each IP family");
    }
  }
  if (old == nullptr) return;
  const JsonValue* before = FindPath(*old, {"spec", "podCIDRs"});
  if (before != nullptr && before->IsArray() && !before->Empty() &&
      (cidrs == nullptr || *cidrs != *before)) {
    causes->push_back({"FieldValueForbidden",
                       "Forbidden: node updates may not change podCIDR except from \"\" to valid",
                       "spec.podCIDRs"});
  }
}

void ValidateLease(const JsonValue& lease, Causes* causes) {
  const JsonValue* seconds = FindPath(lease, {"spec", "leaseDurationSeconds"});
  if (seconds != nullptr && seconds->IsInt64() && seconds->GetInt64() <= 0) {
    AddInvalid(causes, "spec.leaseDurationSeconds", ToText(*seconds), "must be greater than 0");
  }
  const JsonValue* transitions = FindPath(lease, {"spec", "leaseTransitions"});
  if (transitions != nullptr && transitions->IsInt64() && transitions->GetInt64() < 0) {
    AddInvalid(causes, "spec.leaseTransitions", ToText(*transitions),
               "must be greater than or equal to 0");
  }
}

void ValidateEvent(const JsonValue& event, Causes* causes) {
  std::string_view ns = StringAt(event, {"metadata", "namespace"});
  std::string_view about = StringAt(event, {"involvedObject", "namespace"});
  // An event about something that has no namespace lives in "default".
  if (about.empty() ? ns != "default" : ns != about) {
    AddInvalid(causes, "involvedObject.namespace", Quoted(about), "does not match event.namespace");
  }
}

// MicroTime: exactly six digits after the point, which Go's parser insists on.
bool IsMicroTime(std::string_view text) {
  constexpr std::string_view kForm = "0000-00-00T00:00:00.000000";
  if (text.size() <= kForm.size()) return false;
  for (size_t i = 0; i < kForm.size(); ++i) {
    bool digit = isdigit(static_cast<unsigned char>(text[i])) != 0;
    if (kForm[i] == '0' ? !digit : text[i] != kForm[i]) return false;
  }
  std::string_view zone = text.substr(kForm.size());
  return zone == "Z" || (zone.size() == 6 && (zone[0] == '+' || zone[0] == '-') && zone[3] == ':');
}

std::optional<ApiError> CheckMicroTimes(const ResourceType& type, const JsonValue& object) {
  for (const JsonValue* time :
       {FindPath(object, {"spec", "acquireTime"}), FindPath(object, {"spec", "renewTime"}),
        FindPath(object, {"eventTime"})}) {
    if (time == nullptr || time->IsNull()) continue;
    if (time->IsString() && IsMicroTime(View(*time))) continue;
    return BadRequest(std::string(type.kind) + " in version \"" + std::string(type.version) +
                      "\" cannot be handled as a " + std::string(type.kind) + ": parsing time " +
                      ToText(*time) + " as \"2006-01-02T15:04:05.000000Z07:00\": cannot parse");
  }
  return std::nullopt;
}

}  // namespace

std::optional<ApiError> ValidateObject(const ResourceType& type, const JsonValue& object,
                                       const JsonValue* old) {
  if (type.kind == "Lease" || type.kind == "Event") {
    if (auto error = CheckMicroTimes(type, object)) return error;
  }
  Causes causes;
  ValidateName(object, &causes);
  if (type.kind == "Node") ValidateNode(object, old, &causes);
  if (type.kind == "Lease") ValidateLease(object, &causes);
  if (type.kind == "Event") ValidateEvent(object, &causes);
  if (causes.empty()) return std::nullopt;
  return Invalid(type.group, type.kind, StringAt(object, {"metadata", "name"}), std::move(causes));
}

}  // namespace podroute
