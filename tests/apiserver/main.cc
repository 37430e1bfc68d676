// podroute-apiserver: an in-memory Kubernetes API server. README.md describes its use.
#include <gflags/gflags.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <ctime>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "base/file.h"
#include "base/ip_prefix.h"
#include "tests/apiserver/api.h"
#include "tests/apiserver/certificates.h"
#include "tests/apiserver/http_server.h"

DEFINE_string(address, "127.0.0.1", "IP addresses to listen on, comma separated");
DEFINE_int32(port, 0, "port on all of them; 0: a free one");
DEFINE_string(port_file, "", "file to write the port to once connections are accepted");
DEFINE_int32(ready_fd, -1,
             "descriptor to write \"PORT CONTROL_PORT\\n\" to instead of standard output");
DEFINE_string(token, "", "bearer tokens of the user \"admin\", comma separated");
DEFINE_string(token_file, "", "file with lines of token,user");
DEFINE_string(denied_users, "", "users that are known but may do nothing, comma separated");
DEFINE_string(rbac_file, "",
              "List of roles and bindings, JSON; service accounts may do what they say");
DEFINE_bool(anonymous, false,
            "let requests without credentials do everything (so it is when there are no tokens and "
            "no client CA)");
DEFINE_string(tls_cert, "",
              "server certificate chain, PEM; with it and --tls_key the port is HTTPS");
DEFINE_string(tls_key, "", "its key, PEM");
DEFINE_string(client_ca, "", "certificates of those who sign client certificates, PEM");
DEFINE_string(
    self_signed_dir, "",
    "directory to write ca.crt, tls.crt, tls.key, admin.crt, admin.key and kubeconfig to: "
    "a new certificate authority, used by this server");
DEFINE_string(san, "", "more names and addresses for that server certificate, comma separated");
DEFINE_string(
    kubeconfig, "",
    "file to write a kubeconfig for this server to (DIR/kubeconfig with --self_signed_dir)");
DEFINE_string(kubeconfig_host, "", "host in that kubeconfig; default: the first of --address");
DEFINE_string(nodes_file, "", "List or single object, JSON, to begin with; taken as it is");
DEFINE_bool(validate, true, "check objects as the real server does; false lets hostile ones in");
DEFINE_bool(dual_stack, true, "false: keep only the first podCIDR, as v1.20 does by default");
DEFINE_bool(watch_list, false, "know sendInitialEvents=true, as v1.32 does");
DEFINE_uint64(history, 10000, "changes that watches and continued lists can go back");
DEFINE_double(bookmark_period, 60, "seconds between bookmarks");
DEFINE_bool(control, false, "accept orders under /_test/");
DEFINE_int32(control_port, -1, "port on 127.0.0.1 for such orders only, plain HTTP; 0: a free one");
DEFINE_string(control_port_file, "", "file to write that port to");

