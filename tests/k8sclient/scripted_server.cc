#include "tests/k8sclient/scripted_server.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace podroute {
namespace {

void Require(bool condition) {
  if (!condition) std::abort();
}

std::shared_ptr<BIO> MemoryBio(const std::string& text) {
  return {BIO_new_mem_buf(text.data(), static_cast<int>(text.size())), BIO_free};
}

std::shared_ptr<SSL_CTX> NewServerContext(const ScriptedServer::Options& options) {
  std::shared_ptr<SSL_CTX> context(SSL_CTX_new(TLS_server_method()), SSL_CTX_free);
  std::shared_ptr<X509> certificate(
      PEM_read_bio_X509(MemoryBio(options.tls->certificate_pem).get(), nullptr, nullptr, nullptr),
      X509_free);
  std::shared_ptr<EVP_PKEY> key(
      PEM_read_bio_PrivateKey(MemoryBio(options.tls->key_pem).get(), nullptr, nullptr, nullptr),
      EVP_PKEY_free);
  Require(SSL_CTX_use_certificate(context.get(), certificate.get()) == 1);
  Require(SSL_CTX_use_PrivateKey(context.get(), key.get()) == 1);
  if (options.max_tls_version != 0) {
    SSL_CTX_set_security_level(context.get(), 0);
    SSL_CTX_set_min_proto_version(context.get(), TLS1_VERSION);
    SSL_CTX_set_max_proto_version(context.get(), options.max_tls_version);
  }
  if (!options.client_authority_pem.empty()) {
    std::shared_ptr<X509> authority(
        PEM_read_bio_X509(MemoryBio(options.client_authority_pem).get(), nullptr, nullptr, nullptr),
        X509_free);
    X509_STORE_add_cert(SSL_CTX_get_cert_store(context.get()), authority.get());
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  }
  return context;
}

}  // namespace

ServerConnection::ServerConnection(UniqueFd fd, int number, SSL_CTX* tls)
    : fd_(std::move(fd)), number_(number), established_(tls == nullptr) {
  int on = 1;
  setsockopt(fd_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (tls != nullptr) StartTls(tls);
}

bool ServerConnection::StartTls(SSL_CTX* tls) {
  ssl_ = SSL_new(tls);
  SSL_set_fd(ssl_, fd_.get());
  established_ = SSL_accept(ssl_) == 1;
  ERR_clear_error();
  return established_;
}

ServerConnection::~ServerConnection() { EndTls(); }

void ServerConnection::EndTls() {
  if (ssl_ != nullptr && established_) SSL_shutdown(ssl_);
  SSL_free(std::exchange(ssl_, nullptr));
  ERR_clear_error();
}

std::string ServerConnection::sni() const {
  const char* name = SSL_get_servername(ssl_, TLSEXT_NAMETYPE_host_name);
  return name == nullptr ? "" : name;
}

std::string ServerConnection::tls_version() const { return SSL_get_version(ssl_); }

std::string ServerConnection::client_common_name() const {
  X509* certificate = SSL_get0_peer_certificate(ssl_);
  if (certificate == nullptr) return "";
  char name[256] = "";
  X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, name, sizeof name);
  return name;
}

int ServerConnection::Receive(char* buffer, size_t size) {
  if (ssl_ == nullptr) return static_cast<int>(recv(fd_.get(), buffer, size, 0));
  int n = SSL_read(ssl_, buffer, static_cast<int>(size));
  ERR_clear_error();
  return n;
}

std::string ServerConnection::ReadRequest() {
  if (!established_) return "";
  std::string text = std::exchange(unread_, "");
  size_t wanted = std::string::npos;
  while (true) {
    size_t head_end = text.find("\r\n\r\n");
    if (head_end != std::string::npos && wanted == std::string::npos) {
      wanted = head_end + 4;
      std::string length = HeaderOf(text, "Content-Length");
      wanted += std::strtoul(length.c_str(), nullptr, 10);
    }
    if (text.size() >= wanted) break;
    char buffer[4096];
    int n = Receive(buffer, sizeof buffer);
    if (n <= 0) return "";
    text.append(buffer, static_cast<size_t>(n));
  }
  unread_ = text.substr(wanted);
  return text.substr(0, wanted);
}

