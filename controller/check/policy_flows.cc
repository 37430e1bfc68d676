#include "controller/check/policy_flows.h"

#include <netinet/in.h>

#include <algorithm>
#include <array>

namespace podroute {
namespace {

// A rule for each pod, as some networks have, times thousands of nodes would take seconds.
constexpr size_t kMaxNarrowFlows = 20'000;
constexpr char kBridge[] = "cni0";

IpAddress Unspecified(IpFamily family) {
  static constexpr std::array<uint8_t, 16> kZero{};
  return IpAddress::FromBytes(family, std::span(kZero).first(family == IpFamily::kV4 ? 4 : 16));
}

// Neither a subnet's own address nor its gateway's.
IpAddress Sample(const IpPrefix& prefix) {
  const IpAddress second = prefix.address().Plus(2);
  return prefix.length() < prefix.address().bits() - 1 && prefix.Contains(second)
             ? second
             : prefix.address();
}

IpPrefix Smaller(const IpPrefix& a, const std::optional<IpPrefix>& b) {
  return b && b->length() > a.length() ? *b : a;
}

bool CanBeAsked(uint8_t ip_protocol) {
  return ip_protocol == 0 || ip_protocol == IPPROTO_TCP || ip_protocol == IPPROTO_UDP ||
         ip_protocol == IPPROTO_ICMP || ip_protocol == IPPROTO_ICMPV6;
}

// Whether the rule is for some of the flow's packets and not for others.
bool IsNarrow(const KernelRule& rule, const FlowFact& flow) {
  if (rule.family != flow.pods.family() || rule.inverted || rule.other || !rule.oif.empty() ||
      rule.mark != 0 || !CanBeAsked(rule.ip_protocol)) {
    return false;
  }
  const std::string iif = flow.iif.empty() ? "lo" : flow.iif;
  if (!rule.iif.empty() && rule.iif != iif) return false;
  const bool has_source = flow.question.src.has_value();
  if (rule.dst && !rule.dst->Overlaps(flow.pods)) return false;
  if (rule.src && (!has_source || !rule.src->Overlaps(flow.sources))) return false;
  return (rule.dst && rule.dst->length() > flow.pods.length()) ||
         (rule.src && rule.src->length() > flow.sources.length()) || rule.ip_protocol != 0 ||
         rule.sport.first != 0 || rule.dport.first != 0;
}

FlowFact Narrowed(const FlowFact& flow, const KernelRule& rule) {
  FlowFact narrow = flow;
  narrow.pods = Smaller(flow.pods, rule.dst);
  narrow.question.dst = Sample(narrow.pods);
  if (flow.question.src) {
    narrow.sources = Smaller(flow.sources, rule.src);
    narrow.question.src = Sample(narrow.sources);
  }
  const bool ports = rule.sport.first != 0 || rule.dport.first != 0;
  narrow.question.ip_protocol = rule.ip_protocol != 0 ? rule.ip_protocol
                                : ports               ? uint8_t{IPPROTO_TCP}
                                                      : uint8_t{0};
  narrow.question.sport = rule.sport.first;
  narrow.question.dport = rule.dport.first;
  return narrow;
}

class FlowMaker {
 public:
  explicit FlowMaker(const FlowInputs& inputs) : inputs_(inputs) {}

  void Out(const Route& route) {
    FlowFact flow;
    flow.node = route.node;
    flow.pods = route.dst;
    flow.expected = route.via;
    flow.table = inputs_.table;
    FromNode(flow);
    if (!inputs_.bridge || !Forwards(route.dst, inputs_.bridge->ifindex)) return;
    flow.from = FlowFact::From::kPods;
    flow.iif = kBridge;
    flow.question.iif = inputs_.bridge->ifindex;
    for (const IpPrefix& own : inputs_.own) {
      if (own.family() == route.dst.family()) Add(flow, own);
    }
  }

  void Back(const std::string& node, const IpPrefix& pods, int ifindex) {
    auto link = std::find_if(inputs_.links.begin(), inputs_.links.end(),
                             [&](const LocalLink& each) { return each.ifindex == ifindex; });
    if (link == inputs_.links.end() || !link->up || !inputs_.bridge || !Forwards(pods, ifindex)) {
      return;
    }
    for (const IpPrefix& own : inputs_.own) {
      if (own.family() != pods.family()) continue;
      FlowFact flow = ToBridge(own);
      flow.from = FlowFact::From::kOthers;
      flow.node = node;
      flow.iif = link->name;
      flow.question.iif = ifindex;
      Add(flow, pods);
    }
  }

  void Home() {
    if (!inputs_.bridge) return;
    for (const IpPrefix& own : inputs_.own) FromNode(ToBridge(own));
  }

  std::vector<FlowFact> Take() { return std::move(flows_); }

 private:
  bool Forwards(const IpPrefix& prefix, int ifindex) const {
    const std::vector<int>& not_v4 = inputs_.not_forwarding_v4;
    return !prefix.is_v4() || std::find(not_v4.begin(), not_v4.end(), ifindex) == not_v4.end();
  }

