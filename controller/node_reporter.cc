#include "controller/node_reporter.h"

#include <glog/logging.h>

#include <algorithm>
#include <utility>

#include "base/text.h"

namespace podroute {
namespace {

constexpr BackoffOptions kRetry = {.initial = std::chrono::seconds(1),
                                   .max = std::chrono::minutes(1)};
constexpr Duration kForbiddenAgain = std::chrono::minutes(10);

}  // namespace

std::optional<bool> WantedCondition(const Node& self, bool works) {
  bool is_false = self.network_unavailable && self.network_unavailable->status == "False";
  if (works) return is_false ? std::nullopt : std::optional<bool>(true);
  return is_false && self.network_unavailable->ours ? std::optional<bool>(false) : std::nullopt;
}

NodeReporter::NodeReporter(HttpTransport& transport, Clock& clock, std::string host)
    : transport_(transport),
      clock_(clock),
      host_(std::move(host)),
      condition_("set the condition NetworkUnavailable", clock, counts_.condition),
      taint_("remove the start-up taint", clock, counts_.taint),
      event_("write an Event", clock, counts_.event) {}

NodeReporter::Kind::Kind(const char* name, const Clock& clock, ReporterCounts::Writes& writes)
    : what(name), counts(writes), backoff(kRetry, clock) {}

bool NodeReporter::Rests(const Kind& kind) const {
  return kind.not_before && clock_.Now() < *kind.not_before;
}

void NodeReporter::Start() {
  thread_ = std::thread([this] { Run(); });
}

void NodeReporter::Stop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void NodeReporter::Update(const std::vector<NodeNetwork>& nodes) {
  std::lock_guard lock(mutex_);
  MonotonicTime now = clock_.Now();
  ++update_;
  bool news = false;
  for (const NodeNetwork& network : nodes) {
    const std::string& name = network.node->name;
    Known& known = nodes_[name];
    known.seen = update_;
    if (known.node != network.node || known.works != network.works) {
      news = true;
      condition_.due[name] = taint_.due[name] = now;
    }
    known.node = network.node;
    known.works = network.works;
    if (known.works) {
      known.broken_since.reset();
    } else if (!known.broken_since) {
      known.broken_since = now;
    }
  }
  if (nodes_.size() > nodes.size()) {
    std::erase_if(nodes_, [this](const auto& known) { return known.second.seen != update_; });
  }
  if (news) changed_.notify_all();
}

void NodeReporter::Happened(NodeEvent event) {
  std::lock_guard lock(mutex_);
  if (events_.size() >= kMostEvents) {
    ++counts_.events_dropped;
    return;
  }
  events_.push_back(std::move(event));
  changed_.notify_all();
}

void NodeReporter::Run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    if (!Work(lock)) Wait(lock);
  }
}

// Until something changes, or until the next moment that matters, which may have come by now.
void NodeReporter::Wait(std::unique_lock<std::mutex>& lock) {
  if (stopping_) return;
  std::optional<MonotonicTime> next;
  auto until = [&](const Kind& kind, MonotonicTime moment) {
    moment = std::max(moment, kind.not_before.value_or(moment));
    next = std::min(moment, next.value_or(moment));
  };
  for (const Kind* kind : {&condition_, &taint_}) {
    for (const auto& [name, moment] : kind->due) until(*kind, moment);
  }
  if (!events_.empty()) until(event_, MonotonicTime());
  if (next) {
    changed_.wait_for(lock, std::max(*next - clock_.Now(), Duration(0)));
  } else {
    changed_.wait(lock);
  }
}

// One request, if there is one to make; false when there is nothing to do.
bool NodeReporter::Work(std::unique_lock<std::mutex>& lock) {
  return WriteCondition(lock) || RemoveTaint(lock) || WriteEvent(lock);
}

NodeReporter::Known* NodeReporter::NextDue(Kind& kind,
                                           const std::function<bool(const Known&)>& has_to) {
  MonotonicTime next = clock_.Now();
  Known* found = nullptr;
  for (auto at = kind.due.begin(); at != kind.due.end();) {
    auto known = nodes_.find(at->first);
    bool later = at->second > next || (found != nullptr && at->second == next);
    if (known != nodes_.end() && later) {
      ++at;
    } else if (known != nodes_.end() && has_to(known->second)) {
      found = &known->second;
      next = at->second;
      ++at;
    } else {
      at = kind.due.erase(at);
    }
  }
  return found;
}

// What has been written and is not seen yet needs no second time.
std::optional<bool> NodeReporter::ConditionToWrite(const Known& known) const {
  std::optional<bool> wanted = WantedCondition(*known.node, known.works);
  bool written = known.condition_written_for == known.node && known.condition_written == wanted;
  return written ? std::nullopt : wanted;
}

