// The server-side tables that kubectl prints.
#ifndef PODROUTE_TESTS_APISERVER_TABLE_H_
#define PODROUTE_TESTS_APISERVER_TABLE_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tests/apiserver/resources.h"
#include "tests/apiserver/store.h"

namespace podroute {

enum class TableObjects { kNone, kMetadata, kObject };  // ?includeObject=

// A meta.k8s.io/v1 Table, compact. `list_metadata` is the JSON of its metadata. Ages are as of
// `now`.
std::string TableJson(const ResourceType& type, const std::vector<ObjectPtr>& objects,
                      std::string_view list_metadata, TableObjects include, bool with_columns,
                      int64_t now_seconds);

// "45s", "10m", "3h5m", "2d", as kubectl shows ages.
std::string HumanDuration(int64_t seconds);

}  // namespace podroute

#endif  // PODROUTE_TESTS_APISERVER_TABLE_H_
