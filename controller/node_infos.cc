#include "controller/node_infos.h"

namespace podroute {

std::vector<NodeInfo> ToNodeInfos(const std::vector<std::shared_ptr<const Node>>& nodes) {
  std::vector<NodeInfo> infos;
  infos.reserve(nodes.size());
  for (const auto& node : nodes) {
    NodeInfo& info = infos.emplace_back();
    info.name = node->name;
    info.creation_seconds = node->creation_seconds;
    info.pod_cidrs = node->pod_cidrs;
    info.internal_ips = node->internal_ips;
    info.external_ips = node->external_ips;
    info.name_too_long = node->name_too_long;
    info.too_many_pod_cidrs = node->pod_cidrs_total > kMaxPodCidrs;
    info.too_many_addresses = node->addresses_total > kMaxNodeAddresses;
  }
  return infos;
}

}  // namespace podroute
