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

TEST(QuotedValueTest, IsOneValueWhateverIsInIt) {
  EXPECT_EQ(QuotedValue(""), R"("")");
  EXPECT_EQ(QuotedValue("no such file"), R"("no such file")");
  EXPECT_EQ(QuotedValue(R"(context "lab" in C:\k)"), R"("context \"lab\" in C:\\k")");
  EXPECT_EQ(QuotedValue("10.0.0.0/8\" node=\"other\nI1129 route added"),
            R"("10.0.0.0/8\" node=\"other?I1129 route added")");
  EXPECT_EQ(QuotedValue("\x7f\t\xc3\xa4"), "\"??\xc3\xa4\"");
}

}  // namespace
}  // namespace podroute
