#include "k8sclient/proxy_environment.h"

#include <algorithm>
#include <cctype>

#include "base/ip_prefix.h"

namespace podroute {
namespace {

std::string Normal(std::string_view text) {
  size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return "";
  std::string out(text.substr(first, text.find_last_not_of(" \t") - first + 1));
  std::transform(out.begin(), out.end(), out.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

// Cuts ":port" off; false when there is one and it is another than `port`.
bool CutPort(std::string& part, uint16_t port) {
  size_t colon = part.rfind(':');
  bool bare_v6 = colon != part.find(':') && !part.starts_with('[');
  if (colon == std::string::npos || bare_v6 || part.ends_with(']')) return true;
  bool same = part.substr(colon + 1) == std::to_string(port);
  part.resize(colon);
  return same;
}

bool Matches(std::string part, const std::string& host, const Result<IpAddress>& address,
             uint16_t port) {
  if (part.empty()) return false;
  if (part == "*") return true;
  if (part.find('/') != std::string::npos) {
    // Go allows host bits here: 10.1.2.3/8 means 10.0.0.0/8.
    size_t slash = part.find('/');
    Result<IpAddress> base = IpAddress::Parse(std::string_view(part).substr(0, slash));
    if (!base.ok() || !address.ok()) return false;
    for (int length = 0; length <= base->bits(); ++length) {
      if (part.substr(slash + 1) == std::to_string(length)) {
        return IpPrefix::Of(*base, length).Contains(*address);
      }
    }
    return false;
  }
  if (!CutPort(part, port)) return false;
  if (part.starts_with('[') && part.ends_with(']')) part = part.substr(1, part.size() - 2);
  if (Result<IpAddress> exempt = IpAddress::Parse(part); exempt.ok()) {
    return address.ok() && *exempt == *address;
  }
  if (address.ok() || part.empty()) return false;
  if (part.starts_with("*.")) part.erase(0, 1);
  if (part.starts_with('.')) return host.ends_with(part) && host.size() > part.size();
  return host == part || host.ends_with("." + part);
}

}  // namespace

bool IsExemptFromProxy(std::string_view no_proxy, std::string_view raw_host, uint16_t port) {
  std::string host = Normal(raw_host);
  Result<IpAddress> address = IpAddress::Parse(host);
  if (host == "localhost" || (address.ok() && address->IsLoopback())) return true;
  while (!no_proxy.empty()) {
    size_t comma = std::min(no_proxy.find(','), no_proxy.size());
    if (Matches(Normal(no_proxy.substr(0, comma)), host, address, port)) return true;
    no_proxy.remove_prefix(std::min(comma + 1, no_proxy.size()));
  }
  return false;
}

Result<std::optional<ServerUrl>> ProxyFromEnvironment(const ServerUrl& server,
                                                      const EnvironmentLookup& lookup) {
  const char* upper = server.https ? "HTTPS_PROXY" : "HTTP_PROXY";
  std::string name = upper;
  std::string value = lookup(name);
  if (value.empty()) {
    name = Normal(upper);
    value = lookup(name);
  }
  if (value.empty()) return std::optional<ServerUrl>();
  std::string no_proxy = lookup("NO_PROXY");
  if (no_proxy.empty()) no_proxy = lookup("no_proxy");
  if (IsExemptFromProxy(no_proxy, server.host, server.port)) return std::optional<ServerUrl>();
  Result<ServerUrl> proxy = ParseProxyUrl(value);
  if (!proxy.ok()) return proxy.status().WithContext("environment variable " + name);
  return std::optional<ServerUrl>(*proxy);
}

}  // namespace podroute
