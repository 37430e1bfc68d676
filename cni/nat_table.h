// The plugin's nftables table in the kernel: elements come and go in one transaction each.
#ifndef PODROUTE_CNI_NAT_TABLE_H_
#define PODROUTE_CNI_NAT_TABLE_H_

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "cni/cni_types.h"
#include "cni/nat_layout.h"
#include "cni/port_map.h"
#include "routing/netlink_socket.h"

namespace podroute {

// Works in the namespace that `netlink`, of NETLINK_NETFILTER, was made in. Other processes may do
// the same at the same time: what is decided on what was read is carried out only if nothing has
// changed since, and else decided anew.
class NatTable {
 public:
  // Whether an owner (an element's comment) still has its interface.
  using IsAlive = std::function<bool(const std::string& owner)>;
  using Wanted = std::function<bool(const NatElement&)>;

  explicit NatTable(NetlinkTransport& netlink) : netlink_(netlink) {}

  // Adds the elements, and before them whatever of the layout is missing: all or nothing. A key
  // that is there already is taken over from the same owner, or from one that is no more; another
  // owner's is an error, code 105, that names key and holder. REQUIRES: the elements have one
  // owner.
  CniProblem Add(const NatLayout& layout, const std::vector<NatElement>& elements,
                 const IsAlive& is_alive);

  // Removes the elements of `maps` that are wanted away, and returns them. A table or map that is
  // not there holds none.
  Result<std::vector<NatElement>> Remove(const std::vector<std::string>& maps,
                                         const Wanted& wanted);

  Result<std::vector<NatElement>> Read(const std::vector<std::string>& maps, const Wanted& wanted);

  // The first chain of the layout that is not as it should be; empty when all are.
  Result<std::string> FindIncomplete(const NatLayout& layout);

  // Whether this kernel would take the layout; changes nothing.
  Status Probe(const NatLayout& layout);

 private:
  struct State {
    uint32_t generation = 0;
    std::string incomplete;  // A chain, or empty.
  };
  Result<State> ReadState(const NatLayout* layout);
  // Nothing when it was carried out.
  Result<std::optional<NetlinkFailure>> Commit(NftTransaction& transaction);
  Result<bool> ReadMap(const std::string& map, const Wanted& wanted,
                       std::vector<NatElement>& elements);
  // The elements with the keys of `wanted` that have to go for them; the error says which cannot.
  CniOr<std::vector<NatElement>> FindObstacles(const std::vector<NatElement>& wanted,
                                               const IsAlive& is_alive);

  NetlinkTransport& netlink_;
};

// An error of NatTable's as the runtime is told it.
CniError NatError(const Status& status);

}  // namespace podroute

#endif  // PODROUTE_CNI_NAT_TABLE_H_
