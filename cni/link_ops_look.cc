// LinkOps' questions: what is there. They change nothing.
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "cni/link_ops.h"

namespace podroute {

Result<std::optional<LinkDetails>> LinkOps::FindLink(const std::string& name) {
  NetlinkBatch batch;
  EncodeGetLinkByName(batch, name);
  std::optional<LinkDetails> found;
  PODROUTE_ASSIGN_OR_RETURN(std::vector<NetlinkFailure> failures,
                            netlink_.Execute(batch, [&](const NetlinkMessage& message) {
                              if (auto link = DecodeLinkDetails(message)) found = std::move(link);
                            }));
  if (!failures.empty() && failures[0].error != ENODEV) {
    return failures[0].ToStatus("look at link " + name);
  }
  return found;
}

Result<std::optional<LinkDetails>> LinkOps::FindLink(int ifindex) {
  std::optional<LinkDetails> found;
  if (ifindex <= 0) return found;
  NetlinkBatch batch;
  EncodeGetLink(batch, ifindex);
  PODROUTE_ASSIGN_OR_RETURN(std::vector<NetlinkFailure> failures,
                            netlink_.Execute(batch, [&](const NetlinkMessage& message) {
                              if (auto link = DecodeLinkDetails(message)) found = std::move(link);
                            }));
  if (!failures.empty() && failures[0].error != ENODEV) {
    return failures[0].ToStatus("look at link number " + std::to_string(ifindex));
  }
  return found;
}

std::optional<LinkDetails> LinkOps::FindPeer(const LinkDetails& veth) {
  std::optional<LinkDetails> found;
  NetlinkBatch batch;
  if (veth.peer <= 0) return found;
  if (veth.peer_netns) {
    EncodeGetLinkIn(batch, *veth.peer_netns, veth.peer);
  } else {
    EncodeGetLink(batch, veth.peer);
  }
  (void)netlink_.Execute(batch, [&](const NetlinkMessage& message) {
    if (auto link = DecodeLinkDetails(message)) found = std::move(link);
  });
  return found;
}

std::optional<std::vector<AddressDetails>> LinkOps::AddressesByPeer(const LinkDetails& veth) {
  if (veth.peer <= 0 || !veth.peer_netns) return std::nullopt;
  std::vector<AddressDetails> addresses;
  for (int family : {AF_INET, AF_INET6}) {
    NetlinkBatch batch;
    EncodeDumpAddressesIn(batch, *veth.peer_netns, family);
    bool here = false;
    Result<DumpResult> dump = netlink_.Dump(batch, [&](const NetlinkMessage& message) {
      auto address = DecodeAddressDetails(message);
      // Kernels before 5.0 ignore the question's attributes, and tell of this namespace.
      here = here || (address && address->netns != veth.peer_netns);
      if (address) addresses.push_back(*address);
    });
    if (!dump.ok() || here) return std::nullopt;
  }
  return addresses;
}

Result<std::vector<LinkDetails>> LinkOps::AllLinks() {
  NetlinkBatch batch;
  EncodeDumpLinks(batch);
  std::vector<LinkDetails> links;
  PODROUTE_ASSIGN_OR_RETURN(DumpResult dump,
                            netlink_.Dump(batch, [&](const NetlinkMessage& message) {
                              if (auto link = DecodeLinkDetails(message)) links.push_back(*link);
                            }));
  (void)dump;  // A link that comes or goes meanwhile may be missing, as it may a moment later.
  return links;
}

Result<std::vector<AddressDetails>> LinkOps::AddressesOf(int ifindex) {
  std::vector<AddressDetails> addresses;
  for (int family : {AF_INET, AF_INET6}) {
    NetlinkBatch batch;
    EncodeDumpAddressesOf(batch, family, ifindex);
    Result<DumpResult> dump = netlink_.Dump(batch, [&](const NetlinkMessage& message) {
      auto address = DecodeAddressDetails(message);
      // Kernels before 5.0 ignore the filter.
      if (address && address->ifindex == ifindex) addresses.push_back(*address);
    });
    // Interrupted by other links' addresses nearly always, and complete for this one.
    if (!dump.ok()) return dump.status();
  }
  return addresses;
}

Result<std::vector<LinkDetails>> LinkOps::PortsOf(int bridge) {
  NetlinkBatch batch;
  EncodeDumpPorts(batch, bridge);
  std::vector<LinkDetails> ports;
  PODROUTE_ASSIGN_OR_RETURN(DumpResult dump,
                            netlink_.Dump(batch, [&](const NetlinkMessage& message) {
                              auto link = DecodeLinkDetails(message);
                              if (link && link->master == bridge) ports.push_back(*link);
                            }));
  (void)dump;  // A port that comes or goes meanwhile may be missing, as it may a moment later.
  return ports;
}

Result<std::vector<KernelRoute>> LinkOps::RoutesOf(int ifindex) {
  std::vector<KernelRoute> routes;
  for (int family : {AF_INET, AF_INET6}) {
    NetlinkBatch batch;
    rtmsg header{};
    header.rtm_family = static_cast<uint8_t>(family);
    batch.Begin(RTM_GETROUTE, NLM_F_DUMP, header);
    Result<DumpResult> dump = netlink_.Dump(batch, [&](const NetlinkMessage& message) {
      std::optional<KernelRoute> route = DecodeRoute(message);
      if (!route || route->type != RTN_UNICAST) return;
      bool through = std::any_of(route->via.begin(), route->via.end(),
                                 [&](const NextHop& hop) { return hop.ifindex == ifindex; });
      if (through) routes.push_back(std::move(*route));
    });
    if (!dump.ok()) return dump.status();
  }
  return routes;
}

std::vector<IpFamily> LinkOps::Forwarded(const std::vector<IpFamily>& families) {
  NetlinkBatch batch;
  for (IpFamily family : families) EncodeGetForwarding(batch, family);
  std::vector<IpFamily> forwarded;
  auto note = [&](const NetlinkMessage& message) {
    for (IpFamily family : families) {
      if (DecodeForwarding(message, family) == true) forwarded.push_back(family);
    }
  };
  (void)netlink_.Execute(batch, note);  // What is not answered is not known to be on.
  return forwarded;
}

}  // namespace podroute
