#include "base/text.h"

#include <gtest/gtest.h>

namespace podroute {
namespace {

TEST(PrintableTest, KeepsPrintableAsciiAndNothingElse) {
  const std::pair<std::string, std::string> cases[] = {
      {"", ""},
      {"worker-1.example", "worker-1.example"},
      {" ~", " ~"},
      {"a\nb\tc\x7f", "a?b?c?"},
      {std::string("a\0b", 3), "a?b"},
      {"\x1b[31mred", "?[31mred"},
      {"\xc3\xa9", "??"},
  };
  for (const auto& [text, expected] : cases) EXPECT_EQ(Printable(text), expected);
}

TEST(PrintableTest, CutsWhatIsTooLongAndSaysSo) {
  EXPECT_EQ(Printable("12345", 5), "12345");
  EXPECT_EQ(Printable("123456", 5), "12345...");
  EXPECT_EQ(Printable(std::string(1 << 20, 'a')).size(), 67u);
}

}  // namespace
}  // namespace podroute
