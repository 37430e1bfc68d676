#include "controller/check/gather_pods.h"

#include <linux/if_addr.h>
#include <linux/if_bridge.h>
#include <net/if.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <span>
#include <thread>

#include "cni/conflist.h"
#include "cni/link_ops.h"
#include "controller/check/probe.h"
#include "controller/pod_network.h"
#include "routing/netlink_socket.h"

namespace podroute {
namespace {

constexpr int kLoopback = 1;  // In each namespace (LOOPBACK_IFINDEX).

// With a carrier a port that is no longer disabled, and not yet or no more forwarding, is held by
// somebody; without one the kernel disables it itself.
bool Forwards(const LinkDetails& port) {
  return (port.flags & IFF_RUNNING) == 0 || port.port_state == BR_STATE_FORWARDING;
}

std::optional<IpAddress> GivenAddress(const LinkDetails& end) {
  if (!end.mac) return std::nullopt;
  const MacAddress& mac = *end.mac;
  const auto address = IpAddress::FromBytes(IpFamily::kV4, std::span(mac).subspan(2));
  return MacFor(address) == mac ? std::optional(address) : std::nullopt;
}

void GatherAddresses(LinkOps* ops, const LinkDetails& port, PodLinkFact* pod) {
  std::optional<std::vector<AddressDetails>> details = ops->AddressesByPeer(port);
  if (!details) return;
  pod->addresses.emplace();
  for (const AddressDetails& one : *details) {
    const IpAddress& address = one.address.address;
    if (address.IsLinkLocal() || address.IsLoopback() || (one.flags & IFA_F_DADFAILED) != 0) {
      continue;
    }
    if (one.ifindex == port.peer) {
      pod->addresses->push_back(address);
    } else if (one.ifindex != kLoopback) {
      pod->elsewhere = true;
    }
  }
}

// Without something that each pod has which is not just being made.
bool IsUnfinished(const PodLinkFact& pod) {
  return !pod.in_bridge || !pod.up || pod.pod_up == false || !pod.forwards || !pod.hairpin ||
         (pod.addresses && pod.addresses->empty());
}

Status ReadPods(HostFacts* host) {
  host->pods.clear();
  host->other_networks_ports.clear();
  PODROUTE_ASSIGN_OR_RETURN(auto netlink, NetlinkSocket::Create());
  LinkOps ops(*netlink);
  PODROUTE_ASSIGN_OR_RETURN(std::vector<LinkDetails> links, ops.AllLinks());
  int bridge = 0;
  for (const LinkDetails& link : links) {
    if (link.name != kBridgeName) continue;
    bridge = link.ifindex;
    host->foreign_bridge = link.kind != "bridge";
  }
  for (const LinkDetails& link : links) {
    if (!IsHostVeth(link)) continue;
    if (!ParseHostVethAlias(host->network, link.alias)) {
      host->other_networks_ports.push_back(link.name);
      continue;
    }
    PodLinkFact& pod = host->pods.emplace_back();
    pod.port = link.name;
    pod.in_bridge = bridge != 0 && link.master == bridge;
    pod.up = (link.flags & IFF_UP) != 0;
    pod.forwards = Forwards(link);
    pod.hairpin = link.hairpin;
    pod.isolated = link.isolated;
    if (std::optional<LinkDetails> end = ops.FindPeer(link)) {
      pod.pod_mtu = end->mtu;
      pod.pod_up = (end->flags & IFF_UP) != 0;
      pod.given = GivenAddress(*end);
      GatherAddresses(&ops, link, &pod);
    }
  }
  return Status::Ok();
}

}  // namespace

void GatherPods(HostFacts* host, std::vector<Skipped>* skipped) {
  Status read = ReadPods(host);
  const std::vector<PodLinkFact> first = host->pods;
  // Some may be about to start: they have a second for it.
  for (int looks = 0; looks < 10 && std::any_of(host->pods.begin(), host->pods.end(), IsUnfinished);
       ++looks) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    read = ReadPods(host);
    // Those that come meanwhile do not count.
    std::erase_if(host->pods, [&](const PodLinkFact& pod) {
      return std::none_of(first.begin(), first.end(),
                          [&](const PodLinkFact& known) { return known.port == pod.port; });
    });
  }
  if (!read.ok()) skipped->push_back({"pods' links", read.message()});
}

std::optional<IpAddress> BridgeAddress(const HostFacts& host, IpFamily family) {
  for (const IpPrefix& cidr : host.pod_cidrs) {
    if (cidr.family() == family && HasBridge(host.local, {cidr})) return cidr.address().Plus(1);
  }
  return std::nullopt;
}

std::vector<ProbeFact> PodProbes(const HostFacts& host, const Node& self) {
  auto node_address = [&](IpFamily family) -> std::optional<IpAddress> {
    for (const std::string& text : self.internal_ips) {
      Result<IpAddress> address = IpAddress::Parse(text);
      if (!address.ok() || address->family() != family || address->IsLoopback()) continue;
      for (const LocalAddress& own : host.local.addresses) {
        if (own.address == *address) return *address;
      }
    }
    return std::nullopt;
  };
  std::vector<ProbeFact> probes;
  for (const PodLinkFact& pod : host.pods) {
    if (!pod.in_bridge || !pod.up || !pod.forwards || pod.pod_up == false || !pod.addresses)
      continue;
    for (const IpAddress& address : *pod.addresses) {
      std::optional<IpAddress> bridge = BridgeAddress(host, address.family());
      const bool here = std::any_of(host.pod_cidrs.begin(), host.pod_cidrs.end(),
                                    [&](const IpPrefix& cidr) { return cidr.Contains(address); });
      if (!here || !bridge) continue;
      for (const auto& source : {bridge, node_address(address.family())}) {
        if (!source) continue;
        probes.push_back(
            {pod.port, address, ProbeFact::Of::kPod, kSmallProbe, Reached::kNo, source});
      }
    }
  }
  return probes;
}

}  // namespace podroute
