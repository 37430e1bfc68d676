#include "cni/conflist.h"

namespace podroute {

Status CheckPodCidr(const IpPrefix& pod_cidr) {
  int longest = pod_cidr.address().bits() - 2;
  if (pod_cidr.length() <= longest) return Status::Ok();
  return Status(StatusCode::kInvalidArgument,
                pod_cidr.ToString() + " is too small for a gateway and pods; /" +
                    std::to_string(longest) + " is the smallest podCIDR");
}

std::string RenderConflist(const ConflistSpec& spec) {
  std::string ranges;
  for (const IpPrefix& pod_cidr : spec.pod_cidrs) {
    if (!ranges.empty()) ranges += ",";
    ranges += R"([{"subnet":")" + pod_cidr.ToString() + R"("}])";
  }
  // Nothing here needs escaping: prefixes, numbers and our own names.
  std::string name(kNetworkName), bridge(kBridgeName), data_dir(kIpamDataDir);
  return R"({"cniVersion":"1.0.0","name":")" + name + R"(","plugins":[
  {"type":"podroute-cni","bridge":")" +
         bridge + R"(","mtu":)" + std::to_string(spec.mtu) +
         R"(,"isDefaultGateway":true,"hairpinMode":true,
   "capabilities":{"portMappings":true},
   "ipam":{"type":"host-local","dataDir":")" +
         data_dir + R"(","ranges":[)" + ranges + "]}}]}\n";
}

}  // namespace podroute
