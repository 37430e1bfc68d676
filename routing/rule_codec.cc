#include "routing/rule_codec.h"

#include <arpa/inet.h>
#include <linux/fib_rules.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <iterator>

#include "base/shell_words.h"
#include "base/text.h"

namespace podroute {
namespace {

// Conditions of Linux 6.14 and later; older headers lack them.
constexpr uint16_t kFirstUnknown = FRA_DPORT_RANGE + 1;
constexpr uint16_t kLastUnknown = FRA_DPORT_RANGE + 16;
// Two of them are masks of ports: all ones beside a single port.
constexpr uint16_t kPortMasks[] = {FRA_DPORT_RANGE + 4, FRA_DPORT_RANGE + 5};

std::optional<RuleAction> ActionOf(uint8_t action) {
  switch (action) {
    case FR_ACT_TO_TBL:
      return RuleAction::kTable;
    case FR_ACT_GOTO:
      return RuleAction::kGoto;
    case FR_ACT_NOP:
      return RuleAction::kNop;
    case FR_ACT_BLACKHOLE:
      return RuleAction::kBlackhole;
    case FR_ACT_UNREACHABLE:
      return RuleAction::kUnreachable;
    case FR_ACT_PROHIBIT:
      return RuleAction::kProhibit;
    default:
      return std::nullopt;
  }
}

template <typename T>
std::optional<std::pair<T, T>> Range(std::span<const uint8_t> bytes) {
  std::pair<T, T> range;
  if (bytes.size() != 2 * sizeof(T)) return std::nullopt;
  std::memcpy(&range.first, bytes.data(), sizeof(T));
  std::memcpy(&range.second, bytes.data() + sizeof(T), sizeof(T));
  return range;
}

std::optional<IpPrefix> PrefixOf(const NetlinkAttributes& attributes, uint16_t type,
                                 uint8_t length) {
  std::optional<IpAddress> address = attributes.Address(type);
  if (!address || length > address->bits()) return std::nullopt;
  return IpPrefix::Of(*address, length);
}

bool IsWholePort(uint16_t type, std::span<const uint8_t> value) {
  return std::find(std::begin(kPortMasks), std::end(kPortMasks), type) != std::end(kPortMasks) &&
         std::all_of(value.begin(), value.end(), [](uint8_t byte) { return byte == 0xff; });
}

std::string TableName(uint32_t table) {
  return table == RT_TABLE_MAIN      ? "main"
         : table == RT_TABLE_LOCAL   ? "local"
         : table == RT_TABLE_DEFAULT ? "default"
                                     : std::to_string(table);
}

std::string Ports(const std::pair<uint16_t, uint16_t>& range) {
  return std::to_string(range.first) +
         (range.second == range.first ? "" : "-" + std::to_string(range.second));
}

std::string ActionText(const KernelRule& rule) {
  switch (rule.action) {
    case RuleAction::kTable:
      return "lookup " + (rule.l3mdev ? "[l3mdev-table]" : TableName(rule.table));
    case RuleAction::kGoto:
      return "goto " + std::to_string(rule.target);
    case RuleAction::kNop:
      return "nop";
    case RuleAction::kBlackhole:
      return "blackhole";
    case RuleAction::kUnreachable:
      return "unreachable";
    case RuleAction::kProhibit:
      return "prohibit";
  }
  return "";
}

void PutPort(NetlinkBatch& batch, uint16_t type, uint16_t port) {
  if (port == 0) return;
  uint16_t value = htons(port);
  std::array<uint8_t, 2> bytes;
  std::memcpy(bytes.data(), &value, sizeof value);
  batch.Put(type, bytes);
}

}  // namespace

void EncodeDumpRules(NetlinkBatch& batch, IpFamily family) {
  fib_rule_hdr body{};
  body.family = static_cast<uint8_t>(AddressFamily(family));
  batch.Begin(RTM_GETRULE, NLM_F_DUMP, body);
}

std::optional<KernelRule> DecodeRule(const NetlinkMessage& message) {
  auto fixed = message.Fixed<fib_rule_hdr>();
  if (!fixed || (fixed->family != AF_INET && fixed->family != AF_INET6)) return std::nullopt;
  std::optional<RuleAction> action = ActionOf(fixed->action);
  if (!action) return std::nullopt;
  NetlinkAttributes attributes(message.body.subspan(NLMSG_ALIGN(sizeof *fixed)));
  KernelRule rule;
  rule.family = fixed->family == AF_INET ? IpFamily::kV4 : IpFamily::kV6;
  rule.priority = attributes.U32(FRA_PRIORITY);
  rule.action = *action;
  rule.table = attributes.U32(FRA_TABLE, fixed->table);
  rule.target = attributes.U32(FRA_GOTO);
  rule.src = PrefixOf(attributes, FRA_SRC, fixed->src_len);
  rule.dst = PrefixOf(attributes, FRA_DST, fixed->dst_len);
  rule.iif = attributes.Text(FRA_IIFNAME);
  rule.oif = attributes.Text(FRA_OIFNAME);
  rule.mark = attributes.U32(FRA_FWMARK);
  rule.mark_mask = attributes.U32(FRA_FWMASK, rule.mark == 0 ? 0 : 0xffffffff);
  std::span<const uint8_t> protocol = attributes.get(FRA_IP_PROTO);
  if (protocol.size() == 1) rule.ip_protocol = protocol[0];
  if (auto range = Range<uint16_t>(attributes.get(FRA_SPORT_RANGE))) rule.sport = *range;
  if (auto range = Range<uint16_t>(attributes.get(FRA_DPORT_RANGE))) rule.dport = *range;
  rule.uid = Range<uint32_t>(attributes.get(FRA_UID_RANGE));
  std::span<const uint8_t> l3mdev = attributes.get(FRA_L3MDEV);
  rule.l3mdev = l3mdev.size() == 1 && l3mdev[0] != 0;
  rule.other = rule.l3mdev || fixed->tos != 0 || attributes.has(FRA_TUN_ID);
  for (uint16_t type = kFirstUnknown; type <= kLastUnknown; ++type) {
    rule.other = rule.other || (attributes.has(type) && !IsWholePort(type, attributes.get(type)));
  }
  rule.inverted = (fixed->flags & FIB_RULE_INVERT) != 0;
  // -1 as an unsigned number: none.
  rule.suppress_length = static_cast<int>(attributes.U32(FRA_SUPPRESS_PREFIXLEN, 0xffffffff));
  return rule;
}

std::string RuleText(const KernelRule& rule) {
  std::string text = "priority " + std::to_string(rule.priority);
  if (rule.inverted) text += " not";
  if (rule.src) text += " from " + rule.src->ToString();
  if (rule.dst) text += " to " + rule.dst->ToString();
  if (!rule.iif.empty()) text += " iif " + ShellWord(Printable(rule.iif));
  if (!rule.oif.empty()) text += " oif " + ShellWord(Printable(rule.oif));
  if (rule.mark_mask != 0) {
    text += " fwmark " + std::to_string(rule.mark) + "/" + std::to_string(rule.mark_mask);
  }
  if (rule.ip_protocol != 0) text += " ipproto " + std::to_string(rule.ip_protocol);
  if (rule.sport.first != 0) text += " sport " + Ports(rule.sport);
  if (rule.dport.first != 0) text += " dport " + Ports(rule.dport);
  if (rule.uid) {
    text += " uidrange " + std::to_string(rule.uid->first) + "-" + std::to_string(rule.uid->second);
  }
  return text + " " + ActionText(rule);
}

void EncodeAskRoute(NetlinkBatch& batch, const RouteQuestion& question) {
  rtmsg body{};
  body.rtm_family = static_cast<uint8_t>(AddressFamily(question.dst.family()));
  body.rtm_dst_len = static_cast<uint8_t>(question.dst.bits());
  if (question.src) body.rtm_src_len = static_cast<uint8_t>(question.src->bits());
  // IPv6 always tells the table, and refuses the flag.
  if (question.dst.is_v4()) body.rtm_flags = RTM_F_LOOKUP_TABLE;
  batch.Begin(RTM_GETROUTE, 0, body);
  batch.PutAddress(RTA_DST, question.dst);
  if (question.src) batch.PutAddress(RTA_SRC, *question.src);
  if (question.iif != 0) batch.PutU32(RTA_IIF, static_cast<uint32_t>(question.iif));
  if (question.ip_protocol != 0) batch.PutU8(RTA_IP_PROTO, question.ip_protocol);
  PutPort(batch, RTA_SPORT, question.sport);
  PutPort(batch, RTA_DPORT, question.dport);
}

}  // namespace podroute
