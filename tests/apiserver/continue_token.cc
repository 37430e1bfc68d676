#include "tests/apiserver/continue_token.h"

#include "tests/apiserver/json.h"

namespace podroute {

namespace {

constexpr std::string_view kAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

std::string Base64Url(std::string_view bytes) {
  std::string out;
  uint32_t buffer = 0;
  int bits = 0;
  for (unsigned char byte : bytes) {
    buffer = buffer << 8 | byte;
    for (bits += 8; bits >= 6; bits -= 6) out += kAlphabet[buffer >> (bits - 6) & 63];
  }
  if (bits > 0) out += kAlphabet[buffer << (6 - bits) & 63];
  return out;
}

std::optional<std::string> FromBase64Url(std::string_view text) {
  std::string out;
  uint32_t buffer = 0;
  int bits = 0;
  for (char c : text) {
    if (c == '=') continue;
    size_t value = kAlphabet.find(c);
    if (value == std::string_view::npos) return std::nullopt;
    buffer = buffer << 6 | static_cast<uint32_t>(value);
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      out += static_cast<char>(buffer >> bits & 255);
    }
  }
  return out;
}

}  // namespace

std::string ContinueToken::Encode() const {
  return Base64Url(R"({"v":"meta.k8s.io/v1","rv":)" + std::to_string(version) +
                   ",\"start\":" + Quoted(start) + "}");
}

std::optional<ContinueToken> ContinueToken::Decode(std::string_view text) {
  std::optional<std::string> json = FromBase64Url(text);
  if (!json) return std::nullopt;
  Result<JsonDocument> document = ParseJson(*json);
  if (!document.ok() || StringAt(*document, {"v"}) != "meta.k8s.io/v1") return std::nullopt;
  const JsonValue* version = Find(*document, "rv");
  if (version == nullptr || !version->IsInt64()) return std::nullopt;
  std::string_view start = StringAt(*document, {"start"});
  if (start.empty()) return std::nullopt;
  return ContinueToken{version->GetInt64(), std::string(start)};
}

}  // namespace podroute
