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
  const std::vector<VerbInfo>& verbs = ListVerbs();
  auto info = std::find_if(verbs.begin(), verbs.end(), [&](auto& v) { return v.name == verb; });
  if (info != verbs.end()) {
    std::string flags = FlagLines(verb);
    if (!flags.empty()) flags.insert(0, "\nFlags:\n");
    return "podroute " + verb + ": " + std::string(info->summary) + "\n" + flags;
  }
  std::string out =
      "podroute makes a Kubernetes cluster's pod networks reach each other with direct routes.\n\n"
      "Usage: podroute VERB [--flag=value ...]\n\nVerbs:\n";
  for (const VerbInfo& info : verbs) {
    out += Padded("  " + std::string(info.name), 12);
    out += info.summary;
    out += '\n';
  }
  out +=
      "\nEvery flag also reads PODROUTE_<FLAG> from the environment, and --flagfile=F reads\n"
      "more of them from a file. 'podroute help VERB' lists a verb's flags; --v=1 logs more.\n";
  return out;
}

}  // namespace podroute
