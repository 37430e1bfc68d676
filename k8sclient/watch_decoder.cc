#include "k8sclient/watch_decoder.h"

#include <string>
#include <utility>

#include "k8sclient/json_stream.h"
#include "k8sclient/node_sax.h"

namespace podroute {
namespace {

std::optional<WatchEvent::Type> TypeOf(std::string_view name) {
  if (name == "ADDED") return WatchEvent::Type::kAdded;
  if (name == "MODIFIED") return WatchEvent::Type::kModified;
  if (name == "DELETED") return WatchEvent::Type::kDeleted;
  if (name == "BOOKMARK") return WatchEvent::Type::kBookmark;
  if (name == "ERROR") return WatchEvent::Type::kError;
  return std::nullopt;
}

Result<WatchEvent> EventOf(NodeSax& sax, MonotonicTime arrived) {
  auto wrong = [&](const std::string& what) {
    return Status(StatusCode::kInternal, AsOneLine(sax.event_type, 32) + " event: " + what);
  };
  if (sax.event_type.empty()) return Status(StatusCode::kInternal, "an event has no type");
  std::optional<WatchEvent::Type> type = TypeOf(sax.event_type);
  if (!type) return wrong("the type is unknown");
  JsonObject& object = sax.object;
  if (!object.present) return wrong("there is no object");

  WatchEvent event;
  event.type = *type;
  event.arrived = arrived;
  if (*type == WatchEvent::Type::kError) {
    event.error = std::move(object.error);
    return event;
  }
  if (!object.kind.empty() && object.kind != "Node") {
    return wrong("the object is a " + AsOneLine(object.kind, 64) + ", not a Node");
  }
  if (object.node.name.empty() && *type != WatchEvent::Type::kBookmark) {
    return wrong("the object has no metadata.name");
  }
  if (object.node.resource_version.empty()) {
    return wrong("the object has no metadata.resourceVersion");
  }
  event.initial_events_end = *type == WatchEvent::Type::kBookmark && object.initial_events_end;
  event.node = std::move(object.node);
  return event;
}

}  // namespace

struct WatchDecoder::Impl {
  Impl(BodyStream& body, const Clock& clock) : stream(body, clock, kMaxObjectBytes) {}
  JsonStream stream;
  Status failed;
};

WatchDecoder::WatchDecoder(BodyStream& body, const Clock& clock)
    : impl_(std::make_unique<Impl>(body, clock)) {}

WatchDecoder::~WatchDecoder() = default;

Result<std::optional<WatchEvent>> WatchDecoder::Next() {
  JsonStream& stream = impl_->stream;
  if (!impl_->failed.ok()) return impl_->failed;
  auto fail = [&](Status status) {
    impl_->failed = status;
    return status;
  };
  stream.Mark();
  for (char c = stream.Peek(); c == '\n' || c == '\r' || c == ' ' || c == '\t'; c = stream.Peek()) {
    stream.Take();
  }
  stream.Mark();
  if (!stream.status().ok()) return fail(stream.status());
  if (stream.ended()) return std::optional<WatchEvent>();

  MonotonicTime arrived = stream.arrived();
  NodeSax sax(JsonPlace::kEvent, stream);
  Status status = ParseJsonValue(stream, sax);
  if (!status.ok()) return fail(status);
  Result<WatchEvent> event = EventOf(sax, arrived);
  if (!event.ok()) return fail(event.status());
  return std::optional<WatchEvent>(std::move(*event));
}

}  // namespace podroute
