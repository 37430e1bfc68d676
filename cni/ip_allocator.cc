#include "cni/ip_allocator.h"

#include <algorithm>
#include <utility>

namespace podroute {

const IpRange* RangeOf(const RangeSet& set, const IpAddress& address) {
  auto found = std::find_if(set.begin(), set.end(),
                            [&](const IpRange& range) { return range.Contains(address); });
  return found == set.end() ? nullptr : &*found;
}

bool IsAllocatable(const RangeSet& set, const IpAddress& address) {
  const IpRange* range = RangeOf(set, address);
  return range != nullptr && address != range->gateway;
}

AddressWalk::AddressWalk(const RangeSet& set, const std::optional<IpAddress>& last) : set_(set) {
  at_ = set_.front().first;
  const IpRange* range = last ? RangeOf(set_, *last) : nullptr;
  if (range != nullptr) {
    range_ = static_cast<size_t>(range - set_.data());
    at_ = *last;
    Step();
  }
  end_ = at_;
}

// Moves on and returns where it was.
IpAddress AddressWalk::Step() {
  IpAddress was = at_;
  if (at_ == set_[range_].last) {
    range_ = (range_ + 1) % set_.size();
    at_ = set_[range_].first;
  } else {
    at_ = at_.Plus(1);
  }
  return was;
}

std::optional<IpAddress> AddressWalk::Next() {
  while (!begun_ || at_ != end_) {
    begun_ = true;
    const IpRange& range = set_[range_];
    given_range_ = range_;
    IpAddress address = Step();
    if (address != range.gateway) return address;
  }
  return std::nullopt;
}

void AddressWalk::SkipTo(const IpAddress& last) {
  const IpRange& range = set_[range_];
  // A range of one address is left and entered again in one step; then the walk is over anyway.
  if (range_ != given_range_ || !range.Contains(at_)) return;
  IpAddress target = std::min(last, range.last);
  if (target < at_) return;
  if (at_ <= end_ && end_ <= target) {
    at_ = end_;
  } else {
    at_ = target;
    Step();
  }
}

RequestedIps AssignRequested(const std::vector<RangeSet>& sets, std::vector<IpAddress> requested) {
  RequestedIps assigned;
  for (const RangeSet& set : sets) {
    auto found = std::find_if(requested.begin(), requested.end(),
                              [&](const IpAddress& ip) { return RangeOf(set, ip) != nullptr; });
    if (found == requested.end()) {
      assigned.by_set.emplace_back();
    } else {
      assigned.by_set.emplace_back(*found);
      requested.erase(found);
    }
  }
  assigned.left_over = std::move(requested);
  return assigned;
}

}  // namespace podroute
