#include "controller/check/gather_filter.h"

#include <algorithm>
#include <map>
#include <optional>
#include <sstream>

#include "base/file.h"
#include "base/shell_words.h"
#include "base/subprocess.h"
#include "k8sclient/yaml_value.h"

namespace podroute {
namespace {

constexpr size_t kMaxRulesetBytes = size_t{64} << 20;

std::string Text(const YamlValue& map, std::string_view key) {
  const YamlValue* value = map.Find(key);
  return value == nullptr ? "" : value->text;
}

// "10.0.0.1" or {"prefix":{"addr":"10.0.0.0","len":8}}; nothing: a set, a range, ...
std::optional<IpPrefix> PrefixOf(const YamlValue& value) {
  std::string text = value.text;
  if (const YamlValue* prefix = value.Find("prefix")) {
    text = Text(*prefix, "addr") + "/" + Text(*prefix, "len");
  } else if (Result<IpAddress> address = IpAddress::Parse(text); address.ok()) {
    return IpPrefix::Of(*address, address->bits());
  }
  Result<IpPrefix> parsed = IpPrefix::Parse(text);
  if (!parsed.ok()) return std::nullopt;
  return *parsed;
}

struct Condition {
  bool understood = true, link = false;
  std::string verdict;
  std::optional<IpPrefix> source, target;
};

void ReadMatch(const YamlValue& match, Condition* condition) {
  const YamlValue* left = match.Find("left");
  const YamlValue* right = match.Find("right");
  condition->understood = false;
  if (left == nullptr || right == nullptr || Text(match, "op") != "==") return;
  if (const YamlValue* meta = left->Find("meta")) {
    condition->link = Text(*meta, "key") == "iifname" || Text(*meta, "key") == "oifname";
    condition->understood = condition->link;
    return;
  }
  const YamlValue* payload = left->Find("payload");
  std::optional<IpPrefix> prefix = PrefixOf(*right);
  if (payload == nullptr || !prefix) return;
  std::string field = Text(*payload, "field");
  if (field == "saddr") condition->source = prefix;
  if (field == "daddr") condition->target = prefix;
  condition->understood = field == "saddr" || field == "daddr";
}

Condition ReadExpressions(const YamlValue& rule) {
  Condition condition;
  const YamlValue* expressions = rule.Find("expr");
  if (expressions == nullptr) return condition;
  for (const YamlValue& expression : expressions->items) {
    if (expression.keys.empty() || !condition.understood) continue;
    const std::string& kind = expression.keys[0];
    if (kind == "match") {
      ReadMatch(expression.items[0], &condition);
    } else if (kind == "drop" || kind == "reject" || kind == "accept") {
      condition.verdict = kind;
    } else if (kind != "counter" && kind != "log") {
      condition.understood = false;
    }
  }
  return condition;
}

void ReadChain(const YamlValue& chain, HostFacts* host) {
  std::string family = Text(chain, "family"), table = Text(chain, "table"),
              name = Text(chain, "name");
  ForwardChain fact{family + " " + table + " " + name, Text(chain, "policy") == "drop", ""};
  // iptables' own tables are best mended with iptables.
  bool iptables = table == "filter" && name == "FORWARD" && (family == "ip" || family == "ip6");
  fact.mend_policy =
      iptables ? (family == "ip" ? "iptables -P FORWARD ACCEPT" : "ip6tables -P FORWARD ACCEPT")
               : "nft 'chain " + fact.show + " { policy accept; }'";
  host->chains.push_back(std::move(fact));
}

std::string LegacyPrefix(const std::vector<std::string>& words, const std::string& option) {
  auto at = std::find(words.begin(), words.end(), option);
  return at == words.end() || at + 1 == words.end() ? "" : *(at + 1);
}

bool Run(const std::vector<std::string>& argv, std::string* out, std::string* why) {
  SubprocessOptions options;
  options.argv = argv;
  options.timeout = std::chrono::seconds(20);
  options.max_output_bytes = kMaxRulesetBytes;
  Result<SubprocessResult> result = RunSubprocess(options, nullptr);
  if (!result.ok()) {
    *why = result.status().message();
  } else if (result->exit_code != 0 || result->signal != 0) {
    *why = argv[0] + ": " + DescribeExit(*result);
  } else {
    *out = std::move(result->out);
    return true;
  }
  return false;
}

}  // namespace

Status ReadRulesetJson(const std::string& json, HostFacts* host) {
  PODROUTE_ASSIGN_OR_RETURN(YamlValue ruleset, ParseYaml(json, "nft", 5'000'000));
  const YamlValue* entries = ruleset.Find("nftables");
  if (entries == nullptr) return {StatusCode::kInternal, "nft: no ruleset in what it printed"};
  for (const YamlValue& entry : entries->items) {
    const YamlValue* chain = entry.Find("chain");
    if (chain == nullptr) continue;
    if (Text(*chain, "name").starts_with("KUBE-SERVICES")) host->kube_proxy_rules = true;
    if (Text(*chain, "hook") == "forward" && Text(*chain, "family") != "bridge") {
      ReadChain(*chain, host);
    }
  }
  for (const YamlValue& entry : entries->items) {
    const YamlValue* rule = entry.Find("rule");
    if (rule == nullptr) continue;
    std::string show =
        Text(*rule, "family") + " " + Text(*rule, "table") + " " + Text(*rule, "chain");
    if (std::none_of(host->chains.begin(), host->chains.end(),
                     [&](const ForwardChain& chain) { return chain.show == show; })) {
      continue;
    }
    Condition condition = ReadExpressions(*rule);
    bool accept = condition.verdict == "accept";
    if (!condition.understood || condition.verdict.empty() || (condition.link && !accept)) continue;
    host->rules.push_back({show, accept, condition.source, condition.target,
                           "nft delete rule " + show + " handle " + Text(*rule, "handle")});
  }
  return Status::Ok();
}

void ReadLegacyRules(const std::string& text, const std::string& command, HostFacts* host) {
  const std::string show = command + " FORWARD";
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("-N KUBE-SERVICES")) host->kube_proxy_rules = true;
    if (line.starts_with("-P FORWARD ")) {
      host->chains.push_back({show, line == "-P FORWARD DROP", command + " -P FORWARD ACCEPT"});
    }
    Result<std::vector<std::string>> words = SplitShellWords(line);
    if (!words.ok() || !line.starts_with("-A FORWARD ")) continue;
    std::string verdict = LegacyPrefix(*words, "-j");
    std::string source = LegacyPrefix(*words, "-s"), target = LegacyPrefix(*words, "-d");
    size_t understood = 4 + (source.empty() ? 0 : 2) + (target.empty() ? 0 : 2);
    if (words->size() != understood) continue;
    if (verdict != "ACCEPT" && verdict != "DROP" && verdict != "REJECT") continue;
    ForwardRule rule{show, verdict == "ACCEPT", {}, {}, command + " -D" + line.substr(2)};
    if (Result<IpPrefix> prefix = IpPrefix::Parse(source); prefix.ok()) rule.source = *prefix;
    if (Result<IpPrefix> prefix = IpPrefix::Parse(target); prefix.ok()) rule.target = *prefix;
    host->rules.push_back(std::move(rule));
  }
}

void GatherFilter(HostFacts* host, std::vector<Skipped>* skipped) {
  std::string out, why;
  if (Run({"nft", "-j", "list", "ruleset"}, &out, &why)) {
    Status read = ReadRulesetJson(out, host);
    if (!read.ok()) skipped->push_back({"nftables", read.message()});
  } else {
    skipped->push_back({"nftables and iptables-nft", why});
  }
  for (auto [names, command] : {std::pair{"/proc/net/ip_tables_names", "iptables-legacy"},
                                std::pair{"/proc/net/ip6_tables_names", "ip6tables-legacy"}}) {
    Result<std::string> tables = ReadFile(names);
    if (!tables.ok() && tables.status().code() != StatusCode::kNotFound) {
      skipped->push_back({command, tables.status().message()});
    }
    // Asking for a table would make it.
    if (!tables.ok() || ("\n" + *tables).find("\nfilter\n") == std::string::npos) continue;
    if (Run({command, "-S"}, &out, &why)) {
      ReadLegacyRules(out, command, host);
    } else {
      skipped->push_back({command, why});
    }
  }
}

}  // namespace podroute
