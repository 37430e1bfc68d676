// systemd-networkd's own configuration, as far as it is about our routes. Pure.
#ifndef PODROUTE_CONTROLLER_CHECK_NETWORKD_CONF_H_
#define PODROUTE_CONTROLLER_CHECK_NETWORKD_CONF_H_

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace podroute {

// Where systemd looks, what counts most first (systemd.directives, networkd.conf(5)).
inline constexpr const char* kSystemdRoots[] = {"/etc", "/run", "/usr/local/lib", "/usr/lib"};

// A boolean as systemd reads it: 1, yes, y, true, t, on; 0, no, n, false, f, off; in any case.
std::optional<bool> ParseSystemdBoolean(std::string_view text);

// A boolean `key` of section [Network] in one file; the last valid one counts.
std::optional<bool> NetworkdBoolean(std::string_view text, std::string_view key);

// The version in the name of systemd's own library ("libsystemd-shared-257.so"); 0: it is not that.
int SystemdVersion(std::string_view library);

// Which drop-ins count, in the order in which they do. `by_root`: the names in each root's
// networkd.conf.d, in the order of kSystemdRoots; of one name the first root's file counts.
// Returns the root (an index) and the name.
std::vector<std::pair<size_t, std::string>> OrderDropIns(
    const std::vector<std::vector<std::string>>& by_root);

}  // namespace podroute

#endif  // PODROUTE_CONTROLLER_CHECK_NETWORKD_CONF_H_
