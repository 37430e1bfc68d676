#include "k8sclient/base64.h"

#include <gtest/gtest.h>

namespace podroute {
namespace {

TEST(Base64Test, DecodesAndEncodes) {
  struct {
    std::string bytes, text;
  } cases[] = {
      {"", ""},
      {"f", "Zg=="},
      {"fo", "Zm8="},
      {"foo", "Zm9v"},
      {"foob", "Zm9vYg=="},
      {"fooba", "Zm9vYmE="},
      {"foobar", "Zm9vYmFy"},
      {"\xff\xfe\xfd", "//79"},
      {std::string("\0\0", 2), "AAA="},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.text);
    EXPECT_EQ(EncodeBase64(c.bytes), c.text);
    Result<std::string> decoded = DecodeBase64(c.text);
    ASSERT_TRUE(decoded.ok()) << decoded.status().message();
    EXPECT_EQ(*decoded, c.bytes);
  }
}

TEST(Base64Test, SkipsWhiteSpace) {
  Result<std::string> decoded = DecodeBase64(" Zm9v\r\n\tYmFy\n");
  ASSERT_TRUE(decoded.ok());
  EXPECT_EQ(*decoded, "foobar");
}

TEST(Base64Test, AnythingElseIsAnErrorThatDoesNotRepeatIt) {
  struct {
    const char* text;
    const char* message;
  } cases[] = {
      {"Zm9%", "is not base64: character 4 is none of its letters"},
      {"Zm-_", "is not base64: character 3 is none of its letters"},
      {"Z", "is not base64: its end is missing or has the wrong padding"},
      {"Zg", "is not base64: its end is missing or has the wrong padding"},
      {"Zg=", "is not base64: its end is missing or has the wrong padding"},
      {"Zg===", "is not base64: its end is missing or has the wrong padding"},
      {"Zm9v=", "is not base64: its end is missing or has the wrong padding"},
      {"====", "is not base64: its end is missing or has the wrong padding"},
      {"Zg==Zg==", "is not base64: it goes on after the padding"},
      {"-----BEGIN CERTIFICATE-----", "is not base64: character 1 is none of its letters"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.text);
    Result<std::string> decoded = DecodeBase64(c.text);
    ASSERT_FALSE(decoded.ok());
    EXPECT_EQ(decoded.status().message(), c.message);
  }
}

}  // namespace
}  // namespace podroute
