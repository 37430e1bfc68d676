#include "tests/apiserver/control.h"

#include <array>
#include <charconv>
#include <utility>

#include "tests/apiserver/node_factory.h"

namespace podroute {

namespace {

ApiResponse Answer(int status, std::string json) {
  ApiResponse response;
  response.status = status;
  response.body = std::move(json) + "\n";
  return response;
}

ApiResponse Error(int status, std::string_view what) {
  return Answer(status, "{\"error\":" + Quoted(what) + "}");
}

// The parameter as a number, or `otherwise` when it is missing or none.
int64_t NumberOf(const ApiRequest& request, const std::string& key, int64_t otherwise) {
  const std::string& text = request.Query(key);
  int64_t value = otherwise;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() ? value : otherwise;
}

bool Truth(const std::string& text) { return text == "1" || text == "true"; }

}  // namespace

ApiResponse Control::Ok(std::string_view more) const {
  return Answer(200, "{\"resourceVersion\":\"" + std::to_string(store_->version()) + "\"" +
                         std::string(more) + "}");
}

ApiResponse Control::StatsResponse() const {
  return Answer(200, stats_->Json(actions_->NowMs()) +
                         ",\"watches\":" + std::to_string(actions_->OpenWatches()) +
                         ",\"faults\":" + std::to_string(faults_->size()) +
                         ",\"resourceVersion\":\"" + std::to_string(store_->version()) +
                         "\",\"compacted\":\"" + std::to_string(store_->compacted()) + "\"}");
}

ApiResponse Control::AddNodes(const ApiRequest& request) {
  int64_t count = NumberOf(request, "count", 1);
  int64_t start = NumberOf(request, "start", 0);
  int64_t bytes = NumberOf(request, "bytes", 0);
  std::string prefix = request.Query("prefix");
  if (prefix.empty()) prefix = "node";
  if (count < 0 || start < 0 || count + start > 65536) {
    return Error(400, "start and count must stay within 65536 nodes");
  }
  for (int64_t i = start; i < start + count; ++i) {
    Status status = api_->Load(NodeJson(prefix, static_cast<size_t>(i), static_cast<size_t>(bytes),
                                        Truth(request.Query("dual_stack"))));
    if (!status.ok()) return Error(400, status.message());
  }
  return Ok();
}

ApiResponse Control::OrderWatches(const ApiRequest& request) {
  constexpr std::array<std::pair<std::string_view, WatchAction>, 7> kActions = {{
      {"drop", WatchAction::kDrop},
      {"close", WatchAction::kClose},
      {"half", WatchAction::kHalf},
      {"stall", WatchAction::kStall},
      {"resume", WatchAction::kResume},
      {"gone", WatchAction::kGone},
      {"bookmark", WatchAction::kBookmark},
  }};
  for (const auto& [name, action] : kActions) {
    if (name != request.Query("action")) continue;
    return Ok(",\"watches\":" + std::to_string(actions_->OnWatches(action)));
  }
  return Error(400, "action is none of drop, close, half, stall, resume, gone, bookmark");
}

ApiResponse Control::Restart(const ApiRequest& request) {
  const std::string& versions = request.Query("versions");
  if (versions != "" && versions != "keep" && versions != "lose") {
    return Error(400, "versions is neither keep nor lose");
  }
  actions_->Refuse(NumberOf(request, "down_ms", 0), true);
  if (versions == "lose") {
    store_->LoseVersions();
  } else {
    store_->Compact();
  }
  return Ok();
}

ApiResponse Control::HandleObjects(const ApiRequest& request) {
  if (request.method == "DELETE") {
    store_->Clear();
    api_->CreateDefaultNamespaces();
    return Ok();
  }
  Status status = api_->Load(request.body);
  return status.ok() ? Ok() : Error(400, status.message());
}

ApiResponse Control::Handle(const ApiRequest& request) {
  std::string_view what = std::string_view(request.path).substr(7);
  if (what == "stats" && request.method == "GET") return StatsResponse();
  if (what == "rbac" && request.method == "GET") {
    const Rbac* rules = api_->authenticator().rules();
    return rules != nullptr ? Answer(200, rules->Json()) : Error(404, "there is no --rbac_file");
  }
  if (what == "objects") return HandleObjects(request);
  if (what == "faults" && request.method == "DELETE") {
    faults_->Clear();
    return Ok();
  }
  if (request.method != "POST") return Error(404, "no such order; see README.md");
  if (what == "faults") {
    Result<Fault> fault = FaultPlan::Parse(request);
    if (!fault.ok()) return Error(400, fault.status().message());
    faults_->Add(*fault);
    return Ok();
  }
  if (what == "stats/reset") {
    stats_->Reset();
    return Ok();
  }
  if (what == "nodes") return AddNodes(request);
  if (what == "watches") return OrderWatches(request);
  if (what == "restart") return Restart(request);
  if (what == "compact") {
    store_->Compact();
    return Ok();
  }
  if (what == "refuse") {
    actions_->Refuse(NumberOf(request, "ms", -1), Truth(request.Query("drop")));
    return Ok();
  }
  if (what == "accept") {
    actions_->Accept();
    return Ok();
  }
  if (what == "reset") {
    faults_->Clear();
    actions_->Accept();
    actions_->OnWatches(WatchAction::kResume);
    return Ok();
  }
  return Error(404, "no such order; see README.md");
}

}  // namespace podroute
