// What flags' texts mean.
#ifndef PODROUTE_CONTROLLER_FLAG_VALUES_H_
#define PODROUTE_CONTROLLER_FLAG_VALUES_H_

#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "base/text.h"

namespace podroute {

// "60s", "1m30s", "500ms", "2h". Not negative.
Result<Duration> ParseDuration(std::string_view text);

// "--name=text: what" (kInvalidArgument).
Status WrongFlag(const std::string& flag, const std::string& text, const std::string& what);

// Whether the API takes `name` as an object's (kInvalidArgument).
Status CheckObjectName(const std::string& flag, const std::string& name);

template <typename T>
Result<T> ParseNumber(const std::string& flag, const std::string& text, uint64_t least,
                      uint64_t most) {
  uint64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < least || value > most) {
    return WrongFlag(
        flag, text,
        "not a whole number from " + std::to_string(least) + " to " + std::to_string(most));
  }
  return static_cast<T>(value);
}

// Finds the flag's value in a list of (word, value).
template <typename T>
Result<T> ParseWord(const std::string& flag, const std::string& text,
                    const std::vector<std::pair<std::string, T>>& words) {
  std::string names;
  for (const auto& [word, value] : words) {
    if (word == text) return value;
    if (!word.empty()) names += (names.empty() ? "" : ", ") + word;
  }
  return WrongFlag(flag, text, "not one of " + names);
}

}  // namespace podroute

#endif  // PODROUTE_CONTROLLER_FLAG_VALUES_H_
