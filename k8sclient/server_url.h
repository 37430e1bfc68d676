// Where a URL leads: the API server's, or a proxy's.
#ifndef PODROUTE_K8SCLIENT_SERVER_URL_H_
#define PODROUTE_K8SCLIENT_SERVER_URL_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "base/status.h"

namespace podroute {

struct ServerUrl {
  bool https = true;
  std::string host;  // Without brackets.
  uint16_t port = 0;
  std::string path;  // "" or "/prefix", no slash at its end.
  bool operator==(const ServerUrl&) const = default;
};

// http[s]://host[:port][/path], IPv6 in brackets; the default ports are 80 and 443. Messages begin
// with the text in quotes: "\"foo\" is not a server URL: ..." and say what would be right.
Result<ServerUrl> ParseServerUrl(std::string_view text);

// As ParseServerUrl, but http only and without a path; with no scheme, http is meant, as in Go.
// https and SOCKS proxies, and a user name in the URL, are kUnsupported. Messages do not repeat the
// text when it may hold a password.
Result<ServerUrl> ParseProxyUrl(std::string_view text);

}  // namespace podroute

#endif  // PODROUTE_K8SCLIENT_SERVER_URL_H_
