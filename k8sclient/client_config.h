// Everything needed to reach one API server: what kubeconfig or the pod's service account resolve
// to.
#ifndef PODROUTE_K8SCLIENT_CLIENT_CONFIG_H_
#define PODROUTE_K8SCLIENT_CLIENT_CONFIG_H_

#include <cstdint>
#include <memory>
#include <string>

#include "k8sclient/credentials.h"

namespace podroute {

struct ClientConfig {
  bool https = true;
  std::string host;  // Name or IP address, without brackets.
  uint16_t port = 443;
  std::string base_path;  // Put before every target; "" or "/prefix" without a slash at its end.

  // Trusted certificates (PEM). With `ca_file` set the file is re-read as it rotates; else
  // `ca_pem`; both empty: the system's.
  std::string ca_file;
  std::string ca_pem;
  bool insecure_skip_tls_verify = false;
  std::string tls_server_name;  // Instead of `host` in verification and SNI; empty: `host`.

  // An http proxy to CONNECT through; empty host: none. (https and socks5 proxies are refused when
  // the configuration is read.)
  std::string proxy_host;
  uint16_t proxy_port = 0;

  std::shared_ptr<CredentialSource> credentials;  // Never null; may yield empty Credentials.

  std::string source;       // For messages: "context lab in /root/.kube/config", "in-cluster".
  bool in_cluster = false;  // A pod's service account; then namespace_ is the pod's.
  std::string namespace_;   // The context's or the service account's; "default" when neither says.
};

}  // namespace podroute

#endif  // PODROUTE_K8SCLIENT_CLIENT_CONFIG_H_
