#include "tests/apiserver/http_server.h"

#include <boost/asio.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <chrono>
#include <csignal>
#include <deque>
#include <optional>
#include <random>
#include <set>
#include <utility>  // Boost 1.74's asio needs it first in C++20.

#include "tests/apiserver/control.h"
#include "tests/apiserver/faults.h"
#include "tests/apiserver/negotiation.h"

namespace podroute {

namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using boost::system::error_code;
using tcp = asio::ip::tcp;
using SteadyClock = std::chrono::steady_clock;

constexpr size_t kMaxBody = 256u << 20;
constexpr size_t kPieceBytes = 128u << 10;
// Go's HTTP server sends the length of a body that ends within its first buffer.
constexpr size_t kMaxLengthBytes = 4096;

SteadyClock::duration Seconds(double seconds) {
  return std::chrono::duration_cast<SteadyClock::duration>(std::chrono::duration<double>(seconds));
}

std::string HttpDate() {
  std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[64];
  return {text, std::strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S GMT", &parts)};
}

// Without the line that says how the body ends.
std::string HeadOf(const ApiResponse& response) {
  std::string head = "HTTP/1.1 " + std::to_string(response.status) + " ";
  head += http::obsolete_reason(static_cast<http::status>(response.status)).to_string();
  head += "\r\nCache-Control: no-cache, private\r\nContent-Type: " + response.content_type + "\r\n";
  for (const auto& [name, value] : response.headers) head += name + ": " + value + "\r\n";
  return head + "Date: " + HttpDate() + "\r\n";
}

}  // namespace

class HttpServer::Impl : public ServerActions {
 public:
  Impl(Api* api, Store* store, HttpServerOptions options)
      : api_(api), store_(store), options_(std::move(options)) {
    store_->SetOnChange([this] { SchedulePump(); });
  }
  ~Impl() override;

  Status Listen();
  void Run();
  void Stop() {
    asio::post(io_, [this] { io_.stop(); });
  }

  size_t OnWatches(WatchAction action) override;
  size_t OpenWatches() const override;
  void Refuse(int64_t ms, bool drop) override;
  void Accept() override;
  int64_t NowMs() const override {
    return std::chrono::duration_cast<std::chrono::milliseconds>(SteadyClock::now() - start_)
        .count();
  }

 private:
  friend class HttpServer;
  friend class HttpServer::Connection;

  struct Listener {
    tcp::endpoint endpoint;
    bool control = false;
    std::optional<tcp::acceptor> acceptor;  // None while refusing.
  };

  Status SetUpTls();
  Status Open(Listener* listener);
  Status AddListener(const std::string& address, uint16_t port, bool control);
  void AcceptOn(Listener* listener);
  // Lets all watches look for changes, once, soon.
  void SchedulePump();

  Api* const api_;
  Store* const store_;
  const HttpServerOptions options_;
  const SteadyClock::time_point start_ = SteadyClock::now();
  asio::io_context io_{1};
  std::optional<asio::ssl::context> tls_;
  asio::signal_set signals_{io_};
  asio::steady_timer reopen_{io_};
  FaultPlan faults_;
  Stats stats_;
  Control control_{api_, store_, &faults_, &stats_, this};
  std::deque<Listener> listeners_;
  std::set<std::shared_ptr<Connection>> connections_;
  std::mt19937_64 random_{std::random_device{}()};
  bool pump_scheduled_ = false;
};

// One connection: requests one after the other, or a watch that goes on until it ends.
class HttpServer::Connection : public std::enable_shared_from_this<HttpServer::Connection> {
 public:
  Connection(Impl* server, tcp::socket socket, bool control)
      : server_(server), socket_(std::move(socket)), control_(control), timer_(server->io_) {
    if (server_->tls_ && !control_) tls_.emplace(socket_, *server_->tls_);
  }

