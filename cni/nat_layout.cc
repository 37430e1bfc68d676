#include "cni/nat_layout.h"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_tables.h>

#include <algorithm>
#include <utility>

#include "cni/port_map.h"

namespace podroute {
namespace {

constexpr int32_t kRaw = -300;
constexpr int32_t kAfterDstNat = -90;  // NF_IP_PRI_NAT_DST is -100.
constexpr int32_t kAfterSrcNat = 110;  // NF_IP_PRI_NAT_SRC is 100.
constexpr char kHostPorts[] = "hostports";
constexpr char kHairpin[] = "hairpin";

// In a chain's name only what nft(8) takes there; anything else is written as its number.
std::string WithInterface(const std::string& prefix, const std::string& interface) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string name = prefix;
  for (char c : interface) {
    bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                 c == '-' || c == '.';
    if (plain) {
      name += c;
    } else {
      auto byte = static_cast<unsigned char>(c);
      name += std::string("_") + kDigits[byte >> 4] + kDigits[byte & 15];
    }
  }
  return name;
}

IpPrefix Prefix(const char* text) { return *IpPrefix::Parse(text); }

NftRule SpecificRule(IpFamily family, const char* map) {
  // Registers: the address, then protocol and port; of the answer, the address, then the port.
  NftRegister after_address = family == IpFamily::kV4 ? 1 : 4;
  return NftRule()
      .MatchFamily(family)
      .LoadAddress(family, false, 0)
      .LoadMeta(NFT_META_L4PROTO, after_address)
      .LoadDestinationPort(after_address + 1)
      .MapLookup(map, 0, 0)
      .DestinationNat(family, 0, after_address);
}

NftRule AnyAddressRule(IpFamily family, const char* map) {
  return NftRule()
      .MatchFamily(family)
      .LoadMeta(NFT_META_L4PROTO, 0)
      .LoadDestinationPort(1)
      .MapLookup(map, 0, 0)
      .DestinationNat(family, 0, family == IpFamily::kV4 ? 1 : 4);
}

NatLayout::Chain Chain(std::string name, uint32_t jumps, uint32_t rule_count,
                       std::function<std::vector<NftRule>()> rules) {
  NatLayout::Chain made;
  made.chain.name = std::move(name);
  made.rule_count = rule_count;
  made.rules = std::move(rules);
  made.jumps = jumps;
  return made;
}

NatLayout::Chain BaseChain(std::string name, const char* type, uint32_t hook, int32_t priority,
                           uint32_t rule_count, std::function<std::vector<NftRule>()> rules) {
  NatLayout::Chain made = Chain(std::move(name), 0, rule_count, std::move(rules));
  made.chain.type = type;
  made.chain.hook = hook;
  made.chain.priority = priority;
  return made;
}

std::vector<NftRule> HostPortsRules() {
  return {SpecificRule(IpFamily::kV4, kHostIp4Map), AnyAddressRule(IpFamily::kV4, kHostPort4Map),
          SpecificRule(IpFamily::kV6, kHostIp6Map), AnyAddressRule(IpFamily::kV6, kHostPort6Map)};
}

std::vector<NftRule> HairpinRules() {
  return {NftRule().SetMark(~kMasqueradeMark, kMasqueradeMark),
          NftRule().Verdict(NFT_JUMP, kHostPorts), NftRule().SetMark(~kMasqueradeMark, 0)};
}

std::vector<NftRule> PreroutingRules() {
  return {NftRule().MatchLocal(false, true).Verdict(NFT_JUMP, kHostPorts)};
}

// Connections to ::1 cannot leave the host, so what listens there keeps them.
std::vector<NftRule> OutputRules() {
  return {NftRule().MatchLocal(false, false).Verdict(NFT_RETURN),
          NftRule().MatchPrefix(false, Prefix("::1/128")).Verdict(NFT_RETURN),
          NftRule().MatchPrefix(true, Prefix("127.0.0.0/8")).Verdict(NFT_JUMP, kHairpin),
          NftRule().Verdict(NFT_JUMP, kHostPorts)};
}

std::vector<NftRule> HairpinMasqueradeRules() {
  return {NftRule()
              .MatchMark(kMasqueradeMark, kMasqueradeMark)
              .MatchConnectionStatus(IPS_DST_NAT)
              .Masquerade()};
}

std::vector<NftRule> FromInterfaceRules(const std::string& interface) {
  return {NftRule()
              .MatchInterface(true, interface)
              .MatchLocal(false, true)
              .Verdict(NFT_JUMP, kHairpin)};
}

std::vector<NftRule> LocalnetRules(const std::string& interface) {
  return {NftRule()
              .MatchInterface(true, interface)
              .MatchPrefix(false, Prefix("127.0.0.0/8"))
              .Verdict(NF_DROP)};
}

std::vector<NftRule> SubnetRules(const IpPrefix& subnet) {
  IpPrefix multicast = Prefix(subnet.is_v4() ? "224.0.0.0/4" : "ff00::/8");
  return {NftRule().MatchPrefix(false, subnet).Verdict(NFT_RETURN),
          NftRule().MatchPrefix(false, multicast).Verdict(NFT_RETURN), NftRule().Masquerade()};
}

std::vector<NftRule> PodMasqueradeRules() {
  auto rule = [](IpFamily family, const char* map) {
    return NftRule().MatchFamily(family).LoadAddress(family, true, 0).VerdictLookup(map, 0);
  };
  return {rule(IpFamily::kV4, kMasquerade4Map), rule(IpFamily::kV6, kMasquerade6Map)};
}

std::vector<NftMap> HostPortMaps() {
  constexpr NftType k4 = NftType::kIpv4;
  constexpr NftType k6 = NftType::kIpv6;
  constexpr NftType kProtocol = NftType::kProtocol;
  constexpr NftType kPort = NftType::kPort;
  return {{kHostIp4Map, {k4, kProtocol, kPort}, {k4, kPort}, ""},
          {kHostPort4Map, {kProtocol, kPort}, {k4, kPort}, ""},
          {kHostIp6Map, {k6, kProtocol, kPort}, {k6, kPort}, ""},
          {kHostPort6Map, {kProtocol, kPort}, {k6, kPort}, ""}};
}

}  // namespace

