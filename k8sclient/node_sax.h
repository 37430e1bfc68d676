// What the decoders of lists, watches and single Nodes have in common: the SAX handler that knows
// where in the JSON our few fields are. Of use to the decoders only.
#ifndef PODROUTE_K8SCLIENT_NODE_SAX_H_
#define PODROUTE_K8SCLIENT_NODE_SAX_H_

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/status.h"
#include "k8sclient/api_error.h"
#include "k8sclient/json_stream.h"
#include "k8sclient/node.h"

namespace podroute {

// Bounds on what one answer can cost, whoever sends it. etcd refuses objects over 1.5 MiB, which is
// less than 8 MiB of JSON as servers write it.
inline constexpr size_t kMaxObjectBytes = 8u << 20;  // Of one Node's, or one event's, JSON.
inline constexpr size_t kMaxTokenBytes = 16u
                                         << 10;  // Of a list's resourceVersion and continue token.

// The places in the JSON that mean something to us. All others are kSkip.
enum class JsonPlace : uint8_t {
  kSkip,
  // {"kind":..,"metadata":{"resourceVersion":..,"continue":..},"items":[Node,...]}
  kList,
  kListKind,
  kListMeta,
  kListVersion,
  kListContinue,
  kItems,
  // {"type":..,"object":Node or Status}
  kEvent,
  kEventType,
  // A Node, or the Status object of an ERROR event.
  kObject,
  kKind,
  kMeta,
  kName,
  kUid,
  kVersion,
  kCreated,
  kDeleted,
  kAnnotations,
  kInitialEventsEnd,
  kSpec,
  kPodCidr,
  kPodCidrs,
  kPodCidrsEntry,
  kTaints,
  kTaint,
  kTaintKey,
  kStatus,
  kAddresses,
  kAddress,
  kAddressType,
  kAddressText,
  kConditions,
  kCondition,
  kConditionType,
  kConditionStatus,
  kConditionReason,
  kConditionMessage,
  kErrorMessage,
  kErrorReason,
  kErrorCode,
  kErrorDetails,
  kErrorRetry,
  kErrorCauses,
  kErrorCause,
  kErrorCauseReason,
};

// The object that is being read.
struct JsonObject {
  Node node;
  ApiStatus error;
  std::string kind;
  bool initial_events_end = false;  // Only looked for in events, and not in those of a Node.
  bool present = false;             // It was there and was an object.
};

// A handler for rapidjson::Reader. Holds one object at a time.
class NodeSax {
 public:
  // `root` is what the text as a whole is: kList, kEvent or kObject. `stream` is what the reader
  // reads; it is moved over the objects and arrays that mean nothing to us.
  NodeSax(JsonPlace root, JsonStream& stream) : root_(root), stream_(stream) {}

  // Called with each item of a list as it is complete, and may take it. False, after Fail, ends the
  // parse.
  std::function<bool(JsonObject&)> on_item;

  std::string list_kind, list_version, list_continue, event_type;
  bool list_has_items = false;
  size_t items = 0;   // Seen so far, the one under way not counted.
  JsonObject object;  // The event's, or the root.

  // Why the handler ended the parse; empty when it did not.
  const std::string& failure() const { return failure_; }
  bool Fail(std::string failure) {
    failure_ = std::move(failure);
    return false;
  }

  // rapidjson's Handler concept.
  bool Null();
  bool Bool(bool) { return Scalar(); }
  bool Int(int value) { return Number(value); }
  bool Uint(unsigned value) { return Number(value); }
  bool Int64(int64_t value) { return Number(value); }
  bool Uint64(uint64_t) { return Scalar(); }  // Only those that fit no int64_t.
  bool Double(double) { return Scalar(); }
  bool RawNumber(const char*, unsigned, bool) { return Scalar(); }
  bool String(const char* text, unsigned length, bool copy);
  bool Key(const char* text, unsigned length, bool copy);
  bool StartObject();
  bool EndObject(unsigned members);
  bool StartArray();
  bool EndArray(unsigned elements);

 private:
  // Where the value that comes next is.
  JsonPlace Here() const;
  bool Enter(JsonPlace place);
  bool Skip();
  bool Scalar();
  bool Number(int64_t value);
  void Forget(JsonPlace place);
  void SetText(JsonPlace place, std::string_view text);
  bool SetListText(JsonPlace place, std::string_view text);
  void SetName(std::string_view text);
  void AddPodCidr(std::string_view text);
  void EndAddress();
  void EndCondition();
  void EndNode();

  const JsonPlace root_;
  JsonStream& stream_;
  std::array<JsonPlace, 12> levels_;  // The objects and arrays we are in; our fields lie 9 deep.
  size_t depth_ = 0;
  bool skipped_ = false;  // What ends next is an object or array that means nothing to us.
  JsonPlace next_ = JsonPlace::kSkip;            // The value of the key just read.
  std::string pod_cidr_, type_, text_, reason_;  // Of the address or condition under way.
  bool ours_ = false;
  size_t taints_ = 0;  // Seen so far.
  std::string failure_;
};

// Parses one JSON value. OK when it is complete; the stream's error; kUnavailable when the text
// ended within the value; kInternal for what is no JSON, and for a handler's Fail. Nothing behind
// the value is looked at.
Status ParseJsonValue(JsonStream& stream, NodeSax& sax);

}  // namespace podroute

#endif  // PODROUTE_K8SCLIENT_NODE_SAX_H_
