#include "tests/apiserver/server_process.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <utility>

#include "base/file.h"
#include "base/unique_fd.h"

namespace podroute {

namespace {

constexpr char kExecutable[] = "tests/apiserver/podroute-apiserver";

Result<UniqueFd> Connect(const std::string& address, uint16_t port) {
  sockaddr_in6 v6{};
  sockaddr_in v4{};
  bool is_v6 = address.find(':') != std::string::npos;
  v6.sin6_family = AF_INET6;
  v4.sin_family = AF_INET;
  v6.sin6_port = v4.sin_port = htons(port);
  if (inet_pton(is_v6 ? AF_INET6 : AF_INET, address.c_str(),
                is_v6 ? static_cast<void*>(&v6.sin6_addr) : static_cast<void*>(&v4.sin_addr)) !=
      1) {
    return Status(StatusCode::kInvalidArgument, "\"" + address + "\" is no IP address");
  }
  UniqueFd fd(socket(is_v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  int rc = is_v6 ? connect(fd.get(), reinterpret_cast<sockaddr*>(&v6), sizeof(v6))
                 : connect(fd.get(), reinterpret_cast<sockaddr*>(&v4), sizeof(v4));
  if (rc != 0) {
    return Status::FromErrno(errno, "connect to " + address + " port " + std::to_string(port));
  }
  return fd;
}

struct FreeTls {
  void operator()(SSL_CTX* p) const { SSL_CTX_free(p); }
  void operator()(SSL* p) const { SSL_free(p); }
};
using TlsPtr = std::unique_ptr<SSL, FreeTls>;

Result<TlsPtr> Handshake(int fd, const std::string& address, const std::string& ca_file) {
  std::unique_ptr<SSL_CTX, FreeTls> context(SSL_CTX_new(TLS_client_method()));
  if (SSL_CTX_load_verify_locations(context.get(), ca_file.c_str(), nullptr) != 1) {
    return Status(StatusCode::kInvalidArgument, "no certificate in " + ca_file);
  }
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  TlsPtr tls(SSL_new(context.get()));
  X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(tls.get()), address.c_str());
  SSL_set_fd(tls.get(), fd);
  if (SSL_connect(tls.get()) != 1) {
    return Status(StatusCode::kUnavailable, "TLS handshake with " + address + " failed");
  }
  return tls;
}

// Joins the chunks.
Result<std::string> Unchunk(std::string_view body) {
  std::string out;
  while (true) {
    size_t end = body.find("\r\n");
    if (end == std::string_view::npos) break;
    size_t size = std::strtoul(std::string(body.substr(0, end)).c_str(), nullptr, 16);
    body.remove_prefix(end + 2);
    if (size == 0) return out;
    if (body.size() < size + 2) break;
    out += body.substr(0, size);
    body.remove_prefix(size + 2);
  }
  return Status(StatusCode::kUnavailable, "the body was cut");
}

Result<SimpleResponse> ParseResponse(std::string_view text) {
  SimpleResponse response;
  size_t head_end = text.find("\r\n\r\n");
  if (head_end == std::string_view::npos || text.size() < 12) {
    return Status(StatusCode::kUnavailable, "the connection ended without an answer");
  }
  response.status = std::atoi(std::string(text.substr(9, 3)).c_str());
  std::string_view head = text.substr(0, head_end + 2);
  head.remove_prefix(head.find("\r\n") + 2);
  while (!head.empty()) {
    size_t end = head.find("\r\n");
    std::string_view line = head.substr(0, end);
    head.remove_prefix(end + 2);
    size_t colon = line.find(": ");
    if (colon == std::string_view::npos) continue;
    std::string name(line.substr(0, colon));
    std::transform(name.begin(), name.end(), name.begin(),
                   [](unsigned char c) { return std::tolower(c); });
    response.headers[name] = line.substr(colon + 2);
  }
  std::string_view body = text.substr(head_end + 4);
  if (response.headers.contains("transfer-encoding")) {
    PODROUTE_ASSIGN_OR_RETURN(response.body, Unchunk(body));
    return response;
  }
  if (body.size() < std::strtoul(response.headers["content-length"].c_str(), nullptr, 10)) {
    return Status(StatusCode::kUnavailable, "the body was cut");
  }
  response.body = body;
  return response;
}

// bazel test runs in the runfiles; bazel run and plain use do not.
Result<std::string> FindExecutable() {
  std::vector<std::string> places = {kExecutable, std::string("bazel-bin/") + kExecutable};
  if (const char* srcdir = std::getenv("TEST_SRCDIR")) {
    const char* workspace = std::getenv("TEST_WORKSPACE");
    places.push_back(std::string(srcdir) + "/" + (workspace ? workspace : "podroute") + "/" +
                     kExecutable);
  }
  for (const std::string& place : places) {
    if (access(place.c_str(), X_OK) == 0) return std::filesystem::absolute(place).string();
  }
  return Status(StatusCode::kNotFound,
                std::string(kExecutable) +
                    " is not there: add //tests/apiserver:podroute-apiserver "
                    "to the test's data");
}

}  // namespace

Result<SimpleResponse> HttpCall(const std::string& address, uint16_t port,
                                const std::string& method, const std::string& target,
                                const std::vector<std::string>& headers, const std::string& body,
                                const std::string& ca_file) {
  PODROUTE_ASSIGN_OR_RETURN(UniqueFd fd, Connect(address, port));
  TlsPtr tls;
  if (!ca_file.empty()) {
    PODROUTE_ASSIGN_OR_RETURN(tls, Handshake(fd.get(), address, ca_file));
  }
  std::string request = method + " " + target + " HTTP/1.1\r\nHost: test\r\nConnection: close\r\n";
  for (const std::string& header : headers) request += header + "\r\n";
  request += "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  for (size_t sent = 0; sent < request.size();) {
    ssize_t n =
        tls ? SSL_write(tls.get(), request.data() + sent, static_cast<int>(request.size() - sent))
            : send(fd.get(), request.data() + sent, request.size() - sent, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return Status::FromErrno(errno, "send");
    sent += static_cast<size_t>(n);
  }
  std::string answer;
  std::vector<char> buffer(size_t{1} << 16);
  while (true) {
    ssize_t n = tls ? SSL_read(tls.get(), buffer.data(), static_cast<int>(buffer.size()))
                    : recv(fd.get(), buffer.data(), buffer.size(), 0);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    answer.append(buffer.data(), static_cast<size_t>(n));
  }
  return ParseResponse(answer);
}

Result<std::unique_ptr<ServerProcess>> ServerProcess::Start(const ServerProcessOptions& options) {
  std::unique_ptr<ServerProcess> server(new ServerProcess(options));
  PODROUTE_RETURN_IF_ERROR(server->Spawn());
  return server;
}

Status ServerProcess::Spawn() {
  PODROUTE_ASSIGN_OR_RETURN(std::string executable, FindExecutable());
  const char* base = std::getenv("TEST_TMPDIR");
  dir_ = std::string(base ? base : "/tmp") + "/apiserver.XXXXXX";
  if (mkdtemp(dir_.data()) == nullptr) return Status::FromErrno(errno, "make " + dir_);
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return Status::FromErrno(errno, "pipe");
  UniqueFd read_end(ends[0]), write_end(ends[1]);
  // The child has it as 3 whatever else is open.
  std::vector<std::string> args = {executable, "--address=" + options_.address, "--port=0",
                                   "--control_port=0", "--ready_fd=3"};
  if (!options_.token.empty()) args.push_back("--token=" + options_.token);
  if (options_.tls) args.push_back("--self_signed_dir=" + dir_);
  args.push_back("--kubeconfig=" + kubeconfig());
  args.insert(args.end(), options_.extra_flags.begin(), options_.extra_flags.end());
  std::vector<char*> argv;
  for (std::string& arg : args) argv.push_back(arg.data());
  argv.push_back(nullptr);
  pid_t parent = getpid();
  pid_ = fork();
  if (pid_ < 0) return Status::FromErrno(errno, "fork");
  if (pid_ == 0) {
    // It must not outlive a test that crashes.
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    // 0: the parent is in another process namespace (tests/lab/frr_router.h), and alive.
    if (pid_t now = getppid(); now != parent && now != 0) _exit(127);
    if (write_end.get() == 3) {
      fcntl(3, F_SETFD, 0);
    } else {
      dup2(write_end.get(), 3);
    }
    execv(argv[0], argv.data());
    _exit(127);
  }
  write_end.reset();
  PODROUTE_ASSIGN_OR_RETURN(std::string line, ReadAll(read_end.get(), "podroute-apiserver"));
  unsigned port = 0, control_port = 0;
  if (std::sscanf(line.c_str(), "%u %u", &port, &control_port) != 2) {
    return Status(StatusCode::kInternal, "podroute-apiserver ended with " +
                                             std::to_string(Terminate()) + " before it listened");
  }
  port_ = static_cast<uint16_t>(port);
  control_port_ = static_cast<uint16_t>(control_port);
  return Status::Ok();
}

ServerProcess::~ServerProcess() {
  Terminate();
  std::error_code ignored;
  if (!dir_.empty()) std::filesystem::remove_all(dir_, ignored);
}

std::string ServerProcess::url() const {
  bool v6 = host().find(':') != std::string::npos;
  return std::string(options_.tls ? "https://" : "http://") + (v6 ? "[" + host() + "]" : host()) +
         ":" + std::to_string(port_);
}

std::string ServerProcess::ca_file() const { return options_.tls ? dir_ + "/ca.crt" : ""; }
std::string ServerProcess::client_cert_file() const {
  return options_.tls ? dir_ + "/admin.crt" : "";
}
std::string ServerProcess::client_key_file() const {
  return options_.tls ? dir_ + "/admin.key" : "";
}
std::string ServerProcess::kubeconfig() const { return dir_ + "/kubeconfig"; }

Result<std::string> ServerProcess::Control(const std::string& method, const std::string& order,
                                           const std::string& body) const {
  PODROUTE_ASSIGN_OR_RETURN(SimpleResponse response, HttpCall("127.0.0.1", control_port_, method,
                                                              "/_test/" + order, {}, body));
  if (response.status != 200) return Status(StatusCode::kInvalidArgument, response.body);
  return response.body;
}

Result<SimpleResponse> ServerProcess::Call(const std::string& method, const std::string& target,
                                           const std::string& body,
                                           const std::string& content_type) const {
  std::vector<std::string> headers;
  if (!options_.token.empty()) headers.push_back("Authorization: Bearer " + options_.token);
  if (!body.empty()) headers.push_back("Content-Type: " + content_type);
  return HttpCall(host(), port_, method, target, headers, body, ca_file());
}

int ServerProcess::Terminate() {
  if (pid_ <= 0) return exit_status_;
  kill(pid_, SIGTERM);
  int status = 0;
  while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
  exit_status_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return exit_status_;
}

}  // namespace podroute
