#include "controller/check/probe.h"

#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <map>
#include <optional>
#include <utility>

#include "base/unique_fd.h"

namespace podroute {
namespace {

constexpr int kTries = 3;
constexpr uint32_t kSmallBytes = 64;
constexpr size_t kMaxProbes = 65535;  // One sequence number each.
using Steady = std::chrono::steady_clock;

uint16_t Checksum(const std::vector<uint8_t>& bytes) {
  uint32_t sum = 0;
  for (size_t i = 0; i + 1 < bytes.size(); i += 2) sum += (bytes[i] << 8) | bytes[i + 1];
  if (bytes.size() % 2 != 0) sum += bytes.back() << 8;
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(~sum);
}

std::vector<uint8_t> EchoRequest(IpFamily family, uint16_t sequence, uint32_t ip_bytes) {
  const bool v4 = family == IpFamily::kV4;
  std::vector<uint8_t> packet(std::max<uint32_t>(ip_bytes, 56) - (v4 ? 20 : 40));
  packet[0] = v4 ? uint8_t{ICMP_ECHO} : uint8_t{ICMP6_ECHO_REQUEST};
  packet[4] = 0x70;  // Our identifier; a ping socket writes its own.
  packet[5] = 0x72;
  packet[6] = static_cast<uint8_t>(sequence >> 8);
  packet[7] = static_cast<uint8_t>(sequence);
  if (v4) {  // The kernel fills IPv6's in.
    uint16_t sum = Checksum(packet);
    packet[2] = static_cast<uint8_t>(sum >> 8);
    packet[3] = static_cast<uint8_t>(sum);
  }
  return packet;
}

socklen_t ToSocketAddress(const IpAddress& address, sockaddr_storage* storage) {
  *storage = {};
  if (address.is_v4()) {
    auto* to = reinterpret_cast<sockaddr_in*>(storage);
    to->sin_family = AF_INET;
    std::memcpy(&to->sin_addr, address.bytes().data(), 4);
    return sizeof(sockaddr_in);
  }
  auto* to = reinterpret_cast<sockaddr_in6*>(storage);
  to->sin6_family = AF_INET6;
  std::memcpy(&to->sin6_addr, address.bytes().data(), 16);
  return sizeof(sockaddr_in6);
}

Result<UniqueFd> OpenSocket(IpFamily family, const std::optional<IpAddress>& source, bool* raw) {
  const int domain = AddressFamily(family);
  const int protocol = family == IpFamily::kV4 ? int{IPPROTO_ICMP} : int{IPPROTO_ICMPV6};
  *raw = true;
  UniqueFd fd(socket(domain, SOCK_RAW | SOCK_CLOEXEC, protocol));
  if (!fd) {
    *raw = false;
    fd = UniqueFd(socket(domain, SOCK_DGRAM | SOCK_CLOEXEC, protocol));
  }
  if (!fd) return Status::FromErrno(errno, "open a socket for ICMP echo");
  // DF, and the full size whatever was learnt of the path before.
  static_assert(int{IP_PMTUDISC_PROBE} == int{IPV6_PMTUDISC_PROBE});
  int probe = IP_PMTUDISC_PROBE;
  int level = family == IpFamily::kV4 ? int{IPPROTO_IP} : int{IPPROTO_IPV6};
  int option = family == IpFamily::kV4 ? IP_MTU_DISCOVER : IPV6_MTU_DISCOVER;
  if (setsockopt(fd.get(), level, option, &probe, sizeof probe) != 0) {
    return Status::FromErrno(errno, "forbid fragments");
  }
  if (source) {
    sockaddr_storage storage;
    socklen_t size = ToSocketAddress(*source, &storage);
    if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&storage), size) != 0) {
      return Status::FromErrno(errno, "ping from " + source->ToString());
    }
  }
  int buffer = 4 << 20;
  if (setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer) != 0) {
    return Status::FromErrno(errno, "set a socket's buffer");
  }
  return fd;
}

void SendTo(int fd, const IpAddress& address, const std::vector<uint8_t>& packet) {
  sockaddr_storage storage;
  socklen_t size = ToSocketAddress(address, &storage);
  // One that cannot be sent (no route, EMSGSIZE) gets no answer, which is what counts.
  (void)!sendto(fd, packet.data(), packet.size(), MSG_DONTWAIT,
                reinterpret_cast<const sockaddr*>(&storage), size);
}

// One packet, if it is an answer to one of `open`.
void Receive(int fd, IpFamily family, bool raw, Reached reached, std::vector<ProbeFact*>* open) {
  std::array<uint8_t, 65536> buffer;
  ssize_t size = recv(fd, buffer.data(), buffer.size(), MSG_DONTWAIT);
  const bool v4 = family == IpFamily::kV4;
  size_t at = raw && v4 ? (buffer[0] & 0xfu) * 4 : 0;
  if (size < static_cast<ssize_t>(at + 8)) return;
  const uint8_t* icmp = buffer.data() + at;
  if (icmp[0] != (v4 ? uint8_t{ICMP_ECHOREPLY} : uint8_t{ICMP6_ECHO_REPLY})) return;
  if (raw && (icmp[4] != 0x70 || icmp[5] != 0x72)) return;
  size_t sequence = static_cast<size_t>(icmp[6]) << 8 | icmp[7];
  if (sequence < open->size() && (*open)[sequence]->reached == Reached::kNo) {
    (*open)[sequence]->reached = reached;
  }
}

void Round(int fd, IpFamily family, bool raw, bool full, std::vector<ProbeFact*>* all) {
  auto missing = [&] {
    return std::any_of(all->begin(), all->end(),
                       [](const ProbeFact* probe) { return probe->reached == Reached::kNo; });
  };
  auto wait = [&](std::chrono::milliseconds time, bool until_all) {
    const auto deadline = Steady::now() + time;
    while (!until_all || missing()) {
      auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Steady::now());
      pollfd ready{fd, POLLIN, 0};
      if (left.count() <= 0 || poll(&ready, 1, static_cast<int>(left.count())) <= 0) return;
      Receive(fd, family, raw, full ? Reached::kFull : Reached::kSmallOnly, all);
    }
  };
  for (size_t i = 0; i < all->size(); ++i) {
    const ProbeFact& probe = *(*all)[i];
    if (probe.reached != Reached::kNo) continue;
    SendTo(fd, probe.address,
           EchoRequest(family, static_cast<uint16_t>(i), full ? probe.bytes : kSmallBytes));
    wait(std::chrono::milliseconds(1), false);
  }
  wait(std::chrono::seconds(1), true);
}

}  // namespace

Status Probe(std::vector<ProbeFact>* probes) {
  std::map<std::pair<IpFamily, std::optional<IpAddress>>, std::vector<ProbeFact*>> groups;
  for (ProbeFact& probe : *probes) {
    std::vector<ProbeFact*>& group = groups[{probe.address.family(), probe.source}];
    if (group.size() < kMaxProbes) group.push_back(&probe);
  }
  for (auto& [key, group] : groups) {
    const auto& [family, source] = key;
    for (bool full : {true, false}) {
      // A late answer to a full-size request must not count for a small one, nor the other way.
      bool raw = false;
      PODROUTE_ASSIGN_OR_RETURN(UniqueFd fd, OpenSocket(family, source, &raw));
      for (int tries = 0; tries < kTries; ++tries) Round(fd.get(), family, raw, full, &group);
    }
  }
  return Status::Ok();
}

}  // namespace podroute
