// The configuration of a client inside a pod: its service account.
#ifndef PODROUTE_K8SCLIENT_IN_CLUSTER_H_
#define PODROUTE_K8SCLIENT_IN_CLUSTER_H_

#include <string>

#include "base/clock.h"
#include "base/status.h"
#include "k8sclient/client_config.h"
#include "k8sclient/proxy_environment.h"

namespace podroute {

inline constexpr const char* kServiceAccountDir = "/var/run/secrets/kubernetes.io/serviceaccount";

// kNotFound, and in the message why, unless this is a pod with a service account's token: unless
// KUBERNETES_SERVICE_HOST is set and the token file exists.
Status CheckInCluster(const std::string& service_account_dir, const EnvironmentLookup& environment);

// The server from KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT; token, ca.crt and namespace
// from `service_account_dir`. The token is read again every minute, as the kubelet replaces it;
// ca.crt is left to the transport as a file for the same reason. The clock must outlive the
// credentials.
Result<ClientConfig> InClusterConfig(const std::string& service_account_dir,
                                     const EnvironmentLookup& environment, Clock& clock);

}  // namespace podroute

#endif  // PODROUTE_K8SCLIENT_IN_CLUSTER_H_