void AddHostPorts(NatLayout& layout, const std::string& interface, bool localhost) {
  for (NftMap& map : HostPortMaps()) layout.maps.push_back(std::move(map));
  std::vector<NatLayout::Chain>& chains = layout.chains;
  chains.push_back(Chain(kHostPorts, 3, 4, HostPortsRules));
  chains.push_back(Chain(kHairpin, 2, 3, HairpinRules));
  chains.push_back(
      BaseChain("prerouting", "nat", NF_INET_PRE_ROUTING, kAfterDstNat, 1, PreroutingRules));
  chains.push_back(BaseChain("output", "nat", NF_INET_LOCAL_OUT, kAfterDstNat, 4, OutputRules));
  chains.push_back(BaseChain("hairpin-masquerade", "nat", NF_INET_POST_ROUTING, kAfterSrcNat, 1,
                             HairpinMasqueradeRules));
  chains.push_back(BaseChain(WithInterface("hairpin-", interface), "nat", NF_INET_PRE_ROUTING,
                             kAfterDstNat - 1, 1,
                             [interface] { return FromInterfaceRules(interface); }));
  if (!localhost) return;
  chains.push_back(BaseChain(WithInterface("localnet-", interface), "filter", NF_INET_PRE_ROUTING,
                             kRaw, 1, [interface] { return LocalnetRules(interface); }));
}

void AddMasquerading(NatLayout& layout, const std::vector<IpPrefix>& subnets) {
  layout.maps.push_back({kMasquerade4Map, {NftType::kIpv4}, {}, ""});
  layout.maps.push_back({kMasquerade6Map, {NftType::kIpv6}, {}, ""});
  for (const IpPrefix& subnet : subnets) {
    layout.chains.push_back(
        Chain(MasqueradeChain(subnet), 0, 3, [subnet] { return SubnetRules(subnet); }));
  }
  layout.chains.push_back(BaseChain("pod-masquerade", "nat", NF_INET_POST_ROUTING, kAfterSrcNat, 2,
                                    PodMasqueradeRules));
}

void AddLayout(NftTransaction& transaction, const NatLayout& layout) {
  transaction.AddTable(kNatTableComment);
  for (const NftMap& map : layout.maps) transaction.AddMap(map);
  for (const NatLayout::Chain& chain : layout.chains) transaction.AddChain(chain.chain);
  for (const NatLayout::Chain& chain : layout.chains) {
    NftChain whole = chain.chain;
    whole.rules = chain.rules();
    transaction.SetRules(whole);
  }
}

}  // namespace podroute
