#include "k8sclient/node_writes.h"

#include <rapidjson/document.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <string_view>
#include <utility>

#include "k8sclient/lease.h"
#include "k8sclient/list_watch.h"
#include "k8sclient/node.h"

namespace podroute {
namespace {

constexpr size_t kMaxMessageBytes = 1024;
constexpr Duration kIdleTimeout = std::chrono::seconds(10);
constexpr char kEvents[] = "/api/v1/namespaces/default/events";
constexpr char kStrategicMerge[] = "application/strategic-merge-patch+json";

using Writer = rapidjson::Writer<rapidjson::StringBuffer>;

// RFC 3339 with seconds, as metav1.Time is written.
std::string Time(WallTime time) {
  std::string text = FormatMicroTime(time);
  return text.substr(0, text.find('.')) + "Z";
}

void Put(Writer& writer, const char* key, std::string_view value) {
  writer.Key(key);
  writer.String(value.data(), static_cast<unsigned>(value.size()));
}

template <typename Fill>
std::string Object(const Fill& fill) {
  rapidjson::StringBuffer buffer;
  Writer writer(buffer);
  writer.StartObject();
  fill(writer);
  writer.EndObject();
  return {buffer.GetString(), buffer.GetSize()};
}

ApiError Send(HttpTransport& transport, HttpRequest request, std::string* answer = nullptr) {
  request.idle_timeout = kIdleTimeout;
  Result<HttpResponse> response = transport.Send(request);
  if (!response.ok()) return {.status = response.status()};
  if (response->status != 200 && response->status != 201) return ReadApiError(*response);
  Result<std::string> body = ReadBody(*response->body, 8u << 20);
  if (!body.ok()) return {.status = body.status()};
  if (answer != nullptr) *answer = std::move(*body);
  return {};
}

ApiError Patch(HttpTransport& transport, std::string target, const char* content_type,
               const std::string& body) {
  HttpRequest request;
  request.method = "PATCH";
  request.target = std::move(target);
  request.content_type = content_type;
  request.body = body;
  return Send(transport, std::move(request));
}

std::string NodePath(const std::string& node) { return "/api/v1/nodes/" + PercentEncode(node); }

}  // namespace

std::string RenderNetworkCondition(bool works, WallTime now) {
  return Object([&](Writer& writer) {
    writer.Key("status");
    writer.StartObject();
    writer.Key("conditions");
    writer.StartArray();
    writer.StartObject();
    Put(writer, "type", "NetworkUnavailable");
    Put(writer, "status", works ? "False" : "True");
    Put(writer, "reason", works ? "RouteCreated" : "NoRouteCreated");
    Put(writer, "message",
        std::string(kConditionMark) +
            (works ? "the node's pod network is in place" : "the node's routes could not be made"));
    Put(writer, "lastHeartbeatTime", Time(now));
    Put(writer, "lastTransitionTime", Time(now));
    writer.EndObject();
    writer.EndArray();
    writer.EndObject();
  });
}

std::string RenderStartupTaintRemoval(size_t index) {
  std::string path = "/spec/taints/" + std::to_string(index);
  return R"([{"op":"test","path":")" + path + R"(/key","value":")" + kStartupTaint +
         R"("},{"op":"remove","path":")" + path + R"("}])";
}

std::string RenderEvent(const NodeEvent& event, const std::string& host, uint64_t count,
                        WallTime first, WallTime last) {
  return Object([&](Writer& writer) {
    Put(writer, "apiVersion", "v1");
    Put(writer, "kind", "Event");
    writer.Key("metadata");
    writer.StartObject();
    Put(writer, "generateName", event.node + ".");
    Put(writer, "namespace", "default");
    writer.EndObject();
    writer.Key("involvedObject");
    writer.StartObject();
    Put(writer, "apiVersion", "v1");
    Put(writer, "kind", "Node");
    Put(writer, "name", event.node);
    Put(writer, "uid", event.node);
    writer.EndObject();
    Put(writer, "type", event.warning ? "Warning" : "Normal");
    Put(writer, "reason", event.reason);
    Put(writer, "message", std::string_view(event.message).substr(0, kMaxMessageBytes));
    writer.Key("source");
    writer.StartObject();
    Put(writer, "component", "podroute");
    Put(writer, "host", host);
    writer.EndObject();
    Put(writer, "firstTimestamp", Time(first));
    Put(writer, "lastTimestamp", Time(last));
    writer.Key("count");
    writer.Uint64(count);
  });
}

std::string RenderEventRepeat(uint64_t count, WallTime last) {
  return Object([&](Writer& writer) {
    writer.Key("count");
    writer.Uint64(count);
    Put(writer, "lastTimestamp", Time(last));
  });
}

ApiError PatchNodeStatus(HttpTransport& transport, const std::string& node,
                         const std::string& patch) {
  return Patch(transport, NodePath(node) + "/status", kStrategicMerge, patch);
}

ApiError PatchNode(HttpTransport& transport, const std::string& node,
                   const std::string& json_patch) {
  return Patch(transport, NodePath(node), "application/json-patch+json", json_patch);
}

ApiError CreateEvent(HttpTransport& transport, const std::string& event, std::string* name) {
  HttpRequest request;
  request.method = "POST";
  request.target = kEvents;
  request.content_type = "application/json";
  request.body = event;
  std::string answer;
  ApiError error = Send(transport, std::move(request), &answer);
  if (!error.ok()) return error;
  rapidjson::Document document;
  document.Parse<rapidjson::kParseIterativeFlag>(answer.data(), answer.size());
  // Without a name the next one is an Event of its own.
  if (document.HasParseError() || !document.IsObject()) return {};
  auto metadata = document.FindMember("metadata");
  if (metadata == document.MemberEnd() || !metadata->value.IsObject()) return {};
  auto given = metadata->value.FindMember("name");
  if (given != metadata->value.MemberEnd() && given->value.IsString()) {
    *name = given->value.GetString();
  }
  return {};
}

ApiError PatchEvent(HttpTransport& transport, const std::string& name, const std::string& patch) {
  return Patch(transport, std::string(kEvents) + "/" + PercentEncode(name), kStrategicMerge, patch);
}

}  // namespace podroute
