#include "tests/apiserver/http_server.h"

#include <csignal>

#include "tests/apiserver/http_server_impl.h"

namespace podroute {

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
  // Before anybody can know that we are there and tell us to end.
  signals_.add(SIGTERM);
  signals_.add(SIGINT);
  signals_.async_wait([this](error_code error, int) {
    if (!error) io_.stop();
  });
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
