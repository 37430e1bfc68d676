#include "base/text.h"

namespace podroute {

std::string Printable(std::string_view text, size_t most) {
  std::string out;
  for (char c : text.substr(0, most)) {
    out += (c < ' ' || c > '~') ? '?' : c;
  }
  if (text.size() > most) out += "...";
  return out;
}

}  // namespace podroute
