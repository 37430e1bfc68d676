// The API's timestamps.
#ifndef PODROUTE_K8SCLIENT_RFC3339_H_
#define PODROUTE_K8SCLIENT_RFC3339_H_

#include <cstdint>
#include <optional>
#include <string_view>

namespace podroute {

// "2026-11-22T21:24:33Z", with any fraction of a second (cut off) and any offset, as Unix seconds.
// nullopt when it is anything else (RFC 3339, section 5.6; a leap second counts as the one after).
std::optional<int64_t> ParseRfc3339Seconds(std::string_view text);

}  // namespace podroute

#endif  // PODROUTE_K8SCLIENT_RFC3339_H_
