#include "routing/desired_routes.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <limits>
#include <map>
#include <memory_resource>
#include <numeric>
#include <tuple>
#include <utility>

#include "base/text.h"

namespace podroute {
namespace {

constexpr int kWidestV4 = 8;
constexpr int kWidestV6 = 32;

// Prefixes that no pod can have: RFC 6890, "this network", loopback, link-local, multicast,
// reserved.
const std::vector<IpPrefix>& ReservedPrefixes() {
  static const std::vector<IpPrefix>& prefixes =
      *new std::vector<IpPrefix>(ParsePrefixList("0.0.0.0/8,127.0.0.0/8,169.254.0.0/16,224.0.0.0/"
                                                 "4,255.255.255.255/32,::/16,fe80::/10,ff00::/8")
                                     .value());
  return prefixes;
}

bool IsRfc1123Subdomain(std::string_view name) {
  auto alphanumeric = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  if (name.empty() || name.size() > 253) return false;
  bool edge = true;  // At the start of a label, where '-' and '.' may not stand.
  for (char c : name) {
    if (c == '.' && edge) return false;
    if (c == '-' && edge) return false;
    if (c != '.' && c != '-' && !alphanumeric(c)) return false;
    edge = c == '.';
  }
  return alphanumeric(name.back()) && name.find("-.") == std::string_view::npos;
}

// A total order: older first. Not known is youngest.
struct Age {
  int64_t creation_seconds;
  std::string_view name;
  auto operator<=>(const Age&) const = default;
};

Age AgeOf(const NodeInfo& node) {
  int64_t seconds =
      node.creation_seconds > 0 ? node.creation_seconds : std::numeric_limits<int64_t>::max();
  return {seconds, node.name};
}

// This machine's subnets and addresses, indexed for the questions that the rules ask.
class LocalIndex {
 public:
  explicit LocalIndex(const std::optional<LocalNetwork>& local) : known_(local.has_value()) {
    if (!local) return;
    for (const LocalAddress& address : local->addresses) {
      auto link = std::find_if(local->links.begin(), local->links.end(),
                               [&](const LocalLink& l) { return l.ifindex == address.ifindex; });
      if (link == local->links.end()) continue;
      own_.push_back(address.address);
      if (link->loopback) continue;
      all_.push_back(address.subnet);
      bool only_itself = address.subnet.address() == address.address &&
                         address.subnet.length() == address.address.bits();
      if (!only_itself) connected_.push_back({address.subnet, &*link});
    }
    std::sort(own_.begin(), own_.end());
    std::sort(all_.begin(), all_.end());
    // Longest first, so that the first match is the best; then the link that is likelier to work.
    std::stable_sort(connected_.begin(), connected_.end(), [](const auto& a, const auto& b) {
      return std::tuple(-a.subnet.length(), !a.link->up, !a.link->carrier) <
             std::tuple(-b.subnet.length(), !b.link->up, !b.link->carrier);
    });
  }

  struct Connected {
    IpPrefix subnet;
    const LocalLink* link;
  };

  bool known() const { return known_; }
  bool IsOwn(const IpAddress& address) const {
    return std::binary_search(own_.begin(), own_.end(), address);
  }
  const Connected* Find(const IpAddress& address) const {
    for (const Connected& c : connected_) {
      if (!c.subnet.Contains(address)) continue;
      // The subnet's own address and its broadcast address are no neighbour's (RFC 3021 for /31).
      bool edge = address.is_v4() && c.subnet.length() < 31 &&
                  (address == c.subnet.address() || address == c.subnet.Last());
      return edge ? nullptr : &c;
    }
    return nullptr;
  }
  // A subnet or address of ours that `prefix` contains.
  const IpPrefix* Inside(const IpPrefix& prefix) const {
    auto it = std::lower_bound(all_.begin(), all_.end(), prefix);
    return it != all_.end() && prefix.Contains(*it) ? &*it : nullptr;
  }
  // An address of ours that `prefix` contains.
  const IpAddress* OwnInside(const IpPrefix& prefix) const {
    auto it = std::lower_bound(own_.begin(), own_.end(), prefix.address());
    return it != own_.end() && prefix.Contains(*it) ? &*it : nullptr;
  }
  // A subnet of ours that contains `prefix`.
  const Connected* Around(const IpPrefix& prefix) const {
    for (const Connected& c : connected_) {
      if (c.subnet.Contains(prefix)) return &c;
    }
    return nullptr;
  }

