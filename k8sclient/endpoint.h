// What a kubeconfig's cluster and a pod's environment have in common: a server, a proxy, a CA.
#ifndef PODROUTE_K8SCLIENT_ENDPOINT_H_
#define PODROUTE_K8SCLIENT_ENDPOINT_H_

#include <string>

#include "base/status.h"
#include "k8sclient/client_config.h"
#include "k8sclient/proxy_environment.h"
#include "k8sclient/server_url.h"

namespace podroute {

// Sets the server and, as the environment has it, the proxy to reach it through.
Status SetServer(const ServerUrl& url, const EnvironmentLookup& environment, ClientConfig& config);
void SetProxy(const ServerUrl& url, ClientConfig& config);

// Fails unless `pem` holds a certificate, as far as can be told without decoding it.
Status CheckCertificates(const std::string& pem);

// Sets ca_file to a file that is there and holds a certificate. The message names the file.
Status SetCaFile(const std::string& file, ClientConfig& config);

}  // namespace podroute

#endif  // PODROUTE_K8SCLIENT_ENDPOINT_H_
