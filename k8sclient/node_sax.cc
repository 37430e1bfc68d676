#include "k8sclient/node_sax.h"

#include <rapidjson/error/en.h>
#include <rapidjson/reader.h>

#include <algorithm>
#include <cstdio>
#include <utility>

#include "k8sclient/rfc3339.h"

namespace podroute {
namespace {

using P = JsonPlace;

struct Field {
  P parent;
  std::string_view key;
  P place;
};

constexpr Field kFields[] = {
    {P::kList, "kind", P::kListKind},
    {P::kList, "metadata", P::kListMeta},
    {P::kList, "items", P::kItems},
    {P::kListMeta, "resourceVersion", P::kListVersion},
    {P::kListMeta, "continue", P::kListContinue},
    {P::kEvent, "type", P::kEventType},
    {P::kEvent, "object", P::kObject},
    {P::kObject, "kind", P::kKind},
    {P::kObject, "metadata", P::kMeta},
    {P::kObject, "spec", P::kSpec},
    {P::kObject, "status", P::kStatus},
    {P::kObject, "message", P::kErrorMessage},
    {P::kObject, "reason", P::kErrorReason},
    {P::kObject, "code", P::kErrorCode},
    {P::kObject, "details", P::kErrorDetails},
    {P::kMeta, "name", P::kName},
    {P::kMeta, "uid", P::kUid},
    {P::kMeta, "resourceVersion", P::kVersion},
    {P::kMeta, "creationTimestamp", P::kCreated},
    {P::kMeta, "deletionTimestamp", P::kDeleted},
    {P::kMeta, "annotations", P::kAnnotations},
    {P::kAnnotations, "k8s.io/initial-events-end", P::kInitialEventsEnd},
    {P::kSpec, "podCIDR", P::kPodCidr},
    {P::kSpec, "podCIDRs", P::kPodCidrs},
    {P::kSpec, "taints", P::kTaints},
    {P::kTaint, "key", P::kTaintKey},
    {P::kStatus, "addresses", P::kAddresses},
    {P::kStatus, "conditions", P::kConditions},
    {P::kAddress, "type", P::kAddressType},
    {P::kAddress, "address", P::kAddressText},
    {P::kCondition, "type", P::kConditionType},
    {P::kCondition, "status", P::kConditionStatus},
    {P::kCondition, "reason", P::kConditionReason},
    {P::kCondition, "message", P::kConditionMessage},
    {P::kErrorDetails, "retryAfterSeconds", P::kErrorRetry},
    {P::kErrorDetails, "causes", P::kErrorCauses},
    {P::kErrorCause, "reason", P::kErrorCauseReason},
};

P FieldOf(P parent, std::string_view key) {
  for (const Field& field : kFields) {
    if (field.parent == parent && field.key == key) return field.place;
  }
  return P::kSkip;
}

bool IsObject(P place) {
  return std::any_of(std::begin(kFields), std::end(kFields),
                     [&](const Field& field) { return field.parent == place; });
}

// The place of an array's elements; kSkip for what is no array.
P ElementOf(P place) {
  switch (place) {
    case P::kItems:
      return P::kObject;
    case P::kPodCidrs:
      return P::kPodCidrsEntry;
    case P::kTaints:
      return P::kTaint;
    case P::kAddresses:
      return P::kAddress;
    case P::kConditions:
      return P::kCondition;
    case P::kErrorCauses:
      return P::kErrorCause;
    default:
      return P::kSkip;
  }
}

std::string Cut(std::string_view text) { return std::string(text.substr(0, kMaxFieldBytes)); }

// FNV-1a: only to keep two over-long names apart, both of which the route rules refuse.
std::string Digest(std::string_view text) {
  uint64_t hash = 0xcbf29ce484222325;
  for (char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  char digits[17];
  std::snprintf(digits, sizeof digits, "%016llx", static_cast<unsigned long long>(hash));
  return digits;
}

}  // namespace

JsonPlace NodeSax::Here() const {
  if (depth_ == 0) return root_;
  P element = ElementOf(levels_[depth_ - 1]);
  return element != P::kSkip ? element : next_;
}

bool NodeSax::Skip() {
  if (depth_ == 0) return Fail("not a JSON object");
  skipped_ = true;
  stream_.SkipToClose();
  return true;
}

bool NodeSax::Enter(JsonPlace place) {
  levels_[depth_++] = place;
  if (place == P::kObject) {
    object = {};
    object.present = true;
    pod_cidr_.clear();
    taints_ = 0;
  }
  if (place == P::kItems) list_has_items = true;
  if (place == P::kAddress || place == P::kCondition) {
    type_.clear();
    text_.clear();
    reason_.clear();
    ours_ = false;
  }
  return true;
}

bool NodeSax::StartObject() {
  P here = Here();
  return here != P::kSkip && IsObject(here) ? Enter(here) : Skip();
}

bool NodeSax::StartArray() {
  P here = Here();
  if (here == P::kObject && depth_ > 0 && levels_[depth_ - 1] == P::kItems) return Scalar();
  return ElementOf(here) != P::kSkip ? Enter(here) : Skip();
}

bool NodeSax::EndObject(unsigned /*members*/) {
  if (std::exchange(skipped_, false)) return true;
  P ended = levels_[--depth_];
  if (ended == P::kTaint) ++taints_;
  if (ended == P::kAddress) EndAddress();
  if (ended == P::kCondition) EndCondition();
  if (ended == P::kObject) {
    EndNode();
    if (depth_ > 0 && levels_[depth_ - 1] == P::kItems) {
      if (on_item && !on_item(object)) return false;
      ++items;
    }
  }
  return true;
}

bool NodeSax::EndArray(unsigned /*elements*/) {
  if (!std::exchange(skipped_, false)) --depth_;
  return true;
}

bool NodeSax::Key(const char* text, unsigned length, bool /*copy*/) {
  next_ = FieldOf(levels_[depth_ - 1], {text, length});
  // A Node's annotations can be long, and mean nothing to us: only a bookmark's are worth a look.
  bool bookmark = root_ == P::kEvent && (event_type.empty() || event_type == "BOOKMARK");
  if (next_ == P::kAnnotations && !bookmark) next_ = P::kSkip;
  // Items are handed on as they come, so they cannot be forgotten.
  if (next_ == P::kItems && list_has_items) return Fail("items comes twice");
  Forget(next_);
  return true;
}

bool NodeSax::Null() {
  if (Here() == P::kItems) list_has_items = true;  // A Go slice that is nil.
  return Scalar();
}

// A value that is neither text nor a number of ours.
bool NodeSax::Scalar() {
  P here = Here();
  if (here == P::kObject && depth_ > 0 && levels_[depth_ - 1] == P::kItems) {
    return Fail("items[" + std::to_string(items) + "] is no object");
  }
  return depth_ > 0 || Fail("not a JSON object");
}

bool NodeSax::Number(int64_t value) {
  P here = Here();
  if (here == P::kErrorCode)
    object.error.code = static_cast<int>(std::clamp<int64_t>(value, 0, 999));
  if (here == P::kErrorRetry) object.error.retry_after_seconds = value;
  return Scalar();
}

bool NodeSax::String(const char* text, unsigned length, bool /*copy*/) {
  P here = Here();
  if (here >= P::kList && here <= P::kEventType) return SetListText(here, {text, length});
  if (here == P::kObject) return Scalar();
  SetText(here, {text, length});
  return true;
}

bool NodeSax::SetListText(JsonPlace place, std::string_view text) {
  if (place == P::kListKind) {
    list_kind = Cut(text);
    if (text != "NodeList" && text != "List") {
      return Fail("kind is \"" + AsOneLine(text, 64) + "\", not NodeList");
    }
  } else if (place == P::kListVersion || place == P::kListContinue) {
    // Opaque, so it cannot be cut.
    if (text.size() > kMaxTokenBytes) return Fail("metadata has a text over 16 KiB long");
    (place == P::kListVersion ? list_version : list_continue) = text;
  } else if (place == P::kEventType) {
    event_type = Cut(text);
  }
  return depth_ > 0 || Fail("not a JSON object");
}

void NodeSax::SetText(JsonPlace place, std::string_view text) {
  switch (place) {
    case P::kKind:
      object.kind = Cut(text);
      break;
    case P::kName:
      SetName(text);
      break;
    case P::kUid:
      object.node.uid = Cut(text);
      break;
    case P::kVersion:
      // Opaque, so it cannot be cut; no server's is that long.
      if (text.size() <= kMaxFieldBytes) object.node.resource_version = text;
      break;
    case P::kCreated:
      object.node.creation_seconds = ParseRfc3339Seconds(text).value_or(0);
      break;
    case P::kDeleted:
      object.node.deleting = !text.empty();
      break;
    case P::kInitialEventsEnd:
      object.initial_events_end = text == "true";
      break;
    case P::kPodCidr:
      pod_cidr_ = Cut(text);
      break;
    case P::kPodCidrsEntry:
      AddPodCidr(text);
      break;
    case P::kTaintKey:
      if (text == kStartupTaint) object.node.startup_taint = taints_;
      break;
    case P::kAddressType:
    case P::kConditionType:
      type_ = Cut(text);
      break;
    case P::kAddressText:
    case P::kConditionStatus:
      text_ = Cut(text);
      break;
    case P::kConditionReason:
      reason_ = Cut(text);
      break;
    case P::kConditionMessage:
      ours_ = text.starts_with(kConditionMark);
      break;
    case P::kErrorMessage:
      object.error.message = std::string(text.substr(0, 1024));
      break;
    case P::kErrorReason:
      object.error.reason = Cut(text);
      break;
    case P::kErrorCauseReason:
      if (text == "ResourceVersionTooLarge") object.error.version_too_large = true;
      break;
    default:
      break;
  }
}

// A key that comes again starts from nothing, so that the last one wins whatever its type.
void NodeSax::Forget(JsonPlace place) {
  Node& node = object.node;
  switch (place) {
    case P::kObject:
      object = {};
      break;
    case P::kListKind:
      list_kind.clear();
      break;
    case P::kListMeta:
      list_version.clear();
      list_continue.clear();
      break;
    case P::kEventType:
      event_type.clear();
      break;
    case P::kMeta:
      node.name.clear();
      node.name_too_long = false;
      node.uid.clear();
      node.resource_version.clear();
      node.creation_seconds = 0;
      node.deleting = false;
      [[fallthrough]];
    case P::kAnnotations:
      object.initial_events_end = false;
      break;
    case P::kTaints:
      taints_ = 0;
      node.startup_taint.reset();
      break;
    case P::kSpec:
      pod_cidr_.clear();
      taints_ = 0;
      node.startup_taint.reset();
      [[fallthrough]];
    case P::kPodCidrs:
      node.pod_cidrs.clear();
      node.pod_cidrs_total = 0;
      break;
    case P::kStatus:
      node.network_unavailable.reset();
      [[fallthrough]];
    case P::kAddresses:
      node.internal_ips.clear();
      node.external_ips.clear();
      node.addresses_total = 0;
      break;
    case P::kConditions:
      node.network_unavailable.reset();
      break;
    case P::kErrorCode:
      object.error.code = 0;
      break;
    case P::kErrorDetails:
      object.error.retry_after_seconds = 0;
      [[fallthrough]];
    case P::kErrorCauses:
      object.error.version_too_large = false;
      break;
    default:
      SetText(place, {});
      break;
  }
}

void NodeSax::SetName(std::string_view text) {
  Node& node = object.node;
  node.name_too_long = text.size() > kMaxNodeNameBytes;
  if (!node.name_too_long) {
    node.name = text;
    return;
  }
  std::string tail = "~" + Digest(text);
  node.name = std::string(text.substr(0, kMaxNodeNameBytes - tail.size())) + tail;
}

void NodeSax::AddPodCidr(std::string_view text) {
  Node& node = object.node;
  std::string cidr = Cut(text);
  if (cidr.empty()) return;
  if (std::find(node.pod_cidrs.begin(), node.pod_cidrs.end(), cidr) != node.pod_cidrs.end()) return;
  ++node.pod_cidrs_total;
  if (node.pod_cidrs.size() < kMaxPodCidrs) node.pod_cidrs.push_back(std::move(cidr));
}

void NodeSax::EndAddress() {
  Node& node = object.node;
  if (++node.addresses_total > kMaxNodeAddresses || text_.empty()) return;
  if (type_ == "InternalIP") node.internal_ips.push_back(text_);
  if (type_ == "ExternalIP") node.external_ips.push_back(text_);
}

void NodeSax::EndCondition() {
  if (type_ == "NetworkUnavailable") {
    object.node.network_unavailable = NetworkUnavailableCondition{text_, reason_, ours_};
  }
}

void NodeSax::EndNode() {
  if (object.node.pod_cidrs.empty()) AddPodCidr(pod_cidr_);
}

Status ParseJsonValue(JsonStream& stream, NodeSax& sax) {
  constexpr unsigned kFlags = rapidjson::kParseIterativeFlag | rapidjson::kParseStopWhenDoneFlag;
  rapidjson::Reader reader;  // A new one each time: it keeps the memory of the longest text it met.
  rapidjson::ParseResult result = reader.Parse<kFlags>(stream, sax);
  if (!result.IsError()) return Status::Ok();
  if (!stream.status().ok()) return stream.status();
  if (!sax.failure().empty()) return {StatusCode::kInternal, sax.failure()};
  if (stream.ended()) {
    return {StatusCode::kUnavailable,
            "the JSON ended too early, after " + std::to_string(stream.Tell()) + " bytes"};
  }
  return {StatusCode::kInternal, "not JSON at byte " + std::to_string(result.Offset()) +
                                     ", before \"" + AsOneLine(stream.buffered(), 40) +
                                     "\": " + rapidjson::GetParseError_En(result.Code())};
}

}  // namespace podroute
