// What the API server says when it says no.
#ifndef PODROUTE_K8SCLIENT_API_ERROR_H_
#define PODROUTE_K8SCLIENT_API_ERROR_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/status.h"
#include "k8sclient/http_transport.h"

namespace podroute {

// What we use of a metav1.Status object: the body of an error response and the object of an ERROR
// event.
struct ApiStatus {
  int code = 0;                     // As an HTTP status; 0 when absent.
  std::string reason;               // "Expired", "AlreadyExists"; empty when absent.
  std::string message;              // As sent.
  int64_t retry_after_seconds = 0;  // details.retryAfterSeconds
  bool version_too_large = false;   // details.causes[].reason has ResourceVersionTooLarge.
  bool operator==(const ApiStatus&) const = default;
};

// Why a request got nothing, or OK.
struct ApiError {
  Status status;
  Duration retry_after{0};  // The least the server asks us to wait; 0 when it does not say.
  int http_status = 0;  // 0: no answer came (status is the transport's) or it was within a stream.

  bool ok() const { return status.ok(); }
};

// Reads a Status object. Text that is none (a proxy's HTML page) yields an empty one. Pure.
ApiStatus ParseApiStatus(std::string_view json);

// The code that `api` and the HTTP status amount to. Reasons weigh more than numbers; a kind of
// error that nobody acts upon is kInternal. Pure.
//   410, Expired, Gone -> kGone           ResourceVersionTooLarge -> kTooLarge
//   400, 422 -> kInvalidArgument          401 -> kUnauthenticated
//   403 -> kPermissionDenied              404 -> kNotFound
//   409 -> kAlreadyExists when that is the reason, else kConflict
//   405, 406, 415 -> kUnsupported         408, 429, 502, 503, 504 -> kUnavailable
StatusCode CodeOf(const ApiStatus& api, int http_status);

// An error of `api`, which came with the HTTP status `http_status` or (0) within a stream. The
// message is one printable line of at most some 600 bytes: "HTTP 403 Forbidden: nodes is forbidden:
// User ...". Never OK. Pure.
ApiError MakeApiError(const ApiStatus& api, int http_status);

// The error that a response with any status but 200 or 201 is. Reads at most 64 KiB of its body.
// The Retry-After header counts in its form of seconds, which is the one that API servers send.
ApiError ReadApiError(HttpResponse& response);

// `text` as one printable line of at most `max_bytes`, runs of white space and control characters
// as one space: for quoting what others sent.
std::string AsOneLine(std::string_view text, size_t max_bytes);

}  // namespace podroute

#endif  // PODROUTE_K8SCLIENT_API_ERROR_H_
