#include <algorithm>
#include <initializer_list>
#include <map>
#include <utility>
#include <vector>

#include "controller/check/filter_reader.h"
#include "k8sclient/yaml_value.h"

namespace podroute {
namespace {

std::string Text(const YamlValue& map, std::string_view key) {
  const YamlValue* value = map.Find(key);
  return value == nullptr ? "" : value->text;
}

bool IsOneOf(std::string_view word, std::initializer_list<std::string_view> words) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

// Statements that neither drop packets nor are a condition.
const std::set<std::string_view> kWithoutEffect = {
    "counter", "log",       "mangle",     "notrack", "set", "map",     "flow",
    "last",    "ct helper", "ct timeout", "secmark", "dup", "comment", "continue"};

// Reads one table's rules.
class RuleReader {
 public:
  // `sets`: of the table, sets and maps by name.
  RuleReader(const std::map<std::string, const YamlValue*>& sets) : sets_(sets) {}  // NOLINT

  // One of nft's rules, or more: one for each element of a verdict map.
  std::vector<FilterRule> Read(const YamlValue& expressions, FilterRule rule) {
    std::vector<FilterRule> rules;
    for (const YamlValue& expression : expressions.items) {
      if (expression.keys.empty()) continue;
      const std::string& kind = expression.keys[0];
      const YamlValue& value = expression.items[0];
      if (kind == "vmap") {
        AddFamily(value.Find("key"), &rule);
        ReadVerdictMap(value, rule, &rules);
        rule.tests.push_back(ConstantTest(FlowPart::kUnknown));
      } else if (kind == "match") {
        AddFamily(value.Find("left"), &rule);
        rule.tests.push_back(ReadMatch(value));
      } else if (kind == "xt") {
        ReadXt(value, &rule);
      } else if (!ReadVerdict(kind, value, &rule) && !kWithoutEffect.contains(kind)) {
        rule.tests.push_back(ConstantTest(FlowPart::kUnknown));
      }
    }
    rules.push_back(std::move(rule));
    return rules;
  }

  bool iptables() const { return iptables_; }

 private:
  static bool ReadVerdict(const std::string& kind, const YamlValue& value, FilterRule* rule) {
    static const std::map<std::string, FilterVerdict> kVerdicts = {
        {"accept", FilterVerdict::kAccept},  {"drop", FilterVerdict::kDrop},
        {"reject", FilterVerdict::kDrop},    {"return", FilterVerdict::kReturn},
        {"jump", FilterVerdict::kJump},      {"goto", FilterVerdict::kGoto},
        {"snat", FilterVerdict::kTranslate}, {"masquerade", FilterVerdict::kTranslate},
    };
    auto verdict = kVerdicts.find(kind);
    if (verdict == kVerdicts.end()) return false;
    rule->verdict = verdict->second;
    rule->target = Text(value, "target");
    return true;
  }

  // An extension of iptables'; of a match nft tells the name only.
  void ReadXt(const YamlValue& xt, FilterRule* rule) {
    const std::string name = Text(xt, "name");
    if (Text(xt, "type") == "target") {
      if (name == "REJECT") rule->verdict = FilterVerdict::kDrop;
      if (name == "MASQUERADE" || name == "SNAT") rule->verdict = FilterVerdict::kTranslate;
    } else if (name != "comment") {
      iptables_ = true;
      rule->tests.push_back(ConstantTest(FlowPart::kUnknown));
    }
  }

  // A value, list, set, or a set's name, as values; of a map the pairs.
  std::vector<const YamlValue*> Values(const YamlValue& right) const {
    const YamlValue* list = &right;
    if (const YamlValue* set = right.Find("set")) list = set;
    if (right.text.starts_with('@')) {
      auto named = sets_.find(right.text.substr(1));
      list = named == sets_.end() ? nullptr : named->second->Find("elem");
      if (list == nullptr) return {};
    }
    std::vector<const YamlValue*> values;
    if (list->kind != YamlValue::Kind::kList) return {list};
    for (const YamlValue& item : list->items) {
      const YamlValue* element = item.Find("elem");  // With a time-out, a comment, ...
      const YamlValue* inner = element == nullptr ? nullptr : element->Find("val");
      values.push_back(inner != nullptr ? inner : &item);
    }
    return values;
  }

  // A field of one family's is in packets of that family only.
  static void AddFamily(const YamlValue* left, FilterRule* rule) {
    const YamlValue* payload = left == nullptr ? nullptr : left->Find("payload");
    if (payload == nullptr) return;
    const std::string protocol = Text(*payload, "protocol");
    if (IsOneOf(protocol, {"ip", "ip6"})) rule->tests.push_back(FamilyTest(protocol, false));
  }

