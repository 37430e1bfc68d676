#include "controller/check/filter.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace podroute {
namespace {

constexpr int kMaxDepth = 16;  // The kernel's own (NFT_JUMP_STACK_SIZE).

FlowPart PartOf(size_t held, size_t all) {
  if (all == 0) return FlowPart::kUnknown;
  return held == all ? FlowPart::kAll : held == 0 ? FlowPart::kNone : FlowPart::kSome;
}

bool Matches(const std::string& pattern, const std::string& link) {
  if (!pattern.ends_with('*')) return pattern == link;
  return link.starts_with(std::string_view(pattern).substr(0, pattern.size() - 1));
}

FlowPart LinksPart(const std::vector<std::string>& patterns,
                   const std::vector<std::string>& links) {
  auto held = std::count_if(links.begin(), links.end(), [&](const std::string& link) {
    return std::any_of(patterns.begin(), patterns.end(),
                       [&](const std::string& pattern) { return Matches(pattern, link); });
  });
  return PartOf(static_cast<size_t>(held), links.size());
}

FlowPart AddressesPart(const std::vector<AddressSpan>& spans,
                       const std::vector<IpPrefix>& prefixes) {
  size_t inside = 0;
  bool touched = false;
  for (const IpPrefix& prefix : prefixes) {
    bool in_one = false;
    for (const AddressSpan& span : spans) {
      if (span.first.family() != prefix.family()) continue;
      in_one = in_one || (span.first <= prefix.address() && prefix.Last() <= span.last);
      touched = touched || (span.first <= prefix.Last() && prefix.address() <= span.last);
    }
    inside += in_one ? 1 : 0;
  }
  FlowPart part = PartOf(inside, prefixes.size());
  return part == FlowPart::kNone && touched ? FlowPart::kSome : part;
}

FlowPart Holds(const FilterTest& test, const FilterFlow& flow) {
  FlowPart part = test.part;
  switch (test.on) {
    case FilterTest::On::kInLink:
      part = LinksPart(test.links, flow.in_links);
      break;
    case FilterTest::On::kOutLink:
      part = LinksPart(test.links, flow.out_links);
      break;
    case FilterTest::On::kSource:
      part = AddressesPart(test.addresses, flow.sources);
      break;
    case FilterTest::On::kTarget:
      part = AddressesPart(test.addresses, flow.targets);
      break;
    case FilterTest::On::kFamily:
      part = test.family == flow.family ? FlowPart::kAll : FlowPart::kNone;
      break;
    case FilterTest::On::kBridged:
      part = flow.bridged ? FlowPart::kAll : FlowPart::kNone;
      break;
    case FilterTest::On::kConstant:
      break;
  }
  return test.negated ? Not(part) : part;
}

// One flow's way through one base chain.
class Tracer {
 public:
  Tracer(const FilterChains& chains, const FilterFlow& flow, const FilterChain& base,
         std::vector<FilterHit>* hits)
      : chains_(chains), flow_(flow), base_(base), hits_(*hits) {}

  void Trace(const std::string& table) {
    End end = Walk(table, base_, FlowPart::kAll, true, 0);
    if (end != End::kDecided && base_.policy_drop) hits_.push_back({&base_, nullptr, certain_});
  }

 private:
  enum class End { kDecided, kReturned };

  // `part` of the flow comes here. Not `sure`: unless a condition that is not understood holds.
  // The same once more is not looked at: chains that are jumped to from many rules are many.
  End Walk(const std::string& table, const FilterChain& chain, FlowPart part, bool sure,
           int depth) {
    auto [seen, is_new] = ends_.try_emplace({&chain, part}, End::kReturned);
    if (is_new) seen->second = WalkRules(table, chain, part, sure, depth);
    return seen->second;
  }

  End WalkRules(const std::string& table, const FilterChain& chain, FlowPart part, bool sure,
                int depth) {
    for (const FilterRule& rule : chain.rules) {
      FlowPart held = part;
      for (const FilterTest& test : rule.tests) held = std::min(held, Holds(test, flow_));
      if (held == FlowPart::kNone) continue;
      switch (rule.verdict) {
        case FilterVerdict::kContinue:
          break;
        case FilterVerdict::kAccept:
          if (held == FlowPart::kAll) return End::kDecided;
          certain_ = false;
          break;
        case FilterVerdict::kDrop:
        case FilterVerdict::kTranslate:
          if (held != FlowPart::kUnknown) hits_.push_back({&base_, &rule, certain_ && sure});
          if (held == FlowPart::kAll) return End::kDecided;
          break;
        case FilterVerdict::kReturn:
          if (held == FlowPart::kAll) return End::kReturned;
          sure = sure && held != FlowPart::kUnknown;
          part = std::min(part, FlowPart::kSome);
          break;
        case FilterVerdict::kJump:
        case FilterVerdict::kGoto: {
          auto target = chains_.find({table, rule.target});
          if (target == chains_.end() || depth == kMaxDepth) break;
          End end = Walk(table, target->second, held, sure, depth + 1);
          if (held != FlowPart::kAll) break;
          if (end == End::kDecided || rule.verdict == FilterVerdict::kGoto) return end;
          break;
        }
      }
    }
    return End::kReturned;
  }

  const FilterChains& chains_;
  const FilterFlow& flow_;
  const FilterChain& base_;
  std::vector<FilterHit>& hits_;
  std::map<std::pair<const FilterChain*, FlowPart>, End> ends_;
  bool certain_ = true;
};

}  // namespace

FlowPart Not(FlowPart part) {
  if (part == FlowPart::kNone) return FlowPart::kAll;
  return part == FlowPart::kAll ? FlowPart::kNone : part;
}

std::vector<FilterHit> TraceFlow(const FilterChains& chains, const FilterFlow& flow) {
  std::vector<FilterHit> hits;
  for (const auto& [key, chain] : chains) {
    const bool bridged = chain.bridged && (chain.of_bridge || flow.bridge_netfilter);
    if (!(flow.bridged ? bridged : chain.routed)) continue;
    if (!chain.base || !(flow.family == IpFamily::kV4 ? chain.v4 : chain.v6)) continue;
    Tracer(chains, flow, chain, &hits).Trace(key.first);
  }
  return hits;
}

}  // namespace podroute
