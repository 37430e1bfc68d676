#include "k8sclient/endpoint.h"

#include "base/file.h"

namespace podroute {
namespace {

constexpr size_t kMaxCaBytes = 16u << 20;

}  // namespace

Status SetServer(const ServerUrl& url, const EnvironmentLookup& environment, ClientConfig& config) {
  config.https = url.https;
  config.host = url.host;
  config.port = url.port;
  config.base_path = url.path;
  PODROUTE_ASSIGN_OR_RETURN(auto proxy, ProxyFromEnvironment(url, environment));
  if (proxy) SetProxy(*proxy, config);
  return Status::Ok();
}

void SetProxy(const ServerUrl& url, ClientConfig& config) {
  config.proxy_host = url.host;
  config.proxy_port = url.port;
}

Status CheckCertificates(const std::string& pem) {
  if (pem.find("-----BEGIN CERTIFICATE-----") != std::string::npos) return Status::Ok();
  return Status(
      StatusCode::kInvalidArgument,
      "holds no certificate; PEM, which begins with -----BEGIN CERTIFICATE-----, would be right");
}

Status SetCaFile(const std::string& file, ClientConfig& config) {
  PODROUTE_ASSIGN_OR_RETURN(std::string pem, ReadFile(file, kMaxCaBytes));
  Status status = CheckCertificates(pem);
  if (!status.ok()) return Status(status.code(), file + " " + status.message());
  config.ca_file = file;
  return Status::Ok();
}

}  // namespace podroute
