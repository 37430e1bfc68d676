// What tells the routes of several podroutes in one kernel apart. Pure.
#ifndef PODROUTE_ROUTING_OWNER_H_
#define PODROUTE_ROUTING_OWNER_H_

#include <cstdint>
#include <string_view>

#include "base/status.h"

namespace podroute {

// Ids that one owner gives its nexthop objects. Others may sit there too.
struct NexthopIds {
  uint32_t first = 0x6e000000, last = 0x6effffff;  // "n" is 0x6e: the owner without a name.
  bool Contains(uint32_t id) const { return id >= first && id <= last; }
  bool operator==(const NexthopIds&) const = default;
};

// Letters, digits, "-" and "_", at most 32; empty is the owner without a name. The error says what
// is wrong, without the flag.
Status CheckOwner(std::string_view owner);

// 110, or for an owner with a name 0x6e000000 and 24 bits of a hash of it: as a metric larger than
// what people give their routes, so that theirs win.
uint32_t OwnerMetric(std::string_view owner);

// For an owner with a name one of 4096 ranges of 65536 ids from 0x70000000 on, by 12 other bits of
// that hash.
NexthopIds OwnerNexthopIds(std::string_view owner);

// True when a route with our mark, or a nexthop object with our protocol, cannot be ours for the id
// of the object: it is of the owners' ranges, and not of `ours`. So two owners with one metric (one
// of 16 million pairs; or --route_metric) still do not take each other's routes for their own.
bool IsOtherOwners(uint32_t nexthop_id, const NexthopIds& ours);

}  // namespace podroute

#endif  // PODROUTE_ROUTING_OWNER_H_
