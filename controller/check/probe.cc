#include "controller/check/probe.h"

#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

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
constexpr size_t kMaxProbes = 65535;  // One sequence number each.
using Steady = std::chrono::steady_clock;

uint16_t Checksum(const std::vector<uint8_t>& bytes) {
  uint32_t sum = 0;
  for (size_t i = 0; i + 1 < bytes.size(); i += 2) sum += (bytes[i] << 8) | bytes[i + 1];
  if (bytes.size() % 2 != 0) sum += bytes.back() << 8;
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(~sum);
}

std::vector<uint8_t> EchoRequest(IpFamily family, uint16_t id, uint16_t sequence,
                                 uint32_t ip_bytes) {
  const bool v4 = family == IpFamily::kV4;
  std::vector<uint8_t> packet(std::max<uint32_t>(ip_bytes, 56) - (v4 ? 20 : 40));
  packet[0] = v4 ? uint8_t{ICMP_ECHO} : uint8_t{ICMP6_ECHO_REQUEST};
  packet[4] = static_cast<uint8_t>(id >> 8);  // A ping socket writes its own.
  packet[5] = static_cast<uint8_t>(id);
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

IpAddress FromSocketAddress(const sockaddr_storage& storage) {
  if (storage.ss_family == AF_INET) {
    const auto* from = reinterpret_cast<const sockaddr_in*>(&storage);
    return IpAddress::FromBytes(IpFamily::kV4,
                                {reinterpret_cast<const uint8_t*>(&from->sin_addr), 4});
  }
  const auto* from = reinterpret_cast<const sockaddr_in6*>(&storage);
  return IpAddress::FromBytes(IpFamily::kV6,
                              {reinterpret_cast<const uint8_t*>(&from->sin6_addr), 16});
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

// Those that one socket asks.
struct Group {
  IpFamily family = IpFamily::kV4;
  std::vector<ProbeFact*> probes;
  uint16_t id = 0;  // In each request.
  UniqueFd fd;
  bool raw = false;
};

// One packet, if it is an answer to one of the group's. A raw socket gets everybody's.
void Receive(Reached reached, Group* group) {
  std::array<uint8_t, 65536> buffer;
  sockaddr_storage from{};
  socklen_t from_size = sizeof from;
  ssize_t size = recvfrom(group->fd.get(), buffer.data(), buffer.size(), MSG_DONTWAIT,
                          reinterpret_cast<sockaddr*>(&from), &from_size);
  const bool v4 = group->family == IpFamily::kV4;
  size_t at = group->raw && v4 ? (buffer[0] & 0xfu) * 4 : 0;
  if (size < static_cast<ssize_t>(at + 8)) return;
  const uint8_t* icmp = buffer.data() + at;
  if (icmp[0] != (v4 ? uint8_t{ICMP_ECHOREPLY} : uint8_t{ICMP6_ECHO_REPLY})) return;
  if (group->raw && (icmp[4] << 8 | icmp[5]) != group->id) return;
  size_t sequence = static_cast<size_t>(icmp[6]) << 8 | icmp[7];
  if (sequence >= group->probes.size()) return;
  ProbeFact& probe = *group->probes[sequence];
  if (probe.reached == Reached::kNo && FromSocketAddress(from) == probe.address) {
    probe.reached = reached;
  }
}

void Round(const std::vector<Group*>& groups, bool full) {
  const Reached reached = full ? Reached::kFull : Reached::kSmallOnly;
  auto asks = [full](const ProbeFact& probe) {
    return probe.reached == Reached::kNo && (full || probe.bytes > kSmallProbe);
  };
  auto missing = [&] {
    return std::any_of(groups.begin(), groups.end(), [&](const Group* group) {
      return std::any_of(group->probes.begin(), group->probes.end(),
                         [&](const ProbeFact* probe) { return asks(*probe); });
    });
  };
  std::vector<pollfd> ready;
  ready.reserve(groups.size());
  for (const Group* group : groups) ready.push_back({group->fd.get(), POLLIN, 0});
  auto wait = [&](std::chrono::milliseconds time, bool until_all) {
    const auto deadline = Steady::now() + time;
    while (!until_all || missing()) {
      // Up, or the pause after a request would be none.
      auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Steady::now());
      if (left.count() <= 0) return;
      if (poll(ready.data(), ready.size(), static_cast<int>(left.count())) <= 0) return;
      for (size_t i = 0; i < groups.size(); ++i) {
        if (ready[i].revents != 0) Receive(reached, groups[i]);
      }
    }
  };
  for (Group* group : groups) {
    for (size_t i = 0; i < group->probes.size(); ++i) {
      const ProbeFact& probe = *group->probes[i];
      if (!asks(probe)) continue;
      SendTo(group->fd.get(), probe.address,
             EchoRequest(group->family, group->id, static_cast<uint16_t>(i),
                         full ? probe.bytes : kSmallProbe));
      wait(std::chrono::milliseconds(1), false);
    }
  }
  wait(std::chrono::seconds(1), true);
}

}  // namespace

Status Probe(std::vector<ProbeFact>* probes) {
  std::map<std::pair<IpFamily, std::optional<IpAddress>>, Group> by_source;
  for (ProbeFact& probe : *probes) {
    Group& group = by_source[{probe.address.family(), probe.source}];
    group.family = probe.address.family();
    if (group.probes.size() < kMaxProbes) group.probes.push_back(&probe);
  }
  std::vector<Group*> groups;
  auto id = static_cast<uint16_t>(getpid());  // Others may check at the same moment.
  for (auto& [source, group] : by_source) {
    group.id = id++;
    groups.push_back(&group);
  }
  for (bool full : {true, false}) {
    // A late answer to a full-size request must not count for a small one, nor the other way.
    for (auto& [source, group] : by_source) {
      PODROUTE_ASSIGN_OR_RETURN(group.fd, OpenSocket(source.first, source.second, &group.raw));
    }
    for (int tries = 0; tries < kTries; ++tries) Round(groups, full);
  }
  return Status::Ok();
}

}  // namespace podroute
