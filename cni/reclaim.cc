#include "cni/reclaim.h"

#include <algorithm>
#include <map>
#include <optional>
#include <vector>

namespace podroute {
namespace {

class Reclaimer {
 public:
  Reclaimer(IpStore& store, const std::string& network, HostView& host, ReservationStamp self,
            ReclaimScope scope)
      : store_(store), network_(network), host_(host), self_(std::move(self)), scope_(scope) {}

  size_t Run() {
    links_ = store_.Links();
    for (const OwnerLink& link : links_) {
      for (const IpAddress& address : link.addresses) link_of_[address].push_back(&link);
    }
    before_boot_ns_ = EndOfEarlierBoots();
    Result<std::vector<ReservationRecord>> records = store_.Records();
    if (!records.ok()) return 0;
    size_t count = 0;
    std::vector<const OwnerLink*> in_use;
    for (const ReservationRecord& record : *records) {
      const OwnerLink* link = LinkOf(record);
      if (IsDead(record, link) && store_.ReleaseAny(record.address).ok()) {
        ++count;
      } else if (link != nullptr) {
        in_use.push_back(link);
      }
    }
    // Links and their reservations are made under one lock, so what has none now gets none.
    for (const OwnerLink& link : links_) {
      if (std::find(in_use.begin(), in_use.end(), &link) == in_use.end()) store_.Unlink(link.owner);
    }
    return count;
  }

 private:
  // The latest moment of which is known that it was before this boot.
  int64_t EndOfEarlierBoots() {
    int64_t end = host_.BootTimeNs();
    IpStore::Mark mark = store_.ReadMark();
    if (!mark.text.empty() && mark.text != self_.boot) end = std::max(end, mark.written_ns);
    for (const OwnerLink& link : links_) {
      if (link.stamp && link.stamp->boot != self_.boot) end = std::max(end, link.written_ns);
    }
    return end;
  }

  // The link that goes with a reservation. One that is empty after a power cut goes with whoever
  // was to get it.
  const OwnerLink* LinkOf(const ReservationRecord& record) const {
    auto found = link_of_.find(record.address);
    if (found == link_of_.end()) return nullptr;
    std::optional<CniAttachment> owner = store_.OwnerOf(record.address);
    for (const OwnerLink* link : found->second) {
      if (!owner || *owner == link->owner) return link;
    }
    return nullptr;
  }

  bool IsDead(const ReservationRecord& record, const OwnerLink* link) {
    if (link != nullptr && link->stamp) {
      if (link->stamp->boot != self_.boot) return !NamespaceExists(link->owner);
      return scope_ == ReclaimScope::kEverything && IsDeadInThisBoot(*link);
    }
    if (record.empty && scope_ == ReclaimScope::kEverything) return true;
    if (record.written_ns >= before_boot_ns_) return false;
    std::optional<CniAttachment> owner = store_.OwnerOf(record.address);
    return !owner || !NamespaceExists(*owner);
  }

  bool NamespaceExists(const CniAttachment& owner) {
    return host_.ListingOf(network_, owner) == Listing::kNamespaceExists;
  }

  // The process is asked for first: if it has ended before we look for its link, it has made that
  // before we look.
  bool IsDeadInThisBoot(const OwnerLink& link) {
    if (link.stamp->place != self_.place || host_.IsRunning(link.stamp->pid)) return false;
    if (host_.HasLink(link.owner)) return false;
    Listing listing = host_.ListingOf(network_, link.owner);
    if (listing != Listing::kNone && listing != Listing::kProcessGone) return false;
    return host_.Forget(link.owner);
  }

  IpStore& store_;
  const std::string& network_;
  HostView& host_;
  const ReservationStamp self_;
  const ReclaimScope scope_;
  std::vector<OwnerLink> links_;
  std::map<IpAddress, std::vector<const OwnerLink*>> link_of_;
  int64_t before_boot_ns_ = 0;
};

}  // namespace

size_t Reclaim(IpStore& store, const std::string& network, HostView& host, ReclaimScope scope) {
  std::optional<ReservationStamp> self = host.Self();
  if (!self) return 0;
  return Reclaimer(store, network, host, std::move(*self), scope).Run();
}

void ReclaimOnceABoot(IpStore& store, const std::string& network, HostView& host) {
  std::optional<ReservationStamp> self = host.Self();
  if (!self || store.ReadMark().text == self->boot) return;
  Reclaim(store, network, host, ReclaimScope::kEarlierBoots);
  store.SetMark(self->boot);
}

}  // namespace podroute
