// Which routes have failed, and when each may be tried again: one bad route never stops the rest,
// and never fills the log.
#ifndef PODROUTE_CONTROLLER_RETRY_SET_H_
#define PODROUTE_CONTROLLER_RETRY_SET_H_

#include <map>
#include <optional>
#include <string>

#include "base/backoff.h"
#include "base/clock.h"
#include "base/ip_prefix.h"
#include "base/status.h"
#include "routing/route_plan.h"

namespace podroute {

// One thread.
class RetrySet {
 public:
  // The clock must outlive this.
  RetrySet(const BackoffOptions& options, const Clock& clock) : options_(options), clock_(clock) {}

  // `plan` without the changes whose time has not come. Forgets failures that the plan has no
  // change for any longer.
  RoutePlan DueOnly(RoutePlan plan);

  // True when the failure is news: the first of this route, or with another message than the last.
  bool Failed(const IpPrefix& dst, const Status& status);
  void Succeeded(const IpPrefix& dst) { entries_.erase(dst); }

  size_t size() const { return entries_.size(); }
  bool Has(const IpPrefix& dst) const { return entries_.contains(dst); }
  template <typename Visit>
  void ForEach(const Visit& visit) const {
    for (const auto& [dst, entry] : entries_) visit(dst);
  }
  // Something has changed that may have been the reason: all may be tried again now. What waits
  // after another failure goes on growing.
  void AllDue();

  // How long until the first of them may be tried again; zero when one is due. nullopt: none
  // failed.
  std::optional<Duration> NextIn() const;

 private:
  struct Entry {
    Backoff backoff;
    MonotonicTime due;
    std::string message;
  };

  const BackoffOptions options_;
  const Clock& clock_;
  std::map<IpPrefix, Entry> entries_;
};

}  // namespace podroute

#endif  // PODROUTE_CONTROLLER_RETRY_SET_H_
