#include "k8sclient/yaml_value.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace podroute {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

TEST(YamlValueTest, BecomesTheJsonThatGoReads) {
  struct {
    const char* yaml;
    const char* json;
  } cases[] = {
      {"", "null"},
      {"# only a comment\n", "null"},
      {"~", "null"},
      {"null", "null"},
      {"'null'", "\"null\""},
      {"text", "\"text\""},
      {"a: 1\nb: '1'\nc: 1.5e3\nd: 0x10\ne: 01\nf: -\n", nullptr},
      {"a: 1\nb: '1'\nc: -1.5e3\nd: 0x10\ne: 01\n",
       R"({"a":1,"b":"1","c":-1.5e3,"d":"0x10","e":"01"})"},
      {"[true, yes, 'true', \"no\", Off, offline]", R"([true,true,"true","no",false,"offline"])"},
      {"{\"a\": [1, {\"b\": null}], \"c\": \"x\\\"y\\n\"}",
       R"({"a":[1,{"b":null}],"c":"x\"y\u000a"})"},
      {"x: &a {k: v}\ny: *a\n", R"({"x":{"k":"v"},"y":{"k":"v"}})"},
      {"a: |\n  one\n  two\nb: >-\n  one\n  two\n", R"({"a":"one\u000atwo\u000a","b":"one two"})"},
      {"a: |+\n  one\n\n", R"({"a":"one\u000a\u000a"})"},
      {"a: |\n  one", R"({"a":"one"})"},
      {"a: one\n  two", R"({"a":"one two"})"},
      {"a: b\n...\n", R"({"a":"b"})"},
      {"!!str 12", "\"12\""},
      {"first: 1\n---\nsecond: 2\n", R"({"first":1})"},
      {"-1", "-1"},
      {"[1., .5, 1e, -, 1e+]", R"(["1.",".5","1e","-","1e+"])"},
      {"v: \"\\u00e9\"", "{\"v\":\"\xc3\xa9\"}"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.yaml);
    Result<YamlValue> value = ParseYaml(c.yaml, "f");
    if (c.json == nullptr) {
      EXPECT_FALSE(value.ok());
      continue;
    }
    ASSERT_TRUE(value.ok()) << value.status().message();
    EXPECT_EQ(ToJson(*value), c.json);
  }
}

TEST(YamlValueTest, MalformedTextIsAnErrorWithItsLine) {
  struct {
    std::string text;
    const char* where;
  } cases[] = {
      {"a: [1, 2\n", "f:"},
      {"a: b: c\n", "f:1: not YAML or JSON: "},
      {"\n\na: \"open\n", "f:"},
      {"a: 1\n\tb: 2\n", "f:"},
      {"a: *nobody\n", "f:1: "},
      {"a: 'open\nb: 2\n", "f:"},
      {"a: \"open", "f:"},
      {"{[1]: 2}\n", "f:1: not YAML or JSON: a key that is not text"},
      {"a: &a [*a]\n", "f:1: not YAML or JSON: an alias inside what it stands for"},
      {std::string("a: 1\nb: \x04 2\n"), "f:2: control character 4"},
      {std::string("a: 1\0", 5), "f:1: control character 0"},
      {"\x7f", "f:1: control character 127"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.text);
    Result<YamlValue> value = ParseYaml(c.text, "f");
    ASSERT_FALSE(value.ok());
    EXPECT_EQ(value.status().code(), StatusCode::kInvalidArgument);
    EXPECT_THAT(value.status().message(), StartsWith(c.where));
    EXPECT_EQ(value.status().message().find('\n'), std::string::npos);
  }
}

TEST(YamlValueTest, KnowsItsLines) {
  Result<YamlValue> value = ParseYaml("# c\na: 1\nb:\n  - x\n  - {y: z}\n", "f");
  ASSERT_TRUE(value.ok());
  EXPECT_EQ(value->Find("a")->line, 2);
  EXPECT_EQ(value->Find("b")->items[0].line, 4);
  EXPECT_EQ(value->Find("b")->items[1].Find("y")->line, 5);
}

TEST(YamlValueTest, FindTakesTheLastOfEqualKeysAndNoNulls) {
  Result<YamlValue> value = ParseYaml("a: 1\na: 2\nb: ~\n", "f");
  ASSERT_TRUE(value.ok());
  EXPECT_EQ(value->Find("a")->text, "2");
  EXPECT_EQ(value->Find("b"), nullptr);
  EXPECT_EQ(value->Find("c"), nullptr);
  EXPECT_EQ(value->Find("a")->Find("x"), nullptr);
}

// Nine levels of nine: a "billion laughs".
TEST(YamlValueTest, AliasesCannotBlowItUp) {
  std::string text = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n";
  for (int i = 1; i < 10; ++i) {
    std::string before = "*a" + std::to_string(i - 1);
    text += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + before;
    for (int j = 0; j < 8; ++j) text += "," + before;
    text += "]\n";
  }
  Result<YamlValue> value = ParseYaml(text, "f");
  ASSERT_FALSE(value.ok());
  EXPECT_THAT(value.status().message(), HasSubstr("more than 1000000 values"));
}

TEST(YamlValueTest, DeepNestingIsAnError) {
  for (size_t depth : {101u, 100'000u}) {
    Result<YamlValue> value = ParseYaml(std::string(depth, '[') + std::string(depth, ']'), "f");
    EXPECT_FALSE(value.ok());
    std::string block;
    for (size_t i = 0; i < std::min<size_t>(depth, 1000); ++i) block += "- ";
    EXPECT_FALSE(ParseYaml(block, "f").ok());
  }
  EXPECT_TRUE(ParseYaml(std::string(99, '[') + std::string(99, ']'), "f").ok());
}

}  // namespace
}  // namespace podroute
