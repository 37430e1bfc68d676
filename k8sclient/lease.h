// The coordination.k8s.io/v1 Lease that leader election is about.
#ifndef PODROUTE_K8SCLIENT_LEASE_H_
#define PODROUTE_K8SCLIENT_LEASE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/status.h"
#include "k8sclient/api_error.h"
#include "k8sclient/http_transport.h"

namespace podroute {

// The part of a Lease's spec that says who leads; fields as client-go's LeaderElectionRecord. The
// times are the text that was sent: they are some other machine's clock, of use to people only.
struct LeaseRecord {
  std::string holder = {};  // holderIdentity; empty: nobody.
  int64_t duration_seconds = 0;
  std::string acquire_time = {}, renew_time = {};  // MicroTime; empty when absent.
  int64_t transitions = 0;
  bool operator==(const LeaseRecord&) const = default;
};

struct Lease {
  std::string resource_version = {};  // Never empty in what ParseLease yields.
  LeaseRecord record = {};
  std::string json = {};  // The whole object, as sent.
};

// Members of the spec that are absent, null or of another type are as if empty. Errors: not JSON,
// another kind, no metadata.resourceVersion (an update without one would overwrite anything). Pure.
Result<Lease> ParseLease(std::string_view json);

// The object `base` with `record` in its spec. All else that the server sent stays: labels,
// annotations, owner references, fields of the spec that later versions have added. Pure.
std::string RenderLease(const Lease& base, const LeaseRecord& record);
std::string RenderNewLease(std::string_view name_space, std::string_view name,
                           const LeaseRecord& record);

// "2026-11-22T21:00:02.000001Z": always six digits, as the API's MicroTime has them.
std::string FormatMicroTime(WallTime time);

struct LeaseAnswer {
  ApiError error;  // kNotFound, kAlreadyExists, kConflict: as HTTP says; others as HttpTransport's.
  Lease lease;     // When error.ok(): as the server now has it.
};

// One Lease of one server. Thread-safe as the transport is. Every call blocks; `idle_timeout` as in
// HttpRequest.
class LeaseClient {
 public:
  // The transport must outlive this.
  LeaseClient(HttpTransport& transport, std::string name_space, std::string name);

  LeaseAnswer Get(Duration idle_timeout) const;
  LeaseAnswer Create(const LeaseRecord& record, Duration idle_timeout) const;
  // kConflict when the server's is not `base`'s version any longer.
  LeaseAnswer Update(const Lease& base, const LeaseRecord& record, Duration idle_timeout) const;

  // A watch of this Lease that begins with how it is now, if it is (a watch without a version does:
  // ADDED), and that the server closes after `timeout_seconds`.
  ApiError Watch(int timeout_seconds, Duration idle_timeout,
                 std::unique_ptr<BodyStream>* body) const;

 private:
  LeaseAnswer Ask(HttpRequest request, Duration idle_timeout) const;

  HttpTransport& transport_;
  const std::string name_space_, name_;
  const std::string collection_, object_;  // Paths.
};

struct LeaseEvent {
  bool deleted = false;
  Lease lease = {};
};

// The events of a watch's body. One thread; Cancel the body to end a Next that blocks.
class LeaseWatchReader {
 public:
  explicit LeaseWatchReader(BodyStream& body) : body_(body) {}

  // Blocks until the next event's closing brace is there. nullopt: the clean end. Errors are the
  // body's, kInternal for what is no event, and an ERROR event's own.
  Result<std::optional<LeaseEvent>> Next();

 private:
  bool TakeObject(std::string* object);

  BodyStream& body_;
  std::string buffer_;  // From the event under way on.
  size_t scanned_ = 0;  // How far TakeObject has looked.
  size_t depth_ = 0;
  bool in_string_ = false, escaped_ = false;
};

}  // namespace podroute

#endif  // PODROUTE_K8SCLIENT_LEASE_H_
