// The patches of the Kubernetes API. Pure.
#ifndef PODROUTE_TESTS_APISERVER_PATCH_H_
#define PODROUTE_TESTS_APISERVER_PATCH_H_

#include "base/status.h"
#include "tests/apiserver/json.h"

namespace podroute {

// RFC 7386 (application/merge-patch+json).
void ApplyMergePatch(JsonValue& target, const JsonValue& patch, JsonAllocator& allocator);

// application/strategic-merge-patch+json: lists of conditions, addresses and the like are merged by
// their key, with the directives $patch, $deleteFromPrimitiveList, $setElementOrder and
// $retainKeys. An element that is new stands before those of the server that the patch does not
// name, as the real server has it. kInvalidArgument when an element lacks its merge key or a
// directive is unknown.
Status ApplyStrategicMergePatch(JsonValue& target, const JsonValue& patch,
                                JsonAllocator& allocator);

// RFC 6902 (application/json-patch+json). On error `target` may be half changed.
Status ApplyJsonPatch(JsonDocument& target, const JsonValue& patch);

}  // namespace podroute

#endif  // PODROUTE_TESTS_APISERVER_PATCH_H_
