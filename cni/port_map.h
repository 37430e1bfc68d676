// What hostPort and ipMasq want in the nftables table, as values. Pure.
#ifndef PODROUTE_CNI_PORT_MAP_H_
#define PODROUTE_CNI_PORT_MAP_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cni/cni_types.h"
#include "cni/port_mapping.h"
#include "routing/nft_codec.h"

namespace podroute {

// Maps of the table; nat_layout.h says who looks into them.
inline constexpr char kHostIp4Map[] = "hostip4";      // address . protocol . port -> pod . port
inline constexpr char kHostPort4Map[] = "hostport4";  // protocol . port -> pod . port
inline constexpr char kHostIp6Map[] = "hostip6";
inline constexpr char kHostPort6Map[] = "hostport6";
inline constexpr char kMasquerade4Map[] = "masquerade4";  // pod -> the chain of its subnet
inline constexpr char kMasquerade6Map[] = "masquerade6";

struct NatElement {
  std::string map;
  NftElement element;

  bool SameKey(const NatElement& other) const {
    return map == other.map && element.key == other.element.key;
  }
  bool operator==(const NatElement&) const = default;
};

// The comment that says whose an element is: "NETWORK CONTAINERID IFNAME". Whatever is too long
// is cut, and told apart by a hash behind '#', which is in no name of CNI's: a comment has at most
// 128 bytes.
std::string NatOwner(const std::string& network, const CniAttachment& attachment);
// Whether that is a comment of `network`'s.
bool IsNatOwnerOf(const std::string& owner, const std::string& network);
// The host end of the owner's interface (HostVethName); empty when it is no comment of ours.
std::string HostVethOfOwner(const std::string& owner);

// What to add for `mappings` to a pod with `ips`: its first address of each family counts, and
// a hostIP's family must be the same, as with the reference plugin. Two mappings that are equal
// give one element.
std::vector<NatElement> PortMapElements(const std::vector<PortMapping>& mappings,
                                        const std::vector<CniIp>& ips, const std::string& owner);

// One for each address.
std::vector<NatElement> MasqueradeElements(const std::vector<CniIp>& ips, const std::string& owner);
// The chain of a subnet: "masquerade-10.244.2.0-24".
std::string MasqueradeChain(const IpPrefix& subnet);

// Whether localhost reaches one of them: an IPv4 mapping on every address or on a loopback one.
bool NeedsLocalhost(const std::vector<PortMapping>& mappings, const std::vector<CniIp>& ips);

// "tcp port 8080 of 192.168.0.2", "udp port 53", "the source address 10.244.2.7".
std::string DescribeNatKey(const NatElement& element);

// What a mapping's element is for; nothing for others and for what is not ours.
struct MappedPort {
  uint8_t protocol = 0;
  uint16_t port = 0;
  std::optional<IpAddress> host_ip;  // None: any.
  IpFamily family = IpFamily::kV4;
};
std::optional<MappedPort> ReadMappedPort(const NatElement& element);

}  // namespace podroute

#endif  // PODROUTE_CNI_PORT_MAP_H_