bool ServerConnection::Write(std::string_view bytes) {
  while (!bytes.empty() && established_) {
    size_t size = std::min<size_t>(bytes.size(), 1 << 20);
    ssize_t n = ssl_ == nullptr ? send(fd_.get(), bytes.data(), size, MSG_NOSIGNAL)
                                : SSL_write(ssl_, bytes.data(), static_cast<int>(size));
    ERR_clear_error();
    if (n <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return established_;
}

bool ServerConnection::WriteChunk(std::string_view bytes) {
  char size[32];
  snprintf(size, sizeof size, "%zx\r\n", bytes.size());
  return Write(std::string(size).append(bytes).append("\r\n"));
}

void ServerConnection::GiveUpWritingAfter(std::chrono::milliseconds time) {
  timeval limit{time.count() / 1000, time.count() % 1000 * 1000};
  setsockopt(fd_.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
}

void ServerConnection::WaitForClose() {
  char buffer[4096];
  // After a failed handshake too: closing with bytes unread resets the connection, and the alert is
  // lost.
  while ((established_ ? Receive(buffer, sizeof buffer)
                       : static_cast<int>(recv(fd_.get(), buffer, sizeof buffer, 0))) > 0) {
  }
}

void ServerConnection::Reset() {
  linger now{1, 0};
  setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
  SSL_free(std::exchange(ssl_, nullptr));
  // Not closed here: the server still knows the descriptor.
  sockaddr nowhere{};
  nowhere.sa_family = AF_UNSPEC;
  (void)connect(fd_.get(), &nowhere, sizeof nowhere);  // Disconnects with a reset.
  established_ = false;
}

void ServerConnection::Shutdown() { shutdown(fd_.get(), SHUT_RDWR); }

ScriptedServer::ScriptedServer(Options options, Script script)
    : options_(std::move(options)), script_(std::move(script)) {
  signal(SIGPIPE, SIG_IGN);  // SSL_write to a client that is gone.
  if (options_.tls) tls_ = NewServerContext(options_);
  listener_ = UniqueFd(socket(AddressFamily(options_.family), SOCK_STREAM | SOCK_CLOEXEC, 0));
  Require(static_cast<bool>(listener_));
  sockaddr_in6 address{};
  socklen_t size = sizeof address;
  auto* v4 = reinterpret_cast<sockaddr_in*>(&address);
  if (options_.family == IpFamily::kV4) {
    v4->sin_family = AF_INET;
    v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    size = sizeof *v4;
  } else {
    address.sin6_family = AF_INET6;
    address.sin6_addr = in6addr_loopback;
  }
  Require(bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), size) == 0);
  Require(listen(listener_.get(), 64) == 0);
  Require(getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
  port_ = ntohs(options_.family == IpFamily::kV4 ? v4->sin_port : address.sin6_port);
  acceptor_ = std::thread([this] { AcceptLoop(); });
}

std::string ScriptedServer::host() const {
  return options_.family == IpFamily::kV4 ? "127.0.0.1" : "::1";
}

void ScriptedServer::AcceptLoop() {
  while (true) {
    UniqueFd fd(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!fd) return;
    std::lock_guard lock(mutex_);
    if (closing_) return;
    open_.push_back(fd.get());
    int number = accepted_++;
    threads_.emplace_back([this, number, raw = fd.release()] {
      auto connection = std::make_unique<ServerConnection>(UniqueFd(raw), number, tls_.get());
      script_(*connection);
      connection->EndTls();  // It may block, so not under the lock.
      std::lock_guard lock(mutex_);
      std::erase(open_, raw);
      connection.reset();
    });
  }
}

ScriptedServer::~ScriptedServer() {
  {
    std::lock_guard lock(mutex_);
    closing_ = true;
    for (int fd : open_) shutdown(fd, SHUT_RDWR);
    shutdown(listener_.get(), SHUT_RDWR);
  }
  acceptor_.join();
  for (std::thread& thread : threads_) thread.join();
}

std::string OkResponse(std::string_view body) {
  return "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: " +
         std::to_string(body.size()) + "\r\n\r\n" + std::string(body);
}

std::string HeaderOf(const std::string& message, const std::string& name) {
  size_t at = message.find("\r\n" + name + ":");
  if (at == std::string::npos || at > message.find("\r\n\r\n")) return "";
  at = message.find_first_not_of(' ', at + name.size() + 3);
  return message.substr(at, message.find("\r\n", at) - at);
}

std::string ChunkedHead() {
  return "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
}

}  // namespace podroute
