// The events of a watch, each as soon as its last byte is there.
#ifndef PODROUTE_K8SCLIENT_WATCH_DECODER_H_
#define PODROUTE_K8SCLIENT_WATCH_DECODER_H_

#include <memory>
#include <optional>

#include "base/clock.h"
#include "base/status.h"
#include "k8sclient/api_error.h"
#include "k8sclient/http_transport.h"
#include "k8sclient/node.h"

namespace podroute {

struct WatchEvent {
  enum class Type { kAdded, kModified, kDeleted, kBookmark, kError };
  Type type = Type::kAdded;
  // kAdded, kModified, kDeleted: has a name and a resource_version. kBookmark: resource_version
  // only.
  Node node;
  // kBookmark: the Nodes there were have all been sent (the annotation k8s.io/initial-events-end of
  // a watch that began with them).
  bool initial_events_end = false;
  ApiStatus error;        // kError
  MonotonicTime arrived;  // When the first byte of the event was read from the body.
};

// Reads consecutive JSON objects {"type":..., "object":...}, with or without white space between
// them. Holds 16 KiB and what is kept of the event under way. Not thread-safe; Cancel the body to
// end a Next that blocks.
class WatchDecoder {
 public:
  // `body` and `clock` must outlive this.
  WatchDecoder(BodyStream& body, const Clock& clock);
  ~WatchDecoder();

  // Blocks until the next event is complete; never waits for a byte behind its closing brace.
  // nullopt: the body ended cleanly between two events. kUnavailable: it ended within one.
  // kInternal: what came is no event (not JSON, over kMaxObjectBytes, an unknown type, an object
  // that is no Node or has no name or version). Other errors are the body's. After an error there
  // are no further events.
  Result<std::optional<WatchEvent>> Next();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace podroute

#endif  // PODROUTE_K8SCLIENT_WATCH_DECODER_H_