  FilterTest ReadMatch(const YamlValue& match) const {
    const YamlValue* left = match.Find("left");
    const YamlValue* right = match.Find("right");
    const std::string op = Text(match, "op");
    if (left == nullptr || right == nullptr || !IsOneOf(op, {"==", "!=", "in"})) {
      return ConstantTest(FlowPart::kUnknown);
    }
    return ReadTest(*left, Values(*right), op == "!=");
  }

  static std::set<std::string> Texts(const std::vector<const YamlValue*>& values) {
    std::set<std::string> texts;
    for (const YamlValue* value : values) texts.insert(value->text);
    return texts;
  }

  static FilterTest ReadTest(const YamlValue& left, const std::vector<const YamlValue*>& values,
                             bool negated) {
    const std::set<std::string> texts = Texts(values);
    if (const YamlValue* meta = left.Find("meta")) {
      return ReadMeta(Text(*meta, "key"), texts, negated);
    }
    if (const YamlValue* payload = left.Find("payload")) {
      return ReadPayload(*payload, values, texts, negated);
    }
    if (const YamlValue* ct = left.Find("ct")) {
      const std::string key = Text(*ct, "key");
      if (key == "state") return StateTest(texts, negated);
      // A translated connection is a service's.
      if (key == "status") return ConstantTest(FlowPart::kNone, negated);
    }
    // What is forwarded is not for this machine.
    if (left.Find("fib") != nullptr && texts == std::set<std::string>{"local"}) {
      return ConstantTest(FlowPart::kNone, negated);
    }
    if (const YamlValue* masked = left.Find("&"); masked != nullptr && !masked->items.empty()) {
      const YamlValue& what = masked->items[0];
      const YamlValue* meta = what.Find("meta");
      const YamlValue* payload = what.Find("payload");
      if (meta != nullptr) return ReadMeta(Text(*meta, "key"), texts, negated);
      if (payload != nullptr && Text(*payload, "field") == "flags") {
        return ConstantTest(FlowPart::kNone, negated);
      }
    }
    return ConstantTest(FlowPart::kUnknown);
  }

  static FilterTest ReadMeta(const std::string& key, const std::set<std::string>& texts,
                             bool negated) {
    FilterTest test;
    test.negated = negated;
    if (IsOneOf(key, {"iif", "iifname", "oif", "oifname"})) {
      test.on = key[0] == 'i' ? FilterTest::On::kInLink : FilterTest::On::kOutLink;
      test.links.assign(texts.begin(), texts.end());
      return test;
    }
    if (texts.size() != 1)
      return ConstantTest(key == "l4proto" ? FlowPart::kSome : FlowPart::kUnknown);
    if (key == "nfproto" || key == "protocol") return FamilyTest(*texts.begin(), negated);
    if (key == "l4proto") return ProtocolTest(*texts.begin(), negated);
    if (key == "mark") return MarkTest(*texts.begin(), negated);
    return ConstantTest(FlowPart::kUnknown);
  }

  static FilterTest FamilyTest(const std::string& name, bool negated) {
    if (!IsOneOf(name, {"ip", "ip6", "ipv4", "ipv6"})) {
      return ConstantTest(FlowPart::kNone, negated);
    }
    FilterTest test;
    test.on = FilterTest::On::kFamily;
    test.family = name == "ip" || name == "ipv4" ? IpFamily::kV4 : IpFamily::kV6;
    test.negated = negated;
    return test;
  }

  static FilterTest ReadPayload(const YamlValue& payload,
                                const std::vector<const YamlValue*>& values,
                                const std::set<std::string>& texts, bool negated) {
    const std::string protocol = Text(payload, "protocol"), field = Text(payload, "field");
    if (protocol == "ether" && field == "type" && texts.size() == 1) {
      return FamilyTest(*texts.begin(), negated);
    }
    if (protocol == "ip" || protocol == "ip6") {
      if (field == "saddr" || field == "daddr") return ReadAddresses(field, values, negated);
      // Of a family of its own it is a part at most; the rest nobody knows.
      bool known = field == "protocol" || field == "nexthdr";
      return ConstantTest(known ? FlowPart::kSome : FlowPart::kUnknown);
    }
    if (IsOneOf(protocol, {"th", "tcp", "udp", "udplite", "sctp", "dccp", "icmp", "icmpv6"})) {
      return ConstantTest(negated ? FlowPart::kSome : FlowPart::kNone);
    }
    return ConstantTest(FlowPart::kUnknown);
  }

  static FilterTest ReadAddresses(const std::string& field,
                                  const std::vector<const YamlValue*>& values, bool negated) {
    FilterTest test;
    test.on = field == "saddr" ? FilterTest::On::kSource : FilterTest::On::kTarget;
    test.negated = negated;
    for (const YamlValue* value : values) {
      std::string text = value->text;
      if (const YamlValue* prefix = value->Find("prefix")) {
        text = Text(*prefix, "addr") + "/" + Text(*prefix, "len");
      } else if (const YamlValue* range = value->Find("range");
                 range != nullptr && range->items.size() == 2) {
        text = range->items[0].text + "-" + range->items[1].text;
      }
      std::optional<AddressSpan> span = ParseAddressSpan(text);
      if (!span) return ConstantTest(FlowPart::kUnknown);
      test.addresses.push_back(*span);
    }
    return test;
  }

