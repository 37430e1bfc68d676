// Where metrics and health are served, as the flag says it.
#ifndef PODROUTE_CONTROLLER_STATUS_ADDRESS_H_
#define PODROUTE_CONTROLLER_STATUS_ADDRESS_H_

#include <string>

#include "base/status.h"

namespace podroute {

// Whether it is IP:PORT or [IPv6]:PORT. The message says what would be right.
Status CheckStatusAddress(const std::string& address);

}  // namespace podroute

#endif  // PODROUTE_CONTROLLER_STATUS_ADDRESS_H_
