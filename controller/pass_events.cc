#include "controller/pass_events.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <tuple>
#include <utility>

#include "controller/event_reasons.h"

namespace podroute {
namespace {

using Nodes = std::vector<std::shared_ptr<const Node>>;

// By the machine that looks: its links and addresses.
bool DependsOnMachine(RefusalReason reason) {
  switch (reason) {
    case RefusalReason::kContainsConnectedSubnet:
    case RefusalReason::kInsideConnectedSubnet:
    case RefusalReason::kNextHopNotConnected:
    case RefusalReason::kNextHopIsLocal:
    case RefusalReason::kLinkDown:
      return true;
    default:
      return false;
  }
}

std::optional<size_t> PlaceOf(const Nodes& nodes, const std::string& name) {
  auto at = std::lower_bound(nodes.begin(), nodes.end(), name,
                             [](const auto& node, const auto& text) { return node->name < text; });
  if (at == nodes.end() || (*at)->name != name) return std::nullopt;
  return static_cast<size_t>(at - nodes.begin());
}

// Whether one Node comes right after another, or second, in a circle.
bool Follows(const Nodes& nodes, size_t one, const std::string& other) {
  std::optional<size_t> place = PlaceOf(nodes, other);
  if (!place) return false;
  size_t distance = (one + nodes.size() - *place) % nodes.size();
  return distance == 1 || distance == 2;
}

}  // namespace

std::vector<Refusal> PassEvents::ToTell(const std::vector<Refusal>& refused,
                                        const Nodes& nodes) const {
  if (of_ == Of::kRouter) return refused;
  std::vector<Refusal> tell;
  const std::optional<size_t> own = PlaceOf(nodes, node_);
  for (const Refusal& one : refused) {
    if (one.node == node_) {
      tell.push_back(one);
    } else if (own && DependsOnMachine(one.reason) && Follows(nodes, *own, one.node)) {
      tell.push_back({one.node, one.cidr, one.reason, "from " + node_ + ": " + one.message});
    }
  }
  return tell;
}

std::vector<NodeEvent> PassEvents::After(const PassReport& report,
                                         const std::vector<Refusal>& refused, size_t shadowed,
                                         const Nodes& nodes) {
  auto less = [](const Refusal& a, const Refusal& b) {
    return std::tie(a.node, a.cidr, a.reason, a.message) <
           std::tie(b.node, b.cidr, b.reason, b.message);
  };
  std::vector<Refusal> now = ToTell(refused, nodes), fresh;
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
  std::string error = report.first_error;
  if (of_ == Of::kRouter) {
    if (!report.read_error) error.clear();
    for (const RouteFailure& failure : report.failures) {
      if (!failure.node.empty()) {
        say(failure.node, kRouteFailed, failure.message);
      } else if (error.empty()) {
        error = failure.message;
      }
    }
    if (!PlaceOf(nodes, node_)) return events;
  }
  if (!error.empty() && error != error_) say(node_, kRouteFailed, error);
  error_ = std::move(error);
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
