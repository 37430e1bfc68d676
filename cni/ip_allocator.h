// Which address comes next. Pure: what is taken is asked of the caller.
#ifndef PODROUTE_CNI_IP_ALLOCATOR_H_
#define PODROUTE_CNI_IP_ALLOCATOR_H_

#include <optional>
#include <vector>

#include "base/ip_prefix.h"
#include "cni/net_conf.h"

namespace podroute {

// True when `set` may hand out `address` at all: in a range, and no gateway. Network and broadcast
// addresses are in no range.
bool IsAllocatable(const RangeSet& set, const IpAddress& address);

// The range that `address` is in, allocatable or not; nullptr when there is none.
const IpRange* RangeOf(const RangeSet& set, const IpAddress& address);

// Walks every allocatable address of a set once: from the one after `last` (round robin, so that an
// address that was just given back rests for as long as it can), around the ranges in their order,
// to `last` itself. Starts at the set's beginning when `last` is in none of its ranges. As the
// reference plugin does, so both walk the same way in a shared store.
class AddressWalk {
 public:
  // The set must outlive this. REQUIRES: a set that ParseNetConf made.
  AddressWalk(const RangeSet& set, const std::optional<IpAddress>& last);

  // nullopt at the end.
  std::optional<IpAddress> Next();

  // Leaves out what comes in the range of the address that Next gave last, up to and with `last`.
  void SkipTo(const IpAddress& last);

 private:
  IpAddress Step();

  const RangeSet& set_;
  size_t range_ = 0;
  size_t given_range_ = 0;  // Of the address that Next gave.
  IpAddress at_;            // The next to look at.
  IpAddress end_;           // Where the walk began: seen again, it is over.
  bool begun_ = false;
};

// Gives each range set the one of `requested` that lies in it, in the sets' order; nullopt for a
// set that none lies in. What no set took stays in `left_over`.
struct RequestedIps {
  std::vector<std::optional<IpAddress>> by_set;
  std::vector<IpAddress> left_over;
};
RequestedIps AssignRequested(const std::vector<RangeSet>& sets, std::vector<IpAddress> requested);

}  // namespace podroute

#endif  // PODROUTE_CNI_IP_ALLOCATOR_H_