 private:
  const bool known_;
  std::vector<IpAddress> own_;
  std::vector<IpPrefix> all_;
  std::vector<Connected> connected_;
};

struct ParsedNode {
  const NodeInfo* info = nullptr;
  bool self = false;
  bool refused = false;                         // As a whole.
  size_t internal_begin = 0, internal_end = 0;  // In Builder::internal_.
  std::string_view bad_address;                 // The first InternalIP that is none.
};

// A prefix that is a node's. Both outlive the Builder.
struct Claimed {
  const ParsedNode* node;
  const std::string* text;
};
using Claims = std::pmr::map<IpPrefix, Claimed>;

struct KnownAddress {
  IpAddress address;
  uint32_t node;  // Index by age: a smaller one is older.
  bool connected;
};

class Builder {
 public:
  Builder(std::span<const NodeInfo> nodes, const std::optional<LocalNetwork>& local,
          const DesiredOptions& options)
      : local_(local), options_(options) {
    ParseNodes(nodes);
    IndexAddresses();
  }

  DesiredResult Build() {
    for (uint32_t i = 0; i < nodes_.size(); ++i) BuildNode(i);
    result_.routes.reserve(claims_.size());
    result_.pod_networks.reserve(claims_.size());
    for (const auto& [prefix, claim] : claims_) {
      result_.pod_networks.push_back(prefix);
      if (!claim.node->self) AddRoute(*claim.node, *claim.text, prefix);
    }
    std::sort(result_.refused.begin(), result_.refused.end(), [](const auto& a, const auto& b) {
      return std::tie(a.node, a.cidr, a.reason) < std::tie(b.node, b.cidr, b.reason);
    });
    return std::move(result_);
  }

 private:
  void ParseNodes(std::span<const NodeInfo> nodes) {
    std::vector<const NodeInfo*> by_age;
    by_age.reserve(nodes.size());
    for (const NodeInfo& node : nodes) by_age.push_back(&node);
    std::sort(by_age.begin(), by_age.end(),
              [](const NodeInfo* a, const NodeInfo* b) { return AgeOf(*a) < AgeOf(*b); });
    nodes_.resize(nodes.size());
    for (size_t i = 0; i < by_age.size(); ++i) {
      ParsedNode& node = nodes_[i];
      node.info = by_age[i];
      node.self = !options_.self.empty() && node.info->name == options_.self;
      if (RefuseWholeNode(node)) continue;
      node.internal_begin = internal_.size();
      for (const std::string& text : node.info->internal_ips) {
        Result<IpAddress> address = IpAddress::Parse(text);
        if (address.ok()) {
          internal_.push_back(*address);
        } else if (node.bad_address.empty()) {
          node.bad_address = text;
        }
      }
      node.internal_end = internal_.size();
    }
  }

  std::span<const IpAddress> Internal(const ParsedNode& node) const {
    return std::span(internal_).subspan(node.internal_begin,
                                        node.internal_end - node.internal_begin);
  }

  bool RefuseWholeNode(ParsedNode& node) {
    const NodeInfo& info = *node.info;
    if (info.name_too_long || !IsRfc1123Subdomain(info.name)) {
      Refuse(
          node, "", RefusalReason::kInvalidName,
          "the node's name is not an RFC 1123 subdomain (lower-case letters, digits, '-' and '.', "
          "at most 253)");
    } else if (info.too_many_addresses) {
      Refuse(node, "", RefusalReason::kTooManyAddresses,
             "the node has more addresses than any real one");
    } else if (info.too_many_pod_cidrs) {
      Refuse(node, "", RefusalReason::kTooManyPodCidrs,
             "the node has more podCIDRs than any real one");
    } else {
      return false;
    }
    node.refused = true;
    return true;
  }

