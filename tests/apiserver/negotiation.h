// How a response is printed, by the request's Accept, User-Agent and parameters.
#ifndef PODROUTE_TESTS_APISERVER_NEGOTIATION_H_
#define PODROUTE_TESTS_APISERVER_NEGOTIATION_H_

#include <string_view>
#include <vector>

#include "tests/apiserver/api.h"

namespace podroute {

// A meta.k8s.io/v1 Table is asked for (kubectl).
bool WantsTable(const ApiRequest& request);
TableObjects TableObjectsOf(const ApiRequest& request);

// Indented for people's programs (curl), compact with a newline for the rest.
bool WantsPretty(const ApiRequest& request);
ApiResponse JsonResponse(const ApiRequest& request, int status, std::string_view json);
ApiResponse ListResponse(const ApiRequest& request, const ResourceType& type,
                         std::vector<ObjectPtr> items, std::string_view metadata,
                         int64_t now_seconds);

// Gives a response's body piece by piece, so that a list of 5,000 Nodes is never one string.
class BodyReader {
 public:
  explicit BodyReader(ApiResponse response) : response_(std::move(response)) {}
  // Appends some more of the body, about `size` bytes; false at the end.
  bool Read(size_t size, std::string* out);

 private:
  ApiResponse response_;
  bool begun_ = false, ended_ = false;
  size_t next_item_ = 0;
};

}  // namespace podroute

#endif  // PODROUTE_TESTS_APISERVER_NEGOTIATION_H_
