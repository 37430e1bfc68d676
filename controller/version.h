#ifndef PODROUTE_CONTROLLER_VERSION_H_
#define PODROUTE_CONTROLLER_VERSION_H_

#include <string_view>

namespace podroute {

inline constexpr std::string_view kVersion = "0.1.0";

}  // namespace podroute

#endif  // PODROUTE_CONTROLLER_VERSION_H_