  FlowFact ToBridge(const IpPrefix& own) const {
    FlowFact flow;
    flow.pods = own;
    flow.expected = {Unspecified(own.family()), inputs_.bridge->ifindex};
    flow.table = RT_TABLE_MAIN;
    return flow;
  }

  // A socket without an address of its own is looked up without one first, then with the one that
  // it got.
  void FromNode(FlowFact flow) {
    flow.question.dst = Sample(flow.pods);
    flow.sources = IpPrefix::Of(Unspecified(flow.pods.family()), 0);
    flows_.push_back(flow);
    for (const IpAddress& address : inputs_.addresses) {
      if (address.family() == flow.pods.family()) {
        Add(flow, IpPrefix::Of(address, address.bits()));
      }
    }
  }

  void Add(FlowFact flow, const IpPrefix& sources) {
    flow.sources = sources;
    flow.question.dst = Sample(flow.pods);
    flow.question.src = Sample(sources);
    flows_.push_back(std::move(flow));
  }

  const FlowInputs& inputs_;
  std::vector<FlowFact> flows_;
};

bool InRange(uint16_t port, const std::pair<uint16_t, uint16_t>& range) {
  return range.first == 0 || (port >= range.first && port <= range.second);
}

bool Matches(const KernelRule& rule, const FlowFact& flow) {
  const RouteQuestion& q = flow.question;
  if (rule.family != q.dst.family() || rule.other) return false;
  const uint8_t ip_protocol = q.ip_protocol == 0 ? uint8_t{IPPROTO_UDP} : q.ip_protocol;
  bool matches = (!rule.src || (q.src && rule.src->Contains(*q.src))) &&
                 (!rule.dst || rule.dst->Contains(q.dst)) &&
                 (rule.iif.empty() || rule.iif == (flow.iif.empty() ? "lo" : flow.iif)) &&
                 rule.oif.empty() && (rule.mark & rule.mark_mask) == 0 &&
                 (rule.ip_protocol == 0 || rule.ip_protocol == ip_protocol) &&
                 InRange(q.sport, rule.sport) && InRange(q.dport, rule.dport) &&
                 // What the kernel is asked is asked by root.
                 (!rule.uid || (flow.iif.empty() && rule.uid->first == 0));
  return matches != rule.inverted;
}

const KernelRoute* Find(const std::vector<KernelRoute>& table, const KernelRule& rule,
                        const IpAddress& dst) {
  const KernelRoute* best = nullptr;
  for (const KernelRoute& route : table) {
    if (route.tos != 0 || !route.dst.Contains(dst)) continue;
    if (best != nullptr &&
        (best->dst.length() > route.dst.length() ||
         (best->dst.length() == route.dst.length() && best->mark.metric <= route.mark.metric))) {
      continue;
    }
    best = &route;
  }
  if (best == nullptr || best->type == RTN_THROW || best->dst.length() <= rule.suppress_length) {
    return nullptr;
  }
  return best;
}

}  // namespace

std::vector<FlowFact> MakeFlows(const FlowInputs& inputs, const std::vector<KernelRule>& rules) {
  FlowMaker maker(inputs);
  for (const Route& route : inputs.routes) {
    maker.Out(route);
    maker.Back(route.node, route.dst, route.via.ifindex);
  }
  for (const Route& route : inputs.other_pods) {
    maker.Out(route);
    for (int uplink : inputs.uplinks) maker.Back(route.node, route.dst, uplink);
  }
  maker.Home();
  std::vector<FlowFact> flows = maker.Take();
  const size_t whole = flows.size();
  for (const KernelRule& rule : rules) {
    for (size_t i = 0; i < whole && flows.size() < whole + kMaxNarrowFlows; ++i) {
      if (IsNarrow(rule, flows[i])) flows.push_back(Narrowed(flows[i], rule));
    }
  }
  return flows;
}

bool IsAstray(const FlowFact& flow) {
  if (flow.error != 0) return true;
  if (!flow.answer) return false;  // The kernel has not said.
  const KernelRoute& answer = *flow.answer;
  if (answer.type != RTN_UNICAST) return true;
  return flow.expected.ifindex != 0 &&
         std::find(answer.via.begin(), answer.via.end(), flow.expected) == answer.via.end();
}

std::optional<Diversion> FindDiversion(const FlowFact& flow, const PolicyFacts& policy) {
  uint32_t from_priority = 0;
  for (const KernelRule& rule : policy.rules) {
    if (rule.priority < from_priority || !Matches(rule, flow)) continue;
    switch (rule.action) {
      case RuleAction::kNop:
        break;
      case RuleAction::kGoto:
        from_priority = rule.target;
        break;
      case RuleAction::kTable: {
        if (rule.table == flow.table && rule.suppress_length < flow.pods.length()) {
          return std::nullopt;
        }
        auto table = policy.tables.find(rule.table);
        if (table == policy.tables.end()) break;
        const KernelRoute* route = Find(table->second, rule, flow.question.dst);
        if (route != nullptr) return Diversion{&rule, route};
        break;
      }
      default:
        return Diversion{&rule, nullptr};
    }
  }
  return Diversion{};
}

}  // namespace podroute
