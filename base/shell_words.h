// A command line as a flag has it, split into words; and words for one.
#ifndef PODROUTE_BASE_SHELL_WORDS_H_
#define PODROUTE_BASE_SHELL_WORDS_H_

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace podroute {

// Splits as a POSIX shell does (Shell Command Language, section 2.2): at blanks and newlines;
// nothing is special between single quotes; a backslash takes the meaning of the next character,
// between double quotes only that of $ ` " \ and newline; a backslash and a newline are nothing.
// Nothing is expanded and no operator is known: $HOME, *, | and > are text, and so is #.
// Errors: a quote that is not closed, a backslash at the end, a NUL byte.
Result<std::vector<std::string>> SplitShellWords(std::string_view text);

// `text` as one word for a POSIX shell: as it is, where nothing in it is special, else in single
// quotes. REQUIRES: no NUL byte.
std::string ShellWord(std::string_view text);

}  // namespace podroute

#endif  // PODROUTE_BASE_SHELL_WORDS_H_
