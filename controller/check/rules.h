// What is wrong, by what was read. Pure.
#ifndef PODROUTE_CONTROLLER_CHECK_RULES_H_
#define PODROUTE_CONTROLLER_CHECK_RULES_H_

#include <vector>

#include "controller/check/facts.h"
#include "controller/check/finding.h"

namespace podroute {

// All of the below, in this order.
std::vector<Finding> CheckRules(const CheckFacts& facts);

// podCIDRs, addresses, conditions, and what others were told of the pods' networks.
void CheckCluster(const CheckFacts& facts, std::vector<Finding>* findings);
// Kernel settings. REQUIRES of this and the following: facts.host.
void CheckSysctls(const CheckFacts& facts, std::vector<Finding>* findings);
// Bridge, MTU and the CNI files.
void CheckPodLinks(const CheckFacts& facts, std::vector<Finding>* findings);
// What single pods of this node have: their links, addresses, answers.
void CheckPods(const CheckFacts& facts, std::vector<Finding>* findings);
void CheckRouting(const CheckFacts& facts, std::vector<Finding>* findings);
// That the kernel comes to our routes, and back.
void CheckPolicyRouting(const CheckFacts& facts, std::vector<Finding>* findings);
void CheckMasquerade(const CheckFacts& facts, std::vector<Finding>* findings);
void CheckFilter(const CheckFacts& facts, std::vector<Finding>* findings);
void CheckReachability(const CheckFacts& facts, std::vector<Finding>* findings);

}  // namespace podroute

#endif  // PODROUTE_CONTROLLER_CHECK_RULES_H_
