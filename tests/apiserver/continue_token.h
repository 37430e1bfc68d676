// The opaque token of a list in pages: where it goes on, and as of which version.
#ifndef PODROUTE_TESTS_APISERVER_CONTINUE_TOKEN_H_
#define PODROUTE_TESTS_APISERVER_CONTINUE_TOKEN_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace podroute {

struct ContinueToken {
  int64_t version = 0;  // -1: whatever is newest (a list that goes on although it is inconsistent).
  std::string start;    // The least key of the page.

  // base64url of the JSON that kube-apiserver v1.20 uses.
  std::string Encode() const;
  static std::optional<ContinueToken> Decode(std::string_view text);

  bool operator==(const ContinueToken&) const = default;
};

}  // namespace podroute

#endif  // PODROUTE_TESTS_APISERVER_CONTINUE_TOKEN_H_
