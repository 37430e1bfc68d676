// From a kubeconfig's context to the configuration of a client.
#ifndef PODROUTE_K8SCLIENT_KUBECONFIG_CLIENT_H_
#define PODROUTE_K8SCLIENT_KUBECONFIG_CLIENT_H_

#include <string>

#include "base/clock.h"
#include "base/status.h"
#include "k8sclient/client_config.h"
#include "k8sclient/kubeconfig.h"
#include "k8sclient/proxy_environment.h"

namespace podroute {

// The client for `context`, or for current-context when that is empty. Reads the files that the
// context refers to once, so that a wrong path is found now; runs no exec program yet. Errors are
// one line that names file, line, entry and field. The clock must outlive the credentials.
//
// Refused because podroute could not honour them, and ignoring them would be worse: auth-provider,
// impersonation (as, as-uid, as-groups, as-user-extra), https and SOCKS proxies.
Result<ClientConfig> ClientFromKubeconfig(const Kubeconfig& kubeconfig, const std::string& context,
                                          const EnvironmentLookup& environment, Clock& clock);

}  // namespace podroute

#endif  // PODROUTE_K8SCLIENT_KUBECONFIG_CLIENT_H_
