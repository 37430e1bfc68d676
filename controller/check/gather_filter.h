// What the kernel's filters do to forwarded packets.
#ifndef PODROUTE_CONTROLLER_CHECK_GATHER_FILTER_H_
#define PODROUTE_CONTROLLER_CHECK_GATHER_FILTER_H_

#include <string>
#include <vector>

#include "base/status.h"
#include "controller/check/facts.h"
#include "controller/check/finding.h"

namespace podroute {

// From what `nft -j list ruleset` printed. Of the rules those whose whole condition is understood:
// source and destination prefixes; an accept may be for a link too.
Status ReadRulesetJson(const std::string& json, HostFacts* host);

// From what `iptables-legacy -S` or `ip6tables-legacy -S` (`command`) printed.
void ReadLegacyRules(const std::string& text, const std::string& command, HostFacts* host);

// By running these programs where they are, in this network namespace.
void GatherFilter(HostFacts* host, std::vector<Skipped>* skipped);

}  // namespace podroute

#endif  // PODROUTE_CONTROLLER_CHECK_GATHER_FILTER_H_
