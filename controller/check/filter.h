// The kernel's packet filters, as far as `podroute check` understands them, and what they do to a
// flow of packets. Pure.
#ifndef PODROUTE_CONTROLLER_CHECK_FILTER_H_
#define PODROUTE_CONTROLLER_CHECK_FILTER_H_

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/ip_prefix.h"

namespace podroute {

// How much of a flow something concerns. Of several conditions the least counts.
enum class FlowPart { kNone, kUnknown, kSome, kAll };
FlowPart Not(FlowPart part);

// Packets that this node forwards, from link to link or, `bridged`, between two ports of its
// bridge: such as open connections, of any protocol, to ports that nobody has a rule for. Empty
// links or prefixes: not known.
struct FilterFlow {
  std::string show;  // "packets from ... to ..."
  IpFamily family = IpFamily::kV4;
  std::vector<std::string> in_links, out_links;
  std::vector<IpPrefix> sources, targets;
  bool bridged = false;
  bool bridge_netfilter = false;  // Bridged packets of that family pass the rules for routed ones.
};

struct AddressSpan {
  IpAddress first, last;  // Both are in.
};

// One condition of a rule.
struct FilterTest {
  enum class On { kInLink, kOutLink, kSource, kTarget, kFamily, kBridged, kConstant };
  On on = On::kConstant;
  bool negated = false;
  std::vector<std::string> links;  // "eth*": all whose names start so.
  std::vector<AddressSpan> addresses;
  IpFamily family = IpFamily::kV4;
  FlowPart part = FlowPart::kUnknown;  // Of any flow: kConstant.
};

// kTranslate: another source address (masquerade, snat), and accepted.
enum class FilterVerdict { kContinue, kAccept, kDrop, kTranslate, kReturn, kJump, kGoto };

struct FilterRule {
  std::vector<FilterTest> tests;  // All must hold.
  FilterVerdict verdict = FilterVerdict::kContinue;
  std::string target;  // kJump, kGoto: a chain of the same table.
  std::string show;
  std::string mend;  // A command that deletes it.
};

struct FilterChain {
  std::string show;  // "ip filter FORWARD"
  // It is a base chain that packets pass which this node forwards, whatever its hook is. Others are
  // reached by a jump.
  bool base = false;
  bool v4 = true, v6 = true;
  // Of the family "bridge": which packets pass it. Else routed ones, and by br_netfilter bridged.
  bool of_bridge = false, routed = true, bridged = true;
  bool policy_drop = false;
  std::string mend_policy;  // A command that makes it accept.
  std::vector<FilterRule> rules;
};

// By table ("ip filter") and name.
using FilterChains = std::map<std::pair<std::string, std::string>, FilterChain>;

// What drops packets, or gives them another source address.
struct FilterHit {
  const FilterChain* chain;  // The base chain.
  const FilterRule* rule;    // Null: by its policy.
  // False: rules that are not understood, or that hold for a part, may have accepted it before.
  bool certain;
};

// What becomes of packets of the flow. What hangs on a condition that is not understood does not
// count. Valid as long as `chains` is.
std::vector<FilterHit> TraceFlow(const FilterChains& chains, const FilterFlow& flow);

}  // namespace podroute

#endif  // PODROUTE_CONTROLLER_CHECK_FILTER_H_
