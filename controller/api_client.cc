#include "controller/api_client.h"

#include <chrono>
#include <utility>

#include "controller/version.h"
#include "k8sclient/config_loader.h"
#include "k8sclient/cpprest_transport.h"

namespace podroute {

Result<ApiClient> ApiClient::Create(const Options& options) {
  LoadOptions load;
  load.kubeconfig = options.kubeconfig;
  load.context = options.context;
  PODROUTE_ASSIGN_OR_RETURN(ClientConfig config, LoadClientConfig(load));
  ApiClient client;
  client.host = config.host;
  client.source = config.source;
  if (config.in_cluster) client.pod_namespace = config.namespace_;
  TransportOptions transport;
  transport.user_agent = "podroute/" + std::string(kVersion);
  PODROUTE_ASSIGN_OR_RETURN(client.transport, NewCpprestTransport(std::move(config), transport));
  return client;
}

std::vector<IpAddress> ApiClient::Addresses() const {
  Result<std::vector<IpAddress>> addresses = HostResolver().Resolve(host, std::chrono::seconds(5));
  return addresses.ok() ? *addresses : std::vector<IpAddress>();
}

}  // namespace podroute