  void Start() {
    error_code ignored;
    socket_.set_option(tcp::no_delay(true), ignored);
    if (!tls_) {
      ReadRequest();
      return;
    }
    tls_->async_handshake(asio::ssl::stream_base::server,
                          [self = shared_from_this()](error_code error) {
                            error ? self->Close() : self->ReadRequest();
                          });
  }

  // Without a word more: the peer sees its end of the body or answer missing.
  void Close() {
    if (closed_) return;
    closed_ = true;
    error_code ignored;
    timer_.cancel(ignored);
    socket_.shutdown(tcp::socket::shutdown_both, ignored);
    socket_.close(ignored);
    if (!control_) server_->stats_.ConnectionClosed();
    server_->connections_.erase(shared_from_this());
  }

  bool control() const { return control_; }
  bool watching() const { return watcher_.has_value(); }

  void Act(WatchAction action);
  // Sends what the watch has not seen yet.
  void Pump();

 private:
  // Calls `f` with the TLS stream or the bare socket.
  template <typename F>
  void WithStream(F f) {
    tls_ ? f(*tls_) : f(socket_);
  }

  // Writes `data`, then calls `then` unless the connection broke.
  template <typename F>
  void Write(Frame data, F then) {
    writing_ = true;
    WithStream([&](auto& stream) {
      asio::async_write(stream, asio::buffer(*data),
                        [self = shared_from_this(), data, then](error_code error, size_t) {
                          self->writing_ = false;
                          if (error) return self->Close();
                          if (!self->closed_) then();
                        });
    });
  }

  void ReadRequest();
  void ReadBody();
  void OnRequest();
  void Answer(const ApiRequest& request, std::optional<Fault> fault);
  void Respond(ApiResponse response, bool cut);
  void WritePieces();
  void WatchForEnd();
  void EndResponse();
  void StartWatch(const ApiResponse& response);
  void ArmWatchTimer();
  void OnWatchTimer();
  void FinishWatch();
  void Stall();
  std::string CertificateUser();

  Impl* const server_;
  tcp::socket socket_;
  std::optional<asio::ssl::stream<tcp::socket&>> tls_;
  const bool control_;
  asio::steady_timer timer_;
  boost::beast::flat_buffer buffer_;
  std::optional<http::request_parser<http::string_body>> parser_;
  std::optional<BodyReader> body_;
  bool cut_ = false;  // Stop in the middle of the body.
  bool keep_alive_ = true;
  bool writing_ = false;
  bool closed_ = false;
  bool reading_raw_ = false;  // WatchForEnd is under way.
  bool next_waits_ = false;   // The next request's read begins when it is done.

  std::optional<Watcher> watcher_;
  std::deque<Frame> queued_;  // Before what the watcher has.
  bool muted_ = false;
  bool finishing_ = false;
  bool close_after_queue_ = false;
  SteadyClock::time_point watch_end_, next_bookmark_;
};

void HttpServer::Connection::ReadRequest() {
  if (reading_raw_) {
    next_waits_ = true;
    return;
  }
  parser_.emplace();
  parser_->body_limit(kMaxBody);
  WithStream([&](auto& stream) {
    http::async_read_header(stream, buffer_, *parser_,
                            [self = shared_from_this()](error_code error, size_t) {
                              error ? self->Close() : self->ReadBody();
                            });
  });
}

void HttpServer::Connection::ReadBody() {
  auto read = [self = shared_from_this()] {
    self->WithStream([&](auto& stream) {
      http::async_read(stream, self->buffer_, *self->parser_, [self](error_code error, size_t) {
        error ? self->Close() : self->OnRequest();
      });
    });
  };
  if (boost::beast::iequals(parser_->get()[http::field::expect], "100-continue")) {
    Write(std::make_shared<const std::string>("HTTP/1.1 100 Continue\r\n\r\n"), read);
  } else {
    read();
  }
}

std::string HttpServer::Connection::CertificateUser() {
  if (!tls_) return "";
  X509* certificate = SSL_get_peer_certificate(tls_->native_handle());
  if (certificate == nullptr) return "";
  char name[256] = "";
  X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, name, sizeof(name));
  X509_free(certificate);
  return name;
}

