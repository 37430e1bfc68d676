#include "k8sclient/list_watch.h"

#include <utility>

namespace podroute {
namespace {

bool IsUnreserved(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '.' || c == '_' || c == '~';
}

}  // namespace

std::string PercentEncode(std::string_view text) {
  constexpr char kHex[] = "0123456789ABCDEF";
  std::string encoded;
  for (char c : text) {
    auto byte = static_cast<unsigned char>(c);
    if (IsUnreserved(c)) {
      encoded += c;
    } else {
      encoded += {'%', kHex[byte >> 4], kHex[byte & 15]};
    }
  }
  return encoded;
}

std::string ListTarget(std::string_view resource_version, int limit,
                       std::string_view continue_token, std::string_view field_selector) {
  std::string target(kNodesPath);
  char separator = '?';
  auto add = [&](std::string_view name, std::string_view value) {
    target += separator;
    target += name;
    target += '=';
    target += PercentEncode(value);
    separator = '&';
  };
  if (!field_selector.empty()) add("fieldSelector", field_selector);
  if (limit > 0) add("limit", std::to_string(limit));
  if (!continue_token.empty()) {
    add("continue", continue_token);
  } else if (!resource_version.empty()) {
    add("resourceVersion", resource_version);
  }
  return target;
}

std::string WatchTarget(std::string_view resource_version, int timeout_seconds,
                        std::string_view field_selector) {
  std::string target =
      std::string(kNodesPath) + "?watch=1&resourceVersion=" + PercentEncode(resource_version) +
      "&allowWatchBookmarks=true&timeoutSeconds=" + std::to_string(timeout_seconds);
  if (!field_selector.empty()) target += "&fieldSelector=" + PercentEncode(field_selector);
  return target;
}

std::string WatchListTarget(std::string_view resource_version, int timeout_seconds,
                            std::string_view field_selector) {
  return WatchTarget(resource_version, timeout_seconds, field_selector) +
         "&sendInitialEvents=true&resourceVersionMatch=NotOlderThan";
}

ApiError OpenBody(HttpTransport& transport, const std::string& target, Duration idle_timeout,
                  std::unique_ptr<BodyStream>* body) {
  HttpRequest request;
  request.target = target;
  request.idle_timeout = idle_timeout;
  Result<HttpResponse> response = transport.Send(request);
  if (!response.ok()) return {.status = response.status()};
  if (response->status != 200) return ReadApiError(*response);
  auto type = response->headers.find("content-type");
  if (type != response->headers.end() && type->second.find("json") == std::string::npos) {
    return {.status = Status(StatusCode::kInternal,
                             "the answer is " + AsOneLine(type->second, 64) +
                                 ", not application/json: is this a Kubernetes API server?")};
  }
  *body = std::move(response->body);
  return {};
}

}  // namespace podroute
