#include "k8sclient/kubeconfig_user.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/file.h"
#include "base/text.h"
#include "k8sclient/base64.h"
#include "k8sclient/endpoint.h"
#include "k8sclient/exec_credential.h"
#include "k8sclient/file_credentials.h"

namespace podroute {
namespace {

constexpr const char* kExecGroup = "client.authentication.k8s.io/";
constexpr size_t kMaxCaBytes = 16u << 20;

Status RefuseUnsupported(const ConfigEntry& user) {
  if (user.Has("auth-provider")) {
    return user.Error("auth-provider",
                      "is not supported, kubectl has dropped it too; exec would be right");
  }
  for (const char* field : {"as", "as-uid", "as-groups", "as-user-extra"}) {
    if (user.Has(field)) {
      return user.Error(field, "impersonation is not supported; a user of its own would be right");
    }
  }
  return Status::Ok();
}

// Reads "client-key" (into `file`) or "client-key-data" (into `data`).
Status ReadFileOrData(const ConfigEntry& user, const std::string& field, std::string& file,
                      std::string& data) {
  PODROUTE_ASSIGN_OR_RETURN(file, user.Path(field));
  PODROUTE_ASSIGN_OR_RETURN(data, user.Data(field + "-data"));
  if (!file.empty() && !data.empty()) {
    return user.Error(field, "and " + field + "-data are both there; one of them would be right");
  }
  return Status::Ok();
}

Result<FileCredentialOptions> ReadOptions(const ConfigEntry& user) {
  FileCredentialOptions options;
  Credentials& fixed = options.fixed;
  PODROUTE_ASSIGN_OR_RETURN(fixed.bearer_token, user.Text("token"));
  PODROUTE_ASSIGN_OR_RETURN(options.token_file, user.Path("tokenFile"));
  PODROUTE_ASSIGN_OR_RETURN(fixed.username, user.Text("username"));
  PODROUTE_ASSIGN_OR_RETURN(fixed.password, user.Text("password"));
  PODROUTE_RETURN_IF_ERROR(ReadFileOrData(
      user, "client-certificate", options.client_certificate_file, fixed.client_certificate_pem));
  PODROUTE_RETURN_IF_ERROR(
      ReadFileOrData(user, "client-key", options.client_key_file, fixed.client_key_pem));

  bool certificate =
      !options.client_certificate_file.empty() || !fixed.client_certificate_pem.empty();
  bool key = !options.client_key_file.empty() || !fixed.client_key_pem.empty();
  if (certificate != key) {
    return user.Error("", certificate
                              ? "has a client-certificate and no client-key; both or neither "
                                "would be right"
                              : "has a client-key and no client-certificate; both or neither "
                                "would be right");
  }
  bool basic = !fixed.username.empty() || !fixed.password.empty();
  bool token = !fixed.bearer_token.empty() || !options.token_file.empty();
  if (basic && token) {
    return user.Error("", "has a token and a username; one of them would be right");
  }
  auto graphic = [](char c) { return c > 0x20 && c < 0x7f; };
  if (!std::all_of(fixed.bearer_token.begin(), fixed.bearer_token.end(), graphic)) {
    return user.Error("token", "has white space or other characters that no token has");
  }
  return options;
}

// The client certificate is decoded only by the transport; catch here what is no PEM at all.
Status CheckClientCertificate(const ConfigEntry& user, const Credentials& credentials) {
  if (credentials.client_certificate_pem.empty()) return Status::Ok();
  Status status = CheckCertificates(credentials.client_certificate_pem);
  if (!status.ok()) return user.Error("client-certificate", status.message());
  if (credentials.client_key_pem.find("PRIVATE KEY-----") == std::string::npos) {
    return user.Error("client-key",
                      "holds no private key; PEM, which begins with -----BEGIN, would be right");
  }
  return Status::Ok();
}

void AddText(YamlValue& map, const std::string& key, const std::string& text) {
  if (text.empty()) return;
  YamlValue value;
  value.kind = YamlValue::Kind::kScalar;
  value.text = text;
  map.keys.push_back(key);
  map.items.push_back(std::move(value));
}

// spec.cluster of an ExecCredential: the fields of kubeconfig's cluster, files as data, and under
// "config" what an extension of a well-known name holds.
Result<std::string> ClusterJson(const ConfigEntry& cluster, const ClientConfig& config) {
  YamlValue map;
  map.kind = YamlValue::Kind::kMap;
  for (const char* field : {"server", "tls-server-name", "proxy-url"}) {
    PODROUTE_ASSIGN_OR_RETURN(std::string text, cluster.Text(field));
    AddText(map, field, text);
  }
  if (config.insecure_skip_tls_verify) {
    AddText(map, "insecure-skip-tls-verify", "true");
    map.items.back().plain = true;
  }
  std::string ca = config.ca_pem;
  if (!config.ca_file.empty()) {
    PODROUTE_ASSIGN_OR_RETURN(ca, ReadFile(config.ca_file, kMaxCaBytes));
  }
  AddText(map, "certificate-authority-data", EncodeBase64(ca));
  const YamlValue* extensions = cluster.Find("extensions");
  for (size_t i = 0; extensions != nullptr && i < extensions->items.size(); ++i) {
    const YamlValue* name = extensions->items[i].Find("name");
    const YamlValue* extension = extensions->items[i].Find("extension");
    if (name == nullptr || extension == nullptr || name->text != std::string(kExecGroup) + "exec")
      continue;
    map.keys.emplace_back("config");
    map.items.push_back(*extension);
  }
  return ToJson(map);
}

Status ReadArguments(const ConfigEntry& exec, std::vector<std::string>& argv) {
  const YamlValue* args = exec.Find("args");
  if (args == nullptr) return Status::Ok();
  if (args->kind != YamlValue::Kind::kList) return exec.WrongKind("args", "list");
  for (const YamlValue& arg : args->items) {
    if (arg.kind != YamlValue::Kind::kScalar) return exec.Error("args", "is not a list of texts");
    argv.push_back(arg.text);
  }
  return Status::Ok();
}

Status ReadEnvironment(const ConfigEntry& exec,
                       std::vector<std::pair<std::string, std::string>>& environment) {
  const YamlValue* list = exec.Find("env");
  if (list == nullptr) return Status::Ok();
  if (list->kind != YamlValue::Kind::kList) return exec.WrongKind("env", "list");
  for (const YamlValue& item : list->items) {
    ConfigEntry variable(exec.what() + ": env", exec.file(), item);
    PODROUTE_ASSIGN_OR_RETURN(std::string name, variable.Text("name"));
    PODROUTE_ASSIGN_OR_RETURN(std::string value, variable.Text("value"));
    if (name.empty() || name.find('=') != std::string::npos) {
      return variable.Error(
          "name", "is missing or has a = in it; {name: NAME, value: TEXT} would be right");
    }
    environment.emplace_back(std::move(name), std::move(value));
  }
  return Status::Ok();
}

Status CheckInteractiveMode(const ConfigEntry& exec, bool required) {
  PODROUTE_ASSIGN_OR_RETURN(std::string mode, exec.Text("interactiveMode"));
  if (mode == "Never" || mode == "IfAvailable" || (mode.empty() && !required)) return Status::Ok();
  if (mode == "Always") {
    return exec.Error("interactiveMode",
                      "is Always, and nobody is there to answer; Never would be right");
  }
  return exec.Error("interactiveMode", (mode.empty() ? "is missing" : "is " + Printable(mode)) +
                                           "; Never or IfAvailable would be right");
}

Result<ExecCredentialOptions> ReadExec(const ConfigEntry& exec, const ConfigEntry& cluster,
                                       const ClientConfig& config) {
  ExecCredentialOptions options;
  options.origin = exec.file() + ": " + exec.what();
  PODROUTE_ASSIGN_OR_RETURN(options.api_version, exec.Text("apiVersion"));
  bool v1 = options.api_version == std::string(kExecGroup) + "v1";
  if (!v1 && options.api_version != std::string(kExecGroup) + "v1beta1") {
    return exec.Error("apiVersion", "is \"" + Printable(options.api_version) + "\"; " + kExecGroup +
                                        "v1 or " + kExecGroup + "v1beta1 would be right");
  }
  PODROUTE_RETURN_IF_ERROR(CheckInteractiveMode(exec, v1));
  PODROUTE_ASSIGN_OR_RETURN(std::string command, exec.Text("command"));
  if (command.empty()) return exec.Error("command", "is missing; a program would be right");
  // A bare name is looked up in $PATH; anything else is a path, and belongs to the file.
  if (command.find('/') != std::string::npos) command = ResolvePath(exec.file(), command);
  options.argv.push_back(std::move(command));
  PODROUTE_RETURN_IF_ERROR(ReadArguments(exec, options.argv));
  PODROUTE_RETURN_IF_ERROR(ReadEnvironment(exec, options.environment));
  PODROUTE_ASSIGN_OR_RETURN(options.install_hint, exec.Text("installHint"));
  PODROUTE_ASSIGN_OR_RETURN(bool provide, exec.Bool("provideClusterInfo"));
  if (provide) {
    PODROUTE_ASSIGN_OR_RETURN(options.cluster_json, ClusterJson(cluster, config));
  }
  return options;
}

}  // namespace

Result<std::shared_ptr<CredentialSource>> CredentialsOfUser(const ConfigEntry& user,
                                                            const ConfigEntry& cluster,
                                                            const ClientConfig& config,
                                                            Clock& clock) {
  PODROUTE_RETURN_IF_ERROR(RefuseUnsupported(user));
  PODROUTE_ASSIGN_OR_RETURN(FileCredentialOptions options, ReadOptions(user));
  auto source = FileCredentialSource::Create(std::move(options), clock);
  if (!source.ok()) return user.Error("", source.status().message());
  PODROUTE_ASSIGN_OR_RETURN(Credentials first, (*source)->Get());
  PODROUTE_RETURN_IF_ERROR(CheckClientCertificate(user, first));
  if (!user.Has("exec") || !first.bearer_token.empty() || !first.username.empty()) return source;

  PODROUTE_ASSIGN_OR_RETURN(ConfigEntry exec, user.Nested("exec"));
  PODROUTE_ASSIGN_OR_RETURN(ExecCredentialOptions exec_options, ReadExec(exec, cluster, config));
  exec_options.fixed = std::move(first);
  return std::shared_ptr<CredentialSource>(
      std::make_shared<ExecCredentialSource>(std::move(exec_options), clock));
}

}  // namespace podroute