bool NodeReporter::WriteCondition(std::unique_lock<std::mutex>& lock) {
  if (Rests(condition_)) return false;
  Known* known =
      NextDue(condition_, [this](const Known& one) { return ConditionToWrite(one).has_value(); });
  if (known == nullptr) return false;
  const std::shared_ptr<const Node> node = known->node;
  const std::string& name = node->name;
  const bool works = *ConditionToWrite(*known);
  if (!works && *known->broken_since + kGrace > clock_.Now()) {
    condition_.due[name] = *known->broken_since + kGrace;
    return true;
  }
  const MonotonicTime rested =
      known->condition_written_at.value_or(MonotonicTime()) + kConditionRest;
  if (known->condition_writes >= kConditionBurst && clock_.Now() < rested) {
    condition_.due[name] = rested;
    return true;
  }
  condition_.due.erase(name);  // Now: what comes meanwhile must be looked at after this.
  lock.unlock();
  ApiError error =
      PatchNodeStatus(transport_, name, RenderNetworkCondition(works, clock_.WallNow()));
  lock.lock();
  if (!error.ok()) {
    Failed(condition_, name, error);
    return true;
  }
  LOG(INFO) << "condition set node=" << name
            << " type=NetworkUnavailable status=" << (works ? "False" : "True")
            << " reason=" << (works ? "RouteCreated" : "NoRouteCreated");
  Succeeded(condition_);
  auto at = nodes_.find(name);  // It may be gone by now.
  if (at == nodes_.end()) return true;
  Known& told = at->second;
  bool in_a_row =
      told.condition_written_at && clock_.Now() < *told.condition_written_at + 2 * kConditionRest;
  told.condition_writes = in_a_row ? told.condition_writes + 1 : 1;
  told.condition_written_at = clock_.Now();
  told.condition_written_for = node;
  told.condition_written = works;
  return true;
}

bool NodeReporter::RemoveTaint(std::unique_lock<std::mutex>& lock) {
  if (Rests(taint_)) return false;
  Known* known = NextDue(taint_, [](const Known& one) {
    return one.works && one.node->startup_taint && one.taint_removed_for != one.node;
  });
  if (known == nullptr) return false;
  const std::shared_ptr<const Node> node = known->node;
  const std::string& name = node->name;
  taint_.due.erase(name);
  lock.unlock();
  ApiError error = PatchNode(transport_, name, RenderStartupTaintRemoval(*node->startup_taint));
  lock.lock();
  // Somebody changed the taints meanwhile: the Node that comes says where it is now.
  StatusCode code = error.status.code();
  bool moved = code == StatusCode::kInvalidArgument || code == StatusCode::kConflict;
  if (!error.ok() && !moved) {
    Failed(taint_, name, error);
    return true;
  }
  if (auto at = nodes_.find(name); at != nodes_.end()) at->second.taint_removed_for = node;
  if (moved) return true;
  LOG(INFO) << "taint removed node=" << name << " key=" << kStartupTaint;
  Succeeded(taint_);
  return true;
}

bool NodeReporter::WriteEvent(std::unique_lock<std::mutex>& lock) {
  if (Rests(event_) || events_.empty()) return false;
  NodeEvent event = events_.front();
  WallTime wall = clock_.WallNow();
  std::optional<EventCorrelator::Step> step = correlator_.Happened(event, clock_.Now(), wall);
  events_.pop_front();
  if (!step) {
    ++counts_.events_dropped;
    return true;
  }
  lock.unlock();
  std::string name = step->name;
  ApiError error;
  if (!name.empty()) error = PatchEvent(transport_, name, RenderEventRepeat(step->count, wall));
  // The server forgets Events after an hour.
  if (name.empty() || error.status.code() == StatusCode::kNotFound) {
    name.clear();
    error = CreateEvent(transport_, RenderEvent(step->event, host_, step->count, step->first, wall),
                        &name);
  }
  lock.lock();
  if (error.ok()) {
    correlator_.Written(*step, name);
    Succeeded(event_);
    return true;
  }
  // Lost: it stands in the log too, and an Event that comes an hour late misleads.
  Failed(event_, event.node, error);
  return true;
}

void NodeReporter::Succeeded(Kind& kind) {
  kind.backoff.Reset();
  kind.not_before.reset();
  ++kind.counts.ok;
}

void NodeReporter::Failed(Kind& kind, const std::string& node, const ApiError& error) {
  if (error.status.code() == StatusCode::kCancelled) {
    stopping_ = true;  // The transport is shut down.
    return;
  }
  if (error.status.code() == StatusCode::kNotFound) return;  // A Node that has gone meanwhile.
  bool forbidden = error.status.code() == StatusCode::kPermissionDenied;
  Duration rest = std::max(error.retry_after, forbidden ? kForbiddenAgain : kind.backoff.Next());
  kind.not_before = clock_.Now() + rest;
  // The other Nodes first: this one may be refused for ever.
  if (&kind != &event_) kind.due[node] = *kind.not_before + kRetry.initial;
  std::string line = std::string("cannot ") + kind.what + " node=" + node +
                     " error=" + QuotedValue(error.status.message());
  if (std::exchange(kind.said, line) != line) LOG(WARNING) << line;
  ++kind.counts.failed;
}

}  // namespace podroute
