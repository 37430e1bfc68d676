// runtimeConfig.portMappings, as values. Pure.
#ifndef PODROUTE_CNI_PORT_MAPPING_H_
#define PODROUTE_CNI_PORT_MAPPING_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ip_prefix.h"
#include "cni/json_reader.h"

namespace podroute {

struct PortMapping {
  uint16_t host_port = 0;  // Never 0: such a one maps nothing and is left out.
  uint16_t container_port = 0;
  uint8_t protocol = 0;              // IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP
  std::optional<IpAddress> host_ip;  // None: any. Unspecified: any of its family.

  bool AppliesTo(IpFamily family) const { return !host_ip || host_ip->family() == family; }
  bool IsForAnyAddress() const { return !host_ip || host_ip->IsUnspecified(); }
  bool operator==(const PortMapping&) const = default;
};

// "tcp port 8080 of 192.168.0.2", "udp port 53".
std::string DescribePort(uint8_t protocol, uint16_t port, const std::optional<IpAddress>& address);

// Complains, with the field's path, about what is out of range and about two that ask for one port
// with different targets. Equal ones are all right.
std::vector<PortMapping> ReadPortMappings(const JsonReader& runtime_config, const char* key);

}  // namespace podroute

#endif  // PODROUTE_CNI_PORT_MAPPING_H_
