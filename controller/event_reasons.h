// The reasons of the Events that podroute writes, beside the words of RefusalReason. What each says
// stands in docs/reference.md.
#ifndef PODROUTE_CONTROLLER_EVENT_REASONS_H_
#define PODROUTE_CONTROLLER_EVENT_REASONS_H_

#include <array>
#include <string_view>

namespace podroute {

inline constexpr char kRouteFailed[] = "RouteFailed";
inline constexpr char kDeletesWithheld[] = "DeletesWithheld";
inline constexpr char kRoutesShadowed[] = "RoutesShadowed";
inline constexpr char kMasqueradeFailed[] = "MasqueradeFailed";
inline constexpr char kCniInstallFailed[] = "CNIInstallFailed";
inline constexpr char kNodeSetupFailed[] = "NodeSetupFailed";

inline constexpr std::array<std::string_view, 6> kEventReasons = {
    kRouteFailed,      kDeletesWithheld,  kRoutesShadowed,
    kMasqueradeFailed, kCniInstallFailed, kNodeSetupFailed};

}  // namespace podroute

#endif  // PODROUTE_CONTROLLER_EVENT_REASONS_H_
