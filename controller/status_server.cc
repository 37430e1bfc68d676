#include "controller/status_server.h"

#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/thread.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <string_view>
#include <thread>
#include <utility>

#include "base/ip_prefix.h"
#include "base/unique_fd.h"
#include "controller/status_address.h"

namespace podroute {
namespace {

constexpr char kTextPlain[] = "text/plain; charset=utf-8";
// https://prometheus.io/docs/instrumenting/exposition_formats/
constexpr char kMetricsType[] = "text/plain; version=0.0.4; charset=utf-8";
constexpr int kTimeoutSeconds = 5;  // Of a client that says nothing.
constexpr size_t kMaxRequestBytes = 8 << 10;

struct BaseDeleter {
  void operator()(event_base* base) const { event_base_free(base); }
};
struct HttpDeleter {
  void operator()(evhttp* http) const { evhttp_free(http); }
};

// REQUIRES: CheckStatusAddress(address).
Result<UniqueFd> Listen(const std::string& address, int* port) {
  size_t colon = address.rfind(':');
  std::string_view host = std::string_view(address).substr(0, colon);
  if (host.starts_with('[')) host = host.substr(1, host.size() - 2);
  const IpAddress ip = IpAddress::Parse(host).value();
  uint16_t wanted = 0;
  std::from_chars(address.data() + colon + 1, address.data() + address.size(), wanted);
  sockaddr_storage storage{};
  socklen_t size = 0;
  if (ip.is_v4()) {
    auto* to = reinterpret_cast<sockaddr_in*>(&storage);
    to->sin_family = AF_INET;
    to->sin_port = htons(wanted);
    std::memcpy(&to->sin_addr, ip.bytes().data(), ip.size());
    size = sizeof *to;
  } else {
    auto* to = reinterpret_cast<sockaddr_in6*>(&storage);
    to->sin6_family = AF_INET6;
    to->sin6_port = htons(wanted);
    std::memcpy(&to->sin6_addr, ip.bytes().data(), ip.size());
    size = sizeof *to;
  }
  auto* name = reinterpret_cast<sockaddr*>(&storage);
  UniqueFd fd(socket(name->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  int on = 1;
  if (!fd || setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
      bind(fd.get(), name, size) != 0 || listen(fd.get(), 16) != 0 ||
      getsockname(fd.get(), name, &size) != 0) {
    return Status::FromErrno(errno, "listen at " + address);
  }
  *port = ntohs(ip.is_v4() ? reinterpret_cast<sockaddr_in*>(&storage)->sin_port
                           : reinterpret_cast<sockaddr_in6*>(&storage)->sin6_port);
  return fd;
}

void Answer(evhttp_request* request, int code, const char* type, const std::string& body) {
  evkeyvalq* headers = evhttp_request_get_output_headers(request);
  evhttp_add_header(headers, "Content-Type", type);
  evhttp_add_header(headers, "Cache-Control", "no-store");
  evbuffer_add(evhttp_request_get_output_buffer(request), body.data(), body.size());
  evhttp_send_reply(request, code, nullptr, nullptr);
}

void AnswerWhether(evhttp_request* request, const std::string& why_not) {
  bool well = why_not.empty();
  Answer(request, well ? HTTP_OK : HTTP_SERVUNAVAIL, kTextPlain, (well ? "ok" : why_not) + "\n");
}

void OnRequest(evhttp_request* request, void* pages_of_server) {
  const auto& pages = *static_cast<const StatusPages*>(pages_of_server);
  const evhttp_uri* uri = evhttp_request_get_evhttp_uri(request);
  const char* path = uri != nullptr ? evhttp_uri_get_path(uri) : nullptr;
  std::string_view wanted = path != nullptr ? path : "";
  if (wanted == "/metrics") return Answer(request, HTTP_OK, kMetricsType, pages.metrics());
  if (wanted == "/healthz") return AnswerWhether(request, pages.unhealthy());
  if (wanted == "/readyz") return AnswerWhether(request, pages.unready());
  Answer(request, HTTP_NOTFOUND, kTextPlain, "there are /metrics, /healthz and /readyz\n");
}

}  // namespace

struct StatusServer::Server {
  StatusPages pages;
  int port = 0;
  std::unique_ptr<event_base, BaseDeleter> base;
  std::unique_ptr<evhttp, HttpDeleter> http;  // Goes before the base.
  std::thread thread;
};

StatusServer::StatusServer(std::unique_ptr<Server> server) : server_(std::move(server)) {}

StatusServer::~StatusServer() {
  // Not loopbreak, which a loop that has not begun yet forgets.
  event_base_loopexit(server_->base.get(), nullptr);
  if (server_->thread.joinable()) server_->thread.join();
}

int StatusServer::port() const { return server_->port; }

Result<std::unique_ptr<StatusServer>> StatusServer::Start(const std::string& address,
                                                          StatusPages pages) {
  if (Status form = CheckStatusAddress(address); !form.ok()) return form;
  auto server = std::make_unique<Server>();
  server->pages = std::move(pages);
  PODROUTE_ASSIGN_OR_RETURN(UniqueFd fd, Listen(address, &server->port));
  evthread_use_pthreads();  // Or nobody could end the loop from outside.
  server->base.reset(event_base_new());
  if (server->base) server->http.reset(evhttp_new(server->base.get()));
  if (!server->http) return Status(StatusCode::kInternal, address + ": no HTTP server");
  evhttp* http = server->http.get();
  evhttp_set_allowed_methods(http, EVHTTP_REQ_GET);
  evhttp_set_timeout(http, kTimeoutSeconds);
  evhttp_set_max_headers_size(http, kMaxRequestBytes);
  evhttp_set_max_body_size(http, kMaxRequestBytes);
  evhttp_set_gencb(http, OnRequest, &server->pages);
  if (evhttp_accept_socket(http, fd.get()) != 0) {
    return Status(StatusCode::kInternal, address + ": the HTTP server does not take the socket");
  }
  (void)fd.release();  // The server's now.
  server->thread = std::thread([base = server->base.get()] { event_base_dispatch(base); });
  return std::unique_ptr<StatusServer>(new StatusServer(std::move(server)));
}

}  // namespace podroute
