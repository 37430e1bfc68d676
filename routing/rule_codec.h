// Rules of policy routing (`ip rule`) and questions about them as netlink messages: bytes only, no
// I/O. The formats are the kernel's own (include/uapi/linux/{fib_rules,rtnetlink}.h).
#ifndef PODROUTE_ROUTING_RULE_CODEC_H_
#define PODROUTE_ROUTING_RULE_CODEC_H_

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "base/ip_prefix.h"
#include "routing/netlink_codec.h"

namespace podroute {

enum class RuleAction { kTable, kGoto, kNop, kBlackhole, kUnreachable, kProhibit };

struct KernelRule {
  IpFamily family = IpFamily::kV4;
  uint32_t priority = 0;
  RuleAction action = RuleAction::kTable;
  uint32_t table = 0;   // kTable
  uint32_t target = 0;  // kGoto: the priority that goes on.
  // What it is for; absent, empty or 0: anything.
  std::optional<IpPrefix> src, dst;
  std::string iif, oif;
  uint32_t mark = 0, mark_mask = 0;  // With mask 0 there is none.
  uint8_t ip_protocol = 0;
  std::pair<uint16_t, uint16_t> sport, dport;        // First and last; {0, 0}: any.
  std::optional<std::pair<uint32_t, uint32_t>> uid;  // First and last.
  bool other = false;   // It has conditions beside: TOS, VRF (l3mdev), tunnel, flow label.
  bool l3mdev = false;  // That of VRFs.
  bool inverted = false;
  int suppress_length = -1;  // What its table finds counts only with a longer prefix than that.
  bool operator==(const KernelRule&) const = default;
};

// In order of priority, as the kernel dumps them.
void EncodeDumpRules(NetlinkBatch& batch, IpFamily family);
std::optional<KernelRule> DecodeRule(const NetlinkMessage& message);

// As `ip rule` shows it and takes it: "priority 100 from 10.0.0.0/8 lookup 7".
std::string RuleText(const KernelRule& rule);

// Packets of which the kernel is asked where it would send them.
struct RouteQuestion {
  IpAddress dst;
  std::optional<IpAddress> src;
  int iif = 0;              // The link that they come in by; 0: this machine sends them.
  uint8_t ip_protocol = 0;  // 0: not said, which Linux takes for UDP.
  uint16_t sport = 0, dport = 0;
};
// The answer is a route (DecodeRoute), with the table it is in and where it leads, or an error:
// ENETUNREACH no route; what rules and IPv4 routes forbid EINVAL (blackhole), EACCES (prohibit),
// ENETUNREACH or EHOSTUNREACH (unreachable), IPv6 rules always ENETUNREACH. IPv4 with `iif` also
// EHOSTUNREACH where the link does not forward, and EXDEV or (from Linux 6.13) EINVAL where
// rp_filter or the like refuses the source.
void EncodeAskRoute(NetlinkBatch& batch, const RouteQuestion& question);

}  // namespace podroute

#endif  // PODROUTE_ROUTING_RULE_CODEC_H_
