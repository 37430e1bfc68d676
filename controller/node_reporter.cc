#include "controller/node_reporter.h"

#include <glog/logging.h>

#include <algorithm>
#include <utility>

namespace podroute {
namespace {

constexpr BackoffOptions kRetry = {.initial = std::chrono::seconds(1),
                                   .max = std::chrono::minutes(1)};
constexpr Duration kForbiddenAgain = std::chrono::minutes(10);

}  // namespace

std::optional<bool> WantedCondition(const Node& self, bool works, bool made_false_by_us) {
  bool is_false = self.network_unavailable && self.network_unavailable->status == "False";
  if (works) return is_false ? std::nullopt : std::optional<bool>(true);
  bool ours = is_false && made_false_by_us && self.network_unavailable->reason == "RouteCreated";
  return ours ? std::optional<bool>(false) : std::nullopt;
}

NodeReporter::NodeReporter(HttpTransport& transport, Clock& clock, std::string node)
    : transport_(transport),
      clock_(clock),
      node_(std::move(node)),
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

void NodeReporter::Update(std::shared_ptr<const Node> self, bool works) {
  std::lock_guard lock(mutex_);
  bool news = self_ != self || works_ != works;
  self_ = std::move(self);
  works_ = works;
  if (works) {
    broken_since_.reset();
  } else if (!broken_since_) {
    broken_since_ = clock_.Now();
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

// Until something changes, or until a moment that matters.
void NodeReporter::Wait(std::unique_lock<std::mutex>& lock) {
  if (stopping_) return;
  MonotonicTime now = clock_.Now();
  std::optional<Duration> rest;
  auto until = [&](MonotonicTime moment) {
    if (moment > now) rest = std::min(moment - now, rest.value_or(moment - now));
  };
  for (const Kind* kind : {&condition_, &taint_, &event_}) {
    if (kind->not_before) until(*kind->not_before);
  }
  if (made_false_ && broken_since_) until(*broken_since_ + kGrace);
  if (rest) {
    changed_.wait_for(lock, *rest);
  } else {
    changed_.wait(lock);
  }
}

// One request, if there is one to make; false when there is nothing to do.
bool NodeReporter::Work(std::unique_lock<std::mutex>& lock) {
  return WriteCondition(lock) || RemoveTaint(lock) || WriteEvent(lock);
}

bool NodeReporter::WriteCondition(std::unique_lock<std::mutex>& lock) {
  if (Rests(condition_) || !self_ || self_->name != node_) return false;
  if (!works_ && (!broken_since_ || clock_.Now() - *broken_since_ < kGrace)) return false;
  std::optional<bool> wanted = WantedCondition(*self_, works_, made_false_);
  // What has been written and is not seen yet needs no second time.
  if (!wanted || (condition_written_for_ == self_ && condition_written_ == wanted)) return false;
  std::shared_ptr<const Node> self = self_;
  lock.unlock();
  ApiError error =
      PatchNodeStatus(transport_, node_, RenderNetworkCondition(*wanted, clock_.WallNow()));
  lock.lock();
  if (!error.ok()) {
    Failed(condition_, error);
    return true;
  }
  LOG(INFO) << "condition set node=" << node_
            << " type=NetworkUnavailable status=" << (*wanted ? "False" : "True")
            << " reason=" << (*wanted ? "RouteCreated" : "NoRouteCreated");
  made_false_ = *wanted;
  condition_written_for_ = std::move(self);
  condition_written_ = wanted;
  Succeeded(condition_);
  return true;
}

bool NodeReporter::RemoveTaint(std::unique_lock<std::mutex>& lock) {
  if (Rests(taint_) || !self_ || self_->name != node_ || !works_) return false;
  if (!self_->startup_taint) return false;
  if (taint_removed_for_ == self_) return false;
  std::shared_ptr<const Node> self = self_;
  lock.unlock();
  ApiError error = PatchNode(transport_, node_, RenderStartupTaintRemoval(*self->startup_taint));
  lock.lock();
  // Somebody changed the taints meanwhile: the Node that comes says where it is now.
  StatusCode code = error.status.code();
  bool moved = code == StatusCode::kInvalidArgument || code == StatusCode::kConflict;
  if (!error.ok() && !moved) {
    Failed(taint_, error);
    return true;
  }
  taint_removed_for_ = std::move(self);
  if (moved) return true;
  LOG(INFO) << "taint removed node=" << node_ << " key=" << kStartupTaint;
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
    error = CreateEvent(transport_, RenderEvent(step->event, node_, step->count, step->first, wall),
                        &name);
  }
  lock.lock();
  if (error.ok()) {
    correlator_.Written(*step, name);
    Succeeded(event_);
    return true;
  }
  // Lost: it stands in the log too, and an Event that comes an hour late misleads.
  Failed(event_, error);
  return true;
}

void NodeReporter::Succeeded(Kind& kind) {
  ++kind.counts.ok;
  kind.backoff.Reset();
  kind.not_before.reset();
}

void NodeReporter::Failed(Kind& kind, const ApiError& error) {
  if (error.status.code() == StatusCode::kCancelled) {
    stopping_ = true;  // The transport is shut down.
    return;
  }
  ++kind.counts.failed;
  bool forbidden = error.status.code() == StatusCode::kPermissionDenied;
  Duration rest = std::max(error.retry_after, forbidden ? kForbiddenAgain : kind.backoff.Next());
  kind.not_before = clock_.Now() + rest;
  std::string line = std::string("cannot ") + kind.what + " node=" + node_ + " error=\"" +
                     error.status.message() + "\"";
  if (std::exchange(kind.said, line) != line) LOG(WARNING) << line;
}

}  // namespace podroute
