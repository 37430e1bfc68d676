#include "cni/bridge_gateway.h"

#include <algorithm>

#include "cni/ip_store.h"
#include "cni/sysctl.h"

namespace podroute {
namespace {

bool HasFamily(const std::vector<CniIp>& ips, IpFamily family) {
  return std::any_of(ips.begin(), ips.end(),
                     [&](const CniIp& ip) { return ip.address.address.family() == family; });
}

bool IsIn(const std::vector<IpWithLength>& addresses, const IpWithLength& address) {
  return std::find(addresses.begin(), addresses.end(), address) != addresses.end();
}

bool InUse(const IpPrefix& subnet, const std::vector<IpAddress>& reserved) {
  auto first = std::lower_bound(reserved.begin(), reserved.end(), subnet.address());
  return first != reserved.end() && subnet.Contains(*first);
}

// Every address that might still be some pod's: nullopt when that cannot be told, as with another
// IPAM, or where the bridge has ports of other networks or programs.
std::optional<std::vector<IpAddress>> ReservedOnBridge(LinkOps& ops, const NetConf& conf,
                                                       int bridge) {
  if (!conf.ipam.in_process()) return std::nullopt;
  Result<std::vector<LinkDetails>> ports = ops.PortsOf(bridge);
  if (!ports.ok()) return std::nullopt;
  for (const LinkDetails& port : *ports) {
    if (IsVlanInterfaceAlias(port.alias)) continue;
    if (!ParseHostVethAlias(conf.name, port.alias)) return std::nullopt;
  }
  Result<IpStore> store = IpStore::OpenExisting(conf.ipam.data_dir, conf.name);
  if (!store.ok()) return std::nullopt;
  Result<std::vector<IpAddress>> addresses = store->Addresses();
  if (!addresses.ok()) return std::nullopt;
  return *addresses;
}

}  // namespace

void CompleteGateways(const NetConf& conf, CniResult& result) {
  if (!conf.is_gateway) return;
  for (CniIp& ip : result.ips) {
    if (!ip.gateway) ip.gateway = ip.address.subnet().address().Plus(1);
    if (!conf.is_default_gateway) continue;
    IpPrefix everywhere = IpPrefix::Of(ip.address.address, 0);
    bool has_default = std::any_of(result.routes.begin(), result.routes.end(),
                                   [&](const CniRoute& route) { return route.dst == everywhere; });
    if (has_default) continue;
    CniRoute route;
    route.dst = everywhere;
    route.gateway = ip.gateway;
    result.routes.push_back(route);
  }
}

std::vector<IpWithLength> GatewayAddresses(const std::vector<CniIp>& ips) {
  std::vector<IpWithLength> addresses;
  for (const CniIp& ip : ips) {
    if (!ip.gateway) continue;
    IpWithLength address{*ip.gateway, ip.address.length};
    if (!IsIn(addresses, address)) addresses.push_back(address);
  }
  return addresses;
}

std::vector<IpWithLength> StaleGatewayAddresses(const std::vector<AddressDetails>& present,
                                                const std::vector<IpWithLength>& wanted, bool force,
                                                const std::vector<IpAddress>& reserved) {
  std::vector<IpWithLength> stale;
  for (const AddressDetails& old : present) {
    const IpAddress& address = old.address.address;
    if (IsIn(wanted, old.address) || address.IsLinkLocal()) continue;
    bool in_the_way = std::any_of(wanted.begin(), wanted.end(), [&](const IpWithLength& now) {
      if (now.address.family() != address.family()) return false;
      return address.is_v4() || now.subnet().Overlaps(old.address.subnet());
    });
    bool ours_and_unused =
        old.protocol == kOurAddressProtocol && !InUse(old.address.subnet(), reserved);
    if ((force && in_the_way) || ours_and_unused) stale.push_back(old.address);
  }
  return stale;
}

Result<bool> AddMissingAddresses(LinkOps& ops, int gateway,
                                 const std::vector<AddressDetails>& present,
                                 const std::vector<IpWithLength>& wanted) {
  bool added = false;
  for (const IpWithLength& address : wanted) {
    bool there = std::any_of(present.begin(), present.end(),
                             [&](const AddressDetails& old) { return old.address == address; });
    if (there) continue;
    PODROUTE_RETURN_IF_ERROR(ops.AddBridgeAddress(gateway, address));
    added = true;
  }
  return added;
}

Status EnsureGatewayAddresses(LinkOps& ops, const NetConf& conf, int bridge, int gateway,
                              const std::vector<CniIp>& ips) {
  std::vector<IpWithLength> wanted = GatewayAddresses(ips);
  PODROUTE_ASSIGN_OR_RETURN(std::vector<AddressDetails> present, ops.AddressesOf(gateway));
  bool candidates = false;
  for (const AddressDetails& old : present) {
    candidates = candidates || (!IsIn(wanted, old.address) && !old.address.address.IsLinkLocal());
  }
  PODROUTE_RETURN_IF_ERROR(AddMissingAddresses(ops, gateway, present, wanted).status());
  if (!candidates) return Status::Ok();
  std::optional<std::vector<IpAddress>> reserved = ReservedOnBridge(ops, conf, bridge);
  if (!reserved) {
    if (!conf.force_address) return Status::Ok();
    // Nothing is known to be unused: let only force take addresses away.
    for (AddressDetails& old : present) old.protocol = 0;
  }
  for (const IpWithLength& stale : StaleGatewayAddresses(
           present, wanted, conf.force_address, reserved.value_or(std::vector<IpAddress>()))) {
    PODROUTE_RETURN_IF_ERROR(ops.DeleteAddress(gateway, stale));
  }
  return Status::Ok();
}

Status RefuseRouterAdvertisements(LinkOps& ops, const std::string& gateway,
                                  std::optional<uint32_t> accept_ra) {
  if (accept_ra == 0u) return Status::Ok();
  Status refused = EnsureSysctl("net/ipv6/conf/" + gateway + "/accept_ra", "0", ops.sysctl_dir());
  // A kernel without IPv6 has nothing to refuse.
  return refused.code() == StatusCode::kNotFound ? Status::Ok() : refused;
}

Status EnsureForwarding(LinkOps& ops, const std::string& gateway, const std::vector<CniIp>& ips,
                        std::optional<uint32_t> accept_ra) {
  std::vector<IpFamily> families;
  for (IpFamily family : {IpFamily::kV4, IpFamily::kV6}) {
    if (HasFamily(ips, family)) families.push_back(family);
  }
  std::vector<IpFamily> forwarded = ops.Forwarded(families);
  for (IpFamily family : families) {
    if (std::find(forwarded.begin(), forwarded.end(), family) != forwarded.end()) continue;
    PODROUTE_RETURN_IF_ERROR(EnsureSysctl(
        family == IpFamily::kV4 ? "net/ipv4/ip_forward" : "net/ipv6/conf/all/forwarding", "1",
        ops.sysctl_dir()));
  }
  return RefuseRouterAdvertisements(ops, gateway, accept_ra);
}

}  // namespace podroute
