#include "k8sclient/rfc3339.h"

#include <chrono>
#include <cstddef>

namespace podroute {
namespace {

// Takes exactly `digits` digits from the front of `text`.
std::optional<int> TakeNumber(std::string_view& text, size_t digits) {
  if (text.size() < digits) return std::nullopt;
  int value = 0;
  for (char c : text.substr(0, digits)) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + (c - '0');
  }
  text.remove_prefix(digits);
  return value;
}

bool TakeChar(std::string_view& text, std::string_view any_of) {
  if (text.empty() || any_of.find(text.front()) == std::string_view::npos) return false;
  text.remove_prefix(1);
  return true;
}

bool TakeFraction(std::string_view& text) {
  if (!TakeChar(text, ".")) return true;
  size_t digits = 0;
  while (TakeChar(text, "0123456789")) ++digits;
  return digits > 0;
}

// "Z" or "+hh:mm", to the end of the text; in seconds east of UTC.
std::optional<int> TakeOffset(std::string_view& text) {
  if (text == "Z" || text == "z") return 0;
  if (text.size() != 6) return std::nullopt;
  int sign = text.front() == '-' ? -1 : 1;
  if (!TakeChar(text, "+-")) return std::nullopt;
  std::optional<int> hours = TakeNumber(text, 2);
  if (!hours || *hours > 23 || !TakeChar(text, ":")) return std::nullopt;
  std::optional<int> minutes = TakeNumber(text, 2);
  if (!minutes || *minutes > 59) return std::nullopt;
  return sign * (*hours * 3600 + *minutes * 60);
}

}  // namespace

std::optional<int64_t> ParseRfc3339Seconds(std::string_view text) {
  std::optional<int> year = TakeNumber(text, 4);
  if (!year || !TakeChar(text, "-")) return std::nullopt;
  std::optional<int> month = TakeNumber(text, 2);
  if (!month || !TakeChar(text, "-")) return std::nullopt;
  std::optional<int> day = TakeNumber(text, 2);
  if (!day || !TakeChar(text, "Tt ")) return std::nullopt;
  std::optional<int> hour = TakeNumber(text, 2);
  if (!hour || *hour > 23 || !TakeChar(text, ":")) return std::nullopt;
  std::optional<int> minute = TakeNumber(text, 2);
  if (!minute || *minute > 59 || !TakeChar(text, ":")) return std::nullopt;
  std::optional<int> second = TakeNumber(text, 2);
  if (!second || *second > 60 || !TakeFraction(text)) return std::nullopt;
  std::optional<int> offset = TakeOffset(text);
  if (!offset) return std::nullopt;

  std::chrono::year_month_day date(std::chrono::year(*year),
                                   std::chrono::month(static_cast<unsigned>(*month)),
                                   std::chrono::day(static_cast<unsigned>(*day)));
  if (!date.ok()) return std::nullopt;
  int64_t days = std::chrono::sys_days(date).time_since_epoch().count();
  int64_t of_day = *second - *offset + 60 * (*minute + int64_t{60} * *hour);
  return days * 86400 + of_day;
}

}  // namespace podroute
