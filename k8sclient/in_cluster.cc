#include "k8sclient/in_cluster.h"

#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/file.h"
#include "base/ip_prefix.h"
#include "base/text.h"
#include "k8sclient/endpoint.h"
#include "k8sclient/file_credentials.h"

namespace podroute {
namespace {

constexpr size_t kMaxNamespaceBytes = 1024;

}  // namespace

Status CheckInCluster(const std::string& service_account_dir,
                      const EnvironmentLookup& environment) {
  if (environment("KUBERNETES_SERVICE_HOST").empty()) {
    return Status(StatusCode::kNotFound, "not in a pod: KUBERNETES_SERVICE_HOST is not set");
  }
  std::string token = service_account_dir + "/token";
  if (access(token.c_str(), F_OK) == 0) return Status::Ok();
  return Status::FromErrno(errno,
                           "in a pod without a service account (is automountServiceAccountToken "
                           "false?): " +
                               token);
}

Result<ClientConfig> InClusterConfig(const std::string& service_account_dir,
                                     const EnvironmentLookup& environment, Clock& clock) {
  constexpr std::string_view kWhat = "in-cluster";
  std::string host = environment("KUBERNETES_SERVICE_HOST");
  std::string port = environment("KUBERNETES_SERVICE_PORT");
  if (port.empty()) {
    return Status(
        StatusCode::kInvalidArgument,
        "in-cluster: KUBERNETES_SERVICE_PORT is not set, though KUBERNETES_SERVICE_HOST is");
  }
  Result<IpAddress> address = IpAddress::Parse(host);
  Result<ServerUrl> url =
      ParseServerUrl("https://" + (address.ok() ? address->ToUrlHost() : host) + ":" + port);
  if (!url.ok() || !url->path.empty()) {
    return Status(StatusCode::kInvalidArgument,
                  "in-cluster: KUBERNETES_SERVICE_HOST \"" + Printable(host) +
                      "\" and KUBERNETES_SERVICE_PORT \"" + Printable(port) +
                      "\" make no address; an IP address or name and a number would be right");
  }
  ClientConfig config;
  config.source = kWhat;
  Status status = SetServer(*url, environment, config);
  if (status.ok()) status = SetCaFile(service_account_dir + "/ca.crt", config);
  if (!status.ok()) return status.WithContext(kWhat);

  FileCredentialOptions files;
  files.token_file = service_account_dir + "/token";
  auto credentials = FileCredentialSource::Create(std::move(files), clock);
  if (!credentials.ok()) return credentials.status().WithContext(kWhat);
  config.credentials = *credentials;

  // No namespace file is no misfortune: only leader election and Events ask.
  Result<std::string> name = ReadFile(service_account_dir + "/namespace", kMaxNamespaceBytes);
  config.in_cluster = name.ok();
  config.namespace_ = name.ok() ? *name : "";
  while (config.namespace_.ends_with('\n')) config.namespace_.pop_back();
  if (config.namespace_.empty()) config.namespace_ = "default";
  return config;
}

}  // namespace podroute
