#include "base/shell_words.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/subprocess.h"

namespace podroute {
namespace {

using ::testing::HasSubstr;
using Words = std::vector<std::string>;

TEST(ShellWordsTest, SplitsAsAShellDoesWithoutExpandingAnything) {
  struct {
    std::string text;
    Words words;
  } cases[] = {
      {"", {}},
      {" \t\n ", {}},
      {"ssh router vtysh", {"ssh", "router", "vtysh"}},
      {"  a\tb\nc  ", {"a", "b", "c"}},
      {"''", {""}},
      {"a '' \"\" b", {"a", "", "", "b"}},
      {"'a b'\"c d\"e\\ f", {"a bc de f"}},
      {"'\\n \"$x\"'", {"\\n \"$x\""}},
      {R"("a\"b\\c\$d\`e\n\'")", {R"(a"b\c$d`e\n\')"}},
      {R"(\a\'\"\\)", {R"(a'"\)"}},
      {"a\\\nb \"c\\\nd\" \\\n e", {"ab", "cd", "e"}},
      {"$HOME * ~ `x` $(y) | & ; < > ( ) #",
       {"$HOME", "*", "~", "`x`", "$(y)", "|", "&", ";", "<", ">", "(", ")", "#"}},
      {"ssh r 'vtysh -c \"show run\"'", {"ssh", "r", "vtysh -c \"show run\""}},
      {"caf\xc3\xa9 \xff", {"caf\xc3\xa9", "\xff"}},
  };
  for (const auto& c : cases) {
    Result<Words> words = SplitShellWords(c.text);
    ASSERT_TRUE(words.ok()) << c.text << ": " << words.status().message();
    EXPECT_EQ(*words, c.words) << c.text;
  }
}

TEST(ShellWordsTest, WhatHasNoEndIsAnError) {
  struct {
    std::string text;
    const char* message;
  } cases[] = {
      {"a 'b c", "a quote (') that is not closed (character 3)"},
      {"\"", "a quote (\") that is not closed (character 1)"},
      {"\"a\\\"", "a quote (\") that is not closed (character 1)"},
      {"'a\\''b", "a quote (') that is not closed (character 5)"},
      {"a\\", "a backslash with nothing behind it (character 2)"},
      {"\"a\\", "a backslash with nothing behind it (character 3)"},
      {std::string("a\0b", 3), "a NUL byte (character 2)"},
      {std::string("\\\0", 2), "a NUL byte (character 2)"},
  };
  for (const auto& c : cases) {
    Result<Words> words = SplitShellWords(c.text);
    ASSERT_FALSE(words.ok()) << c.text;
    EXPECT_EQ(words.status().code(), StatusCode::kInvalidArgument) << c.text;
    EXPECT_THAT(words.status().message(), HasSubstr(c.message)) << c.text;
  }
}

// Every text of up to five of these characters, against the shell itself.
TEST(ShellWordsTest, AWordIsQuotedWhereItHasTo) {
  EXPECT_EQ(ShellWord("10.244.0.0/16"), "10.244.0.0/16");
  EXPECT_EQ(ShellWord(""), "''");
  EXPECT_EQ(ShellWord("it's $HOME"), "'it'\\''s $HOME'");
  for (const char* text : {"", "a b", "'", "a'\"b", "$(x)`y`", "*", "\\", "~", "#", "a\nb", "!"}) {
    EXPECT_EQ(SplitShellWords(ShellWord(text)).value(), Words{text}) << text;
  }
}

TEST(ShellWordsTest, AgreesWithTheShell) {
  const std::string alphabet = "a '\"\\\n";
  std::string script;
  std::vector<Words> expected;
  for (int n = 0; n < 6 * 6 * 6 * 6 * 6; ++n) {
    std::string text;
    for (int i = 0, rest = n; i < 5; ++i, rest /= 6)
      text += alphabet[static_cast<size_t>(rest % 6)];
    Result<Words> words = SplitShellWords(text);
    // A newline that nothing quotes ends a command there, and is a blank here.
    if (!words.ok() || text.find('\n') != std::string::npos) continue;
    script += "printf '<%s>' " + text + " end; echo\n";
    expected.push_back(*words);
  }
  SubprocessOptions run;
  run.argv = {"sh"};
  run.stdin_text = script;
  Result<SubprocessResult> ran = RunSubprocess(run, nullptr);
  ASSERT_TRUE(ran.ok()) << ran.status().message();
  std::string ours;
  for (const Words& words : expected) {
    for (const std::string& word : words) ours += "<" + word + ">";
    ours += "<end>\n";
  }
  EXPECT_GT(expected.size(), 900u);
  EXPECT_EQ(ran->out, ours);
}

}  // namespace
}  // namespace podroute
