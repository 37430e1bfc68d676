// rtnetlink messages as values and back: bytes only, no I/O. The formats are the kernel's own
// (include/uapi/linux/{netlink,rtnetlink,nexthop}.h); libnl 3.7 knows no nexthop objects.
#ifndef PODROUTE_ROUTING_NETLINK_CODEC_H_
#define PODROUTE_ROUTING_NETLINK_CODEC_H_

#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/ip_prefix.h"
#include "routing/local_network.h"
#include "routing/route.h"

namespace podroute {

// Messages one after another, as sendmsg(2) takes them. Every message is complete after each call,
// so there is no "end". Not thread-safe.
class NetlinkBatch {
 public:
  // Starts a message; NLM_F_REQUEST is added. The sequence number is given when it is sent.
  void BeginRaw(uint16_t type, uint16_t flags, const void* body, size_t size);
  template <typename Body>
  void Begin(uint16_t type, uint16_t flags, const Body& body) {
    BeginRaw(type, flags, &body, sizeof body);
  }

  // Appends an attribute to the last message. REQUIRES: a message has been started.
  void Put(uint16_t type, std::span<const uint8_t> value);
  void PutU8(uint16_t type, uint8_t value) { Put(type, {&value, 1}); }
  void PutU32(uint16_t type, uint32_t value);
  void PutText(uint16_t type, std::string_view text);  // NUL-terminated, as the kernel wants it.
  void PutFlag(uint16_t type) { Put(type, {}); }
  void PutAddress(uint16_t type, const IpAddress& address) { Put(type, address.bytes()); }
  // Everything put between the two is inside the attribute. Pass Nest's result to EndNest.
  size_t Nest(uint16_t type);
  void EndNest(size_t nest);
  // Bytes that belong to the open nest without an attribute of their own (struct ifinfomsg of a
  // veth peer); size a multiple of 4.
  void Append(std::span<const uint8_t> bytes);

  size_t size() const { return offsets_.size(); }  // Messages.
  bool empty() const { return offsets_.empty(); }
  std::span<const uint8_t> bytes() const { return bytes_; }
  // Messages [first, last) as bytes.
  std::span<const uint8_t> bytes(size_t first, size_t last) const;
  const nlmsghdr& header(size_t index) const;
  // For the sender: numbers the messages first, first + 1, ...
  void Number(uint32_t first_sequence);
  void Clear();

 private:
  nlmsghdr& Header(size_t index) {
    return *reinterpret_cast<nlmsghdr*>(bytes_.data() + offsets_[index]);
  }
  uint8_t* Grow(size_t size);
  // Where the value of `size` bytes goes, which are zero so far.
  uint8_t* GrowAttribute(uint16_t type, size_t size);

  std::vector<uint8_t> bytes_;
  std::vector<size_t> offsets_;
};

// One received message. A view: valid while the buffer it was read from is.
struct NetlinkMessage {
  nlmsghdr header;
  std::span<const uint8_t> body;  // After the nlmsghdr.

  // The fixed part, or nothing when the message is too short for it.
  template <typename T>
  std::optional<T> Fixed() const {
    if (body.size() < sizeof(T)) return std::nullopt;
    T value;
    std::memcpy(&value, body.data(), sizeof value);
    return value;
  }
};

// Takes the next message off `rest`; nothing at the end or when what is left is malformed.
std::optional<NetlinkMessage> NextMessage(std::span<const uint8_t>& rest);

// The attributes of one message or nest, by type. The last of equal ones counts; types beyond kMax
// are skipped. Views.
class NetlinkAttributes {
 public:
  static constexpr size_t kMax = 64;
  explicit NetlinkAttributes(std::span<const uint8_t> bytes);
  bool has(uint16_t type) const { return type <= kMax && present_[type]; }
  std::span<const uint8_t> get(uint16_t type) const {
    return type <= kMax ? values_[type] : std::span<const uint8_t>();
  }
  uint32_t U32(uint16_t type, uint32_t otherwise = 0) const;
  std::string Text(uint16_t type) const;
  std::optional<IpAddress> Address(uint16_t type) const;  // By length: 4 or 16 bytes.

