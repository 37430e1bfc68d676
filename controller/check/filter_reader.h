// What nft and iptables print, as filters that can be traced. Pure.
#ifndef PODROUTE_CONTROLLER_CHECK_FILTER_READER_H_
#define PODROUTE_CONTROLLER_CHECK_FILTER_READER_H_

#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "base/status.h"
#include "controller/check/filter.h"

namespace podroute {

// The packets that a flow is of are new connections' and later ones, of all protocols:
// - a connection's state "new" holds for all that matter, any other for none;
// - a port, a TCP flag, an ICMP type is some application's business: it holds for none;
// - a mark that is asked for has been set by a rule whose business that is: it holds for none.
// Of all else that is not about links, addresses and families it is not known.
FilterTest ConstantTest(FlowPart part, bool negated = false);
FilterTest ProtocolTest(std::string_view protocol, bool negated);
FilterTest StateTest(const std::set<std::string>& states, bool negated);
FilterTest MarkTest(std::string_view value, bool negated);
// "10.0.0.0/8", "10.0.0.1", "10.0.0.1-10.0.0.9"; nothing: it is none of these.
std::optional<AddressSpan> ParseAddressSpan(std::string_view text);

struct RulesetRead {
  FilterChains chains;
  bool kube_proxy = false;  // Its chains or its table are there.
  // iptables' matches are in there, of which nft tells the name only.
  bool iptables_v4 = false, iptables_v6 = false;
};

// From what `nft -j list ruleset` or `list table` prints (libnftables-json(5)); adds to what is
// there already.
Status ReadNftRuleset(const std::string& json, RulesetRead* read);

// From what `COMMAND-save` prints: "iptables-legacy" and the like. Its tables take the place of
// those that nft told of by the same name.
void ReadIptablesSave(const std::string& text, const std::string& command, RulesetRead* read);

}  // namespace podroute

#endif  // PODROUTE_CONTROLLER_CHECK_FILTER_READER_H_
