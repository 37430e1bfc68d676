#include "controller/node_networks.h"

#include <algorithm>
#include <span>
#include <string>
#include <string_view>

#include "base/ip_prefix.h"
#include "base/text.h"
#include "controller/pod_network.h"

namespace podroute {
namespace {

bool Works(const Node& node, std::span<const Refusal> refused, const RetrySet& retries) {
  std::vector<std::string> problems;  // Of what pods could have there, which is not asked here.
  std::vector<IpPrefix> usable = UsablePodCidrs(node, refused, &problems);
  return !usable.empty() && std::none_of(usable.begin(), usable.end(), [&](const IpPrefix& prefix) {
    return retries.Has(prefix);
  });
}

}  // namespace

std::vector<NodeNetwork> NodeNetworks(const std::vector<std::shared_ptr<const Node>>& nodes,
                                      const std::vector<Refusal>& refused,
                                      const RetrySet& retries) {
  auto by_name = [](const Refusal& refusal, std::string_view name) { return refusal.node < name; };
  std::vector<NodeNetwork> networks;
  networks.reserve(nodes.size());
  for (const auto& node : nodes) {
    const std::string name = Printable(node->name);
    auto first = std::lower_bound(refused.begin(), refused.end(), name, by_name);
    auto last = std::find_if(first, refused.end(),
                             [&](const Refusal& refusal) { return refusal.node != name; });
    networks.push_back({node, Works(*node, {first, last}, retries)});
  }
  return networks;
}

}  // namespace podroute