 private:
  std::array<std::span<const uint8_t>, kMax + 1> values_;
  std::array<bool, kMax + 1> present_{};
};

// What NLMSG_ERROR says. error 0 is an acknowledgement.
struct NetlinkError {
  int error = 0;  // errno
  uint32_t sequence = 0;
  std::string text;  // The kernel's own (NETLINK_EXT_ACK), where it has one.
};
std::optional<NetlinkError> DecodeError(const NetlinkMessage& message);

// ---- Routes and nexthop objects.

struct RouteMark {
  uint32_t table = 254;
  uint8_t protocol = 110;
  uint32_t metric = 110;
  bool operator==(const RouteMark&) const = default;
};

struct KernelRoute {
  IpPrefix dst;
  RouteMark mark;
  uint8_t type = RTN_UNICAST;
  uint8_t tos = 0;
  uint32_t flags = 0;       // RTM_F_*, RTNH_F_*
  uint32_t nexthop_id = 0;  // 0: the route itself says where to.
  // Where to. More than one: multipath (IPv6 dumps routes of equal prefix and metric as one). A
  // route without gateway has the unspecified address there. With a nexthop_id the kernel fills it
  // in too, unless net.ipv4.nexthop_compat_mode is 0: then it is empty.
  std::vector<NextHop> via;
};
std::optional<KernelRoute> DecodeRoute(const NetlinkMessage& message);

struct KernelNexthop {
  uint32_t id = 0;
  uint8_t protocol = 0;
  // False for groups, blackholes, bridge (fdb) nexthops and those without gateway or device.
  bool usable = false;
  bool fdb = false;
  NextHop via;  // Where usable.
};
std::optional<KernelNexthop> DecodeNexthop(const NetlinkMessage& message);

// `flags`: NLM_F_CREATE | NLM_F_EXCL, NLM_F_CREATE | NLM_F_APPEND. nexthop_id 0: by gateway and
// device.
void EncodeAddRoute(NetlinkBatch& batch, uint16_t flags, const RouteMark& mark, const IpPrefix& dst,
                    const NextHop& via, uint32_t nexthop_id);
// Names everything that a route is known by, so that no other can be meant. An unspecified gateway
// and ifindex 0 are left out.
void EncodeDeleteRoute(NetlinkBatch& batch, const RouteMark& mark, const IpPrefix& dst,
                       const NextHop& via, uint32_t nexthop_id);
// `flags`: NLM_F_CREATE | NLM_F_EXCL, or NLM_F_REPLACE.
void EncodeSetNexthop(NetlinkBatch& batch, uint16_t flags, uint8_t protocol, uint32_t id,
                      const NextHop& via);
// Turns a nexthop object into one for bridges, which no route may refer to: see KernelBackend.
void EncodeRetireNexthop(NetlinkBatch& batch, uint8_t protocol, uint32_t id,
                         const IpAddress& gateway);
void EncodeDeleteNexthop(NetlinkBatch& batch, uint32_t id);

// Dump requests, for strict checking.
void EncodeDumpRoutes(NetlinkBatch& batch, IpFamily family, const RouteMark& mark);
void EncodeDumpNexthops(NetlinkBatch& batch);
// Asks which route of the kernel's would carry packets to `address` (RTM_F_FIB_MATCH, Linux 4.13;
// IPv6 5.0).
void EncodeFindRoute(NetlinkBatch& batch, const IpAddress& address);

// ---- Links and addresses.

void EncodeDumpLinks(NetlinkBatch& batch);
void EncodeGetLink(NetlinkBatch& batch, int ifindex);
void EncodeDumpAddresses(NetlinkBatch& batch);
std::optional<LocalLink> DecodeLink(const NetlinkMessage& message);
std::optional<LocalAddress> DecodeAddress(const NetlinkMessage& message);

}  // namespace podroute

#endif  // PODROUTE_ROUTING_NETLINK_CODEC_H_
