// What the real server does to an object before it keeps it: defaults, canonical form, validation.
// Pure: the clock and the source of uids are given.
#ifndef PODROUTE_TESTS_APISERVER_OBJECTS_H_
#define PODROUTE_TESTS_APISERVER_OBJECTS_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "tests/apiserver/api_error.h"
#include "tests/apiserver/json.h"
#include "tests/apiserver/resources.h"

namespace podroute {

struct ObjectOptions {
  bool validate = true;    // False lets hostile objects in.
  bool dual_stack = true;  // False: as v1.20 without the feature, only the first podCIDR is kept.
  std::function<int64_t()> now_seconds;   // Unix time.
  std::function<uint64_t()> random_bits;  // For uids and generated names.
};

// "2026-11-22T21:24:33Z"
std::string Rfc3339(int64_t unix_seconds);
// Unix time; nullopt when the text is not such a time. Fractions of a second are dropped.
std::optional<int64_t> ParseRfc3339(std::string_view text);

// A random (version 4) UUID.
std::string NewUid(const ObjectOptions& options);

std::string ObjectKey(const ResourceType& type, std::string_view ns, std::string_view name);

// Fills what the type's defaults are and brings the members into the real server's order. Any
// object may come: what is malformed stays as it is.
void Canonicalise(const ResourceType& type, const ObjectOptions& options, JsonDocument& object);

// A new object: checks kind and namespace against the URL, names it, stamps uid and
// creationTimestamp, and validates. An empty `ns` for cluster-scoped kinds.
std::optional<ApiError> PrepareCreate(const ResourceType& type, const ObjectOptions& options,
                                      std::string_view ns, JsonDocument& object);

// `object` is to replace `old`, of which it takes over what must not change; with `status` only
// status and metadata are taken from it, without only the rest. Checks resourceVersion, uid and
// immutable fields.
std::optional<ApiError> PrepareUpdate(const ResourceType& type, const ObjectOptions& options,
                                      std::string_view ns, std::string_view name, bool status,
                                      const JsonValue& old, JsonDocument& object);

}  // namespace podroute

#endif  // PODROUTE_TESTS_APISERVER_OBJECTS_H_
