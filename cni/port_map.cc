#include "cni/port_map.h"

#include <algorithm>
#include <span>
#include <tuple>
#include <utility>

#include "cni/link_ops.h"

namespace podroute {
namespace {

constexpr size_t kMostNetwork = 40;
constexpr size_t kMostContainer = 64;  // What container runtimes use.
constexpr char kHostVeth[] = "veth";

// The letters of the host end's name that are a hash of the attachment.
std::string HashOf(const CniAttachment& attachment) {
  return HostVethName(attachment).substr(sizeof kHostVeth - 1);
}

std::string Shortened(const std::string& text, size_t most, const std::string& hash) {
  if (text.size() <= most) return text;
  return text.substr(0, most - hash.size() - 1) + "#" + hash;
}

std::string OwnerNetwork(const std::string& network) {
  return Shortened(network, kMostNetwork, HashOf({network, ""}));
}

const CniIp* FirstOf(const std::vector<CniIp>& ips, IpFamily family) {
  auto found = std::find_if(ips.begin(), ips.end(),
                            [&](const CniIp& ip) { return ip.address.address.family() == family; });
  return found == ips.end() ? nullptr : &*found;
}

NatElement ElementFor(const PortMapping& mapping, const IpAddress& pod, const std::string& owner) {
  NatElement result;
  NftTuple key;
  if (mapping.IsForAnyAddress()) {
    result.map = pod.is_v4() ? kHostPort4Map : kHostPort6Map;
  } else {
    result.map = pod.is_v4() ? kHostIp4Map : kHostIp6Map;
    key.Address(*mapping.host_ip);
  }
  key.Protocol(mapping.protocol).Port(mapping.host_port);
  result.element.key = key.bytes();
  result.element.data = NftTuple().Address(pod).Port(mapping.container_port).bytes();
  result.element.comment = owner;
  return result;
}

}  // namespace

std::string NatOwner(const std::string& network, const CniAttachment& attachment) {
  return OwnerNetwork(network) + " " +
         Shortened(attachment.container_id, kMostContainer, HashOf(attachment)) + " " +
         attachment.interface;
}

bool IsNatOwnerOf(const std::string& owner, const std::string& network) {
  return owner.starts_with(OwnerNetwork(network) + " ");
}

std::string HostVethOfOwner(const std::string& owner) {
  size_t first = owner.find(' ');
  size_t second = first == std::string::npos ? first : owner.find(' ', first + 1);
  if (second == std::string::npos) return {};
  std::string container = owner.substr(first + 1, second - first - 1);
  size_t hash = container.find('#');
  if (hash != std::string::npos) return kHostVeth + container.substr(hash + 1);
  return HostVethName({container, owner.substr(second + 1)});
}

std::vector<NatElement> PortMapElements(const std::vector<PortMapping>& mappings,
                                        const std::vector<CniIp>& ips, const std::string& owner) {
  std::vector<NatElement> elements;
  for (IpFamily family : {IpFamily::kV4, IpFamily::kV6}) {
    const CniIp* pod = FirstOf(ips, family);
    if (pod == nullptr) continue;
    for (const PortMapping& mapping : mappings) {
      if (!mapping.AppliesTo(family)) continue;
      elements.push_back(ElementFor(mapping, pod->address.address, owner));
    }
  }
  auto order = [](const NatElement& a, const NatElement& b) {
    return std::tie(a.map, a.element.key) < std::tie(b.map, b.element.key);
  };
  std::sort(elements.begin(), elements.end(), order);
  elements.erase(std::unique(elements.begin(), elements.end()), elements.end());
  return elements;
}

std::string MasqueradeChain(const IpPrefix& subnet) {
  std::string name = "masquerade-" + subnet.ToString();
  std::replace(name.begin(), name.end(), '/', '-');
  std::replace(name.begin(), name.end(), ':', '_');  // What a name in a rule may hold.
  return name;
}

std::vector<NatElement> MasqueradeElements(const std::vector<CniIp>& ips,
                                           const std::string& owner) {
  std::vector<NatElement> elements;
  for (const CniIp& ip : ips) {
    const IpAddress& pod = ip.address.address;
    NatElement result;
    result.map = pod.is_v4() ? kMasquerade4Map : kMasquerade6Map;
    result.element.key = NftTuple().Address(pod).bytes();
    result.element.jump = MasqueradeChain(ip.address.subnet());
    result.element.comment = owner;
    elements.push_back(std::move(result));
  }
  return elements;
}

bool NeedsLocalhost(const std::vector<PortMapping>& mappings, const std::vector<CniIp>& ips) {
  if (FirstOf(ips, IpFamily::kV4) == nullptr) return false;
  return std::any_of(mappings.begin(), mappings.end(), [](const PortMapping& mapping) {
    if (!mapping.AppliesTo(IpFamily::kV4)) return false;
    return mapping.IsForAnyAddress() || mapping.host_ip->IsLoopback();
  });
}

std::optional<MappedPort> ReadMappedPort(const NatElement& element) {
  bool v4 = element.map == kHostIp4Map || element.map == kHostPort4Map;
  bool any = element.map == kHostPort4Map || element.map == kHostPort6Map;
  if (!v4 && !any && element.map != kHostIp6Map) return std::nullopt;
  MappedPort port;
  port.family = v4 ? IpFamily::kV4 : IpFamily::kV6;
  std::span<const uint8_t> key = element.element.key;
  size_t address = any ? 0 : (v4 ? 4 : 16);
  if (key.size() != address + 8) return std::nullopt;
  if (!any) port.host_ip = IpAddress::FromBytes(port.family, key.first(address));
  port.protocol = key[address];
  port.port = static_cast<uint16_t>(key[address + 4] << 8 | key[address + 5]);
  return port;
}

std::string DescribeNatKey(const NatElement& element) {
  if (std::optional<MappedPort> port = ReadMappedPort(element)) {
    return DescribePort(port->protocol, port->port, port->host_ip);
  }
  const std::vector<uint8_t>& key = element.element.key;
  if (key.size() != 4 && key.size() != 16) return "an element of " + element.map;
  IpFamily family = key.size() == 4 ? IpFamily::kV4 : IpFamily::kV6;
  return "the source address " + IpAddress::FromBytes(family, key).ToString();
}

}  // namespace podroute
