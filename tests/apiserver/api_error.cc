#include "tests/apiserver/api_error.h"

#include <utility>

#include "tests/apiserver/json.h"

namespace podroute {

namespace {

ApiErrorDetails DetailsOf(const ResourceType& type, std::string_view name) {
  ApiErrorDetails details;
  details.name = name;
  details.group = type.group;
  details.kind = type.plural;
  return details;
}

// Appends "key":"text" unless the text is empty.
void AppendString(std::string* out, std::string_view key, std::string_view text) {
  if (text.empty()) return;
  if (out->back() != '{') *out += ',';
  *out += Quoted(key) + ":" + Quoted(text);
}

std::string DetailsJson(const ApiErrorDetails& details) {
  std::string out = "{";
  AppendString(&out, "name", details.name);
  AppendString(&out, "group", details.group);
  AppendString(&out, "kind", details.kind);
  if (!details.causes.empty()) {
    if (out.back() != '{') out += ',';
    out += "\"causes\":[";
    for (const ApiErrorCause& cause : details.causes) {
      if (out.back() != '[') out += ',';
      std::string one = "{";
      AppendString(&one, "reason", cause.reason);
      AppendString(&one, "message", cause.message);
      AppendString(&one, "field", cause.field);
      out += one + "}";
    }
    out += "]";
  }
  if (details.retry_after_seconds > 0) {
    if (out.back() != '{') out += ',';
    out += "\"retryAfterSeconds\":" + std::to_string(details.retry_after_seconds);
  }
  return out + "}";
}

std::string WherePhrase(const ResourceType& type, std::string_view ns) {
  if (!type.namespaced || ns.empty()) return " at the cluster scope";
  return " in the namespace \"" + std::string(ns) + "\"";
}

}  // namespace

std::string ApiError::ToJson() const {
  std::string out = R"({"kind":"Status","apiVersion":"v1","metadata":{)";
  if (!continue_token.empty()) out += "\"continue\":" + Quoted(continue_token);
  out += R"(},"status":"Failure","message":)" + Quoted(message);
  AppendString(&out, "reason", reason);
  if (details) out += ",\"details\":" + DetailsJson(*details);
  return out + ",\"code\":" + std::to_string(code) + "}";
}

ApiError BadRequest(std::string message) {
  return {400, "BadRequest", std::move(message), std::nullopt, ""};
}

ApiError Unauthorized() { return {401, "Unauthorized", "Unauthorized", std::nullopt, ""}; }

ApiError Forbidden(const Access& access, const ResourceType& type) {
  std::string message = type.QualifiedName();
  if (!access.name.empty()) message += " \"" + access.name + "\"";
  message += " is forbidden: User \"" + access.user + "\" cannot " + access.verb + " resource \"" +
             access.resource + "\" in API group \"" + access.group + "\"" +
             WherePhrase(type, access.ns);
  return {403, "Forbidden", std::move(message), DetailsOf(type, access.name), ""};
}

ApiError ForbiddenPath(std::string_view user, std::string_view verb, std::string_view path) {
  return {403, "Forbidden",
          "forbidden: User \"" + std::string(user) + "\" cannot " + std::string(verb) + " path \"" +
              std::string(path) + "\"",
          ApiErrorDetails(), ""};
}

ApiError NotFound(const ResourceType& type, std::string_view name) {
  return {404, "NotFound", type.QualifiedName() + " \"" + std::string(name) + "\" not found",
          DetailsOf(type, name), ""};
}

ApiError AlreadyExists(const ResourceType& type, std::string_view name) {
  return {409, "AlreadyExists",
          type.QualifiedName() + " \"" + std::string(name) + "\" already exists",
          DetailsOf(type, name), ""};
}

ApiError Conflict(const ResourceType& type, std::string_view name, std::string_view why) {
  return {409, "Conflict",
          "Operation cannot be fulfilled on " + type.QualifiedName() + " \"" + std::string(name) +
              "\": " + std::string(why),
          DetailsOf(type, name), ""};
}

ApiError ModifiedConflict(const ResourceType& type, std::string_view name) {
  return Conflict(type, name,
                  "the object has been modified; please apply your changes to the latest version "
                  "and try again");
}

ApiError Invalid(std::string_view group, std::string_view kind, std::string_view name,
                 std::vector<ApiErrorCause> causes) {
  std::string qualified(kind);
  if (!group.empty()) qualified += "." + std::string(group);
  std::string list;
  for (const ApiErrorCause& cause : causes) {
    if (!list.empty()) list += ", ";
    list += cause.field + ": " + cause.message;
  }
  if (causes.size() > 1) list = "[" + list + "]";
  ApiErrorDetails details{std::string(name), std::string(group), std::string(kind),
                          std::move(causes), 0};
  return {422, "Invalid", qualified + " \"" + std::string(name) + "\" is invalid: " + list,
          std::move(details), ""};
}

ApiError MethodNotAllowed() {
  return {405, "MethodNotAllowed",
          "the server does not allow this method on the requested resource", ApiErrorDetails(), ""};
}

ApiError UnsupportedMediaType(std::string message) {
  return {415, "UnsupportedMediaType", std::move(message), ApiErrorDetails(), ""};
}

ApiError Expired(std::string message) {
  return {410, "Expired", std::move(message), std::nullopt, ""};
}

ApiError TooLargeVersion(std::string_view asked, uint64_t current) {
  ApiErrorDetails details;
  details.causes.push_back({"ResourceVersionTooLarge", "Too large resource version", ""});
  details.retry_after_seconds = 1;
  return {504, "Timeout",
          "Timeout: Too large resource version: " + std::string(asked) +
              ", current: " + std::to_string(current),
          std::move(details), ""};
}

ApiError ErrorForCode(int code, int retry_after_seconds) {
  ApiErrorDetails details;
  details.retry_after_seconds = retry_after_seconds;
  switch (code) {
    case 401:
      return Unauthorized();
    case 410:
      return Expired("The resourceVersion for the provided watch is too old.");
    case 429:
      return {429, "TooManyRequests", "Too many requests, please try again later.",
              std::move(details), ""};
    case 500:
      return {500, "InternalError", "Internal error occurred: etcdserver: request timed out",
              std::move(details), ""};
    case 503:
      return {503, "ServiceUnavailable", "apiserver is shutting down", std::move(details), ""};
    case 504:
      return {504, "Timeout", "Timeout: request did not complete within the allotted timeout",
              std::move(details), ""};
    default:
      return {code, "Unknown", "an order to misbehave", std::move(details), ""};
  }
}

}  // namespace podroute
