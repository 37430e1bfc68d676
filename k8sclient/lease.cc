#include "k8sclient/lease.h"

#include <rapidjson/document.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <utility>

#include "k8sclient/list_watch.h"

namespace podroute {
namespace {

// A Lease is a kilobyte. What is larger, or nested deeper, is none, and the writer recurses.
constexpr size_t kMaxBytes = 1u << 20;
constexpr size_t kMaxDepth = 100;

std::string StringMember(const rapidjson::Value& object, const char* name) {
  auto member = object.FindMember(name);
  if (member == object.MemberEnd() || !member->value.IsString()) return {};
  return {member->value.GetString(), member->value.GetStringLength()};
}

int64_t IntMember(const rapidjson::Value& object, const char* name) {
  auto member = object.FindMember(name);
  return member != object.MemberEnd() && member->value.IsInt64() ? member->value.GetInt64() : 0;
}

Status Malformed(const std::string& what) { return {StatusCode::kInternal, "Lease: " + what}; }

// Counts brackets outside of strings; text that is no JSON only has to yield some number.
size_t Depth(std::string_view json) {
  size_t depth = 0, most = 0;
  bool in_string = false;
  for (size_t at = 0; at < json.size(); ++at) {
    char c = json[at];
    if (in_string) {
      if (c == '\\') ++at;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      most = std::max(most, ++depth);
    } else if ((c == '}' || c == ']') && depth > 0) {
      --depth;
    }
  }
  return most;
}

Status ParseObject(std::string_view json, rapidjson::Document* document) {
  if (Depth(json) > kMaxDepth) return Malformed("nested too deep");
  document->Parse<rapidjson::kParseIterativeFlag>(json.data(), json.size());
  if (document->HasParseError() || !document->IsObject()) return Malformed("not a JSON object");
  return Status::Ok();
}

Result<Lease> ToLease(const rapidjson::Value& object) {
  std::string kind = StringMember(object, "kind");
  if (!kind.empty() && kind != "Lease") {
    return Malformed("it is a " + AsOneLine(kind, 64));
  }
  Lease lease;
  auto metadata = object.FindMember("metadata");
  if (metadata != object.MemberEnd() && metadata->value.IsObject()) {
    lease.resource_version = StringMember(metadata->value, "resourceVersion");
  }
  if (lease.resource_version.empty()) return Malformed("it has no metadata.resourceVersion");
  auto spec = object.FindMember("spec");
  if (spec == object.MemberEnd() || !spec->value.IsObject()) return lease;
  lease.record.holder = StringMember(spec->value, "holderIdentity");
  lease.record.duration_seconds = IntMember(spec->value, "leaseDurationSeconds");
  lease.record.acquire_time = StringMember(spec->value, "acquireTime");
  lease.record.renew_time = StringMember(spec->value, "renewTime");
  lease.record.transitions = IntMember(spec->value, "leaseTransitions");
  return lease;
}

std::string Write(const rapidjson::Value& value) {
  rapidjson::StringBuffer buffer;
  rapidjson::Writer<rapidjson::StringBuffer> writer(buffer);
  value.Accept(writer);
  return {buffer.GetString(), buffer.GetSize()};
}

void SetRecord(const LeaseRecord& record, rapidjson::Document* document) {
  auto& allocator = document->GetAllocator();
  if (auto spec = document->FindMember("spec");
      spec == document->MemberEnd() || !spec->value.IsObject()) {
    document->RemoveMember("spec");
    document->AddMember("spec", rapidjson::Value(rapidjson::kObjectType), allocator);
  }
  rapidjson::Value& spec = (*document)["spec"];
  auto set = [&](const char* name, rapidjson::Value value) {
    auto member = spec.FindMember(name);
    if (member != spec.MemberEnd()) {
      member->value = value;
    } else {
      spec.AddMember(rapidjson::StringRef(name), value, allocator);
    }
  };
  auto text = [&](const std::string& value) { return rapidjson::Value(value, allocator); };
  set("holderIdentity", text(record.holder));
  set("leaseDurationSeconds", rapidjson::Value(record.duration_seconds));
  set("acquireTime", record.acquire_time.empty() ? rapidjson::Value() : text(record.acquire_time));
  set("renewTime", record.renew_time.empty() ? rapidjson::Value() : text(record.renew_time));
  set("leaseTransitions", rapidjson::Value(record.transitions));
}

}  // namespace

Result<Lease> ParseLease(std::string_view json) {
  rapidjson::Document document;
  PODROUTE_RETURN_IF_ERROR(ParseObject(json, &document));
  PODROUTE_ASSIGN_OR_RETURN(Lease lease, ToLease(document));
  lease.json = json;
  return lease;
}

std::string RenderLease(const Lease& base, const LeaseRecord& record) {
  rapidjson::Document document;
  if (!ParseObject(base.json, &document).ok()) document.SetObject();
  SetRecord(record, &document);
  return Write(document);
}

std::string RenderNewLease(std::string_view name_space, std::string_view name,
                           const LeaseRecord& record) {
  rapidjson::Document document(rapidjson::kObjectType);
  auto& allocator = document.GetAllocator();
  rapidjson::Value metadata(rapidjson::kObjectType);
  metadata.AddMember("name", rapidjson::Value(std::string(name), allocator), allocator);
  metadata.AddMember("namespace", rapidjson::Value(std::string(name_space), allocator), allocator);
  document.AddMember("kind", "Lease", allocator);
  document.AddMember("apiVersion", "coordination.k8s.io/v1", allocator);
  document.AddMember("metadata", metadata, allocator);
  SetRecord(record, &document);
  return Write(document);
}

std::string FormatMicroTime(WallTime time) {
  auto micros = std::chrono::floor<std::chrono::microseconds>(time);
  auto day = std::chrono::floor<std::chrono::days>(micros);
  std::chrono::year_month_day date(day);
  std::chrono::hh_mm_ss clock(micros - day);
  char text[64];
  std::snprintf(text, sizeof text, "%04d-%02u-%02uT%02d:%02d:%02d.%06dZ", int{date.year()},
                unsigned{date.month()}, unsigned{date.day()},
                static_cast<int>(clock.hours().count()), static_cast<int>(clock.minutes().count()),
                static_cast<int>(clock.seconds().count()),
                static_cast<int>(clock.subseconds().count()));
  return text;
}

LeaseClient::LeaseClient(HttpTransport& transport, std::string name_space, std::string name)
    : transport_(transport),
      name_space_(std::move(name_space)),
      name_(std::move(name)),
      collection_("/apis/coordination.k8s.io/v1/namespaces/" + PercentEncode(name_space_) +
                  "/leases"),
      object_(collection_ + "/" + PercentEncode(name_)) {}

LeaseAnswer LeaseClient::Ask(HttpRequest request, Duration idle_timeout) const {
  request.idle_timeout = idle_timeout;
  if (!request.body.empty()) request.content_type = "application/json";
  Result<HttpResponse> response = transport_.Send(request);
  if (!response.ok()) return {{.status = response.status()}, {}};
  if (response->status != 200 && response->status != 201) return {ReadApiError(*response), {}};
  Result<std::string> body = ReadBody(*response->body, kMaxBytes);
  if (!body.ok()) return {{.status = body.status()}, {}};
  Result<Lease> lease = ParseLease(*body);
  if (!lease.ok()) return {{.status = lease.status()}, {}};
  return {{}, std::move(*lease)};
}

LeaseAnswer LeaseClient::Get(Duration idle_timeout) const {
  HttpRequest request;
  request.target = object_;
  return Ask(std::move(request), idle_timeout);
}

LeaseAnswer LeaseClient::Create(const LeaseRecord& record, Duration idle_timeout) const {
  HttpRequest request;
  request.method = "POST";
  request.target = collection_;
  request.body = RenderNewLease(name_space_, name_, record);
  return Ask(std::move(request), idle_timeout);
}

LeaseAnswer LeaseClient::Update(const Lease& base, const LeaseRecord& record,
                                Duration idle_timeout) const {
  HttpRequest request;
  request.method = "PUT";
  request.target = object_;
  request.body = RenderLease(base, record);
  return Ask(std::move(request), idle_timeout);
}

ApiError LeaseClient::Watch(int timeout_seconds, Duration idle_timeout,
                            std::unique_ptr<BodyStream>* body) const {
  return OpenBody(transport_,
                  collection_ +
                      "?watch=1&fieldSelector=" + PercentEncode("metadata.name=" + name_) +
                      "&timeoutSeconds=" + std::to_string(timeout_seconds),
                  idle_timeout, body);
}

bool LeaseWatchReader::TakeObject(std::string* object) {
  for (; scanned_ < buffer_.size(); ++scanned_) {
    char c = buffer_[scanned_];
    if (escaped_) {
      escaped_ = false;
    } else if (in_string_) {
      if (c == '\\') escaped_ = true;
      if (c == '"') in_string_ = false;
    } else if (c == '"') {
      in_string_ = true;
    } else if (c == '{' || c == '[') {
      ++depth_;
    } else if ((c == '}' || c == ']') && depth_ > 0 && --depth_ == 0) {
      *object = buffer_.substr(0, scanned_ + 1);
      buffer_.erase(0, scanned_ + 1);
      scanned_ = 0;
      return true;
    }
  }
  return false;
}

Result<std::optional<LeaseEvent>> LeaseWatchReader::Next() {
  std::string text;
  while (!TakeObject(&text)) {
    if (buffer_.size() > kMaxBytes) return Malformed("an event is over 1 MiB long");
    char bytes[4096];
    PODROUTE_ASSIGN_OR_RETURN(size_t n, body_.Read(bytes));
    if (n == 0 && buffer_.find_first_not_of(" \r\n\t") != std::string::npos) {
      return Status(StatusCode::kUnavailable, "the watch ended within an event");
    }
    if (n == 0) return std::optional<LeaseEvent>();
    buffer_.append(bytes, n);
  }
  rapidjson::Document document;
  PODROUTE_RETURN_IF_ERROR(ParseObject(text, &document));
  std::string type = StringMember(document, "type");
  auto object = document.FindMember("object");
  if (object == document.MemberEnd() || !object->value.IsObject()) {
    return Malformed("an event has no object");
  }
  std::string json = Write(object->value);
  if (type == "ERROR") return MakeApiError(ParseApiStatus(json), 0).status;
  if (type != "ADDED" && type != "MODIFIED" && type != "DELETED") {
    return Malformed("an event has the type \"" + AsOneLine(type, 32) + "\"");
  }
  LeaseEvent event;
  event.deleted = type == "DELETED";
  PODROUTE_ASSIGN_OR_RETURN(event.lease, ToLease(object->value));
  event.lease.json = std::move(json);
  return std::optional<LeaseEvent>(std::move(event));
}

}  // namespace podroute
