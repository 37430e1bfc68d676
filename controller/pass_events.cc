#include "controller/pass_events.h"

#include <algorithm>
#include <iterator>
#include <tuple>
#include <utility>

#include "controller/event_reasons.h"

namespace podroute {

std::vector<NodeEvent> PassEvents::After(const PassReport& report,
                                         const std::vector<Refusal>& refused, size_t shadowed) {
  auto less = [](const Refusal& a, const Refusal& b) {
    return std::tie(a.node, a.cidr, a.reason, a.message) <
           std::tie(b.node, b.cidr, b.reason, b.message);
  };
  std::vector<Refusal> now, fresh;
  std::copy_if(refused.begin(), refused.end(), std::back_inserter(now),
               [&](const Refusal& one) { return node_.empty() || one.node == node_; });
  std::sort(now.begin(), now.end(), less);
  std::set_difference(now.begin(), now.end(), refused_.begin(), refused_.end(),
                      std::back_inserter(fresh), less);
  refused_ = std::move(now);

  std::vector<NodeEvent> events;
  auto say = [&](std::string node, std::string reason, std::string message) {
    events.push_back({std::move(node), true, std::move(reason), std::move(message)});
  };
  for (Refusal& refusal : fresh) {
    say(std::move(refusal.node), std::string(RefusalReasonName(refusal.reason)),
        std::move(refusal.message));
  }
  if (node_.empty()) {
    for (const RouteFailure& failure : report.failures) {
      if (!failure.node.empty()) say(failure.node, kRouteFailed, failure.message);
    }
    return events;
  }
  if (!report.first_error.empty() && report.first_error != error_) {
    say(node_, kRouteFailed, report.first_error);
  }
  error_ = report.first_error;
  if (report.withheld > 0 && withheld_ == 0) {
    say(node_, kDeletesWithheld,
        std::to_string(report.withheld) +
            " routes would be deleted at once; a second, consistent list of the Nodes has to "
            "confirm it");
  }
  withheld_ = report.withheld;
  if (shadowed > shadowed_) {
    say(node_, kRoutesShadowed,
        std::to_string(shadowed) +
            " routes are behind others of a lower metric that are not podroute's");
  }
  shadowed_ = shadowed;
  return events;
}

}  // namespace podroute
