// RFC 4648 section 4, as kubeconfig's *-data fields hold it.
#ifndef PODROUTE_K8SCLIENT_BASE64_H_
#define PODROUTE_K8SCLIENT_BASE64_H_

#include <string>
#include <string_view>

#include "base/status.h"

namespace podroute {

// White space is skipped; padding is required. The message says what is wrong and at which
// character, without repeating the text, which may be a secret: "is not base64: ...".
Result<std::string> DecodeBase64(std::string_view text);

std::string EncodeBase64(std::string_view bytes);

}  // namespace podroute

#endif  // PODROUTE_K8SCLIENT_BASE64_H_
