#include "base/text.h"

#include <algorithm>

namespace podroute {

std::string Printable(std::string_view text, size_t most) {
  std::string out;
  for (char c : text.substr(0, most)) {
    out += (c < ' ' || c > '~') ? '?' : c;
  }
  if (text.size() > most) out += "...";
  return out;
}

std::string QuotedValue(std::string_view text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += (static_cast<unsigned char>(c) < ' ' || c == '\x7f') ? '?' : c;
  }
  return out + '"';
}

std::string OneLine(std::string_view text, size_t most) {
  constexpr std::string_view kBlank = " \t\r";
  std::string line;
  while (!text.empty() && line.size() <= most) {
    size_t length = std::min(text.find('\n'), text.size());
    std::string_view part = text.substr(0, length);
    text.remove_prefix(std::min(length + 1, text.size()));
    size_t begin = part.find_first_not_of(kBlank);
    if (begin == std::string_view::npos) continue;
    part = part.substr(begin, part.find_last_not_of(kBlank) + 1 - begin);
    if (!line.empty()) line += "; ";
    line += part;
  }
  return Printable(line, most);
}

}  // namespace podroute
