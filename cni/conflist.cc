#include "cni/conflist.h"

#include <algorithm>

#include "base/text.h"
#include "cni/cni_args.h"

namespace podroute {

Status CheckPodCidr(const IpPrefix& pod_cidr) {
  int longest = pod_cidr.address().bits() - 2;
  if (pod_cidr.length() <= longest) return Status::Ok();
  return Status(StatusCode::kInvalidArgument,
                pod_cidr.ToString() + " is too small for a gateway and pods; /" +
                    std::to_string(longest) + " is the smallest podCIDR");
}

Status CheckNetworkName(std::string_view network) {
  if (IsCniName(network)) return Status::Ok();
  return Status(StatusCode::kInvalidArgument,
                "\"" + Printable(network, 80) +
                    "\" must begin with a letter or digit and hold letters, digits, _ . - only");
}

Status CheckIpamDataDir(std::string_view data_dir) {
  // No more than is needed, so that nothing has to be escaped anywhere.
  bool plain = std::all_of(data_dir.begin(), data_dir.end(), [](char c) {
    return ('a' <= c && c <= 'z') || ('A' <= c && c <= 'Z') || ('0' <= c && c <= '9') ||
           std::string_view("_.-/").find(c) != std::string_view::npos;
  });
  if (plain && data_dir.starts_with('/')) return Status::Ok();
  return Status(StatusCode::kInvalidArgument,
                "\"" + Printable(data_dir, 80) +
                    "\" is not an absolute path of letters, digits, _ . - and /");
}

std::string RenderConflist(const ConflistSpec& spec) {
  std::string ranges;
  for (const IpPrefix& pod_cidr : spec.pod_cidrs) {
    if (!ranges.empty()) ranges += ",";
    ranges += R"([{"subnet":")" + pod_cidr.ToString() + R"("}])";
  }
  // Nothing here needs escaping: prefixes, numbers and names that were checked.
  std::string bridge(kBridgeName);
  return R"({"cniVersion":"1.0.0","name":")" + spec.network + R"(","plugins":[
  {"type":"podroute-cni","bridge":")" +
         bridge + R"(","mtu":)" + std::to_string(spec.mtu) +
         R"(,"isDefaultGateway":true,"hairpinMode":true,
   "capabilities":{"portMappings":true},
   "ipam":{"type":"host-local","dataDir":")" +
         spec.data_dir + R"(","ranges":[)" + ranges + "]}}]}\n";
}

}  // namespace podroute
