#include "tests/apiserver/faults.h"

#include <array>
#include <charconv>
#include <utility>

namespace podroute {

namespace {

constexpr std::array<std::pair<std::string_view, FaultKind>, 9> kKinds = {{
    {"status", FaultKind::kStatus},
    {"garbage", FaultKind::kGarbage},
    {"html", FaultKind::kHtml},
    {"empty", FaultKind::kEmptyList},
    {"truncate", FaultKind::kTruncate},
    {"delay", FaultKind::kDelay},
    {"stall", FaultKind::kStall},
    {"mute", FaultKind::kMute},
    {"close", FaultKind::kClose},
}};

template <typename T>
Status ReadNumber(const ApiRequest& request, const std::string& key, T* value) {
  const std::string& text = request.Query(key);
  if (text.empty()) return Status::Ok();
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *value);
  if (error == std::errc() && end == text.data() + text.size()) return Status::Ok();
  return Status(StatusCode::kInvalidArgument, key + "=" + text + " is no number");
}

}  // namespace

Result<Fault> FaultPlan::Parse(const ApiRequest& request) {
  Fault fault;
  const std::string& kind = request.Query("kind");
  bool known = false;
  std::string names;
  for (const auto& [name, value] : kKinds) {
    if (name == kind) fault.kind = value, known = true;
    names += (names.empty() ? "" : ", ") + std::string(name);
  }
  if (!known) {
    return Status(StatusCode::kInvalidArgument, "kind=" + kind + " is none of " + names);
  }
  PODROUTE_RETURN_IF_ERROR(ReadNumber(request, "status", &fault.status));
  PODROUTE_RETURN_IF_ERROR(ReadNumber(request, "retry_after", &fault.retry_after_seconds));
  PODROUTE_RETURN_IF_ERROR(ReadNumber(request, "delay_ms", &fault.delay_ms));
  PODROUTE_RETURN_IF_ERROR(ReadNumber(request, "count", &fault.count));
  fault.method = request.Query("method");
  fault.path = request.Query("path");
  const std::string& watch = request.Query("watch");
  if (!watch.empty()) fault.watch = watch == "1" || watch == "true";
  return fault;
}

std::optional<Fault> FaultPlan::Take(const ApiRequest& request) {
  bool is_watch = request.Query("watch") == "1" || request.Query("watch") == "true";
  for (size_t i = 0; i < faults_.size(); ++i) {
    Fault& fault = faults_[i];
    if (!fault.method.empty() && fault.method != request.method) continue;
    if (!request.path.starts_with(fault.path)) continue;
    if (fault.watch && *fault.watch != is_watch) continue;
    Fault taken = fault;
    if (fault.count > 0 && --fault.count == 0) {
      faults_.erase(faults_.begin() + static_cast<std::ptrdiff_t>(i));
    }
    return taken;
  }
  return std::nullopt;
}

void Stats::CountConnection(int64_t now_ms) {
  ++connections_;
  ++open_connections_;
  Log({now_ms, "connection", ""});
}

void Stats::CountRequest(int64_t now_ms, const ApiRequest& request, const RequestKind& kind) {
  std::string what = kind.verb;
  if (!kind.resource.empty()) what += " " + kind.resource;
  ++requests_[what];
  std::string target = request.path;
  for (const auto& [key, value] : request.query) {
    target += (target.size() == request.path.size() ? "?" : "&") + key + "=" + value;
  }
  Log({now_ms, std::move(what), std::move(target)});
}

void Stats::Reset() {
  connections_ = 0;
  requests_.clear();
  log_.clear();
}

std::string Stats::Json(int64_t now_ms) const {
  std::string json = "{\"now_ms\":" + std::to_string(now_ms) +
                     ",\"connections\":{\"total\":" + std::to_string(connections_) +
                     ",\"open\":" + std::to_string(open_connections_) + "},\"requests\":{";
  for (const auto& [what, count] : requests_) {
    if (json.back() != '{') json += ',';
    json += Quoted(what) + ":" + std::to_string(count);
  }
  json += "},\"log\":[";
  for (const Entry& entry : log_) {
    if (json.back() != '[') json += ',';
    json += "{\"ms\":" + std::to_string(entry.ms) + ",\"what\":" + Quoted(entry.what);
    if (!entry.target.empty()) json += ",\"target\":" + Quoted(entry.target);
    json += "}";
  }
  return json + "]";
}

void Stats::Log(Entry entry) {
  constexpr size_t kLogLimit = 2000;
  log_.push_back(std::move(entry));
  if (log_.size() > kLogLimit) log_.pop_front();
}

}  // namespace podroute
