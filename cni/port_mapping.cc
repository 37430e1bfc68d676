#include "cni/port_mapping.h"

#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <utility>

namespace podroute {
namespace {

constexpr std::array<std::pair<const char*, uint8_t>, 3> kProtocols = {
    {{"tcp", IPPROTO_TCP}, {"udp", IPPROTO_UDP}, {"sctp", IPPROTO_SCTP}}};

uint8_t ReadProtocol(const JsonReader& mapping) {
  std::string text = mapping.String("protocol");
  if (text.empty()) return IPPROTO_TCP;
  std::string lower = text;
  for (char& c : lower) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  for (const auto& [name, number] : kProtocols) {
    if (lower == name) return number;
  }
  mapping.Complain("protocol", "\"" + text.substr(0, 80) + "\" is none of tcp, udp and sctp");
  return IPPROTO_TCP;
}

std::optional<IpAddress> ReadHostIp(const JsonReader& mapping) {
  std::string text = mapping.String("hostIP");
  if (text.empty()) return std::nullopt;
  Result<IpAddress> address = IpAddress::Parse(text);
  if (address.ok()) return *address;
  mapping.Complain("hostIP", address.status().message());
  return std::nullopt;
}

bool Contradict(const PortMapping& a, const PortMapping& b) {
  if (a.protocol != b.protocol || a.host_port != b.host_port) return false;
  if (a.container_port == b.container_port) return false;
  for (IpFamily family : {IpFamily::kV4, IpFamily::kV6}) {
    if (!a.AppliesTo(family) || !b.AppliesTo(family)) continue;
    if (a.IsForAnyAddress() && b.IsForAnyAddress()) return true;
    if (!a.IsForAnyAddress() && a.host_ip == b.host_ip) return true;
  }
  return false;
}

}  // namespace

std::string DescribePort(uint8_t protocol, uint16_t port, const std::optional<IpAddress>& address) {
  std::string text = std::to_string(protocol);
  for (const auto& [name, number] : kProtocols) {
    if (protocol == number) text = name;
  }
  text += " port " + std::to_string(port);
  if (address) text += " of " + address->ToString();
  return text;
}

std::vector<PortMapping> ReadPortMappings(const JsonReader& runtime_config, const char* key) {
  std::vector<PortMapping> mappings;
  runtime_config.Objects(key, [&](const JsonReader& reader) {
    PortMapping mapping;
    mapping.host_port = static_cast<uint16_t>(reader.Int("hostPort", 0, 65535));
    if (mapping.host_port == 0) return;
    mapping.container_port = static_cast<uint16_t>(reader.Int("containerPort", 1, 65535));
    if (mapping.container_port == 0) reader.Complain("containerPort", "is missing");
    mapping.host_ip = ReadHostIp(reader);
    mapping.protocol = ReadProtocol(reader);
    auto other = std::find_if(mappings.begin(), mappings.end(), [&](const PortMapping& earlier) {
      return Contradict(mapping, earlier);
    });
    if (other != mappings.end()) {
      reader.Complain("hostPort",
                      DescribePort(mapping.protocol, mapping.host_port, mapping.host_ip) +
                          " is to lead to port " + std::to_string(mapping.container_port) +
                          " here and to port " + std::to_string(other->container_port) +
                          " in an earlier mapping");
    }
    mappings.push_back(mapping);
  });
  return mappings;
}

}  // namespace podroute
