#include "cni/net_conf.h"

#include <algorithm>
#include <utility>

#include "cni/cni_args.h"
#include "cni/cni_result.h"
#include "cni/json_reader.h"

namespace podroute {
namespace {

constexpr char kDefaultDataDir[] = "/var/lib/cni/networks";  // The reference plugin's.
constexpr int64_t kMinIpv6Mtu = 1280;                        // RFC 8200
constexpr int64_t kMinMtu = 68;                              // RFC 791
constexpr int64_t kMaxMtu = 65535;
constexpr int64_t kMaxVlan = 4094;  // IEEE 802.1Q

std::optional<IpAddress> ReadIp(const JsonReader& reader, const char* key) {
  std::string text = reader.String(key);
  if (text.empty()) return std::nullopt;
  Result<IpAddress> address = IpAddress::Parse(text);
  if (!address.ok()) {
    reader.Complain(key, address.status().message());
    return std::nullopt;
  }
  return *address;
}

// The highest address that a host may have: IPv4 keeps the last one for broadcasts.
IpAddress LastHost(const IpPrefix& subnet) {
  IpAddress last = subnet.Last();
  if (!subnet.is_v4()) return last;
  std::array<uint8_t, 4> bytes{};
  std::copy(last.bytes().begin(), last.bytes().end(), bytes.begin());
  bytes[3] &= 0xfe;  // Its lowest bit is a host bit, and set.
  return IpAddress::FromBytes(IpFamily::kV4, bytes);
}

// subnet, rangeStart, rangeEnd and gateway; nullopt when it complained.
std::optional<IpRange> ReadRange(const JsonReader& reader) {
  Result<IpPrefix> subnet = IpPrefix::Parse(reader.String("subnet"));
  if (!subnet.ok()) {
    reader.Complain("subnet", subnet.status().message());
    return std::nullopt;
  }
  int widest = subnet->address().bits() - 2;
  if (subnet->length() > widest) {
    reader.Complain("subnet", subnet->ToString() + " is too small to allocate from; /" +
                                  std::to_string(widest) + " or wider would be right");
    return std::nullopt;
  }
  IpAddress lowest = subnet->address().Plus(1);
  IpAddress highest = LastHost(*subnet);
  std::optional<IpAddress> start = ReadIp(reader, "rangeStart");
  std::optional<IpAddress> end = ReadIp(reader, "rangeEnd");
  IpAddress gateway = ReadIp(reader, "gateway").value_or(lowest);
  for (const auto& [key, bound] : {std::pair("rangeStart", start), std::pair("rangeEnd", end)}) {
    if (bound && !subnet->Contains(*bound)) {
      reader.Complain(key, bound->ToString() + " is not in " + subnet->ToString());
      return std::nullopt;
    }
  }
  if (gateway.family() != subnet->family()) {
    reader.Complain("gateway", gateway.ToString() + " is of another family than the subnet");
    return std::nullopt;
  }
  IpRange range{*subnet, std::max(start.value_or(lowest), lowest),
                std::min(end.value_or(highest), highest), gateway};
  if (range.last < range.first) {
    reader.Complain("rangeEnd", "no address is between rangeStart and it");
    return std::nullopt;
  }
  return range;
}

// ranges-like arrays of arrays, appended.
void ReadRangeSets(const JsonReader& reader, const char* key, std::vector<RangeSet>& sets) {
  size_t begin = sets.size();
  const JsonValue* value = reader.Find(key);
  if (value != nullptr && value->IsArray()) sets.resize(begin + value->Size());
  reader.ObjectArrays(key, [&](size_t i, const JsonReader& element) {
    if (auto range = ReadRange(element)) sets[begin + i].push_back(*range);
  });
}

std::string Describe(const IpRange& range) {
  return range.first.ToString() + "-" + range.last.ToString();
}

// Ranges may share a subnet, as the reference plugin allows, but no address.
void CheckRangeSets(const JsonReader& ipam, const std::vector<RangeSet>& sets) {
  std::vector<const IpRange*> seen;
  for (const RangeSet& set : sets) {
    if (set.empty()) ipam.Complain("ranges", "holds an empty set of ranges");
    for (const IpRange& range : set) {
      if (range.subnet.family() != set.front().subnet.family()) {
        ipam.Complain("ranges", "one set mixes IPv4 and IPv6; give each family a set of its own");
      }
    }
  }
  for (const RangeSet& set : sets) {
    for (const IpRange& range : set) {
      for (const IpRange* other : seen) {
        if (range.first <= other->last && other->first <= range.last) {
          ipam.Complain("ranges", Describe(range) + " overlaps " + Describe(*other));
        }
      }
      seen.push_back(&range);
    }
  }
}

void ReadIpList(const JsonReader& reader, const char* key, std::vector<IpAddress>& ips) {
  for (const std::string& text : reader.Strings(key)) {
    Result<IpAddress> ip = IpAddress::Parse(std::string_view(text).substr(0, text.find('/')));
    if (!ip.ok()) {
      reader.Complain(key, ip.status().message());
    } else if (std::find(ips.begin(), ips.end(), *ip) == ips.end()) {
      ips.push_back(*ip);
    }
  }
}

// What it takes to find the addresses that were given.
void ReadIpamStore(const JsonReader& root, IpamConf& ipam) {
  root.Object("ipam", [&](const JsonReader& reader) {
    ipam.type = reader.String("type");
    if (!ipam.in_process()) return;
    ipam.data_dir = reader.String("dataDir");
    if (ipam.data_dir.empty()) ipam.data_dir = kDefaultDataDir;
    if (ipam.data_dir.find('\0') != std::string::npos) {
      reader.Complain("dataDir", "must be a path");
    }
  });
}

// What it takes to give addresses. Its ranges may be none.
void ReadIpam(const JsonReader& root, IpamConf& ipam) {
  root.Object("args", [&](const JsonReader& args) {
    args.Object("cni", [&](const JsonReader& cni) { ReadIpList(cni, "ips", ipam.requested); });
  });
  root.Object("runtimeConfig",
              [&](const JsonReader& runtime) { ReadIpList(runtime, "ips", ipam.requested); });
  if (!ipam.in_process()) return;
  root.Object("ipam", [&](const JsonReader& reader) {
    ipam.resolv_conf = reader.String("resolvConf");
    ipam.routes = ReadRoutes(reader, "routes");
    root.Object("runtimeConfig", [&](const JsonReader& runtime) {
      ReadRangeSets(runtime, "ipRanges", ipam.range_sets);
    });
    if (reader.Find("subnet") != nullptr) {  // The short form: one range, given by ipam itself.
      if (auto range = ReadRange(reader)) ipam.range_sets.push_back({*range});
    } else {  // They bound nothing then, but must be what they should be.
      for (const char* key : {"rangeStart", "rangeEnd", "gateway"}) (void)ReadIp(reader, key);
    }
    ReadRangeSets(reader, "ranges", ipam.range_sets);
    CheckRangeSets(reader, ipam.range_sets);
  });
}

void ReadMac(const JsonReader& reader, NetConf& conf) {
  std::string text = reader.String("mac");
  if (text.empty()) return;
  conf.mac = ParseMac(text);
  if (!conf.mac) reader.Complain("mac", "\"" + text + "\" is no unicast Ethernet address");
}

void ReadRuntimeConfig(const JsonReader& root, NetConf& conf) {
  root.Object("args", [&](const JsonReader& args) {
    args.Object("cni", [&](const JsonReader& cni) { ReadMac(cni, conf); });
  });
  root.Object("dns", [&](const JsonReader& dns) { conf.dns = ReadDns(dns); });
  root.Object("runtimeConfig", [&](const JsonReader& runtime) {
    ReadMac(runtime, conf);
    runtime.Object("dns", [&](const JsonReader& dns) {
      CniDns asked;
      asked.nameservers = dns.Strings("servers");
      asked.search = dns.Strings("searches");
      asked.options = dns.Strings("options");
      if (!asked.empty()) conf.dns = asked;
    });
  });
}

// Whose network this is, and where.
void ReadNames(const JsonReader& reader, NetConf& conf) {
  conf.name = reader.String("name");
  if (!IsCniName(conf.name)) {
    reader.Complain("name", "\"" + conf.name.substr(0, 80) +
                                "\" must begin with a letter or digit and hold letters, digits, "
                                "_ . - only");
  }
  std::string bridge = reader.String("bridge");
  if (!bridge.empty()) conf.bridge = bridge;
  if (auto problem = InterfaceNameProblem(conf.bridge)) {
    reader.Complain("bridge", "\"" + conf.bridge.substr(0, 80) + "\" " + *problem);
  }
}

void ReadBridge(const JsonReader& reader, NetConf& conf) {
  conf.is_default_gateway = reader.Bool("isDefaultGateway");
  conf.is_gateway = reader.Bool("isGateway") || conf.is_default_gateway;
  conf.force_address = reader.Bool("forceAddress");
  conf.hairpin_mode = reader.Bool("hairpinMode");
  conf.promisc_mode = reader.Bool("promiscMode");
  conf.duplicate_address_detection = reader.Bool("enabledad");
  conf.disable_container_interface = reader.Bool("disableContainerInterface");
  conf.port_isolation = reader.Bool("portIsolation");
  conf.mac_spoof_check = reader.Bool("macspoofchk");
  conf.mtu = static_cast<uint32_t>(reader.Int("mtu", 0, kMaxMtu));
  if (conf.mtu != 0 && conf.mtu < kMinMtu) reader.Complain("mtu", "must be 0 or at least 68");
  if (conf.hairpin_mode && conf.promisc_mode) {
    reader.Complain("promiscMode", "cannot be set together with hairpinMode");
  }
}

// Sorts, and joins what overlaps or touches.
std::vector<VlanRange> Joined(std::vector<VlanRange> ranges) {
  std::sort(ranges.begin(), ranges.end());
  std::vector<VlanRange> joined;
  for (const VlanRange& range : ranges) {
    if (!joined.empty() && range.first <= joined.back().last + 1) {
      joined.back().last = std::max(joined.back().last, range.last);
    } else {
      joined.push_back(range);
    }
  }
  return joined;
}

// One element of vlanTrunk: an id, a range or both, as in the reference plugin.
void ReadTrunk(const JsonReader& element, std::vector<VlanRange>& trunk) {
  auto vlan = [&](const char* key) {
    return static_cast<uint16_t>(element.Int(key, 1, kMaxVlan, 0));
  };
  uint16_t id = vlan("id");
  VlanRange range{vlan("minID"), vlan("maxID")};
  bool has_first = element.Find("minID") != nullptr;
  bool has_last = element.Find("maxID") != nullptr;
  if (has_first != has_last) {
    element.Complain(has_first ? "maxID" : "minID", "must be there when the other bound is");
  } else if (range.last < range.first) {
    element.Complain("maxID", "must not be less than minID");
  } else if (!has_first && element.Find("id") == nullptr) {
    element.Complain("id", "is missing, and so are minID and maxID");
  }
  if (id != 0) trunk.push_back({id, id});
  if (range.first != 0) trunk.push_back(range);
}

void ReadVlans(const JsonReader& reader, NetConf& conf) {
  conf.vlan = static_cast<uint16_t>(reader.Int("vlan", 0, kMaxVlan));
  reader.Objects("vlanTrunk",
                 [&](const JsonReader& element) { ReadTrunk(element, conf.vlan_trunk); });
  conf.vlan_trunk = Joined(std::move(conf.vlan_trunk));
  if (conf.vlan != 0 && !conf.vlan_trunk.empty()) {
    reader.Complain("vlanTrunk", "cannot be set together with vlan");
  }
  bool preserve = reader.Bool("preserveDefaultVlan");
  conf.preserve_default_vlan = preserve || reader.Find("preserveDefaultVlan") == nullptr;
  if (conf.vlan == 0 || !conf.is_gateway) return;
  std::string gateway = conf.bridge + "." + std::to_string(conf.vlan);
  if (auto problem = InterfaceNameProblem(gateway)) {
    reader.Complain("vlan", "its gateway's interface, \"" + gateway + "\", " + *problem);
  }
}

void ReadRuntimePortMappings(const JsonReader& reader, NetConf& conf) {
  reader.Object("capabilities", [&](const JsonReader& capabilities) {
    conf.has_port_mappings_capability = capabilities.Bool("portMappings");
  });
  reader.Object("runtimeConfig", [&](const JsonReader& runtime) {
    conf.port_mappings = ReadPortMappings(runtime, "portMappings");
  });
}

void ReadIpMasq(const JsonReader& reader, NetConf& conf) {
  conf.ip_masq = reader.Bool("ipMasq");
  // The reference plugin's choice between two ways; ours is always the second.
  std::string backend = reader.String("ipMasqBackend");
  if (!backend.empty() && backend != "iptables" && backend != "nftables") {
    reader.Complain("ipMasqBackend",
                    "\"" + backend.substr(0, 80) + "\" is neither iptables nor nftables");
  }
}

// What ADD and CHECK need beyond what the network itself says: STATUS gets no runtimeConfig, in
// which all of the ranges may be.
void ReadAttachment(const JsonReader& reader, NetConf& conf) {
  if (conf.ipam.in_process() && conf.ipam.range_sets.empty()) {
    reader.Object("ipam", [](const JsonReader& ipam) {
      ipam.Complain("ranges", "no range to allocate addresses from");
    });
  }
  reader.Object("prevResult", [&](const JsonReader& prev) { conf.prev_result = ReadResult(prev); });
}

void ReadValidAttachments(const JsonReader& reader, const JsonValue& document, NetConf& conf) {
  // Before 1.1.0 was final the key was without its prefix.
  for (const char* key : {"cni.dev/attachments", "cni.dev/valid-attachments"}) {
    if (!document.HasMember(key)) continue;
    // Null is how Go writes an empty list. It takes nothing from what the other key says.
    if (!conf.valid_attachments) conf.valid_attachments.emplace();
    if (reader.Find(key) == nullptr) continue;
    conf.valid_attachments->clear();
    reader.Objects(key, [&](const JsonReader& element) {
      for (const char* part : {"containerID", "ifname"}) {
        // Half of one would be nobody's, and its pod lose its network.
        if (element.String(part).empty()) element.Complain(part, "must be there and not empty");
      }
      conf.valid_attachments->push_back({element.String("containerID"), element.String("ifname")});
    });
  }
}

CniProblem ToProblem(const std::optional<std::string>& problem) {
  if (!problem) return std::nullopt;
  return CniError{CniErrorCode::kInvalidConfig, std::nullopt, "network configuration: " + *problem,
                  ""};
}

}  // namespace

NetConfVersion ReadNetConfVersion(std::string_view text) {
  NetConfVersion found;
  Result<rapidjson::Document> document = ParseJsonObject(text);
  if (!document.ok()) return found;
  std::optional<std::string> problem;
  found.text = JsonReader(*document, "", &problem).String("cniVersion");
  found.version = ParseCniVersion(found.text);
  return found;
}

CniOr<NetConf> ParseNetConf(std::string_view text) {
  Result<rapidjson::Document> document = ParseJsonObject(text);
  if (!document.ok()) {
    return CniError{CniErrorCode::kDecodingFailure, std::nullopt,
                    "network configuration: " + document.status().message(), ""};
  }
  std::optional<std::string> problem;
  JsonReader reader(*document, "", &problem);
  NetConf conf;
  std::string version_text = reader.String("cniVersion");
  std::optional<CniVersion> version = ParseCniVersion(version_text);
  if (!problem && !version) {
    return CniError{CniErrorCode::kIncompatibleVersion, std::nullopt,
                    "cniVersion \"" + version_text.substr(0, 80) + "\" is not supported",
                    "supported: " + SupportedCniVersions()};
  }
  conf.version = version.value_or(kNewestCniVersion);
  ReadNames(reader, conf);
  ReadIpamStore(reader, conf.ipam);
  if (problem) return *ToProblem(problem);
  // From here on nothing that keeps DEL and GC from doing their work.
  std::optional<std::string> unsupported;
  JsonReader wanted(*document, "", &unsupported);
  ReadBridge(wanted, conf);
  ReadVlans(wanted, conf);
  ReadRuntimeConfig(wanted, conf);
  ReadIpMasq(wanted, conf);
  ReadRuntimePortMappings(wanted, conf);
  ReadIpam(wanted, conf.ipam);
  bool has_ipv6 =
      std::any_of(conf.ipam.range_sets.begin(), conf.ipam.range_sets.end(),
                  [](const RangeSet& set) { return !set.empty() && !set.front().first.is_v4(); });
  if (has_ipv6 && conf.mtu != 0 && conf.mtu < kMinIpv6Mtu) {
    wanted.Complain("mtu", "must be 0 or at least 1280, for a range is IPv6");
  }
  if (conf.disable_container_interface && !conf.ipam.type.empty()) {
    wanted.Complain("disableContainerInterface", "cannot be set together with ipam");
  }
  conf.unsupported = ToProblem(unsupported);
  std::optional<std::string> unattachable;
  ReadAttachment(JsonReader(*document, "", &unattachable), conf);
  conf.unattachable = ToProblem(unattachable);
  std::optional<std::string> unlisted;
  ReadValidAttachments(JsonReader(*document, "", &unlisted), *document, conf);
  conf.unlisted = ToProblem(unlisted);
  return conf;
}

}  // namespace podroute
