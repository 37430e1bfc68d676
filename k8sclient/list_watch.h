// The requests that list and watch Nodes.
#ifndef PODROUTE_K8SCLIENT_LIST_WATCH_H_
#define PODROUTE_K8SCLIENT_LIST_WATCH_H_

#include <memory>
#include <string>
#include <string_view>

#include "k8sclient/api_error.h"
#include "k8sclient/http_transport.h"

namespace podroute {

inline constexpr std::string_view kNodesPath = "/api/v1/nodes";

// `text` for use in a query: all but RFC 3986's unreserved characters as %XX.
std::string PercentEncode(std::string_view text);

// "/api/v1/nodes?limit=500&resourceVersion=0". limit 0 is left out. An empty version ("the most
// recent there is") is left out, and so is any version beside a continue token, where the server
// refuses it. `field_selector` ("metadata.name=worker1", here and below): only the Nodes it
// selects; empty: all.
std::string ListTarget(std::string_view resource_version, int limit,
                       std::string_view continue_token, std::string_view field_selector = "");

// A watch from `resource_version` on, with bookmarks, that the server closes after
// `timeout_seconds`.
std::string WatchTarget(std::string_view resource_version, int timeout_seconds,
                        std::string_view field_selector = "");

// A watch that begins with an ADDED event for every Node there is, of a state not older than
// `resource_version` ("0": any; "": the most recent there is), and a BOOKMARK that says that these
// were all (watch-list, KEP-3157); from there on as WatchTarget. Servers without it answer 422
// (Kubernetes before 1.32, and some later ones).
std::string WatchListTarget(std::string_view resource_version, int timeout_seconds,
                            std::string_view field_selector = "");

// Sends a GET and yields its body when the answer is 200 with JSON in it; *body is untouched
// otherwise. A content type other than JSON (a login page, a captive portal) is kInternal.
ApiError OpenBody(HttpTransport& transport, const std::string& target, Duration idle_timeout,
                  std::unique_ptr<BodyStream>* body);

}  // namespace podroute

#endif  // PODROUTE_K8SCLIENT_LIST_WATCH_H_