void HttpServer::Connection::OnRequest() {
  auto message = parser_->release();
  parser_.reset();
  keep_alive_ = message.keep_alive();
  ApiRequest request;
  request.method = message.method_string().to_string();
  ParseTarget(std::string_view(message.target().data(), message.target().size()), &request);
  request.accept = message[http::field::accept].to_string();
  request.content_type = message[http::field::content_type].to_string();
  request.authorization = message[http::field::authorization].to_string();
  request.user_agent = message[http::field::user_agent].to_string();
  request.host = message[http::field::host].to_string();
  request.certificate_user = CertificateUser();
  request.body = std::move(message.body());
  if (control_ || (server_->options_.control && Control::Owns(request))) {
    Respond(server_->control_.Handle(request), false);
    return;
  }
  server_->stats_.CountRequest(server_->NowMs(), request, Api::Classify(request));
  std::optional<Fault> fault = server_->faults_.Take(request);
  if (!fault || fault->delay_ms == 0) {
    Answer(request, fault);
    return;
  }
  timer_.expires_after(std::chrono::milliseconds(fault->delay_ms));
  timer_.async_wait([self = shared_from_this(), request, fault](error_code error) {
    if (!error && !self->closed_) self->Answer(request, fault);
  });
}

void HttpServer::Connection::Answer(const ApiRequest& request, std::optional<Fault> fault) {
  ApiResponse response;
  switch (fault ? fault->kind : FaultKind::kDelay) {
    case FaultKind::kStall:
      return Stall();
    case FaultKind::kClose:
      return Close();
    case FaultKind::kStatus:
      response =
          Api::ErrorResponse(request, ErrorForCode(fault->status, fault->retry_after_seconds));
      break;
    case FaultKind::kGarbage:
      response.body = "{\"kind\": \x01\xff nonsense";
      break;
    case FaultKind::kHtml:
      response.content_type = "text/html; charset=utf-8";
      response.body = "<html><body>Please sign in</body></html>\n";
      break;
    case FaultKind::kEmptyList:
      response.body = R"({"kind":"NodeList","apiVersion":"v1","metadata":{"resourceVersion":")" +
                      std::to_string(server_->store_->version()) + "\"},\"items\":[]}\n";
      break;
    case FaultKind::kMute:
      muted_ = true;
      [[fallthrough]];
    case FaultKind::kTruncate:
    case FaultKind::kDelay:
      response = server_->api_->Handle(request);
  }
  Respond(std::move(response), fault && fault->kind == FaultKind::kTruncate);
}

void HttpServer::Connection::Respond(ApiResponse response, bool cut) {
  if (response.watch) return StartWatch(response);
  cut_ = cut;
  std::string head = HeadOf(response);
  if (!keep_alive_) head += "Connection: close\r\n";
  body_.emplace(std::move(response));
  std::string piece;
  bool more = true;
  while (more && piece.size() <= kMaxLengthBytes) more = body_->Read(kMaxLengthBytes, &piece);
  std::string all;
  if (more) {
    all = head + "Transfer-Encoding: chunked\r\n\r\n" + (muted_ ? "" : Chunk(piece));
  } else {
    all = head + "Content-Length: " + std::to_string(piece.size()) + "\r\n\r\n" +
          (muted_ ? "" : piece);
    body_.reset();
  }
  if (cut_) all.resize(all.size() - piece.size() / 2 - 2);
  Write(std::make_shared<const std::string>(std::move(all)), [this] {
    if (cut_) return Close();
    if (muted_) return Stall();
    WritePieces();
  });
}

