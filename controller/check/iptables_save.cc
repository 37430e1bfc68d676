#include <map>
#include <sstream>
#include <vector>

#include "base/shell_words.h"
#include "base/text.h"
#include "controller/check/filter_reader.h"

namespace podroute {
namespace {

// One "-A CHAIN ..." line's options.
class LineReader {
 public:
  explicit LineReader(const std::vector<std::string>& words) : words_(words) {}

  // Without the first two words.
  FilterRule Read() {
    for (at_ = 2; at_ < words_.size();) {
      bool negated = words_[at_] == "!";
      if (negated) ++at_;
      const std::string option = Next();
      if (option == "-j" || option == "-g") {
        ReadTarget(option == "-g");
        break;  // What follows is the target's.
      }
      ReadOption(option, negated);
    }
    return std::move(rule_);
  }

 private:
  std::string Next() { return at_ < words_.size() ? words_[at_++] : std::string(); }

  void Add(FilterTest test) { rule_.tests.push_back(std::move(test)); }

  void AddLink(FilterTest::On on, std::string name, bool negated) {
    if (name.ends_with('+')) name.back() = '*';
    FilterTest test;
    test.on = on;
    test.negated = negated;
    test.links = {std::move(name)};
    Add(std::move(test));
  }

  void AddAddress(FilterTest::On on, const std::string& text, bool negated) {
    std::optional<AddressSpan> span = ParseAddressSpan(text);
    if (!span) return Add(ConstantTest(FlowPart::kUnknown));
    FilterTest test;
    test.on = on;
    test.negated = negated;
    test.addresses = {*span};
    Add(std::move(test));
  }

  static std::set<std::string> Split(const std::string& list) {
    std::set<std::string> parts;
    std::istringstream text(list);
    for (std::string part; std::getline(text, part, ',');) parts.insert(part);
    return parts;
  }

  void ReadOption(const std::string& option, bool negated) {
    if (option == "-m" || option == "--comment") {
      Next();
    } else if (option == "-i" || option == "-o") {
      AddLink(option == "-i" ? FilterTest::On::kInLink : FilterTest::On::kOutLink, Next(), negated);
    } else if (option == "-s" || option == "--src-range") {
      AddAddress(FilterTest::On::kSource, Next(), negated);
    } else if (option == "-d" || option == "--dst-range") {
      AddAddress(FilterTest::On::kTarget, Next(), negated);
    } else if (option == "-p") {
      Add(ProtocolTest(Next(), negated));
    } else if (option == "--state" || option == "--ctstate") {
      Add(StateTest(Split(Next()), negated));
    } else if (option == "--mark") {
      const std::string mark = Next();
      Add(MarkTest(std::string_view(mark).substr(0, mark.find('/')), negated));
    } else if (option == "--dport" || option == "--sport" || option == "--dports" ||
               option == "--sports" || option == "--ports" || option == "--icmp-type" ||
               option == "--icmpv6-type") {
      Next();
      Add(ConstantTest(negated ? FlowPart::kSome : FlowPart::kNone));
    } else if (option == "--tcp-flags") {
      Next();
      Next();
      Add(ConstantTest(FlowPart::kNone, negated));
    } else if (option == "--physdev-is-bridged") {
      FilterTest test;
      test.on = FilterTest::On::kBridged;
      test.negated = negated;
      Add(std::move(test));
    } else if (option == "--dst-type" && at_ < words_.size() && words_[at_] == "LOCAL") {
      Next();
      Add(ConstantTest(FlowPart::kNone, negated));
    } else {
      while (at_ < words_.size() && words_[at_] != "!" && !words_[at_].starts_with('-')) ++at_;
      Add(ConstantTest(FlowPart::kUnknown));
    }
  }

  void ReadTarget(bool is_goto) {
    static const std::map<std::string, FilterVerdict> kVerdicts = {
        {"ACCEPT", FilterVerdict::kAccept},        {"DROP", FilterVerdict::kDrop},
        {"REJECT", FilterVerdict::kDrop},          {"RETURN", FilterVerdict::kReturn},
        {"MASQUERADE", FilterVerdict::kTranslate}, {"SNAT", FilterVerdict::kTranslate},
    };
    rule_.target = Next();
    auto verdict = kVerdicts.find(rule_.target);
    // A chain, or what does nothing with a packet's way (LOG, MARK, ...), which is no chain.
    rule_.verdict = verdict != kVerdicts.end() ? verdict->second
                    : is_goto                  ? FilterVerdict::kGoto
                                               : FilterVerdict::kJump;
  }

  const std::vector<std::string>& words_;
  size_t at_ = 0;
  FilterRule rule_;
};

}  // namespace

void ReadIptablesSave(const std::string& text, const std::string& command, RulesetRead* read) {
  const bool v4 = command.starts_with("iptables");
  const std::string nft_family = command.ends_with("-nft") ? (v4 ? "ip " : "ip6 ") : "";
  std::string table, options;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    Result<std::vector<std::string>> words = SplitShellWords(line);
    if (!words.ok() || words->empty()) continue;
    const std::string& first = words->front();
    if (first.starts_with('*')) {
      const std::string name = first.substr(1);
      table = std::string(command).append(" ").append(name);
      options = name == "filter" ? " " : " -t " + name + " ";
      if (!nft_family.empty()) {
        std::erase_if(read->chains,
                      [&](const auto& chain) { return chain.first.first == nft_family + name; });
      }
    } else if (first.starts_with(':') && words->size() >= 2) {
      const std::string name = first.substr(1);
      FilterChain& chain = read->chains[{table, name}];
      chain.show = std::string(table).append(" ").append(name);
      chain.v4 = v4;
      chain.v6 = !v4;
      chain.base = words->at(1) != "-" &&
                   (name == "PREROUTING" || name == "FORWARD" || name == "POSTROUTING");
      chain.policy_drop = words->at(1) == "DROP";
      chain.mend_policy = std::string(command).append(options).append("-P ") + name + " ACCEPT";
      read->kube_proxy = read->kube_proxy || name.starts_with("KUBE-SERVICES");
    } else if (first == "-A" && words->size() > 2) {
      auto chain = read->chains.find({table, words->at(1)});
      if (chain == read->chains.end()) continue;
      FilterRule rule = LineReader(*words).Read();
      rule.show =
          std::string("rule \"").append(Printable(line, 512)).append("\" of ").append(table);
      rule.mend = std::string(command).append(options).append("-D");
      // Quoted anew: iptables' own quotes leave a comment's $ and ` to the shell.
      for (size_t i = 1; i < words->size(); ++i)
        rule.mend.append(" ").append(ShellWord((*words)[i]));
      chain->second.rules.push_back(std::move(rule));
    }
  }
}

}  // namespace podroute
