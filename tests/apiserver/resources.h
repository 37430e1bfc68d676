// The kinds of objects that this API server keeps.
#ifndef PODROUTE_TESTS_APISERVER_RESOURCES_H_
#define PODROUTE_TESTS_APISERVER_RESOURCES_H_

#include <span>
#include <string>
#include <string_view>

namespace podroute {

struct ResourceType {
  std::string_view group;  // "" is the core group.
  std::string_view version;
  std::string_view plural;
  std::string_view singular;
  std::string_view kind;
  std::string_view short_name;
  bool namespaced;
  bool has_status;            // The /status subresource exists.
  bool create_on_update;      // PUT of a name that is not there creates it.
  bool unconditional_update;  // PUT without a resourceVersion is allowed.

  std::string ApiVersion() const;  // "v1", "coordination.k8s.io/v1"
  // "nodes", "leases.coordination.k8s.io": as error messages say it.
  std::string QualifiedName() const;
  // Position in AllResources().
  size_t index() const;
};

// For ever.
std::span<const ResourceType> AllResources();
// Null when there is none.
const ResourceType* FindResource(std::string_view group, std::string_view version,
                                 std::string_view plural);
const ResourceType* FindKind(std::string_view api_version, std::string_view kind);

// The answers to GET of /version, /api, /apis, /api/v1, /apis/G, /apis/G/V and /openapi/v3/...,
// compact; "" for any other path. `address` is this server's host:port.
std::string Discovery(std::string_view path, std::string_view address);

}  // namespace podroute

#endif  // PODROUTE_TESTS_APISERVER_RESOURCES_H_
