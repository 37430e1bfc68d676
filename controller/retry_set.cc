#include "controller/retry_set.h"

#include <algorithm>
#include <set>
#include <utility>

namespace podroute {

RoutePlan RetrySet::DueOnly(RoutePlan plan) {
  if (entries_.empty()) return plan;
  MonotonicTime now = clock_.Now();
  std::set<IpPrefix> wanted;
  std::erase_if(plan.changes, [&](const RouteChange& change) {
    auto it = entries_.find(change.route.dst);
    if (it == entries_.end()) return false;
    wanted.insert(it->first);
    return it->second.due > now;
  });
  std::erase_if(entries_, [&](const auto& entry) { return !wanted.contains(entry.first); });
  auto count = [&](RouteAction action) {
    return static_cast<size_t>(std::count_if(plan.changes.begin(), plan.changes.end(),
                                             [&](const auto& c) { return c.action == action; }));
  };
  plan.adds = count(RouteAction::kAdd);
  plan.replaces = count(RouteAction::kReplace);
  plan.deletes = count(RouteAction::kDelete);
  return plan;
}

bool RetrySet::Failed(const IpPrefix& dst, const Status& status) {
  auto [it, fresh] =
      entries_.try_emplace(dst, Entry{Backoff(options_, clock_), MonotonicTime(), std::string()});
  Entry& entry = it->second;
  entry.due = clock_.Now() + entry.backoff.Next();
  return std::exchange(entry.message, status.message()) != status.message() || fresh;
}

void RetrySet::AllDue() {
  for (auto& [dst, entry] : entries_) entry.due = clock_.Now();
}

std::optional<Duration> RetrySet::NextIn() const {
  if (entries_.empty()) return std::nullopt;
  MonotonicTime first = entries_.begin()->second.due;
  for (const auto& [dst, entry] : entries_) first = std::min(first, entry.due);
  return std::max(Duration(0), first - clock_.Now());
}

}  // namespace podroute
