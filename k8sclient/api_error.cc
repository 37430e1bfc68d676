#include "k8sclient/api_error.h"

#include <rapidjson/document.h>

#include <algorithm>
#include <charconv>
#include <chrono>

namespace podroute {
namespace {

constexpr size_t kMaxBodyBytes = 64u << 10;
constexpr size_t kMaxMessageBytes = 512;
constexpr int64_t kMaxRetryAfterSeconds = 86400;  // Keeps it far from overflowing a Duration.

std::string StringMember(const rapidjson::Value& object, const char* name) {
  auto member = object.FindMember(name);
  if (member == object.MemberEnd() || !member->value.IsString()) return {};
  return {member->value.GetString(), member->value.GetStringLength()};
}

int64_t IntMember(const rapidjson::Value& object, const char* name) {
  auto member = object.FindMember(name);
  return member != object.MemberEnd() && member->value.IsInt64() ? member->value.GetInt64() : 0;
}

void ParseDetails(const rapidjson::Value& details, ApiStatus* api) {
  api->retry_after_seconds = IntMember(details, "retryAfterSeconds");
  auto causes = details.FindMember("causes");
  if (causes == details.MemberEnd() || !causes->value.IsArray()) return;
  for (const rapidjson::Value& cause : causes->value.GetArray()) {
    if (cause.IsObject() && StringMember(cause, "reason") == "ResourceVersionTooLarge") {
      api->version_too_large = true;
    }
  }
}

// As much of a body as is there, up to a bound: an error page need not be whole to be quoted.
std::string ReadSome(BodyStream& body) {
  std::string text;
  char buffer[4096];
  while (text.size() < kMaxBodyBytes) {
    Result<size_t> n = body.Read(buffer);
    if (!n.ok() || *n == 0) break;
    text.append(buffer, *n);
  }
  return text;
}

int64_t RetryAfterSeconds(const HttpResponse& response) {
  auto header = response.headers.find("retry-after");
  if (header == response.headers.end()) return 0;
  const std::string& text = header->second;
  int64_t seconds = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  return error == std::errc() && end == text.data() + text.size() ? seconds : 0;
}

}  // namespace

ApiStatus ParseApiStatus(std::string_view json) {
  ApiStatus api;
  rapidjson::Document document;
  // Iterative: a page of a million brackets must not use the stack up.
  document.Parse<rapidjson::kParseIterativeFlag>(json.data(), json.size());
  const rapidjson::Value& root = document;
  if (document.HasParseError() || !root.IsObject()) return api;
  if (StringMember(root, "kind") != "Status") return api;
  api.code = static_cast<int>(std::clamp<int64_t>(IntMember(root, "code"), 0, 999));
  api.reason = StringMember(root, "reason");
  api.message = StringMember(root, "message");
  auto details = root.FindMember("details");
  if (details != root.MemberEnd() && details->value.IsObject()) {
    ParseDetails(details->value, &api);
  }
  return api;
}

StatusCode CodeOf(const ApiStatus& api, int http_status) {
  // Servers from 1.17.0 to 1.18.5 give no cause, only the message.
  if (api.version_too_large ||
      api.message.find("Too large resource version") != std::string::npos) {
    return StatusCode::kTooLarge;
  }
  if (api.reason == "Expired" || api.reason == "Gone") return StatusCode::kGone;
  if (api.reason == "AlreadyExists") return StatusCode::kAlreadyExists;
  switch (http_status != 0 ? http_status : api.code) {
    case 400:
    case 422:
      return StatusCode::kInvalidArgument;
    case 401:
      return StatusCode::kUnauthenticated;
    case 403:
      return StatusCode::kPermissionDenied;
    case 404:
      return StatusCode::kNotFound;
    case 405:
    case 406:
    case 415:
      return StatusCode::kUnsupported;
    case 409:
      return StatusCode::kConflict;
    case 410:
      return StatusCode::kGone;
    case 408:
    case 429:
    case 502:
    case 503:
    case 504:
      return StatusCode::kUnavailable;
    default:
      return StatusCode::kInternal;
  }
}

ApiError MakeApiError(const ApiStatus& api, int http_status) {
  std::string message = http_status != 0 ? "HTTP " + std::to_string(http_status)
                                         : "error " + std::to_string(api.code);
  if (!api.reason.empty()) message += " " + AsOneLine(api.reason, 64);
  if (!api.message.empty()) message += ": " + AsOneLine(api.message, kMaxMessageBytes);
  ApiError error;
  error.status = Status(CodeOf(api, http_status), std::move(message));
  error.retry_after =
      std::chrono::seconds(std::clamp<int64_t>(api.retry_after_seconds, 0, kMaxRetryAfterSeconds));
  error.http_status = http_status;
  return error;
}

ApiError ReadApiError(HttpResponse& response) {
  std::string body = ReadSome(*response.body);
  ApiStatus api = ParseApiStatus(body);
  api.retry_after_seconds = std::max(api.retry_after_seconds, RetryAfterSeconds(response));
  // Not from an API server, or from one that is not up: quote what it says.
  if (!body.starts_with('{')) api.message = AsOneLine(body, 120);
  return MakeApiError(api, response.status);
}

std::string AsOneLine(std::string_view text, size_t max_bytes) {
  std::string line;
  for (char c : text) {
    bool blank = static_cast<unsigned char>(c) <= ' ' || c == '\x7f';
    if (blank && (line.empty() || line.back() == ' ')) continue;
    if (line.size() == max_bytes) return line + "...";
    line += blank ? ' ' : c;
  }
  if (!line.empty() && line.back() == ' ') line.pop_back();
  return line;
}

}  // namespace podroute
