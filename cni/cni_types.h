// The values that the plugin's rooms pass to each other, as the CNI specification 1.1.0 has them.
#ifndef PODROUTE_CNI_CNI_TYPES_H_
#define PODROUTE_CNI_CNI_TYPES_H_

#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/ip_prefix.h"
#include "base/status.h"

namespace podroute {

// Error codes of the specification, section "Error". 100 and up are the plugin's own.
enum class CniErrorCode : unsigned {
  kIncompatibleVersion = 1,
  kUnsupportedField = 2,
  kUnknownContainer = 3,
  kInvalidEnvironment = 4,
  kIoFailure = 5,
  kDecodingFailure = 6,
  kInvalidConfig = 7,
  kTryAgainLater = 11,
  kUnavailable = 50,          // STATUS: ADD would fail.
  kLimitedConnectivity = 51,  // STATUS: ADD would fail, and running containers suffer.
  kKernel = 100,              // The kernel refused a change to links, addresses or routes.
  kAddressUnavailable = 101,  // No free address, or the one asked for is not to be had.
  kStore = 102,               // The reservations could not be read or written.
  kCheckFailed = 103,         // CHECK: the container's network is not as prevResult has it.
  kDelegate = 104,            // The delegated IPAM plugin could not be run.
  kPortTaken = 105,           // Another attachment has the hostPort.
  kInternal = 999,
};

struct CniError {
  CniErrorCode code = CniErrorCode::kInternal;
  // A delegated plugin's own code, passed on as it came.
  std::optional<unsigned> foreign_code;
  std::string message;  // What is wrong, one line.
  std::string details;  // What an operator can do about it; may be empty.

  unsigned number() const { return foreign_code.value_or(static_cast<unsigned>(code)); }
  bool operator==(const CniError&) const = default;
};

// `status`'s message under a CNI code.
inline CniError ToCniError(CniErrorCode code, const Status& status, std::string details = "") {
  return CniError{code, std::nullopt, status.message(), std::move(details)};
}

// Either a T or a CniError, as base's Result is a T or a Status.
template <typename T>
class [[nodiscard]] CniOr {
 public:
  CniOr(T value) : value_(std::move(value)) {}         // NOLINT(google-explicit-constructor)
  CniOr(CniError error) : error_(std::move(error)) {}  // NOLINT(google-explicit-constructor)

  bool ok() const { return value_.has_value(); }
  const CniError& error() const { return error_; }
  // REQUIRES: ok(). Aborts otherwise.
  T& value() {
    if (!value_) std::abort();
    return *value_;
  }
  const T& value() const { return const_cast<CniOr*>(this)->value(); }
  T& operator*() { return value(); }
  const T& operator*() const { return value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

 private:
  std::optional<T> value_;
  CniError error_;
};

// For steps that yield nothing: no value means that it went well.
using CniProblem = std::optional<CniError>;

// VLANs `first` to `last`, both included, of 1 to 4094 (IEEE 802.1Q keeps 0 and 4095).
struct VlanRange {
  uint16_t first = 0;
  uint16_t last = 0;

  auto operator<=>(const VlanRange&) const = default;
};

// The version of the specification that a configuration is written in, oldest first.
enum class CniVersion : uint8_t { k030, k031, k040, k100, k110 };

inline constexpr CniVersion kNewestCniVersion = CniVersion::k110;

struct CniDns {
  std::vector<std::string> nameservers;
  std::string domain;
  std::vector<std::string> search;
  std::vector<std::string> options;

  bool empty() const {
    return nameservers.empty() && domain.empty() && search.empty() && options.empty();
  }
  bool operator==(const CniDns&) const = default;
};

// An address with the length of its subnet, host bits kept: "10.244.2.7/24".
struct IpWithLength {
  IpAddress address;
  int length = 0;

  IpPrefix subnet() const { return IpPrefix::Of(address, length); }
  std::string ToString() const { return address.ToString() + "/" + std::to_string(length); }
  auto operator<=>(const IpWithLength&) const = default;
};

struct CniIp {
  IpWithLength address;
  std::optional<IpAddress> gateway;
  std::optional<int> interface;  // Index into CniResult::interfaces.

  bool operator==(const CniIp&) const = default;
};

struct CniRoute {
  IpPrefix dst;
  std::optional<IpAddress> gateway;  // None: the gateway of the address of the same family.
  // Since 1.1.0; 0 or none means the kernel's default.
  uint32_t mtu = 0;
  uint32_t advmss = 0;
  std::optional<uint32_t> priority;
  std::optional<uint32_t> table;
  std::optional<uint8_t> scope;

  bool operator==(const CniRoute&) const = default;
};

struct CniInterface {
  std::string name;
  std::string mac;
  std::string sandbox;  // Path of the network namespace; empty: the host.
  uint32_t mtu = 0;     // Written since 1.1.0; 0: not known.

  bool operator==(const CniInterface&) const = default;
};

struct CniResult {
  std::vector<CniInterface> interfaces;
  std::vector<CniIp> ips;
  std::vector<CniRoute> routes;
  CniDns dns;

  bool operator==(const CniResult&) const = default;
};

// One attachment: what GC's cni.dev/valid-attachments lists, and what a reservation belongs to.
struct CniAttachment {
  std::string container_id;
  std::string interface;

  auto operator<=>(const CniAttachment&) const = default;
};

}  // namespace podroute

#endif  // PODROUTE_CNI_CNI_TYPES_H_
