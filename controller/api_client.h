// The API server that the flags name.
#ifndef PODROUTE_CONTROLLER_API_CLIENT_H_
#define PODROUTE_CONTROLLER_API_CLIENT_H_

#include <memory>
#include <string>

#include "base/status.h"
#include "controller/options.h"
#include "k8sclient/host_resolver.h"
#include "k8sclient/http_transport.h"

namespace podroute {

struct ApiClient {
  // Finds and reads the configuration and its certificates; sends nothing.
  static Result<ApiClient> Create(const Options& options);

  std::unique_ptr<HttpTransport> transport;
  std::string host;           // Name or address, as configured.
  std::string pod_namespace;  // Empty when not in a cluster, or not known.
  std::string source;         // Where the configuration came from, for messages.
};

}  // namespace podroute

#endif  // PODROUTE_CONTROLLER_API_CLIENT_H_
