// Errors as values. No exception crosses a module of podroute: what throws (yaml-cpp, cpprest, the
// standard library's allocation aside) is caught in the one file that calls it and becomes a
// Status.
#ifndef PODROUTE_BASE_STATUS_H_
#define PODROUTE_BASE_STATUS_H_

#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace podroute {

enum class StatusCode {
  kOk = 0,
  kInvalidArgument,   // The input is wrong and will stay wrong: a flag, a file, a field.
  kNotFound,          // ENOENT, ESRCH, HTTP 404.
  kAlreadyExists,     // EEXIST, HTTP 409 AlreadyExists.
  kPermissionDenied,  // EPERM, EACCES, HTTP 403.
  kUnauthenticated,   // HTTP 401.
  kConflict,          // HTTP 409 Conflict: read again, then try again.
  kGone,              // HTTP 410: the resource version or continue token is too old.
  kTooLarge,          // The resource version is newer than the server's.
  kRefused,           // A router was asked and does not take it: its own words follow.
  kNotConfirmed,      // A router was asked and has not afterwards what it should.
  kDiskFull,          // ENOSPC, EDQUOT.
  kUnavailable,       // Cannot be reached or is overloaded just now; worth trying again.
  kUnsupported,       // This kernel or server does not know it (EOPNOTSUPP, HTTP 422 watch-list).
  kCancelled,         // Somebody asked us to stop.
  kDeadlineExceeded,  // Took longer than it was allowed to.
  kInternal,          // Anything else, a malformed answer included.
};

// The name without the k, as logs show it: "NotFound".
std::string_view StatusCodeName(StatusCode code);

// A result without a value. The message is one line, names what was being done to what, and is
// meant for an operator. Immutable; cheap to copy when OK.
class [[nodiscard]] Status {
 public:
  Status() = default;  // OK
  Status(StatusCode code, std::string message) : code_(code), message_(std::move(message)) {}

  static Status Ok() { return {}; }

  // The one place where errno becomes a code. `what` says what was attempted on which object:
  // "open /etc/x". The message becomes "open /etc/x: No such file or directory".
  static Status FromErrno(int error, std::string_view what);

  bool ok() const { return code_ == StatusCode::kOk; }
  StatusCode code() const { return code_; }
  const std::string& message() const { return message_; }

  // The same code with "context: " put before the message. OK stays OK.
  Status WithContext(std::string_view context) const;

  bool operator==(const Status&) const = default;

 private:
  StatusCode code_ = StatusCode::kOk;
  std::string message_;
};

// Either a T or an error Status (never an OK one).
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}         // NOLINT(google-explicit-constructor)
  Result(Status status) : status_(std::move(status)) {  // NOLINT(google-explicit-constructor)
    if (status_.ok()) std::abort();  // A Result that is neither value nor error is a bug.
  }

  bool ok() const { return value_.has_value(); }
  const Status& status() const { return status_; }

  // REQUIRES: ok(). Aborts otherwise.
  T& value() & { return Checked(); }
  const T& value() const& { return const_cast<Result*>(this)->Checked(); }
  T&& value() && { return std::move(Checked()); }
  T& operator*() & { return Checked(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(Checked()); }
  T* operator->() { return &Checked(); }
  const T* operator->() const { return &value(); }

 private:
  T& Checked() {
    if (!value_) std::abort();
    return *value_;
  }

  Status status_;
  std::optional<T> value_;
};

// Returns from the enclosing function when `expr`, a Status, is an error.
#define PODROUTE_RETURN_IF_ERROR(expr)                   \
  do {                                                   \
    ::podroute::Status podroute_status_ = (expr);        \
    if (!podroute_status_.ok()) return podroute_status_; \
  } while (false)

#define PODROUTE_CONCAT_INNER_(a, b) a##b
#define PODROUTE_CONCAT_(a, b) PODROUTE_CONCAT_INNER_(a, b)

// PODROUTE_ASSIGN_OR_RETURN(auto text, ReadFile(path)): declares (or assigns) from a Result's
// value, or returns its error from the enclosing function.
#define PODROUTE_ASSIGN_OR_RETURN(lhs, expr) \
  PODROUTE_ASSIGN_OR_RETURN_IMPL_(PODROUTE_CONCAT_(podroute_result_, __LINE__), lhs, expr)
#define PODROUTE_ASSIGN_OR_RETURN_IMPL_(result, lhs, expr) \
  auto result = (expr);                                    \
  if (!result.ok()) return result.status();                \
  lhs = std::move(result).value()

}  // namespace podroute

#endif  // PODROUTE_BASE_STATUS_H_
