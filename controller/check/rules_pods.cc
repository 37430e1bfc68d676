#include <algorithm>

#include "base/shell_words.h"
#include "base/text.h"
#include "cni/conflist.h"
#include "controller/check/rules.h"

namespace podroute {
namespace {

std::string Join(const std::vector<IpAddress>& addresses) {
  std::string text;
  for (const IpAddress& address : addresses)
    text += (text.empty() ? "" : ", ") + address.ToString();
  return text.empty() ? "no address" : text;
}

std::string NewPod(const char* what) {
  return std::string("# delete the pod: the one that takes its place has ") + what;
}

bool Within(const std::vector<IpPrefix>& cidrs, const IpAddress& address) {
  return std::any_of(cidrs.begin(), cidrs.end(),
                     [&](const IpPrefix& cidr) { return cidr.Contains(address); });
}

// Whether the pod is in the bridge, and takes and sends.
bool CheckPlug(const HostFacts& host, const PodLinkFact& pod, const std::string& port,
               std::vector<Finding>* findings) {
  const char* why = "this pod reaches nothing, and nothing reaches it";
  const std::string bridge_link = "bridge link set dev " + ShellWord(port) + " ";
  if (!pod.in_bridge || !pod.up) {
    findings->push_back(
        {"PodCutOff", Severity::kError,
         "a pod's link " + port + (pod.up ? " is not in cni0" : " is down"), why,
         "ip link set " + ShellWord(port) + " master cni0 up && " + bridge_link + "hairpin on"});
    return false;
  }
  if (pod.pod_up == false) {
    findings->push_back({"PodCutOff", Severity::kError, "the pod's own end of " + port + " is down",
                         why, NewPod("a new link")});
    return false;
  }
  if (!pod.forwards) {
    findings->push_back({"PodCutOff", Severity::kError,
                         "the bridge does not forward for a pod's link " + port, why,
                         bridge_link + "state 3"});
    return false;
  }
  if (pod.isolated) {
    // Two such ports do not talk to each other (br_skb_isolated); one has nobody to miss.
    const bool others = std::count_if(host.pods.begin(), host.pods.end(),
                                      [](const auto& other) { return other.isolated; }) > 1;
    findings->push_back(
        {"PodIsolated", others ? Severity::kError : Severity::kWarning,
         "a pod's link " + port + " is isolated",
         "this pod and others of this node that are isolated do not reach each other",
         bridge_link + "isolated off"});
  }
  if (!pod.hairpin) {
    findings->push_back({"HairpinOff", Severity::kWarning,
                         "a pod's link " + port + " is not in hairpin mode",
                         "this pod gets no answer from a service of which it is an endpoint itself",
                         bridge_link + "hairpin on"});
  }
  return true;
}

void CheckPodMtu(const HostFacts& host, const PodLinkFact& pod, const std::string& port,
                 std::vector<Finding>* findings) {
  if (host.wanted_mtu == 0 || !pod.pod_mtu || *pod.pod_mtu == host.wanted_mtu) return;
  findings->push_back({"PodMtu", Severity::kWarning,
                       "the pod's own end of " + port + " has MTU " + std::to_string(*pod.pod_mtu) +
                           ", not " + std::to_string(host.wanted_mtu),
                       "its large packets, or those to it, are lost", NewPod("the right one")});
}

// Each pod gets an address of each family that the node has.
void CheckPodFamilies(const HostFacts& host, const std::vector<IpAddress>& own,
                      const std::string& has, std::vector<Finding>* findings) {
  for (const IpPrefix& cidr : host.pod_cidrs) {
    const bool there = std::any_of(own.begin(), own.end(), [&](const IpAddress& address) {
      return address.family() == cidr.family() && Within(host.pod_cidrs, address);
    });
    if (there) continue;
    findings->push_back({"PodAddressWrong", Severity::kWarning,
                         has + ", and nothing of " + cidr.ToString(),
                         "it has lost that address, or was there before the node had that podCIDR",
                         NewPod("both")});
    return;
  }
}

// Whether it has what it was given.
bool CheckAddress(const HostFacts& host, const PodLinkFact& pod, const std::string& port,
                  std::vector<Finding>* findings) {
  if (!pod.addresses || host.pod_cidrs.empty()) return true;
  const std::vector<IpAddress>& own = *pod.addresses;
  const bool here = std::any_of(own.begin(), own.end(), [&](const IpAddress& address) {
    return Within(host.pod_cidrs, address);
  });
  const bool given = !pod.given || !Within(host.pod_cidrs, *pod.given) ||
                     std::find(own.begin(), own.end(), *pod.given) != own.end();
  const std::string has = "the pod at " + port + " has " + Join(own);
  if (here && given) {
    CheckPodFamilies(host, own, has, findings);
    return true;
  }
  if (!given) {
    findings->push_back(
        {"PodAddressWrong", Severity::kError, has + ", but was given " + pod.given->ToString(),
         "what is for this pod does not reach it, and it may have another's address",
         NewPod("its own")});
    return false;
  }
  std::string cidrs;
  for (const IpPrefix& cidr : host.pod_cidrs)
    cidrs += (cidrs.empty() ? "" : ", ") + cidr.ToString();
  findings->push_back({"PodAddressWrong", Severity::kError, has + ", nothing of " + cidrs,
                       "other nodes have no route to it", NewPod("an address of this node's")});
  return false;
}

// Whether rules of policy routing or foreign routes lead what this node asks its pods, or what
// comes from cni0's address, elsewhere: then it is not the pods that are to blame.
bool IsDiverted(const HostFacts& host, IpFamily family) {
  return std::any_of(
      host.policy.astray.begin(), host.policy.astray.end(), [&](const FlowFact& flow) {
        return flow.pods.family() == family && flow.from != FlowFact::From::kOthers &&
               (flow.node.empty() || flow.from == FlowFact::From::kPods);
      });
}

// One finding for a pod is enough: of two families that are silent the first.
void CheckAnswers(const HostFacts& host, const PodLinkFact& pod, const std::string& port,
                  std::vector<Finding>* findings) {
  const ProbeFact* silent = nullptr;
  for (const ProbeFact& probe : host.probes) {
    if (probe.of != ProbeFact::Of::kPod || probe.node != pod.port ||
        IsDiverted(host, probe.address.family())) {
      continue;
    }
    if (probe.reached == Reached::kNo) {
      if (silent == nullptr) silent = &probe;
      continue;
    }
    if (!probe.source || !Within(host.pod_cidrs, *probe.source)) continue;  // Not cni0's.
    for (const ProbeFact& other : host.probes) {
      if (other.of != ProbeFact::Of::kPod || other.node != pod.port ||
          other.address != probe.address || other.reached != Reached::kNo || !other.source) {
        continue;
      }
      if (pod.elsewhere) return;  // It may well answer the node by its other link.
      findings->push_back(
          {"PodRouteMissing", Severity::kError,
           "the pod " + other.address.ToString() + " at " + port +
               " answers cni0's address, but not " + other.source->ToString(),
           "it has no default route, or a wrong one: it reaches nothing but pods of "
           "this node",
           NewPod("the right one")});
      return;
    }
  }
  if (silent == nullptr) return;
  findings->push_back(
      {"PodSilent", Severity::kWarning,
       "the pod " + silent->address.ToString() + " at " + port + " does not answer this node",
       "others do not reach it either, or it refuses ICMP echo",
       "# look into its network namespace, or delete the pod; until it is right "
       "this fails: ping -c 3 " +
           silent->address.ToString()});
}

}  // namespace

void CheckPods(const CheckFacts& facts, std::vector<Finding>* findings) {
  const HostFacts& host = *facts.host;
  for (const PodLinkFact& pod : host.pods) {
    const std::string port = Printable(pod.port);
    const bool plugged = CheckPlug(host, pod, port, findings);
    CheckPodMtu(host, pod, port, findings);
    if (CheckAddress(host, pod, port, findings) && plugged) {
      CheckAnswers(host, pod, port, findings);
    }
  }
}

}  // namespace podroute
