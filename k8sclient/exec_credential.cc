#include "k8sclient/exec_credential.h"

#include <algorithm>

#include "base/subprocess.h"
#include "k8sclient/rfc3339.h"
#include "k8sclient/yaml_value.h"

namespace podroute {
namespace {

constexpr size_t kMaxQuotedBytes = 400;

// What a program said, on one line, cut at the front: its last words say why it failed.
std::string OneLine(std::string_view text) {
  std::string line;
  for (char c : text) {
    bool blank = c == '\n' || c == '\r' || c == '\t' || c == ' ';
    if (blank && (line.empty() || line.back() == ' ')) continue;
    line += blank ? ' ' : (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) ? '?' : c;
  }
  while (line.ends_with(' ')) line.pop_back();
  if (line.size() > kMaxQuotedBytes) line = "..." + line.substr(line.size() - kMaxQuotedBytes);
  return line;
}

std::string TextOf(const YamlValue* value) {
  return value != nullptr && value->kind == YamlValue::Kind::kScalar ? value->text : "";
}

}  // namespace

Result<Credentials> ExecCredentialSource::Get() {
  std::lock_guard lock(mutex_);
  bool dropped = invalidated_.exchange(false);
  bool expired = expires_ && clock_.WallNow() >= *expires_;
  if (cached_ && !dropped && !expired) return *cached_;
  cached_.reset();
  Result<Credentials> fresh = RunLocked();
  if (fresh.ok()) {
    cached_ = *fresh;
    return fresh;
  }
  StatusCode code = fresh.status().code() == StatusCode::kCancelled ? StatusCode::kCancelled
                                                                    : StatusCode::kUnauthenticated;
  return Status(code, options_.origin + ": " + fresh.status().message());
}

Result<Credentials> ExecCredentialSource::RunLocked() {
  SubprocessOptions run;
  run.argv = options_.argv;
  run.timeout = options_.timeout;
  run.environment = options_.environment;
  std::string cluster =
      options_.cluster_json.empty() ? "" : "\"cluster\":" + options_.cluster_json + ",";
  run.environment.emplace_back("KUBERNETES_EXEC_INFO",
                               R"({"kind":"ExecCredential","apiVersion":")" + options_.api_version +
                                   R"(","spec":{)" + cluster + R"("interactive":false}})");
  Result<SubprocessResult> ran = RunSubprocess(run, &stop_);
  if (!ran.ok()) {
    bool absent = ran.status().code() == StatusCode::kNotFound;
    std::string hint = absent ? OneLine(options_.install_hint) : "";
    return Status(ran.status().code(), ran.status().message() + (hint.empty() ? "" : "; " + hint));
  }
  if (ran->signal != 0 || ran->exit_code != 0) {
    std::string said = OneLine(ran->err);
    return Status(StatusCode::kUnauthenticated,
                  options_.argv[0] + ": " + DescribeExit(*ran) + (said.empty() ? "" : ": " + said));
  }
  Result<Credentials> parsed = ParseLocked(ran->out);
  if (!parsed.ok()) return parsed.status().WithContext(options_.argv[0]);
  return parsed;
}

Result<Credentials> ExecCredentialSource::ParseLocked(const std::string& output) {
  auto wrong = [](const std::string& why) { return Status(StatusCode::kUnauthenticated, why); };
  PODROUTE_ASSIGN_OR_RETURN(YamlValue root, ParseYaml(output, "standard output"));
  if (root.kind != YamlValue::Kind::kMap || TextOf(root.Find("kind")) != "ExecCredential") {
    return wrong("its output is not an ExecCredential object");
  }
  if (std::string version = TextOf(root.Find("apiVersion")); version != options_.api_version) {
    return wrong("its output has apiVersion \"" + OneLine(version) + "\"; " + options_.api_version +
                 " is what the kubeconfig asks for");
  }
  const YamlValue* status = root.Find("status");
  if (status == nullptr || status->kind != YamlValue::Kind::kMap)
    return wrong("its output has no status");
  std::string token = TextOf(status->Find("token"));
  std::string certificate = TextOf(status->Find("clientCertificateData"));
  std::string key = TextOf(status->Find("clientKeyData"));
  if (certificate.empty() != key.empty()) {
    return wrong(
        "its output has only one of status.clientCertificateData and status.clientKeyData");
  }
  if (token.empty() && key.empty()) {
    return wrong("its output has neither status.token nor status.clientCertificateData");
  }
  if (!std::all_of(token.begin(), token.end(), [](char c) { return c > 0x20 && c < 0x7f; })) {
    return wrong("its output has a status.token with characters no token has");
  }
  std::optional<WallTime> expires;
  if (std::string text = TextOf(status->Find("expirationTimestamp")); !text.empty()) {
    std::optional<int64_t> seconds = ParseRfc3339Seconds(text);
    if (!seconds) {
      return wrong("its output has status.expirationTimestamp \"" + OneLine(text) +
                   "\"; RFC 3339, as in 2026-01-02T03:04:05Z, would be right");
    }
    expires = WallTime(std::chrono::seconds(*seconds));
  }
  expires_ = expires;
  Credentials credentials = options_.fixed;
  credentials.bearer_token = token;
  if (!key.empty()) {
    credentials.client_certificate_pem = certificate;
    credentials.client_key_pem = key;
  }
  return credentials;
}

}  // namespace podroute
