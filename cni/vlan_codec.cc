#include "cni/vlan_codec.h"

#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <span>

namespace podroute {
namespace {

ifinfomsg PortHeader(int port) {
  ifinfomsg header{};
  header.ifi_family = AF_BRIDGE;
  header.ifi_index = port;
  return header;
}

void PutVlan(NetlinkBatch& batch, uint16_t vlan, uint16_t flags) {
  bridge_vlan_info info{};
  info.flags = flags;
  info.vid = vlan;
  batch.Put(IFLA_BRIDGE_VLAN_INFO, {reinterpret_cast<const uint8_t*>(&info), sizeof info});
}

// The IFLA_BRIDGE_VLAN_INFOs of an IFLA_AF_SPEC, which are many of one type.
std::vector<PortVlan> DecodeVlans(std::span<const uint8_t> bytes) {
  std::vector<PortVlan> vlans;
  nlattr header{};
  while (bytes.size() >= sizeof header) {
    std::memcpy(&header, bytes.data(), sizeof header);
    if (header.nla_len < sizeof header || header.nla_len > bytes.size()) break;
    std::span<const uint8_t> value = bytes.subspan(NLA_HDRLEN, header.nla_len - NLA_HDRLEN);
    bridge_vlan_info info{};
    if ((header.nla_type & NLA_TYPE_MASK) == IFLA_BRIDGE_VLAN_INFO && value.size() == sizeof info) {
      std::memcpy(&info, value.data(), sizeof info);
      vlans.push_back({info.vid, (info.flags & BRIDGE_VLAN_INFO_UNTAGGED) != 0,
                       (info.flags & BRIDGE_VLAN_INFO_PVID) != 0});
    }
    bytes = bytes.subspan(std::min<size_t>(NLA_ALIGN(header.nla_len), bytes.size()));
  }
  return vlans;
}

}  // namespace

void EncodeSetVlanFiltering(NetlinkBatch& batch, int bridge) {
  ifinfomsg header{};
  header.ifi_index = bridge;
  batch.Begin(RTM_NEWLINK, 0, header);
  size_t info = batch.Nest(IFLA_LINKINFO);
  batch.PutText(IFLA_INFO_KIND, "bridge");
  size_t data = batch.Nest(IFLA_INFO_DATA);
  batch.PutU8(IFLA_BR_VLAN_FILTERING, 1);
  batch.EndNest(data);
  batch.EndNest(info);
}

void EncodeSetPortVlans(NetlinkBatch& batch, int port, const PortVlans& vlans) {
  if (vlans.removed != 0) {
    batch.Begin(RTM_DELLINK, 0, PortHeader(port));
    size_t spec = batch.Nest(IFLA_AF_SPEC);
    PutVlan(batch, vlans.removed, 0);
    batch.EndNest(spec);
  }
  if (vlans.untagged == 0 && vlans.tagged.empty()) return;
  batch.Begin(RTM_SETLINK, 0, PortHeader(port));
  size_t spec = batch.Nest(IFLA_AF_SPEC);
  if (vlans.untagged != 0) {
    PutVlan(batch, vlans.untagged, BRIDGE_VLAN_INFO_PVID | BRIDGE_VLAN_INFO_UNTAGGED);
  }
  for (const VlanRange& range : vlans.tagged) {
    if (range.first == range.last) {
      PutVlan(batch, range.first, 0);
    } else {
      PutVlan(batch, range.first, BRIDGE_VLAN_INFO_RANGE_BEGIN);
      PutVlan(batch, range.last, BRIDGE_VLAN_INFO_RANGE_END);
    }
  }
  batch.EndNest(spec);
}

void EncodeDumpPortVlans(NetlinkBatch& batch) {
  batch.Begin(RTM_GETLINK, NLM_F_DUMP, PortHeader(0));
  batch.PutU32(IFLA_EXT_MASK, RTEXT_FILTER_BRVLAN);
}

std::optional<PortVlanList> DecodePortVlans(const NetlinkMessage& message) {
  std::optional<ifinfomsg> header = message.Fixed<ifinfomsg>();
  if (message.header.nlmsg_type != RTM_NEWLINK || !header || header->ifi_family != AF_BRIDGE) {
    return std::nullopt;
  }
  NetlinkAttributes attributes(message.body.subspan(sizeof(ifinfomsg)));
  return PortVlanList{header->ifi_index, DecodeVlans(attributes.get(IFLA_AF_SPEC))};
}

}  // namespace podroute
