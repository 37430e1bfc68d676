// The rtnetlink messages for VLANs of a bridge and its ports: RTM_SETLINK, RTM_DELLINK and
// RTM_GETLINK of family AF_BRIDGE (include/uapi/linux/if_bridge.h). Bytes only, no I/O.
#ifndef PODROUTE_CNI_VLAN_CODEC_H_
#define PODROUTE_CNI_VLAN_CODEC_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "cni/cni_types.h"
#include "routing/netlink_codec.h"

namespace podroute {

// What is to be changed about the VLANs of a new port.
struct PortVlans {
  uint16_t untagged = 0;  // What comes in without a tag is in it, and it leaves without; 0: none.
  std::vector<VlanRange> tagged;
  uint16_t removed = 0;  // Taken away, before the others are added; 0: none.

  bool empty() const { return untagged == 0 && tagged.empty() && removed == 0; }
};

struct PortVlan {
  uint16_t id = 0;
  bool untagged = false;  // On the way out.
  bool ingress = false;   // What comes in without a tag is in it (PVID).

  bool operator==(const PortVlan&) const = default;
};
struct PortVlanList {
  int ifindex = 0;
  std::vector<PortVlan> vlans;  // In ascending order.
};

// Makes a bridge keep its VLANs apart. Its ports are in its default VLAN until told otherwise, so
// those that know of no VLAN go on.
void EncodeSetVlanFiltering(NetlinkBatch& batch, int bridge);
// At most two messages.
void EncodeSetPortVlans(NetlinkBatch& batch, int port, const PortVlans& vlans);

// The VLANs of every port in the namespace; the kernel has no narrower question in this form.
void EncodeDumpPortVlans(NetlinkBatch& batch);
// nullopt for anything but an answer to it; an empty list for a port without VLANs.
std::optional<PortVlanList> DecodePortVlans(const NetlinkMessage& message);

}  // namespace podroute

#endif  // PODROUTE_CNI_VLAN_CODEC_H_
