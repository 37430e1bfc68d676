// IP addresses and prefixes as values. Both families are one type each, so that no code above asks
// which family it has unless the kernel makes a difference.
#ifndef PODROUTE_BASE_IP_PREFIX_H_
#define PODROUTE_BASE_IP_PREFIX_H_

#include <endian.h>

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace podroute {

enum class IpFamily : uint8_t { kV4 = 4, kV6 = 6 };

// AF_INET or AF_INET6.
int AddressFamily(IpFamily family);
// "IPv4" or "IPv6", for messages.
std::string_view IpFamilyName(IpFamily family);

// An IPv4 or IPv6 address, in network byte order. Immutable. Orders IPv4 before IPv6, then by
// value. A v4-mapped IPv6 address (::ffff:1.2.3.4) is an IPv6 address here.
class IpAddress {
 public:
  IpAddress() = default;  // 0.0.0.0

  // Dotted decimal (four parts, no leading zeros, as RFC 6943 section 3.1.1 asks) or RFC 4291 text.
  // No zone, no brackets, no white space. The message names the text.
  static Result<IpAddress> Parse(std::string_view text);

  // REQUIRES: bytes.size() is 4 or 16 and fits the family.
  static IpAddress FromBytes(IpFamily family, std::span<const uint8_t> bytes);
  static IpAddress V4(uint32_t host_order);

  IpFamily family() const { return family_; }
  bool is_v4() const { return family_ == IpFamily::kV4; }
  // 4 or 16 bytes, network order; valid while this lives.
  std::span<const uint8_t> bytes() const { return {bytes_.data(), size()}; }
  size_t size() const { return is_v4() ? 4 : 16; }
  int bits() const { return is_v4() ? 32 : 128; }

  // Dotted decimal or RFC 5952.
  std::string ToString() const;

  // As it stands in a URL's host: brackets around IPv6.
  std::string ToUrlHost() const;

  bool IsUnspecified() const;
  bool IsLoopback() const;
  bool IsMulticast() const;
  bool IsLinkLocal() const;

  // This address plus n, wrapping around at the end of the family's space.
  IpAddress Plus(uint64_t n) const;

  bool operator==(const IpAddress&) const = default;
  // By words: half of the time of a pass over thousands of nodes would go into comparing bytes.
  std::strong_ordering operator<=>(const IpAddress& other) const {
    if (family_ != other.family_) return family_ <=> other.family_;
    if (Word(0) != other.Word(0)) return Word(0) <=> other.Word(0);
    return Word(8) <=> other.Word(8);
  }

 private:
  friend class IpPrefix;
  // Eight bytes as a number.
  uint64_t Word(size_t at) const {
    uint64_t word;
    std::memcpy(&word, bytes_.data() + at, sizeof word);
    return be64toh(word);
  }

  IpFamily family_ = IpFamily::kV4;
  std::array<uint8_t, 16> bytes_{};  // IPv4: the first four, the rest zero.
};

// A prefix: address and length, host bits always zero. Immutable. Orders by address, then length.
class IpPrefix {
 public:
  IpPrefix() = default;  // 0.0.0.0/0

  // "10.244.2.0/24", "fd00:10:244:2::/64". Set host bits are an error that names the prefix meant
  // ("10.244.2.7/24 has host bits set; 10.244.2.0/24 would be right"), as is a missing length.
  static Result<IpPrefix> Parse(std::string_view text);

  // The prefix that `address` is in: host bits are cleared. REQUIRES: 0 <= length <=
  // address.bits().
  static IpPrefix Of(const IpAddress& address, int length);

  const IpAddress& address() const { return address_; }
  int length() const { return length_; }
  IpFamily family() const { return address_.family(); }
  bool is_v4() const { return address_.is_v4(); }

  bool Contains(const IpAddress& address) const {  // False across families.
    return address.family() == family() &&
           ((address.Word(0) ^ address_.Word(0)) & Mask(length_)) == 0 &&
           ((address.Word(8) ^ address_.Word(8)) & Mask(length_ - 64)) == 0;
  }
  bool Contains(const IpPrefix& other) const {  // Equal prefixes contain each other.
    return other.length_ >= length_ && Contains(other.address_);
  }
  bool Overlaps(const IpPrefix& other) const { return Contains(other) || other.Contains(*this); }

  // The highest address in it (the broadcast address of an IPv4 subnet).
  IpAddress Last() const;

  std::string ToString() const;

  auto operator<=>(const IpPrefix&) const = default;

 private:
  // The highest `bits` of a word; none when negative, all from 64 on.
  static uint64_t Mask(int bits) {
    if (bits <= 0) return 0;
    return bits >= 64 ? ~uint64_t{0} : ~uint64_t{0} << (64 - bits);
  }

  IpAddress address_;
  int length_ = 0;
};

// A comma-separated list of prefixes; empty text is an empty list; white space around a prefix is
// allowed. An error names the part that is wrong.
Result<std::vector<IpPrefix>> ParsePrefixList(std::string_view text);

}  // namespace podroute

template <>
struct std::hash<podroute::IpAddress> {
  size_t operator()(const podroute::IpAddress& address) const noexcept;
};

template <>
struct std::hash<podroute::IpPrefix> {
  size_t operator()(const podroute::IpPrefix& prefix) const noexcept {
    return std::hash<podroute::IpAddress>()(prefix.address()) * 131 +
           static_cast<size_t>(prefix.length());
  }
};

#endif  // PODROUTE_BASE_IP_PREFIX_H_