namespace podroute {

namespace {

std::vector<std::string> SplitCommas(const std::string& text) {
  std::vector<std::string> parts;
  for (size_t begin = 0; begin <= text.size();) {
    size_t end = std::min(text.find(',', begin), text.size());
    if (end > begin) parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

Status BadFlag(const std::string& what) { return Status(StatusCode::kInvalidArgument, what); }

Status CheckFlags() {
  if (FLAGS_port < 0 || FLAGS_port > 65535) return BadFlag("--port must be 0 to 65535");
  if (FLAGS_control_port < -1 || FLAGS_control_port > 65535) {
    return BadFlag("--control_port must be -1 to 65535");
  }
  if (SplitCommas(FLAGS_address).empty()) return BadFlag("--address is empty");
  for (const std::string& address : SplitCommas(FLAGS_address)) {
    if (!IpAddress::Parse(address).ok()) {
      return BadFlag("--address: \"" + address + "\" is no IP address");
    }
  }
  if (FLAGS_tls_cert.empty() != FLAGS_tls_key.empty()) {
    return BadFlag("--tls_cert and --tls_key go together");
  }
  if (!FLAGS_self_signed_dir.empty() && !FLAGS_tls_cert.empty()) {
    return BadFlag("--self_signed_dir and --tls_cert exclude each other");
  }
  if (FLAGS_bookmark_period <= 0) return BadFlag("--bookmark_period must be above 0");
  if (FLAGS_history == 0) return BadFlag("--history must be above 0");
  return Status::Ok();
}

// *rules must outlive the authenticator.
Status SetUpUsers(Authenticator* authenticator, std::optional<Rbac>* rules) {
  for (const std::string& token : SplitCommas(FLAGS_token)) authenticator->AddToken(token, "admin");
  if (!FLAGS_token_file.empty()) {
    PODROUTE_ASSIGN_OR_RETURN(std::string text, ReadFile(FLAGS_token_file));
    PODROUTE_RETURN_IF_ERROR(authenticator->AddTokenFile(text, FLAGS_token_file));
  }
  for (const std::string& user : SplitCommas(FLAGS_denied_users)) authenticator->Deny(user);
  if (!FLAGS_rbac_file.empty()) {
    PODROUTE_ASSIGN_OR_RETURN(std::string text, ReadFile(FLAGS_rbac_file));
    Result<Rbac> parsed = Rbac::Parse(text);
    if (!parsed.ok()) return parsed.status().WithContext(FLAGS_rbac_file);
    rules->emplace(std::move(*parsed));
    authenticator->SetRules(&**rules);
  }
  bool open = !authenticator->has_tokens() && FLAGS_client_ca.empty();
  if (FLAGS_anonymous || open) authenticator->AllowAnonymous();
  return Status::Ok();
}

// Fills the TLS options; *ca_pem becomes what clients should trust.
Status SetUpTls(HttpServerOptions* options, std::string* ca_pem) {
  if (!FLAGS_tls_cert.empty()) {
    PODROUTE_ASSIGN_OR_RETURN(options->cert_pem, ReadFile(FLAGS_tls_cert));
    PODROUTE_ASSIGN_OR_RETURN(options->key_pem, ReadFile(FLAGS_tls_key));
    *ca_pem = options->cert_pem;
  }
  if (!FLAGS_client_ca.empty()) {
    PODROUTE_ASSIGN_OR_RETURN(options->client_ca_pem, ReadFile(FLAGS_client_ca));
  }
  if (FLAGS_self_signed_dir.empty()) return Status::Ok();
  std::string dir = FLAGS_self_signed_dir;
  if (mkdir(dir.c_str(), 0700) != 0 && errno != EEXIST) {
    return Status::FromErrno(errno, "make " + dir);
  }
  std::vector<std::string> names = {"localhost", "127.0.0.1", "::1", "kubernetes.default.svc"};
  for (const std::string& list : {FLAGS_address, FLAGS_san, FLAGS_kubeconfig_host}) {
    for (const std::string& name : SplitCommas(list)) names.push_back(name);
  }
  PODROUTE_ASSIGN_OR_RETURN(CertificateAuthority ca, CertificateAuthority::Create());
  PODROUTE_ASSIGN_OR_RETURN(CertificateAndKey server, ca.IssueServer(names));
  PODROUTE_ASSIGN_OR_RETURN(CertificateAndKey admin, ca.IssueClient("admin"));
  PODROUTE_RETURN_IF_ERROR(WriteFileAtomically(dir + "/ca.crt", ca.cert_pem()));
  PODROUTE_RETURN_IF_ERROR(WriteFileAtomically(dir + "/tls.crt", server.cert_pem));
  PODROUTE_RETURN_IF_ERROR(WriteFileAtomically(dir + "/tls.key", server.key_pem, 0600));
  PODROUTE_RETURN_IF_ERROR(WriteFileAtomically(dir + "/admin.crt", admin.cert_pem));
  PODROUTE_RETURN_IF_ERROR(WriteFileAtomically(dir + "/admin.key", admin.key_pem, 0600));
  options->cert_pem = server.cert_pem;
  options->key_pem = server.key_pem;
  options->client_ca_pem += ca.cert_pem();
  *ca_pem = ca.cert_pem();
  return Status::Ok();
}

Status WriteKubeconfig(const std::string& path, uint16_t port, const std::string& ca_pem) {
  std::string host = FLAGS_kubeconfig_host;
  if (host.empty()) host = SplitCommas(FLAGS_address).front();
  Result<IpAddress> address = IpAddress::Parse(host);
  if (address.ok()) {
    if (address->IsUnspecified())
      address = address->is_v4() ? IpAddress::Parse("127.0.0.1") : IpAddress::Parse("::1");
    host = address->ToUrlHost();
  }
  std::string server =
      (ca_pem.empty() ? "http://" : "https://") + host + ":" + std::to_string(port);
  std::string text =
      "apiVersion: v1\nkind: Config\nclusters:\n- name: podroute\n  cluster:\n    server: " +
      server + "\n";
  if (!ca_pem.empty()) text += "    certificate-authority-data: " + Base64(ca_pem) + "\n";
  text += "users:\n- name: admin\n  user:";
  std::vector<std::string> tokens = SplitCommas(FLAGS_token);
  text += tokens.empty() ? " {}\n" : "\n    token: \"" + tokens.front() + "\"\n";
  text +=
      "contexts:\n- name: podroute\n  context:\n    cluster: podroute\n    user: admin\n"
      "current-context: podroute\n";
  return WriteFileAtomically(path, text, 0600);
}

// Tells whoever started us where we listen.
Status Announce(const HttpServer& server, const std::string& ca_pem) {
  std::string kubeconfig = FLAGS_kubeconfig;
  if (kubeconfig.empty() && !FLAGS_self_signed_dir.empty()) {
    kubeconfig = FLAGS_self_signed_dir + "/kubeconfig";
  }
  if (!kubeconfig.empty()) {
    PODROUTE_RETURN_IF_ERROR(WriteKubeconfig(kubeconfig, server.port(), ca_pem));
  }
  std::string port = std::to_string(server.port());
  std::string control_port = std::to_string(server.control_port());
  if (!FLAGS_control_port_file.empty()) {
    PODROUTE_RETURN_IF_ERROR(WriteFileAtomically(FLAGS_control_port_file, control_port + "\n"));
  }
  if (!FLAGS_port_file.empty()) {
    PODROUTE_RETURN_IF_ERROR(WriteFileAtomically(FLAGS_port_file, port + "\n"));
  }
  if (FLAGS_ready_fd >= 0) {
    std::string line = port + " " + control_port + "\n";
    if (write(FLAGS_ready_fd, line.data(), line.size()) < 0) {
      return Status::FromErrno(errno, "write to --ready_fd");
    }
    close(FLAGS_ready_fd);
    return Status::Ok();
  }
  for (const std::string& address : SplitCommas(FLAGS_address)) {
    std::printf("listening on %s://%s:%s\n", ca_pem.empty() ? "http" : "https",
                IpAddress::Parse(address)->ToUrlHost().c_str(), port.c_str());
  }
  std::fflush(stdout);
  return Status::Ok();
}

Status Serve() {
  PODROUTE_RETURN_IF_ERROR(CheckFlags());
  Authenticator authenticator;
  std::optional<Rbac> rules;
  PODROUTE_RETURN_IF_ERROR(SetUpUsers(&authenticator, &rules));
  HttpServerOptions options;
  std::string ca_pem;
  PODROUTE_RETURN_IF_ERROR(SetUpTls(&options, &ca_pem));
  options.addresses = SplitCommas(FLAGS_address);
  options.port = static_cast<uint16_t>(FLAGS_port);
  options.control = FLAGS_control;
  options.control_port = FLAGS_control_port;
  options.bookmark_period_seconds = FLAGS_bookmark_period;

  Store store(FLAGS_history);
  std::mt19937_64 random(std::random_device{}());
  ApiOptions api_options;
  api_options.objects.validate = FLAGS_validate;
  api_options.objects.dual_stack = FLAGS_dual_stack;
  api_options.objects.now_seconds = [] { return static_cast<int64_t>(std::time(nullptr)); };
  api_options.objects.random_bits = [&random] { return random(); };
  api_options.watch_list = FLAGS_watch_list;
  Api api(&store, &authenticator, api_options);
  api.CreateDefaultNamespaces();
  if (!FLAGS_nodes_file.empty()) {
    PODROUTE_ASSIGN_OR_RETURN(std::string text, ReadFile(FLAGS_nodes_file, size_t{1} << 30));
    PODROUTE_RETURN_IF_ERROR(api.Load(text).WithContext(FLAGS_nodes_file));
  }
  HttpServer server(&api, &store, options);
  PODROUTE_RETURN_IF_ERROR(server.Listen());
  PODROUTE_RETURN_IF_ERROR(Announce(server, ca_pem));
  server.Run();
  return Status::Ok();
}

}  // namespace

}  // namespace podroute

int main(int argc, char** argv) {
  signal(SIGPIPE, SIG_IGN);
  gflags::SetUsageMessage("an in-memory Kubernetes API server for tests");
  gflags::ParseCommandLineFlags(&argc, &argv, true);
  podroute::Status status;
  if (argc > 1) {
    status = podroute::Status(podroute::StatusCode::kInvalidArgument,
                              std::string("unexpected argument \"") + argv[1] + "\"");
  } else {
    status = podroute::Serve();
  }
  if (status.ok()) return 0;
  std::fprintf(stderr, "podroute-apiserver: %s\n", status.message().c_str());
  return 1;
}
