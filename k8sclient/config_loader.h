// Which API server, and as whom: the one entry to everything that configures a client.
#ifndef PODROUTE_K8SCLIENT_CONFIG_LOADER_H_
#define PODROUTE_K8SCLIENT_CONFIG_LOADER_H_

#include <string>

#include "base/clock.h"
#include "base/status.h"
#include "k8sclient/client_config.h"
#include "k8sclient/in_cluster.h"
#include "k8sclient/proxy_environment.h"

namespace podroute {

// This process's environment.
std::string GetProcessEnvironment(const std::string& name);

struct LoadOptions {
  std::string kubeconfig;  // --kubeconfig: one path; empty: not given.
  std::string context;     // --context; empty: current-context.
  EnvironmentLookup environment = GetProcessEnvironment;
  std::string service_account_dir = kServiceAccountDir;
  Clock* clock = &SystemClock();  // Must outlive the credentials.
};

// The first of these that applies:
//   1. --kubeconfig: the file must exist;
//   2. $KUBECONFIG, when it is set and not empty: a list of files, merged as kubectl does; one of
//   them
//      must exist;
//   3. in-cluster, when KUBERNETES_SERVICE_HOST is set and the service account's token exists,
//   unless
//      --context is given, which only a kubeconfig can have;
//   4. $HOME/.kube/config.
// kubectl has 4 before 3, which in a pod is the same: there is no such file. A controller must not
// be led astray by a file in an image, so ours has 3 first, as client-go's controllers do, and
// after 2, because whoever sets KUBECONFIG in a pod means it. What applies and is wrong is an
// error, never a reason to go on to the next.
//
// Errors are one line that names what was looked at and what would be right: kInvalidArgument for
// what was found and is wrong, kNotFound when there is nothing, and what errno says of unreadable
// files.
Result<ClientConfig> LoadClientConfig(const LoadOptions& options);

}  // namespace podroute

#endif  // PODROUTE_K8SCLIENT_CONFIG_LOADER_H_
