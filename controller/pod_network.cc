#include "controller/pod_network.h"

#include <algorithm>

#include "base/text.h"
#include "cni/conflist.h"
#include "cni/node_bridge.h"

namespace podroute {
namespace {

constexpr uint32_t kUsualMtu = 1500;

const LocalLink* FindBridge(const LocalNetwork& local) {
  auto bridge = std::find_if(local.links.begin(), local.links.end(),
                             [](const LocalLink& link) { return link.name == kBridgeName; });
  return bridge == local.links.end() ? nullptr : &*bridge;
}

}  // namespace

std::vector<IpPrefix> UsablePodCidrs(const Node& self, std::span<const Refusal> refused,
                                     std::vector<std::string>* problems) {
  // Refusals name both in printable form.
  const std::string name = Printable(self.name);
  auto is_refused = [&](const std::string& text) {
    return std::any_of(refused.begin(), refused.end(), [&](const Refusal& refusal) {
      return refusal.node == name && (refusal.cidr.empty() || refusal.cidr == Printable(text));
    });
  };
  std::vector<IpPrefix> usable;
  for (const std::string& text : self.pod_cidrs) {
    Result<IpPrefix> prefix = IpPrefix::Parse(text);
    if (!prefix.ok() || is_refused(text)) continue;
    if (Status status = CheckPodCidr(*prefix); !status.ok()) {
      problems->push_back(status.message());
      continue;
    }
    bool overlaps = std::any_of(usable.begin(), usable.end(),
                                [&](const IpPrefix& other) { return other.Overlaps(*prefix); });
    if (!overlaps) usable.push_back(*prefix);
  }
  return usable;
}

bool HasPodNetwork(const std::shared_ptr<const Node>& self, std::span<const Refusal> refused) {
  std::vector<std::string> problems;  // Said where the conflist is made.
  return self != nullptr && !UsablePodCidrs(*self, refused, &problems).empty();
}

std::vector<LocalLink> LinksOfNode(const Node& self, const LocalNetwork& local) {
  std::vector<int> ifindexes;
  for (const std::string& text : self.internal_ips) {
    Result<IpAddress> address = IpAddress::Parse(text);
    if (!address.ok()) continue;
    for (const LocalAddress& own : local.addresses) {
      if (own.address == *address) ifindexes.push_back(own.ifindex);
    }
  }
  std::vector<LocalLink> links = LinksByIndex(ifindexes, local);
  std::erase_if(links, [](const LocalLink& link) { return link.loopback; });
  return links;
}

bool HasBridge(const LocalNetwork& local, const std::vector<IpPrefix>& pod_cidrs) {
  const LocalLink* bridge = FindBridge(local);
  if (bridge == nullptr || !bridge->up) return false;
  return std::all_of(pod_cidrs.begin(), pod_cidrs.end(), [&](const IpPrefix& pod_cidr) {
    const LocalAddress gateway{bridge->ifindex, GatewayOf(pod_cidr).address, pod_cidr};
    return std::find(local.addresses.begin(), local.addresses.end(), gateway) !=
           local.addresses.end();
  });
}

std::vector<IpPrefix> NetworksOfPodsHere(std::vector<IpPrefix> pod_cidrs,
                                         const LocalNetwork& local) {
  const LocalLink* bridge = FindBridge(local);
  if (bridge == nullptr) return pod_cidrs;
  const size_t now = pod_cidrs.size();
  for (const LocalAddress& own : local.addresses) {
    if (own.ifindex != bridge->ifindex || own.address != own.subnet.address().Plus(1)) continue;
    bool as_long = false, known = false;
    for (size_t i = 0; i < pod_cidrs.size(); ++i) {
      known = known || pod_cidrs[i].Overlaps(own.subnet);
      as_long = as_long || (i < now && pod_cidrs[i].family() == own.subnet.family() &&
                            pod_cidrs[i].length() == own.subnet.length());
    }
    if (as_long && !known) pod_cidrs.push_back(own.subnet);
  }
  return pod_cidrs;
}

std::vector<LocalLink> LinksByIndex(const std::vector<int>& ifindexes, const LocalNetwork& local) {
  std::vector<LocalLink> links;
  for (const LocalLink& link : local.links) {
    if (std::find(ifindexes.begin(), ifindexes.end(), link.ifindex) != ifindexes.end()) {
      links.push_back(link);
    }
  }
  return links;
}

uint32_t PodMtu(const std::vector<LocalLink>& uplinks) {
  uint32_t least = 0;
  for (const LocalLink& link : uplinks) {
    if (link.mtu != 0 && (least == 0 || link.mtu < least)) least = link.mtu;
  }
  return least == 0 ? kUsualMtu : least;
}

}  // namespace podroute
