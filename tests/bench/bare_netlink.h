// What a program would write that has nothing but the kernel's headers: the yardsticks that the
// route benchmark measures against. Deliberately shares no code with routing/.
#ifndef PODROUTE_TESTS_BENCH_BARE_NETLINK_H_
#define PODROUTE_TESTS_BENCH_BARE_NETLINK_H_

#include <cstddef>
#include <cstdint>
#include <vector>

namespace podroute {

struct BareRoute {
  uint32_t dst;      // Network byte order, a /24.
  uint32_t gateway;  // Network byte order.
  uint32_t nexthop_id;
};

// Each returns how many of the messages the kernel refused. A failing system call aborts.
class BareNetlink {
 public:
  BareNetlink();
  ~BareNetlink();
  BareNetlink(const BareNetlink&) = delete;
  BareNetlink& operator=(const BareNetlink&) = delete;

  // The least that will do: one nexthop object and one route for each, all in batches of 64 KiB.
  size_t AddWithNexthopObjects(const std::vector<BareRoute>& routes, int ifindex);
  // As flannel and kindnet do through vishvananda/netlink's RouteReplace: a route with a gateway
  // for each node, one request at a time, its acknowledgement awaited.
  size_t ReplaceOneByOne(const std::vector<BareRoute>& routes, int ifindex);
  // The same routes in batches.
  size_t ReplaceBatched(const std::vector<BareRoute>& routes, int ifindex);
  // Deletes one route of protocol 110.
  size_t Delete(const BareRoute& route);
  size_t DeleteNexthop(uint32_t id);
  // Sets links up or down, in one batch.
  struct LinkChange {
    int ifindex;
    bool up;
  };
  size_t SetLinks(const std::vector<LinkChange>& changes);

 private:
  struct Request;
  size_t Send(const void* bytes, size_t size);
  size_t Drain();

  int fd_;
};

}  // namespace podroute

#endif  // PODROUTE_TESTS_BENCH_BARE_NETLINK_H_
