#include "routing/masquerade.h"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>

namespace podroute {
namespace {

constexpr char kComment[] = "podroute: pods' traffic to outside gets the node's address";
constexpr int32_t kAfterOthers = 120;  // NF_IP_PRI_NAT_SRC is 100.

constexpr std::array kSets = {
    MasqueradeSet{"pods4", IpFamily::kV4, &Masquerading::pods},
    MasqueradeSet{"unmasqueraded4", IpFamily::kV4, &Masquerading::unmasqueraded},
    MasqueradeSet{"pods6", IpFamily::kV6, &Masquerading::pods},
    MasqueradeSet{"unmasqueraded6", IpFamily::kV6, &Masquerading::unmasqueraded},
};

// Bridged packets pass the chain too where br_netfilter is on, broadcasts among them.
constexpr char kNeverMasqueraded[] =
    "169.254.0.0/16,224.0.0.0/4,255.255.255.255/32,fe80::/10,ff00::/8";

NftRule Rule(IpFamily family, const char* pods, const char* unmasqueraded) {
  return NftRule()
      .MatchFamily(family)
      .LoadAddress(family, true, 0)
      .SetLookup(pods, 0, true)
      .LoadAddress(family, false, 0)
      .SetLookup(unmasqueraded, 0, false)
      .MatchLocal(true, false)
      .Masquerade();
}

NftChain Chain() {
  NftChain chain;
  chain.name = kMasqueradeChain;
  chain.type = "nat";
  chain.hook = NF_INET_POST_ROUTING;
  chain.priority = kAfterOthers;
  chain.rules = {Rule(IpFamily::kV4, "pods4", "unmasqueraded4"),
                 Rule(IpFamily::kV6, "pods6", "unmasqueraded6")};
  return chain;
}

void Append(std::vector<AddressRange>& ranges, const AddressRange& next) {
  bool apart = ranges.empty() || ranges.back().first.family() != next.first.family() ||
               (ranges.back().end && *ranges.back().end < next.first);
  if (apart) {
    ranges.push_back(next);
  } else if (std::optional<IpAddress>& end = ranges.back().end; end) {
    end = next.end ? std::max(*end, *next.end) : next.end;
  }
}

// REQUIRES: both are in order.
std::vector<AddressRange> Without(const std::vector<AddressRange>& ranges,
                                  const std::vector<AddressRange>& others) {
  std::vector<AddressRange> rest;
  std::set_difference(ranges.begin(), ranges.end(), others.begin(), others.end(),
                      std::back_inserter(rest));
  return rest;
}

AddressRange RangeOf(const IpPrefix& prefix) {
  IpAddress end = prefix.Last().Plus(1);
  if (end.IsUnspecified()) return {prefix.address(), std::nullopt};
  return {prefix.address(), end};
}

}  // namespace

std::vector<AddressRange> MergeRanges(std::vector<IpPrefix> prefixes) {
  std::sort(prefixes.begin(), prefixes.end());
  std::vector<AddressRange> ranges;
  for (const IpPrefix& prefix : prefixes) Append(ranges, RangeOf(prefix));
  return ranges;
}

bool Covers(const std::vector<AddressRange>& ranges, const IpPrefix& prefix) {
  return std::any_of(ranges.begin(), ranges.end(), [&](const AddressRange& range) {
    return range.first.family() == prefix.family() && range.first <= prefix.address() &&
           (!range.end || prefix.Last() < *range.end);
  });
}

Masquerading MakeMasquerading(const std::vector<IpPrefix>& pods, std::vector<IpPrefix> direct) {
  static const auto& never = *new std::vector<IpPrefix>(ParsePrefixList(kNeverMasqueraded).value());
  direct.insert(direct.end(), never.begin(), never.end());
  direct.insert(direct.end(), pods.begin(), pods.end());
  return {MergeRanges(pods), MergeRanges(std::move(direct))};
}

std::span<const MasqueradeSet> MasqueradeSets() { return kSets; }

std::vector<NftElement> ToElements(const std::vector<AddressRange>& ranges, IpFamily family) {
  std::vector<NftElement> elements;
  for (const AddressRange& range : ranges) {
    if (range.first.family() != family) continue;
    NftElement element;
    element.key = NftTuple().Address(range.first).bytes();
    elements.push_back(element);
    if (!range.end) continue;
    element.key = NftTuple().Address(*range.end).bytes();
    element.interval_end = true;
    elements.push_back(element);
  }
  return elements;
}

std::optional<std::vector<AddressRange>> ToRanges(std::vector<NftElement> elements,
                                                  IpFamily family) {
  // At one key an end comes before a beginning, for the beginning is what counts there.
  std::sort(elements.begin(), elements.end(), [](const NftElement& a, const NftElement& b) {
    return a.key != b.key ? a.key < b.key : a.interval_end > b.interval_end;
  });
  std::vector<AddressRange> ranges;
  std::optional<IpAddress> first;
  const size_t size = family == IpFamily::kV4 ? 4 : 16;
  for (const NftElement& element : elements) {
    // One for all other keys has none itself.
    if (element.key.size() != size) return std::nullopt;
    IpAddress key = IpAddress::FromBytes(family, element.key);
    if (!element.interval_end && !first) first = key;
    if (!element.interval_end || !first) continue;
    Append(ranges, {*first, key});
    first.reset();
  }
  if (first) Append(ranges, {*first, std::nullopt});
  return ranges;
}

void AddMasqueradeLayout(NftTransaction& transaction) {
  transaction.AddTable(kComment);
  for (const MasqueradeSet& set : kSets) {
    NftType key = set.family == IpFamily::kV4 ? NftType::kIpv4 : NftType::kIpv6;
    transaction.AddSet({.name = set.name, .key = {key}, .comment = "", .interval = true});
  }
  NftChain chain = Chain();
  transaction.AddChain(chain);
  transaction.SetRules(chain);
}

uint32_t MasqueradeLayoutUses() { return kSets.size() + 1; }

NftTransaction ReplaceMasqueradeTable(const Masquerading& wanted) {
  NftTransaction transaction(kMasqueradeTable);
  transaction.AddTable("");  // So that there is one to delete.
  transaction.DeleteTable();
  AddMasqueradeLayout(transaction);
  for (const MasqueradeSet& set : kSets) {
    transaction.AddElements(set.name, ToElements(wanted.*set.ranges, set.family));
  }
  return transaction;
}

NftTransaction ChangeMasqueradeTable(const Masquerading& from, const Masquerading& to) {
  NftTransaction transaction(kMasqueradeTable);
  for (const MasqueradeSet& set : kSets) {
    const std::vector<AddressRange>& before = from.*set.ranges;
    const std::vector<AddressRange>& after = to.*set.ranges;
    transaction.DeleteElements(set.name, ToElements(Without(before, after), set.family));
    transaction.AddElements(set.name, ToElements(Without(after, before), set.family));
  }
  return transaction;
}

}  // namespace podroute