void HttpServer::Connection::WritePieces() {
  if (!body_) return EndResponse();
  std::string piece;
  std::string out;
  if (body_->Read(kPieceBytes, &piece)) {
    out = Chunk(piece);
  } else {
    out = "0\r\n\r\n";
    body_.reset();
  }
  Write(std::make_shared<const std::string>(std::move(out)), [this] { WritePieces(); });
}

void HttpServer::Connection::EndResponse() { keep_alive_ ? ReadRequest() : Close(); }

// While nothing is expected from the peer: notices that it has gone.
void HttpServer::Connection::WatchForEnd() {
  if (reading_raw_ || buffer_.size() > 0) return;
  reading_raw_ = true;
  WithStream([&](auto& stream) {
    stream.async_read_some(buffer_.prepare(4096),
                           [self = shared_from_this()](error_code error, size_t size) {
                             self->reading_raw_ = false;
                             if (error) return self->Close();
                             self->buffer_.commit(size);
                             if (std::exchange(self->next_waits_, false)) self->ReadRequest();
                           });
  });
}

void HttpServer::Connection::Stall() { WatchForEnd(); }

void HttpServer::Connection::StartWatch(const ApiResponse& response) {
  const HttpServerOptions& options = server_->options_;
  double timeout = response.watch->timeout_seconds;
  if (timeout <= 0) {
    timeout = options.watch_timeout_seconds *
              std::uniform_real_distribution<double>(1, 2)(server_->random_);
  }
  SteadyClock::time_point now = SteadyClock::now();
  watch_end_ = now + Seconds(timeout);
  next_bookmark_ = now + Seconds(options.bookmark_period_seconds);
  finishing_ = false;
  ApiOptions api_options = server_->api_->options();
  watcher_.emplace(server_->store_, *response.watch, api_options.objects.now_seconds);
  std::string head = HeadOf(response) + "Transfer-Encoding: chunked\r\n\r\n";
  WatchForEnd();
  ArmWatchTimer();
  Write(std::make_shared<const std::string>(std::move(head)), [this] { Pump(); });
}

void HttpServer::Connection::ArmWatchTimer() {
  // The last bookmark comes shortly before the end, so that the next watch starts from a fresh
  // version.
  SteadyClock::time_point now = SteadyClock::now();
  SteadyClock::time_point last = watch_end_ - std::chrono::seconds(2);
  SteadyClock::time_point due = std::min(next_bookmark_, watch_end_);
  if (last > now) due = std::min(due, last);
  timer_.expires_at(due);
  timer_.async_wait([self = shared_from_this()](error_code error) {
    if (!error && !self->closed_ && self->watching()) self->OnWatchTimer();
  });
}

void HttpServer::Connection::OnWatchTimer() {
  SteadyClock::time_point now = SteadyClock::now();
  if (now >= watch_end_) {
    if (!muted_) FinishWatch();
    return;
  }
  if (now >= next_bookmark_)
    next_bookmark_ = now + Seconds(server_->options_.bookmark_period_seconds);
  Act(WatchAction::kBookmark);
  ArmWatchTimer();
}

void HttpServer::Connection::Pump() {
  if (!watching() || writing_ || muted_ || closed_) return;
  Frame frame;
  if (!queued_.empty()) {
    frame = std::move(queued_.front());
    queued_.pop_front();
  } else if (close_after_queue_) {
    return Close();
  } else if (!finishing_) {
    frame = watcher_->Next();
    finishing_ = watcher_->done();
  }
  if (frame) {
    Write(std::move(frame), [this] { Pump(); });
    return;
  }
  if (!finishing_) return;
  watcher_.reset();
  error_code ignored;
  timer_.cancel(ignored);
  Write(std::make_shared<const std::string>("0\r\n\r\n"), [this] { EndResponse(); });
}

void HttpServer::Connection::FinishWatch() {
  finishing_ = true;
  Pump();
}