  void IndexAddresses() {
    for (uint32_t i = 0; i < nodes_.size(); ++i) {
      if (nodes_[i].refused) continue;
      auto know = [&](const IpAddress& address) {
        addresses_.push_back(
            {address, i, local_.Find(address) != nullptr || local_.IsOwn(address)});
      };
      for (const IpAddress& address : Internal(nodes_[i])) know(address);
      for (const std::string& text : nodes_[i].info->external_ips) {
        // An ExternalIP that is none harms nobody: it is no next hop.
        if (Result<IpAddress> address = IpAddress::Parse(text); address.ok()) know(*address);
      }
    }
    std::sort(addresses_.begin(), addresses_.end(), [](const auto& a, const auto& b) {
      return std::tie(a.address, a.node) < std::tie(b.address, b.node);
    });
  }

  void BuildNode(uint32_t index) {
    const ParsedNode& node = nodes_[index];
    if (node.refused) return;
    if (node.info->pod_cidrs.empty()) {
      Refuse(node, "", RefusalReason::kNoPodCidr, "the node has no podCIDR yet");
      return;
    }
    for (size_t i = 0; i < node.info->pod_cidrs.size(); ++i) {
      const std::string& text = node.info->pod_cidrs[i];
      auto before = node.info->pod_cidrs.first(i);
      if (std::find(before.begin(), before.end(), text) != before.end()) continue;
      Claim(index, text);
    }
  }

  // Claims the prefix for the node, or refuses it.
  void Claim(uint32_t index, const std::string& text) {
    const ParsedNode& node = nodes_[index];
    Result<IpPrefix> prefix = IpPrefix::Parse(text);
    if (!prefix.ok()) {
      Refuse(node, text, RefusalReason::kMalformedPrefix, prefix.status().message());
      return;
    }
    auto next = claims_.lower_bound(*prefix);
    bool accepted = CheckAlone(node, text, *prefix) && CheckClaims(node, text, *prefix, next) &&
                    CheckAddresses(index, text, *prefix) && CheckLocal(node, text, *prefix);
    if (accepted) claims_.emplace_hint(next, *prefix, Claimed{&node, &text});
  }

  bool CheckAlone(const ParsedNode& node, const std::string& text, const IpPrefix& prefix) {
    int widest = prefix.is_v4() ? kWidestV4 : kWidestV6;
    if (prefix.length() < widest) {
      return Refuse(node, text, RefusalReason::kTooWide,
                    text + " is wider than /" + std::to_string(widest) + ", the widest allowed");
    }
    for (const IpPrefix& reserved : ReservedPrefixes()) {
      if (prefix.Overlaps(reserved)) {
        return Refuse(node, text, RefusalReason::kReservedPrefix,
                      text + " overlaps " + reserved.ToString() + ", where no pod can be");
      }
    }
    const auto& allowed = options_.cluster_cidrs;
    if (!allowed.empty() && !InClusterCidr(prefix)) {
      std::string names;
      for (const IpPrefix& p : allowed) names += (names.empty() ? "" : ",") + p.ToString();
      return Refuse(node, text, RefusalReason::kOutsideClusterCidr,
                    text + " is not in --cluster_cidr=" + names);
    }
    for (const IpAddress& address : options_.api_server) {
      if (prefix.Contains(address)) {
        return Refuse(node, text, RefusalReason::kContainsApiServer,
                      text + " contains the API server's address " + address.ToString());
      }
    }
    return true;
  }

  bool InClusterCidr(const IpPrefix& prefix) const {
    return std::any_of(options_.cluster_cidrs.begin(), options_.cluster_cidrs.end(),
                       [&](const IpPrefix& cluster) { return cluster.Contains(prefix); });
  }

