// Text from outside, made fit for a log line or a terminal.
#ifndef PODROUTE_BASE_TEXT_H_
#define PODROUTE_BASE_TEXT_H_

#include <cstddef>
#include <string>
#include <string_view>

namespace podroute {

// At most `most` bytes of `text`, control characters as '?', and "..." where something was cut off:
// a name can be a megabyte long or hold a newline, a message must not.
std::string Printable(std::string_view text, size_t most = 64);

// `text` as the value of a field of a log line: in double quotes, with a backslash before those and
// before backslashes, control characters as '?'. Whoever reads fields (logfmt) has it back, and no
// text from outside can end it and go on with fields of its own.
std::string QuotedValue(std::string_view text);

// What a program said, for the end of an error: its lines that are not blank, joined by "; ", as
// Printable has them.
std::string OneLine(std::string_view text, size_t most = 300);

}  // namespace podroute

#endif  // PODROUTE_BASE_TEXT_H_
