#include "controller/event_correlator.h"

#include <algorithm>
#include <chrono>

namespace podroute {
namespace {

// As client-go's correlator writes it.
constexpr char kCombined[] = "(combined from similar events): ";

}  // namespace

std::optional<EventCorrelator::Step> EventCorrelator::Happened(const NodeEvent& event,
                                                               MonotonicTime now, WallTime wall) {
  if (similar_.size() + seen_.size() + buckets_.size() > kMost) {
    similar_.clear();
    seen_.clear();
    buckets_.clear();
  }
  Step step;
  step.event = event;
  Similar& similar = similar_[{event.node, event.reason}];
  if (now - similar.since > kWindow) similar = {.since = now, .messages = {}};
  if (similar.messages.size() <= kSimilar) similar.messages.insert(event.message);
  bool combined = similar.messages.size() > kSimilar;
  if (combined) step.event.message = kCombined + event.message;

  Key key(event.node, event.reason, combined ? "" : event.message);
  Seen& seen = seen_[key];
  if (seen.count > 0 && now - seen.last > kWindow) seen = {};
  if (seen.count == 0) seen.first = wall;
  ++seen.count;
  seen.last = now;
  if (!TakeToken(event.node, now)) return std::nullopt;
  step.count = seen.count;
  step.first = seen.first;
  step.name = seen.name;
  return step;
}

void EventCorrelator::Written(const Step& step, const std::string& name) {
  bool combined = step.event.message.starts_with(kCombined);
  auto at = seen_.find(Key(step.event.node, step.event.reason, combined ? "" : step.event.message));
  if (at != seen_.end()) at->second.name = name;
}

bool EventCorrelator::TakeToken(const std::string& node, MonotonicTime now) {
  auto [at, fresh] = buckets_.try_emplace(node);
  Bucket& bucket = at->second;
  if (!fresh) {
    double refilled =
        std::chrono::duration<double>(now - bucket.filled) / std::chrono::duration<double>(kRefill);
    bucket.tokens = std::min<double>(kBurst, bucket.tokens + refilled);
  }
  bucket.filled = now;
  if (bucket.tokens < 1) return false;
  bucket.tokens -= 1;
  return true;
}

}  // namespace podroute
