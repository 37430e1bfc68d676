#include "k8sclient/http_transport.h"

namespace podroute {

Result<std::string> ReadBody(BodyStream& body, size_t max_bytes) {
  std::string text;
  char buffer[4096];
  while (true) {
    PODROUTE_ASSIGN_OR_RETURN(size_t n, body.Read(buffer));
    if (n == 0) return text;
    if (text.size() + n > max_bytes) {
      return Status(StatusCode::kInternal,
                    "the response is longer than " + std::to_string(max_bytes) + " bytes");
    }
    text.append(buffer, n);
  }
}

}  // namespace podroute