void HttpServer::Connection::Act(WatchAction action) {
  switch (action) {
    case WatchAction::kDrop:
      return Close();
    case WatchAction::kClose:
      return FinishWatch();
    case WatchAction::kHalf: {
      std::string whole = Chunk(
          R"({"type":"MODIFIED","object":{"kind":"Node","apiVersion":"v1","metadata":{"name":"cut"}}})"
          "\n");
      queued_.push_back(std::make_shared<const std::string>(whole.substr(0, whole.size() / 2)));
      close_after_queue_ = true;
      break;
    }
    case WatchAction::kStall:
      muted_ = true;
      return;
    case WatchAction::kResume:
      muted_ = false;
      if (SteadyClock::now() >= watch_end_) finishing_ = true;
      break;
    case WatchAction::kGone:
      queued_.push_back(watcher_->Gone());
      finishing_ = true;
      break;
    case WatchAction::kBookmark:
      if (muted_) return;
      if (Frame frame = watcher_->Bookmark()) queued_.push_back(std::move(frame));
      break;
  }
  Pump();
}

HttpServer::Impl::~Impl() {
  store_->SetOnChange(nullptr);
  auto connections = std::move(connections_);
  connections_.clear();
  for (const auto& connection : connections) connection->Close();
}

Status HttpServer::Impl::SetUpTls() {
  try {
    asio::ssl::context& tls = tls_.emplace(asio::ssl::context::tls_server);
    tls.set_options(asio::ssl::context::no_tlsv1 | asio::ssl::context::no_tlsv1_1);
    tls.use_certificate_chain(asio::buffer(options_.cert_pem));
    tls.use_private_key(asio::buffer(options_.key_pem), asio::ssl::context::pem);
    if (!options_.client_ca_pem.empty()) {
      tls.add_certificate_authority(asio::buffer(options_.client_ca_pem));
      tls.set_verify_mode(asio::ssl::verify_peer);
    }
  } catch (const boost::system::system_error& error) {
    return Status(StatusCode::kInvalidArgument,
                  std::string("TLS certificate, key or client CA: ") + error.what());
  }
  SSL_CTX_set_alpn_select_cb(
      tls_->native_handle(),
      [](SSL*, const unsigned char** out, unsigned char* length, const unsigned char* in,
         unsigned int in_length, void*) {
        static const unsigned char kHttp11[] = "\x08http/1.1";
        unsigned char* chosen = nullptr;
        if (SSL_select_next_proto(&chosen, length, kHttp11, sizeof(kHttp11) - 1, in, in_length) !=
            OPENSSL_NPN_NEGOTIATED) {
          return SSL_TLSEXT_ERR_NOACK;
        }
        *out = chosen;
        return SSL_TLSEXT_ERR_OK;
      },
      nullptr);
  return Status::Ok();
}

Status HttpServer::Impl::Open(Listener* listener) {
  error_code error;
  tcp::acceptor& acceptor = listener->acceptor.emplace(io_);
  acceptor.open(listener->endpoint.protocol(), error);
  if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error && listener->endpoint.address().is_v6()) {
    acceptor.set_option(asio::ip::v6_only(true), error);
  }
  if (!error) acceptor.bind(listener->endpoint, error);
  if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
  if (error) {
    listener->acceptor.reset();
    return Status::FromErrno(error.value(),
                             "listen on " + listener->endpoint.address().to_string() + " port " +
                                 std::to_string(listener->endpoint.port()));
  }
  listener->endpoint = acceptor.local_endpoint();
  AcceptOn(listener);
  return Status::Ok();
}

Status HttpServer::Impl::AddListener(const std::string& address, uint16_t port, bool control) {
  error_code error;
  auto ip = asio::ip::make_address(address, error);
  if (error) {
    return Status(StatusCode::kInvalidArgument, "\"" + address + "\" is no IP address");
  }
  listeners_.push_back({tcp::endpoint(ip, port), control, std::nullopt});
  return Open(&listeners_.back());
}

