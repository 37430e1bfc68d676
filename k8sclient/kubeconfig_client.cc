#include "k8sclient/kubeconfig_client.h"

#include <map>

#include "base/text.h"
#include "k8sclient/endpoint.h"
#include "k8sclient/kubeconfig_user.h"
#include "k8sclient/server_url.h"

namespace podroute {
namespace {

// "a, b and 7 more", for messages.
std::string Names(const std::map<std::string, ConfigEntry>& entries) {
  constexpr size_t kMost = 10;
  if (entries.empty()) return "there are none";
  std::string names;
  size_t count = 0;
  for (const auto& [name, entry] : entries) {
    if (count++ < kMost) names += (names.empty() ? "" : ", ") + Printable(name);
  }
  if (count > kMost) names += " and " + std::to_string(count - kMost) + " more";
  return "there are " + names;
}

std::string Files(const Kubeconfig& kubeconfig) {
  std::string files;
  for (const std::string& file : kubeconfig.files) files += (files.empty() ? "" : ", ") + file;
  return files;
}

Result<ConfigEntry> FindContext(const Kubeconfig& kubeconfig, const std::string& chosen) {
  auto wrong = [&](const std::string& why) {
    return Status(StatusCode::kInvalidArgument,
                  Files(kubeconfig) + ": " + why + "; " + Names(kubeconfig.contexts));
  };
  const std::string& name = chosen.empty() ? kubeconfig.current_context : chosen;
  if (name.empty()) return wrong("no current-context is set, and no --context is given");
  auto it = kubeconfig.contexts.find(name);
  if (it == kubeconfig.contexts.end()) {
    return wrong((chosen.empty() ? "current-context" : "--context") +
                 (" names \"" + Printable(name)) + "\", which is not among the contexts");
  }
  return it->second;
}

// The cluster or user that a context names.
Result<ConfigEntry> FindNamed(const ConfigEntry& context, const std::string& field,
                              const std::map<std::string, ConfigEntry>& entries) {
  PODROUTE_ASSIGN_OR_RETURN(std::string name, context.Text(field));
  auto it = entries.find(name);
  if (it != entries.end()) return it->second;
  return context.Error(
      field, (name.empty() ? "is missing"
                           : "\"" + Printable(name) + "\" is not among the " + field + "s") +
                 "; " + Names(entries));
}

Status ReadTls(const ConfigEntry& cluster, ClientConfig& config) {
  PODROUTE_ASSIGN_OR_RETURN(config.tls_server_name, cluster.Text("tls-server-name"));
  PODROUTE_ASSIGN_OR_RETURN(config.insecure_skip_tls_verify,
                            cluster.Bool("insecure-skip-tls-verify"));
  PODROUTE_ASSIGN_OR_RETURN(std::string ca_file, cluster.Path("certificate-authority"));
  PODROUTE_ASSIGN_OR_RETURN(config.ca_pem, cluster.Data("certificate-authority-data"));
  if (!ca_file.empty() && !config.ca_pem.empty()) {
    return cluster.Error(
        "certificate-authority",
        "and certificate-authority-data are both there; one of them would be right");
  }
  if (config.insecure_skip_tls_verify && !(ca_file.empty() && config.ca_pem.empty())) {
    return cluster.Error("insecure-skip-tls-verify",
                         "and a certificate-authority are both there; one of them would be right");
  }
  if (!config.ca_pem.empty()) {
    Status status = CheckCertificates(config.ca_pem);
    if (!status.ok()) return cluster.Error("certificate-authority-data", status.message());
  }
  if (!ca_file.empty()) {
    Status status = SetCaFile(ca_file, config);
    if (!status.ok()) return cluster.Error("certificate-authority", status.message());
  }
  return Status::Ok();
}

Status ReadCluster(const ConfigEntry& cluster, const EnvironmentLookup& environment,
                   ClientConfig& config) {
  PODROUTE_ASSIGN_OR_RETURN(std::string server, cluster.Text("server"));
  if (server.empty())
    return cluster.Error("server", "is missing; https://HOST:PORT would be right");
  Result<ServerUrl> url = ParseServerUrl(server);
  if (!url.ok()) return cluster.Error("server", url.status().message());
  PODROUTE_RETURN_IF_ERROR(ReadTls(cluster, config));
  PODROUTE_ASSIGN_OR_RETURN(std::string proxy_text, cluster.Text("proxy-url"));
  if (proxy_text.empty()) return SetServer(*url, environment, config);
  // proxy-url stands above the environment, NO_PROXY included.
  PODROUTE_RETURN_IF_ERROR(SetServer(
      *url, [](const std::string&) { return ""; }, config));
  Result<ServerUrl> proxy = ParseProxyUrl(proxy_text);
  if (!proxy.ok()) return cluster.Error("proxy-url", proxy.status().message());
  SetProxy(*proxy, config);
  return Status::Ok();
}

}  // namespace

Result<ClientConfig> ClientFromKubeconfig(const Kubeconfig& kubeconfig, const std::string& chosen,
                                          const EnvironmentLookup& environment, Clock& clock) {
  PODROUTE_ASSIGN_OR_RETURN(ConfigEntry context, FindContext(kubeconfig, chosen));
  PODROUTE_ASSIGN_OR_RETURN(ConfigEntry cluster,
                            FindNamed(context, "cluster", kubeconfig.clusters));
  // A context without a user, or with "", is anonymous; one that names a user must mean one.
  ConfigEntry user(context.what(), context.file(), YamlValue());
  PODROUTE_ASSIGN_OR_RETURN(std::string user_name, context.Text("user"));
  if (!user_name.empty()) {
    PODROUTE_ASSIGN_OR_RETURN(user, FindNamed(context, "user", kubeconfig.users));
  }
  ClientConfig config;
  PODROUTE_ASSIGN_OR_RETURN(config.namespace_, context.Text("namespace"));
  if (config.namespace_.empty()) config.namespace_ = "default";
  PODROUTE_RETURN_IF_ERROR(ReadCluster(cluster, environment, config));
  PODROUTE_ASSIGN_OR_RETURN(config.credentials, CredentialsOfUser(user, cluster, config, clock));
  config.source = Printable(context.what(), 300) + " in " + context.file();
  return config;
}

}  // namespace podroute