  void ReadVerdictMap(const YamlValue& vmap, const FilterRule& rule,
                      std::vector<FilterRule>* rules) const {
    const YamlValue* key = vmap.Find("key");
    const YamlValue* data = vmap.Find("data");
    if (key == nullptr || data == nullptr) return;
    for (const YamlValue* pair : Values(*data)) {
      if (pair->items.size() != 2 || pair->items[1].keys.empty()) continue;
      FilterRule one = rule;
      const YamlValue* element = pair->items[0].Find("elem");
      const YamlValue* inner = element == nullptr ? nullptr : element->Find("val");
      one.tests.push_back(ReadTest(*key, {inner != nullptr ? inner : &pair->items[0]}, false));
      ReadVerdict(pair->items[1].keys[0], pair->items[1].items[0], &one);
      rules->push_back(std::move(one));
    }
  }

  const std::map<std::string, const YamlValue*>& sets_;
  bool iptables_ = false;
};

FilterChain ReadChain(const YamlValue& chain, const std::string& table) {
  const std::string family = Text(chain, "family"), name = Text(chain, "name");
  FilterChain fact;
  fact.show = table + " " + name;
  const std::string type = Text(chain, "type"), hook = Text(chain, "hook");
  fact.base =
      IsOneOf(type, {"filter", "nat"}) && IsOneOf(hook, {"prerouting", "forward", "postrouting"});
  if (family == "bridge") {
    // What is routed leaves a bridge by its input, and goes into it by its output.
    const bool routed_only = IsOneOf(hook, {"input", "output"});
    fact.base = fact.base || routed_only;
    fact.of_bridge = true;
    fact.routed = hook != "forward";
    fact.bridged = !routed_only;
  }
  fact.v4 = family != "ip6";
  fact.v6 = family != "ip";
  fact.policy_drop = Text(chain, "policy") == "drop";
  // iptables' own tables are best mended with iptables.
  bool iptables = name == "FORWARD" && (table == "ip filter" || table == "ip6 filter");
  fact.mend_policy = iptables
                         ? (fact.v4 ? "iptables -P FORWARD ACCEPT" : "ip6tables -P FORWARD ACCEPT")
                         : "nft 'chain " + fact.show + " { policy accept; }'";
  return fact;
}

}  // namespace

Status ReadNftRuleset(const std::string& json, RulesetRead* read) {
  PODROUTE_ASSIGN_OR_RETURN(YamlValue ruleset, ParseYaml(json, "nft", 5'000'000));
  const YamlValue* entries = ruleset.Find("nftables");
  if (entries == nullptr) return {StatusCode::kInternal, "nft: no ruleset in what it printed"};
  std::map<std::string, std::map<std::string, const YamlValue*>> sets;  // By table.
  for (const YamlValue& entry : entries->items) {
    if (entry.keys.empty()) continue;
    const std::string& kind = entry.keys[0];
    const YamlValue& value = entry.items[0];
    const std::string table = Text(value, "family") + " " + Text(value, "table");
    const std::string name = Text(value, "name");
    if (kind == "chain") {
      read->kube_proxy = read->kube_proxy || name.starts_with("KUBE-SERVICES");
      read->chains[{table, name}] = ReadChain(value, table);
    } else if (kind == "table") {
      read->kube_proxy = read->kube_proxy || name == "kube-proxy";
    } else if (kind == "set" || kind == "map") {
      sets[table][name] = &value;
    }
  }
  for (const YamlValue& entry : entries->items) {
    const YamlValue* rule = entry.Find("rule");
    const YamlValue* expressions = rule == nullptr ? nullptr : rule->Find("expr");
    if (expressions == nullptr) continue;
    const std::string table = Text(*rule, "family") + " " + Text(*rule, "table");
    auto chain = read->chains.find({table, Text(*rule, "chain")});
    if (chain == read->chains.end()) continue;
    const std::string at = chain->second.show + " handle " + Text(*rule, "handle");
    FilterRule blank;
    blank.show = "rule " + at;
    blank.mend = "nft delete rule " + at;
    RuleReader reader(sets[table]);
    for (FilterRule& one : reader.Read(*expressions, std::move(blank))) {
      chain->second.rules.push_back(std::move(one));
    }
    (chain->second.v4 ? read->iptables_v4 : read->iptables_v6) |= reader.iptables();
  }
  return Status::Ok();
}

}  // namespace podroute
