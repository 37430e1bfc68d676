#include "k8sclient/config_loader.h"

#include <cstdlib>

#include "k8sclient/kubeconfig.h"
#include "k8sclient/kubeconfig_client.h"

namespace podroute {

std::string GetProcessEnvironment(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  return value != nullptr ? value : "";
}

Result<ClientConfig> LoadClientConfig(const LoadOptions& options) {
  auto client = [&](const Result<Kubeconfig>& kubeconfig) -> Result<ClientConfig> {
    if (!kubeconfig.ok()) return kubeconfig.status();
    return ClientFromKubeconfig(*kubeconfig, options.context, options.environment, *options.clock);
  };
  if (!options.kubeconfig.empty()) {
    Result<Kubeconfig> kubeconfig = ReadKubeconfig(options.kubeconfig);
    if (!kubeconfig.ok()) return kubeconfig.status().WithContext("--kubeconfig");
    return client(kubeconfig);
  }
  if (std::string list = options.environment("KUBECONFIG"); !list.empty()) {
    return client(ReadKubeconfigList(list));
  }
  Status in_cluster = CheckInCluster(options.service_account_dir, options.environment);
  if (in_cluster.ok() && options.context.empty()) {
    return InClusterConfig(options.service_account_dir, options.environment, *options.clock);
  }
  std::string home = options.environment("HOME");
  std::string file = home + "/.kube/config";
  Result<Kubeconfig> kubeconfig =
      home.empty() ? Status(StatusCode::kNotFound, "HOME is not set") : ReadKubeconfig(file);
  if (kubeconfig.ok() || kubeconfig.status().code() != StatusCode::kNotFound) {
    return client(kubeconfig);
  }
  return Status(StatusCode::kNotFound,
                "no cluster to talk to: neither --kubeconfig nor KUBECONFIG is set; " +
                    (in_cluster.ok() ? "--context is for kubeconfigs only" : in_cluster.message()) +
                    "; " + kubeconfig.status().message() + "; --kubeconfig=FILE would be right");
}

}  // namespace podroute