  // `next`: the first claim that is not before `prefix`.
  bool CheckClaims(const ParsedNode& node, const std::string& text, const IpPrefix& prefix,
                   Claims::const_iterator next) {
    // Claims never overlap each other, so only the neighbours in order can overlap this one.
    auto other = claims_.cend();
    if (next != claims_.end() && prefix.Contains(next->first)) {
      other = next;
    } else if (next != claims_.begin() && std::prev(next)->first.Contains(prefix)) {
      other = std::prev(next);
    }
    if (other == claims_.cend()) return true;
    std::string owner = Printable(other->second.node->info->name);
    return Refuse(node, text, RefusalReason::kOverlapsNode,
                  other->first == prefix ? text + " is already " + owner + "'s"
                                         : text + " overlaps " + other->first.ToString() +
                                               ", which is already " + owner + "'s");
  }

  bool CheckAddresses(uint32_t index, const std::string& text, const IpPrefix& prefix) {
    auto it = std::lower_bound(addresses_.begin(), addresses_.end(), prefix.address(),
                               [](const KnownAddress& known, const IpAddress& address) {
                                 return known.address < address;
                               });
    for (; it != addresses_.end() && prefix.Contains(it->address); ++it) {
      const ParsedNode& owner = nodes_[it->node];
      bool believed =
          it->connected && !InClusterCidr(IpPrefix::Of(it->address, it->address.bits()));
      bool counts = it->node <= index || owner.self || believed;
      if (!counts) continue;
      return Refuse(nodes_[index], text, RefusalReason::kContainsNodeAddress,
                    text + " contains " + it->address.ToString() + ", an address of node " +
                        Printable(owner.info->name));
    }
    return true;
  }

  bool CheckLocal(const ParsedNode& node, const std::string& text, const IpPrefix& prefix) {
    if (node.self) return true;  // Its own bridge is in it.
    if (const IpPrefix* inside = local_.Inside(prefix)) {
      return Refuse(
          node, text, RefusalReason::kContainsConnectedSubnet,
          text + " contains " + inside->ToString() + ", which is on one of this machine's links");
    }
    if (const IpAddress* own = local_.OwnInside(prefix)) {
      return Refuse(node, text, RefusalReason::kContainsConnectedSubnet,
                    text + " contains " + own->ToString() + ", an address of this machine");
    }
    const LocalIndex::Connected* around = local_.Around(prefix);
    if (around != nullptr && !InClusterCidr(prefix)) {
      return Refuse(node, text, RefusalReason::kInsideConnectedSubnet,
                    text + " lies inside " + around->subnet.ToString() + " on " +
                        around->link->name + "; name it in --cluster_cidr if that is meant");
    }
    return true;
  }

  // By the node's first address that will do. Why none does is asked only where it matters.
  void AddRoute(const ParsedNode& node, const std::string& text, const IpPrefix& prefix) {
    for (const IpAddress& address : Internal(node)) {
      if (address.family() != prefix.family() || CannotBeNextHop(address)) continue;
      const LocalIndex::Connected* subnet = local_.known() ? local_.Find(address) : nullptr;
      bool usable = subnet != nullptr && subnet->link->up && !local_.IsOwn(address);
      if (local_.known() && !usable) continue;
      result_.routes.push_back(
          MakeRoute(prefix, address, subnet == nullptr ? nullptr : subnet->link, node));
      return;
    }
    ExplainNoNextHop(node, text, prefix);
  }

  static bool CannotBeNextHop(const IpAddress& address) {
    return address.IsUnspecified() || address.IsLoopback() || address.IsMulticast() ||
           address == IpAddress::V4(0xffffffff) || (!address.is_v4() && address.IsLinkLocal());
  }

  // By the last address of the right family.
  void ExplainNoNextHop(const ParsedNode& node, const std::string& text, const IpPrefix& prefix) {
    RefusalReason reason = RefusalReason::kNoAddress;
    std::string message = "the node has no " + std::string(IpFamilyName(prefix.family())) +
                          " InternalIP to be the next hop of " + text;
    if (!node.bad_address.empty()) {
      message += " (InternalIP \"" + Printable(node.bad_address) + "\" is not an IP address)";
    }
    for (const IpAddress& address : Internal(node)) {
      if (address.family() != prefix.family()) continue;
      if (CannotBeNextHop(address)) {
        message = "InternalIP " + address.ToString() + " cannot be a next hop";
        continue;
      }
      const LocalIndex::Connected* subnet = local_.Find(address);
      if (local_.IsOwn(address)) {
        reason = RefusalReason::kNextHopIsLocal;
        message = "InternalIP " + address.ToString() + " is this machine's own address";
      } else if (subnet == nullptr) {
        reason = RefusalReason::kNextHopNotConnected;
        message = "InternalIP " + address.ToString() + " is on none of this machine's subnets";
      } else {
        reason = RefusalReason::kLinkDown;
        message = subnet->link->name + " towards InternalIP " + address.ToString() + " is down";
      }
    }
    Refuse(node, text, reason, message);
  }