Status HttpServer::Impl::Listen() {
  if (!options_.cert_pem.empty()) PODROUTE_RETURN_IF_ERROR(SetUpTls());
  uint16_t port = options_.port;
  for (const std::string& address : options_.addresses) {
    PODROUTE_RETURN_IF_ERROR(AddListener(address, port, false));
    port = listeners_.back().endpoint.port();
  }
  if (options_.control_port >= 0) {
    PODROUTE_RETURN_IF_ERROR(
        AddListener("127.0.0.1", static_cast<uint16_t>(options_.control_port), true));
  }
  return Status::Ok();
}

void HttpServer::Impl::AcceptOn(Listener* listener) {
  listener->acceptor->async_accept([this, listener](error_code error, tcp::socket socket) {
    if (error == asio::error::operation_aborted || !listener->acceptor) return;
    if (!error) {
      if (!listener->control) stats_.CountConnection(NowMs());
      auto connection = std::make_shared<Connection>(this, std::move(socket), listener->control);
      connections_.insert(connection);
      connection->Start();
    }
    AcceptOn(listener);
  });
}

void HttpServer::Impl::SchedulePump() {
  if (std::exchange(pump_scheduled_, true)) return;
  asio::post(io_, [this] {
    pump_scheduled_ = false;
    auto connections = connections_;  // Pump may close some.
    for (const auto& connection : connections) connection->Pump();
  });
}

size_t HttpServer::Impl::OpenWatches() const {
  size_t count = 0;
  for (const auto& connection : connections_) count += connection->watching() ? 1 : 0;
  return count;
}

size_t HttpServer::Impl::OnWatches(WatchAction action) {
  size_t count = 0;
  auto connections = connections_;  // Act may close some.
  for (const auto& connection : connections) {
    if (!connection->watching()) continue;
    ++count;
    connection->Act(action);
  }
  return count;
}

void HttpServer::Impl::Refuse(int64_t ms, bool drop) {
  for (Listener& listener : listeners_) {
    if (!listener.control) listener.acceptor.reset();
  }
  if (drop) {
    auto connections = connections_;
    for (const auto& connection : connections) {
      if (!connection->control()) connection->Close();
    }
  }
  error_code ignored;
  reopen_.cancel(ignored);
  if (ms < 0) return;
  if (ms == 0) return Accept();
  reopen_.expires_after(std::chrono::milliseconds(ms));
  reopen_.async_wait([this](error_code error) {
    if (!error) Accept();
  });
}

void HttpServer::Impl::Accept() {
  for (Listener& listener : listeners_) {
    if (listener.acceptor) continue;
    // Somebody else may hold the port just now: try again until it is ours.
    if (Open(&listener).ok()) continue;
    reopen_.expires_after(std::chrono::milliseconds(20));
    reopen_.async_wait([this](error_code error) {
      if (!error) Accept();
    });
  }
}

void HttpServer::Impl::Run() {
  signals_.add(SIGTERM);
  signals_.add(SIGINT);
  signals_.async_wait([this](error_code error, int) {
    if (!error) io_.stop();
  });
  auto work = asio::make_work_guard(io_);
  io_.run();
}

HttpServer::HttpServer(Api* api, Store* store, HttpServerOptions options)
    : impl_(std::make_unique<Impl>(api, store, std::move(options))) {}

HttpServer::~HttpServer() = default;

Status HttpServer::Listen() { return impl_->Listen(); }

uint16_t HttpServer::port() const {
  return impl_->listeners_.empty() ? 0 : impl_->listeners_.front().endpoint.port();
}

uint16_t HttpServer::control_port() const {
  for (const auto& listener : impl_->listeners_) {
    if (listener.control) return listener.endpoint.port();
  }
  return 0;
}

void HttpServer::Run() { impl_->Run(); }

void HttpServer::Stop() { impl_->Stop(); }

}  // namespace podroute
