// The errors of a Kubernetes API server as values, and their Status objects.
#ifndef PODROUTE_TESTS_APISERVER_API_ERROR_H_
#define PODROUTE_TESTS_APISERVER_API_ERROR_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/apiserver/access.h"
#include "tests/apiserver/resources.h"

namespace podroute {

struct ApiErrorCause {
  std::string reason;
  std::string message;
  std::string field;
};

struct ApiErrorDetails {
  std::string name, group, kind;
  std::vector<ApiErrorCause> causes;
  int retry_after_seconds = 0;
};

struct ApiError {
  int code = 500;
  std::string reason;
  std::string message;
  std::optional<ApiErrorDetails> details;
  std::string continue_token;  // Of a list that outlived its history.

  std::string ToJson() const;  // Compact.
};

ApiError BadRequest(std::string message);
ApiError Unauthorized();
ApiError Forbidden(const Access& access, const ResourceType& type);
ApiError ForbiddenPath(std::string_view user, std::string_view verb, std::string_view path);
ApiError NotFound(const ResourceType& type, std::string_view name);
ApiError AlreadyExists(const ResourceType& type, std::string_view name);
ApiError Conflict(const ResourceType& type, std::string_view name, std::string_view why);
ApiError ModifiedConflict(const ResourceType& type, std::string_view name);
// 422; the message is made of the causes. `kind` is what the message calls the object.
ApiError Invalid(std::string_view group, std::string_view kind, std::string_view name,
                 std::vector<ApiErrorCause> causes);
ApiError MethodNotAllowed();
ApiError UnsupportedMediaType(std::string message);
ApiError Expired(std::string message);
ApiError TooLargeVersion(std::string_view asked, uint64_t current);
// The Status that goes with an HTTP status of an order to misbehave.
ApiError ErrorForCode(int code, int retry_after_seconds);

}  // namespace podroute

#endif  // PODROUTE_TESTS_APISERVER_API_ERROR_H_
