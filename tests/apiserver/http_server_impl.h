// The inside of HttpServer: only http_server.cc and http_connection.cc include it.
#ifndef PODROUTE_TESTS_APISERVER_HTTP_SERVER_IMPL_H_
#define PODROUTE_TESTS_APISERVER_HTTP_SERVER_IMPL_H_

// clang-format off
#include <utility>  // Boost 1.74's asio needs it first in C++20.
// clang-format on

#include <boost/asio.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <chrono>
#include <deque>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>

#include "tests/apiserver/control.h"
#include "tests/apiserver/faults.h"
#include "tests/apiserver/http_server.h"
#include "tests/apiserver/negotiation.h"

namespace podroute {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using boost::system::error_code;
using tcp = asio::ip::tcp;
using SteadyClock = std::chrono::steady_clock;

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

}  // namespace podroute

#endif  // PODROUTE_TESTS_APISERVER_HTTP_SERVER_IMPL_H_
