#include "controller/flag_values.h"

#include <algorithm>
#include <chrono>
#include <iterator>

namespace podroute {
namespace {

constexpr size_t kMaxNameBytes = 253;  // RFC 1123 subdomain, as the API has it.

bool IsSubdomain(const std::string& text) {
  if (text.empty() || text.size() > kMaxNameBytes) return false;
  bool good = std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
  });
  auto edge = [](char c) { return c == '-' || c == '.'; };
  return good && !edge(text.front()) && !edge(text.back());
}

}  // namespace

Status WrongFlag(const std::string& flag, const std::string& text, const std::string& what) {
  return Status(StatusCode::kInvalidArgument, "--" + flag + "=" + Printable(text) + ": " + what);
}

Status CheckObjectName(const std::string& flag, const std::string& name) {
  if (IsSubdomain(name)) return Status::Ok();
  return WrongFlag(flag, name,
                   "not a name that the API takes (lower case letters, digits, - and .)");
}

Result<Duration> ParseDuration(std::string_view text) {
  static constexpr std::pair<std::string_view, Duration> kUnits[] = {
      {"ms", std::chrono::milliseconds(1)}, {"us", std::chrono::microseconds(1)},
      {"s", std::chrono::seconds(1)},       {"m", std::chrono::minutes(1)},
      {"h", std::chrono::hours(1)},
  };
  auto wrong = [&] {
    return Status(StatusCode::kInvalidArgument,
                  "\"" + Printable(text) + "\" is not a duration such as 60s, 1m30s or 500ms");
  };
  Duration total{0};
  if (text.empty()) return wrong();
  for (std::string_view rest = text; !rest.empty();) {
    uint32_t count = 0;
    auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), count);
    if (error != std::errc()) return wrong();
    rest.remove_prefix(static_cast<size_t>(end - rest.data()));
    const auto* unit = std::find_if(std::begin(kUnits), std::end(kUnits),
                                    [&](const auto& u) { return rest.starts_with(u.first); });
    if (unit == std::end(kUnits)) return wrong();
    if (count > std::chrono::hours(24 * 365) / unit->second) return wrong();
    total += unit->second * count;
    if (total > std::chrono::hours(24 * 365)) return wrong();
    rest.remove_prefix(unit->first.size());
  }
  return total;
}

}  // namespace podroute
