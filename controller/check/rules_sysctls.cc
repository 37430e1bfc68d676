#include <algorithm>
#include <charconv>

#include "base/shell_words.h"
#include "base/text.h"
#include "cni/conflist.h"
#include "controller/check/rules.h"

namespace podroute {
namespace {

std::string Get(const HostFacts& host, const std::string& name) {
  auto found = host.sysctls.find(name);
  return found == host.sysctls.end() ? "" : found->second;
}

// With slashes, since a link's name may have dots.
std::string Set(const std::string& name, const std::string& value) {
  return "sysctl -w " + ShellWord(Printable(name, 255) + "=" + value);
}

std::string Is(const HostFacts& host, const std::string& name) {
  return name + " is " + Get(host, name);
}

bool HasFamily(const HostFacts& host, IpFamily family) {
  if (host.pod_cidrs.empty()) {
    // Without the API server or a podCIDR: what the bridge has says what pods here have.
    for (const LocalLink& link : host.local.links) {
      for (const LocalAddress& own : host.local.addresses) {
        if (link.name != kBridgeName || own.ifindex != link.ifindex) continue;
        const bool link_local = !own.address.is_v4() && own.subnet.address().bytes()[0] == 0xfe;
        if (own.address.family() == family && !link_local) return true;
      }
    }
    return false;
  }
  return std::any_of(host.pod_cidrs.begin(), host.pod_cidrs.end(),
                     [&](const IpPrefix& cidr) { return cidr.family() == family; });
}

std::vector<std::string> Links(const HostFacts& host) {
  std::vector<std::string> links = host.uplinks;
  if (std::any_of(host.local.links.begin(), host.local.links.end(),
                  [](const LocalLink& link) { return link.name == "cni0"; })) {
    links.emplace_back("cni0");
  }
  return links;
}

bool TakesAdvertisements(const HostFacts& host, const std::string& link) {
  return Get(host, "net/ipv6/conf/" + link + "/accept_ra") == "1" &&
         Get(host, "net/ipv6/conf/" + link + "/disable_ipv6") != "1";
}

std::string KeepAdvertisements(const std::string& link) {
  return Set("net/ipv6/conf/" + link + "/accept_ra", "2");
}

// Turning it on for IPv6 makes the kernel drop the default routes that routers announced.
std::string TurnForwardingOn(const HostFacts& host, IpFamily family, const std::string& name) {
  std::string mend;
  for (const std::string& link : host.uplinks) {
    if (family == IpFamily::kV6 && TakesAdvertisements(host, link)) {
      mend += KeepAdvertisements(link) + " && ";
    }
  }
  return mend + Set(name, "1");
}

void CheckAdvertisements(const HostFacts& host, std::vector<Finding>* findings) {
  if (!HasFamily(host, IpFamily::kV6)) return;
  for (const std::string& link : host.autoconfigured) {
    const std::string forwarding = "net/ipv6/conf/" + link + "/forwarding";
    if (!TakesAdvertisements(host, link) || Get(host, forwarding) != "1") continue;
    findings->push_back(
        {"RouterAdvertisementsIgnored", Severity::kWarning,
         Is(host, "net/ipv6/conf/" + link + "/accept_ra") + ", and the link forwards",
         "the kernel then takes no router advertisements there: the node's addresses run out, and "
         "its default route is gone",
         KeepAdvertisements(link)});
  }
}

void CheckForwarding(const HostFacts& host, std::vector<Finding>* findings) {
  const std::string why = "this node drops what comes for its pods, and what they send";
  for (const auto& [family, name] : {std::pair{IpFamily::kV4, "net/ipv4/ip_forward"},
                                     std::pair{IpFamily::kV6, "net/ipv6/conf/all/forwarding"}}) {
    if (HasFamily(host, family) && Get(host, name) == "0") {
      findings->push_back({"ForwardingOff", Severity::kError, Is(host, name), why,
                           TurnForwardingOn(host, family, name)});
      continue;  // Setting it sets each link's too.
    }
    for (const std::string& link : Links(host)) {
      std::string of_link = std::string("net/") + (family == IpFamily::kV4 ? "ipv4" : "ipv6") +
                            "/conf/" + link + "/forwarding";
      if (!HasFamily(host, family) || Get(host, of_link) != "0") continue;
      findings->push_back({"LinkForwardingOff", Severity::kError, Is(host, of_link),
                           "what comes in by this link is not passed on", Set(of_link, "1")});
    }
  }
}

void CheckReversePath(const HostFacts& host, std::vector<Finding>* findings) {
  // There is none for IPv6.
  if (!HasFamily(host, IpFamily::kV4)) return;
  const std::string all = "net/ipv4/conf/all/rp_filter";
  for (const std::string& link : Links(host)) {
    std::string name = "net/ipv4/conf/" + link + "/rp_filter";
    // The kernel takes the larger of the two (ip-sysctl.rst).
    if (std::max(Get(host, name), Get(host, all)) != "1") continue;
    findings->push_back({"ReversePathStrict", Severity::kWarning,
                         Get(host, name) == "1" ? Is(host, name) : Is(host, all),
                         "packets that come in by " + Printable(link) +
                             " are dropped without a word where answers leave by another link",
                         Set(name, "2")});
  }
}

void CheckBridgeNetfilter(const CheckFacts& facts, std::vector<Finding>* findings) {
  const HostFacts& host = *facts.host;
  // Only rules for services need it: between two pods of one bridge. In a pod of ours the rules
  // cannot be read.
  const bool kube_proxy = host.kube_proxy_rules || (facts.cluster && facts.cluster->kube_proxy);
  for (const auto& [family, name] :
       {std::pair{IpFamily::kV4, "net/bridge/bridge-nf-call-iptables"},
        std::pair{IpFamily::kV6, "net/bridge/bridge-nf-call-ip6tables"}}) {
    const std::string value = Get(host, name);
    const bool absent = value.empty();
    // The module's own default is 1: somebody has turned it off.
    if (!HasFamily(host, family) || value == "1" || (absent && !kube_proxy)) continue;
    findings->push_back(
        {"BridgeNetfilterOff", Severity::kWarning,
         absent ? std::string(name) + " is not there: br_netfilter is not loaded" : Is(host, name),
         kube_proxy
             ? "a service whose endpoint is on the client's own node answers from the wrong "
               "address"
             : "rules for services and network policies do not see what goes between two pods "
               "of this node",
         (absent ? "modprobe br_netfilter && " : "") + Set(name, "1")});
  }
}

void CheckNeighbours(const CheckFacts& facts, std::vector<Finding>* findings) {
  if (!facts.cluster) return;
  // Each other node and each pod of this one; half of the table is for all the rest.
  const size_t needed = facts.cluster->nodes.size() + facts.host->bridge_ports.size();
  for (const auto& [family, name] :
       {std::pair{IpFamily::kV4, "net/ipv4/neigh/default/gc_thresh3"},
        std::pair{IpFamily::kV6, "net/ipv6/neigh/default/gc_thresh3"}}) {
    std::string text = Get(*facts.host, name);
    size_t limit = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), limit);
    if (!HasFamily(*facts.host, family) || error != std::errc() || limit >= 2 * needed) continue;
    findings->push_back({"NeighbourTableSmall", Severity::kWarning,
                         Is(*facts.host, name) + ", for " + std::to_string(needed) +
                             " nodes and pods that are neighbours",
                         "when the table is full, nodes and pods are unreachable by turns",
                         Set(name, std::to_string(std::max<size_t>(1024, 4 * needed)))});
  }
}

}  // namespace

void CheckSysctls(const CheckFacts& facts, std::vector<Finding>* findings) {
  CheckForwarding(*facts.host, findings);
  CheckAdvertisements(*facts.host, findings);
  CheckReversePath(*facts.host, findings);
  CheckBridgeNetfilter(facts, findings);
  CheckNeighbours(facts, findings);
}

}  // namespace podroute
