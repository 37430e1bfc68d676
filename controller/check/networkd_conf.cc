#include "controller/check/networkd_conf.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <map>

namespace podroute {
namespace {

constexpr std::string_view kBlank = " \t\r";

std::string_view Trim(std::string_view text) {
  size_t first = text.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

}  // namespace

std::optional<bool> ParseSystemdBoolean(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  for (const char* yes : {"1", "yes", "y", "true", "t", "on"}) {
    if (lower == yes) return true;
  }
  for (const char* no : {"0", "no", "n", "false", "f", "off"}) {
    if (lower == no) return false;
  }
  return std::nullopt;
}

std::optional<bool> NetworkdBoolean(std::string_view text, std::string_view key) {
  std::optional<bool> found;
  bool network = false;
  std::string line;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view part = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    // Comments may stand between the lines of a value that goes on.
    std::string_view trimmed = Trim(part);
    if (trimmed.starts_with('#') || trimmed.starts_with(';')) continue;
    if (trimmed.ends_with('\\')) {
      line.append(trimmed.substr(0, trimmed.size() - 1)).append(" ");
      if (!text.empty()) continue;
    } else {
      line += trimmed;
    }
    std::string whole;
    whole.swap(line);
    std::string_view entry = Trim(whole);
    if (entry.starts_with('[')) {
      network = entry == "[Network]";
      continue;
    }
    const size_t equals = entry.find('=');
    if (!network || equals == std::string_view::npos || Trim(entry.substr(0, equals)) != key) {
      continue;
    }
    // systemd ignores a value that is none.
    if (auto value = ParseSystemdBoolean(Trim(entry.substr(equals + 1)))) found = value;
  }
  return found;
}

int SystemdVersion(std::string_view library) {
  constexpr std::string_view kPrefix = "libsystemd-shared-";
  if (!library.starts_with(kPrefix)) return 0;
  library.remove_prefix(kPrefix.size());
  int version = 0;
  std::from_chars(library.data(), library.data() + library.size(), version);
  return version;
}

std::vector<std::pair<size_t, std::string>> OrderDropIns(
    const std::vector<std::vector<std::string>>& by_root) {
  std::map<std::string, size_t> first;
  for (size_t root = 0; root < by_root.size(); ++root) {
    for (const std::string& name : by_root[root]) {
      if (name.ends_with(".conf")) first.emplace(name, root);
    }
  }
  std::vector<std::pair<size_t, std::string>> order;
  order.reserve(first.size());
  for (const auto& [name, root] : first) order.emplace_back(root, name);
  return order;
}

}  // namespace podroute
