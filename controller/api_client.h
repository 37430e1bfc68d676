// The API server that the flags name.
#ifndef PODROUTE_CONTROLLER_API_CLIENT_H_
#define PODROUTE_CONTROLLER_API_CLIENT_H_

#include <memory>
#include <string>
#include <vector>

#include "base/ip_prefix.h"
#include "base/status.h"
#include "controller/options.h"
#include "k8sclient/host_resolver.h"
#include "k8sclient/http_transport.h"

namespace podroute {

struct ApiClient {
  // Finds and reads the configuration and its certificates; sends nothing.
  static Result<ApiClient> Create(const Options& options);

  // The server's own, which no route may cover; waits up to 5 s for a name server. Empty when none
  // answers: not to know them costs one rule of a plan.
  std::vector<IpAddress> Addresses() const;

  std::unique_ptr<HttpTransport> transport;
  std::string host;           // Name or address, as configured.
  std::string pod_namespace;  // Empty when not in a cluster, or not known.
  std::string source;         // Where the configuration came from, for messages.
};

}  // namespace podroute

#endif  // PODROUTE_CONTROLLER_API_CLIENT_H_