  static Route MakeRoute(const IpPrefix& prefix, const IpAddress& gateway, const LocalLink* link,
                         const ParsedNode& node) {
    Route route;
    route.dst = prefix;
    route.via = {gateway, link == nullptr ? 0 : link->ifindex};
    if (link != nullptr) route.dev = link->name;
    route.node = node.info->name;
    return route;
  }

  // Always false, so that a rule can return it.
  bool Refuse(const ParsedNode& node, const std::string& cidr, RefusalReason reason,
              const std::string& message) {
    result_.refused.push_back(
        {Printable(node.info->name), Printable(cidr), reason, Printable(message, 300)});
    return false;
  }

  const LocalIndex local_;
  const DesiredOptions& options_;
  std::vector<ParsedNode> nodes_;        // Oldest first.
  std::vector<IpAddress> internal_;      // Of one node after the other.
  std::vector<KnownAddress> addresses_;  // By address.
  std::pmr::monotonic_buffer_resource claims_memory_;
  Claims claims_{&claims_memory_};  // Never overlapping.
  DesiredResult result_;
};

struct ReasonName {
  RefusalReason reason;
  std::string_view name;
};

constexpr std::array kReasonNames = {
    ReasonName{RefusalReason::kInvalidName, "InvalidName"},
    ReasonName{RefusalReason::kNoPodCidr, "NoPodCIDR"},
    ReasonName{RefusalReason::kTooManyPodCidrs, "TooManyPodCIDRs"},
    ReasonName{RefusalReason::kTooManyAddresses, "TooManyAddresses"},
    ReasonName{RefusalReason::kMalformedPrefix, "MalformedPrefix"},
    ReasonName{RefusalReason::kTooWide, "TooWide"},
    ReasonName{RefusalReason::kReservedPrefix, "ReservedPrefix"},
    ReasonName{RefusalReason::kOutsideClusterCidr, "OutsideClusterCIDR"},
    ReasonName{RefusalReason::kContainsNodeAddress, "ContainsNodeAddress"},
    ReasonName{RefusalReason::kContainsConnectedSubnet, "ContainsConnectedSubnet"},
    ReasonName{RefusalReason::kInsideConnectedSubnet, "InsideConnectedSubnet"},
    ReasonName{RefusalReason::kContainsApiServer, "ContainsAPIServer"},
    ReasonName{RefusalReason::kOverlapsNode, "OverlapsNode"},
    ReasonName{RefusalReason::kNoAddress, "NoAddress"},
    ReasonName{RefusalReason::kNextHopNotConnected, "NextHopNotConnected"},
    ReasonName{RefusalReason::kNextHopIsLocal, "NextHopIsLocal"},
    ReasonName{RefusalReason::kLinkDown, "LinkDown"},
};

}  // namespace

std::string_view RefusalReasonName(RefusalReason reason) {
  for (const ReasonName& entry : kReasonNames) {
    if (entry.reason == reason) return entry.name;
  }
  std::abort();
}

std::span<const RefusalReason> AllRefusalReasons() {
  static const auto reasons = [] {
    std::array<RefusalReason, kReasonNames.size()> all{};
    std::transform(kReasonNames.begin(), kReasonNames.end(), all.begin(),
                   [](const ReasonName& entry) { return entry.reason; });
    return all;
  }();
  return reasons;
}

DesiredResult DesiredRoutes(std::span<const NodeInfo> nodes,
                            const std::optional<LocalNetwork>& local,
                            const DesiredOptions& options) {
  return Builder(nodes, local, options).Build();
}

}  // namespace podroute
