#include "controller/status_address.h"

#include <charconv>
#include <cstdint>
#include <string_view>

#include "base/ip_prefix.h"
#include "base/text.h"

namespace podroute {

Status CheckStatusAddress(const std::string& address) {
  auto wrong = [&](const std::string& what) {
    return Status(StatusCode::kInvalidArgument, "\"" + Printable(address) + "\": " + what +
                                                    "; one looks like 127.0.0.1:9434 or "
                                                    "[::1]:9434, and an empty one serves nothing");
  };
  size_t colon = address.rfind(':');
  if (colon == std::string::npos) return wrong("no port");
  std::string host = address.substr(0, colon);
  bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  Result<IpAddress> ip = IpAddress::Parse(host);
  if (!ip.ok() || ip->is_v4() == bracketed) return wrong("not an IP address before the port");
  std::string_view text = std::string_view(address).substr(colon + 1);
  uint16_t port = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || end != text.data() + text.size()) {
    return wrong("the port is not a number from 0 to 65535");
  }
  return Status::Ok();
}

}  // namespace podroute
