// HTTPS_PROXY, HTTP_PROXY and NO_PROXY, read as Go's net/http (and so kubectl) reads them.
#ifndef PODROUTE_K8SCLIENT_PROXY_ENVIRONMENT_H_
#define PODROUTE_K8SCLIENT_PROXY_ENVIRONMENT_H_

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"
#include "k8sclient/server_url.h"

namespace podroute {

// What an environment variable is set to; "" when it is not set.
using EnvironmentLookup = std::function<std::string(const std::string& name)>;

// The proxy to reach `server` through, if any. Upper-case names before lower-case ones. An error
// names the variable.
Result<std::optional<ServerUrl>> ProxyFromEnvironment(const ServerUrl& server,
                                                      const EnvironmentLookup& lookup);

// Whether `no_proxy` lists host and port: "*", IP addresses, CIDRs, names (with their subdomains),
// ".name" or "*.name" (subdomains only), each but CIDRs with an optional :port. Malformed parts
// match nothing. localhost and loopback addresses are always exempt.
bool IsExemptFromProxy(std::string_view no_proxy, std::string_view host, uint16_t port);

}  // namespace podroute

#endif  // PODROUTE_K8SCLIENT_PROXY_ENVIRONMENT_H_
