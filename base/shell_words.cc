#include "base/shell_words.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace podroute {
namespace {

Status Wrong(std::string_view why, size_t at) {
  return Status(StatusCode::kInvalidArgument,
                std::string(why) + " (character " + std::to_string(at + 1) + ")");
}

}  // namespace

Result<std::vector<std::string>> SplitShellWords(std::string_view text) {
  constexpr std::string_view kEscapable = "$`\"\\";  // Between double quotes.
  std::vector<std::string> words;
  std::optional<std::string> word;  // '' is a word, too.
  auto add = [&](char c) { (word ? *word : word.emplace()) += c; };
  char quote = 0;
  size_t opened = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '\0') return Wrong("a NUL byte", i);
    if (quote != 0 && c == quote) {
      quote = 0;
    } else if (c == '\\' && quote != '\'') {
      if (i + 1 == text.size()) return Wrong("a backslash with nothing behind it", i);
      char next = text[++i];
      if (next == '\0') return Wrong("a NUL byte", i);
      if (next == '\n') continue;
      if (quote != 0 && kEscapable.find(next) == std::string_view::npos) add('\\');
      add(next);
    } else if (quote == 0 && (c == '\'' || c == '"')) {
      quote = c;
      opened = i;
      if (!word) word.emplace();
    } else if (quote == 0 && (c == ' ' || c == '\t' || c == '\n')) {
      if (word) words.push_back(*std::exchange(word, std::nullopt));
    } else {
      add(c);
    }
  }
  if (quote != 0) return Wrong(std::string("a quote (") + quote + ") that is not closed", opened);
  if (word) words.push_back(*std::move(word));
  return words;
}

std::string ShellWord(std::string_view text) {
  bool plain = std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("_-./:,+@%=").find(c) != std::string_view::npos;
  });
  if (plain && !text.empty()) return std::string(text);
  std::string out = "'";
  for (char c : text) out += c == '\'' ? "'\\''" : std::string(1, c);
  return out + "'";
}

}  // namespace podroute
