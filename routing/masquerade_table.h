// The agent's masquerading in the kernel.
#ifndef PODROUTE_ROUTING_MASQUERADE_TABLE_H_
#define PODROUTE_ROUTING_MASQUERADE_TABLE_H_

#include <memory>
#include <optional>
#include <string>

#include "base/status.h"
#include "routing/masquerade.h"
#include "routing/netlink_socket.h"

namespace podroute {

// What is there under the table's name.
struct MasqueradeState {
  bool there = false;
  // Table, sets, chain and rules are just those of the layout. Else nothing is known of the rest.
  bool sound = false;
  Masquerading content;

  bool Is(const Masquerading& wanted) const { return sound && content == wanted; }
};

// Works in the namespace that `netlink`, of NETLINK_NETFILTER, was made in. One thread.
class MasqueradeTable {
 public:
  explicit MasqueradeTable(NetlinkTransport& netlink) : netlink_(netlink) {}

  // What changes meanwhile may be seen in part.
  Result<MasqueradeState> Read();
  // In one transaction, from what Read said. Where the layout is sound, what is the same before and
  // afterwards works all the time.
  Status Write(const MasqueradeState& now, const Masquerading& wanted);

 private:
  Status Commit(NftTransaction& transaction);
  Result<bool> ReadLayout(MasqueradeState* state);
  Result<bool> ReadRules(const std::vector<NetlinkMessage>& made);
  Result<std::optional<std::vector<AddressRange>>> ReadSet(const MasqueradeSet& set);

  NetlinkTransport& netlink_;
};

}  // namespace podroute

#endif  // PODROUTE_ROUTING_MASQUERADE_TABLE_H_
