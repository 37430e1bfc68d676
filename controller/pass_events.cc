#include "controller/pass_events.h"

#include <algorithm>
#include <utility>

namespace podroute {

std::vector<NodeEvent> PassEvents::After(const PassReport& report,
                                         const std::vector<Refusal>& refused, size_t shadowed) {
  std::vector<NodeEvent> events;
  auto say = [&](std::string reason, std::string message) {
    events.push_back({node_, true, std::move(reason), std::move(message)});
  };
  std::vector<Refusal> own;
  std::copy_if(refused.begin(), refused.end(), std::back_inserter(own),
               [&](const Refusal& refusal) { return refusal.node == node_; });
  for (const Refusal& refusal : own) {
    if (std::find(refused_.begin(), refused_.end(), refusal) != refused_.end()) continue;
    say(std::string(RefusalReasonName(refusal.reason)), refusal.message);
  }
  refused_ = std::move(own);
  if (!report.first_error.empty() && report.first_error != error_) {
    say("RouteFailed", report.first_error);
  }
  error_ = report.first_error;
  if (report.withheld > 0 && withheld_ == 0) {
    say("DeletesWithheld", std::to_string(report.withheld) +
                               " routes would be deleted at once; a second, consistent list of the "
                               "Nodes has to confirm it");
  }
  withheld_ = report.withheld;
  if (shadowed > shadowed_) {
    say("RoutesShadowed",
        std::to_string(shadowed) +
            " routes are behind others of a lower metric that are not podroute's");
  }
  shadowed_ = shadowed;
  return events;
}

}  // namespace podroute
