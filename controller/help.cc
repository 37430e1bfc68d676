#include <algorithm>

#include "controller/verbs.h"

namespace podroute {
namespace {

std::string Padded(std::string text, size_t width) {
  text.resize(std::max(width, text.size() + 2), ' ');
  return text;
}

std::string FlagLines(const std::string& verb) {
  std::string out;
  for (const FlagInfo& flag : ListFlags()) {
    if (std::find(flag.verbs.begin(), flag.verbs.end(), verb) == flag.verbs.end()) continue;
    std::string left = "  --" + flag.name;
    if (!flag.default_value.empty()) left += "=" + flag.default_value;
    out += Padded(std::move(left), 36);
    out += flag.description;
    out += '\n';
  }
  return out;
}

}  // namespace

std::string HelpText(const std::string& verb) {
  for (const VerbInfo& info : ListVerbs()) {
    if (info.name != verb) continue;
    std::string flags = FlagLines(verb);
    std::string out = "podroute " + verb + ": " + std::string(info.summary) + "\n";
    return flags.empty() ? out : out + "\nFlags:\n" + flags;
  }
  std::string out =
      "podroute makes a Kubernetes cluster's pod networks reach each other with direct routes.\n\n"
      "Usage: podroute VERB [--flag=value ...]\n\nVerbs:\n";
  for (const VerbInfo& info : ListVerbs()) {
    out += Padded("  " + std::string(info.name), 12) + std::string(info.summary) + "\n";
  }
  out +=
      "\nEvery flag also reads PODROUTE_<FLAG> from the environment, and --flagfile=F reads more "
      "of\n"
      "them from a file. 'podroute help VERB' lists a verb's flags; --v=1 logs more.\n";
  return out;
}

}  // namespace podroute
