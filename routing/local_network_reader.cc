#include "routing/local_network_reader.h"

#include <linux/rtnetlink.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

namespace podroute {
namespace {

// While pods start, nearly every dump of links is interrupted; each try takes under a millisecond.
constexpr int kTries = 64;

Status DumpUndisturbed(NetlinkTransport& netlink, NetlinkBatch& request, const char* what,
                       const std::function<void()>& restart,
                       const NetlinkTransport::Handler& entry) {
  for (int tries = 0; tries < kTries; ++tries) {
    restart();
    Result<DumpResult> dump = netlink.Dump(request, entry);
    if (!dump.ok()) return dump.status().WithContext(what);
    if (!dump->interrupted) return Status::Ok();
  }
  return Status(StatusCode::kUnavailable,
                std::string(what) + ": they change faster than they can be read");
}

}  // namespace

Result<LocalNetwork> ReadLocalNetwork(NetlinkTransport& netlink) {
  LocalNetwork network;
  NetlinkBatch links;
  EncodeDumpLinks(links);
  PODROUTE_RETURN_IF_ERROR(DumpUndisturbed(
      netlink, links, "read links", [&] { network.links.clear(); },
      [&](const NetlinkMessage& message) {
        if (message.header.nlmsg_type != RTM_NEWLINK) return;
        if (auto link = DecodeLink(message)) network.links.push_back(std::move(*link));
      }));
  NetlinkBatch addresses;
  EncodeDumpAddresses(addresses);
  PODROUTE_RETURN_IF_ERROR(DumpUndisturbed(
      netlink, addresses, "read addresses", [&] { network.addresses.clear(); },
      [&](const NetlinkMessage& message) {
        if (message.header.nlmsg_type != RTM_NEWADDR) return;
        if (auto address = DecodeAddress(message)) network.addresses.push_back(*address);
      }));
  std::stable_sort(network.links.begin(), network.links.end(),
                   [](const auto& a, const auto& b) { return a.ifindex < b.ifindex; });
  std::stable_sort(network.addresses.begin(), network.addresses.end(),
                   [](const auto& a, const auto& b) { return a.ifindex < b.ifindex; });
  return network;
}

Result<std::vector<int>> FindDefaultLinks(NetlinkTransport& netlink) {
  // Addresses for documentation (RFC 5737, RFC 3849): nobody routes to them in particular.
  NetlinkBatch batch;
  EncodeFindRoute(batch, IpAddress::V4(0xc0000201));
  EncodeFindRoute(batch, IpAddress::Parse("2001:db8::1").value());
  std::vector<int> links;
  // What fails is that there is no such route.
  PODROUTE_ASSIGN_OR_RETURN(std::vector<NetlinkFailure> ignored,
                            netlink.Execute(batch, [&](const NetlinkMessage& message) {
                              std::optional<KernelRoute> route = DecodeRoute(message);
                              if (!route || route->dst.length() != 0) return;
                              for (const NextHop& via : route->via) {
                                if (via.ifindex != 0) links.push_back(via.ifindex);
                              }
                            }));
  return links;
}

Result<std::vector<int>> FindAdvertisedLinks(NetlinkTransport& netlink) {
  RouteMark mark;
  mark.table = RT_TABLE_MAIN;
  mark.protocol = RTPROT_RA;
  NetlinkBatch request;
  EncodeDumpRoutes(request, IpFamily::kV6, mark);
  std::vector<int> links;
  Result<DumpResult> dump = netlink.Dump(request, [&](const NetlinkMessage& message) {
    std::optional<KernelRoute> route = DecodeRoute(message);
    // Kernels before 4.20 do not filter.
    bool meant = route && route->dst.length() == 0 && route->mark.table == mark.table &&
                 route->mark.protocol == mark.protocol;
    if (!meant) return;
    for (const NextHop& via : route->via) links.push_back(via.ifindex);
  });
  if (!dump.ok()) return dump.status().WithContext("read advertised routes");
  std::sort(links.begin(), links.end());
  links.erase(std::unique(links.begin(), links.end()), links.end());
  return links;
}

Result<LocalNetwork> ReadLocalNetwork() {
  PODROUTE_ASSIGN_OR_RETURN(std::unique_ptr<NetlinkSocket> socket, NetlinkSocket::Create());
  return ReadLocalNetwork(*socket);
}

}  // namespace podroute
