// The network configuration on standard input, as a value. Pure. The keys are those of the
// reference `bridge` and `host-local` plugins (github.com/containernetworking/plugins) and of the
// specification's conventions (runtimeConfig, args.cni, cni.dev/valid-attachments).
#ifndef PODROUTE_CNI_NET_CONF_H_
#define PODROUTE_CNI_NET_CONF_H_

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ip_prefix.h"
#include "cni/cni_types.h"
#include "cni/port_mapping.h"

namespace podroute {

// The addresses that one element of ipam.ranges offers. Made whole: every bound is set.
struct IpRange {
  IpPrefix subnet;
  IpAddress first;  // Never the network address.
  IpAddress last;   // Never an IPv4 broadcast address; first <= last.
  IpAddress gateway;

  bool Contains(const IpAddress& address) const { return first <= address && address <= last; }
  bool operator==(const IpRange&) const = default;
};

// One address is taken from each set; the ranges of a set are of one family. No address is in two
// ranges of a network, but a subnet may be.
using RangeSet = std::vector<IpRange>;

struct IpamConf {
  std::string type;  // Empty: the network has no addresses (layer 2 only).
  // The rest is for "host-local"; any other type reads the configuration itself.
  std::string data_dir;
  std::vector<RangeSet> range_sets;
  std::vector<CniRoute> routes;
  std::string resolv_conf;           // A file whose DNS settings go into the result.
  std::vector<IpAddress> requested;  // args.cni.ips and runtimeConfig.ips

  bool in_process() const { return type == "host-local"; }
};

struct NetConf {
  CniVersion version = kNewestCniVersion;
  std::string name;
  std::string bridge = "cni0";
  bool is_gateway = false;
  bool is_default_gateway = false;
  bool force_address = false;
  bool hairpin_mode = false;
  bool promisc_mode = false;
  bool duplicate_address_detection = false;  // enabledad
  bool disable_container_interface = false;
  bool port_isolation = false;
  bool mac_spoof_check = false;  // macspoofchk
  uint16_t vlan = 0;             // 0: none, the bridge's own.
  // Sorted; neither overlap nor touch. Never together with vlan.
  std::vector<VlanRange> vlan_trunk;
  // Whether a port with vlan or vlanTrunk stays in the VLAN that the bridge gives every port.
  bool preserve_default_vlan = true;
  uint32_t mtu = 0;                           // 0: the bridge's.
  std::optional<std::array<uint8_t, 6>> mac;  // runtimeConfig.mac, else args.cni.mac
  CniDns dns;                                 // runtimeConfig.dns, else dns.
  bool has_port_mappings_capability = false;  // capabilities.portMappings
  std::vector<PortMapping> port_mappings;     // runtimeConfig.portMappings
  bool ip_masq = false;
  IpamConf ipam;
  std::optional<CniResult> prev_result;
  // GC: none when the key is missing; empty when it is null.
  std::optional<std::vector<CniAttachment>> valid_attachments;
  // What is wrong, each the first of its kind, with code 7 and the field's path. A container that
  // never got its network must still go away, so DEL minds none of these.
  CniProblem unsupported;   // In all that asks for something: for ADD, CHECK and STATUS.
  CniProblem unattachable;  // No ranges, or in prev_result: for ADD and CHECK.
  CniProblem unlisted;      // In valid_attachments: for GC.

  bool uses_vlans() const { return vlan != 0 || !vlan_trunk.empty(); }
};

// What is needed to answer at all, from a text of which the rest may be wrong: the version for an
// error's form (the newest when it is none of ours).
struct NetConfVersion {
  std::string text;  // As it stands there; empty when missing or unreadable.
  std::optional<CniVersion> version;
};
NetConfVersion ReadNetConfVersion(std::string_view text);

// Errors: 6 when it is not JSON, 1 for the version, 7 with the field's path for what every command
// needs: name, bridge, ipam.type and ipam.dataDir. What else is wrong is in the NetConf.
CniOr<NetConf> ParseNetConf(std::string_view text);

}  // namespace podroute

#endif  // PODROUTE_CNI_NET_CONF_H_
