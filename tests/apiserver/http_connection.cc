#include <ctime>

#include "tests/apiserver/http_server_impl.h"

namespace podroute {

namespace {

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
  for (const auto& [name, value] : response.headers) {
    head.append(name).append(": ").append(value).append("\r\n");
  }
  return head + "Date: " + HttpDate() + "\r\n";
}

}  // namespace

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

}  // namespace podroute
