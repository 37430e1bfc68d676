// The real server's checks of an object's fields, as far as this project can run into them.
#ifndef PODROUTE_TESTS_APISERVER_VALIDATION_H_
#define PODROUTE_TESTS_APISERVER_VALIDATION_H_

#include <optional>

#include "tests/apiserver/api_error.h"
#include "tests/apiserver/json.h"
#include "tests/apiserver/resources.h"

namespace podroute {

// `old` is what the object replaces, or null. nullopt when all is well.
std::optional<ApiError> ValidateObject(const ResourceType& type, const JsonValue& object,
                                       const JsonValue* old);

}  // namespace podroute

#endif  // PODROUTE_TESTS_APISERVER_VALIDATION_H_
