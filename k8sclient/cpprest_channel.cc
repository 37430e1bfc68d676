#include "k8sclient/cpprest_channel.h"

#include <cpprest/http_client.h>
#include <pplx/threadpool.h>
#include <signal.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <system_error>
#include <utility>  // Before boost/asio.hpp, which in C++20 leans on it (Boost 1.74).

#include "base/unique_fd.h"
#include "k8sclient/tcp_socket.h"

namespace podroute {
namespace {

using boost::asio::ip::tcp;
using web::http::client::http_client;
using web::http::client::http_client_config;

constexpr size_t kMaxPiece = 64 * 1024;
// Idle time is measured by ResponsePipe, so that each request has its own; the library's is only
// the end of what was given up in a state in which it can't be stopped.
constexpr std::chrono::hours kLibraryTimeout{1};

// The response's body, as the library sees it: a stream that is written to. A write that doesn't
// fit is finished only when the reader has taken it, and the library reads no more until then.
class Sink final : public Concurrency::streams::details::streambuf_state_manager<uint8_t> {
 public:
  Sink(std::shared_ptr<ResponsePipe> pipe, std::function<void()> before_next)
      : streambuf_state_manager(std::ios_base::out),
        pipe_(std::move(pipe)),
        before_next_(std::move(before_next)) {}

  pplx::task<size_t> putn_nocopy(const uint8_t* bytes, size_t count) override {
    before_next_();
    if (count == 0) return pplx::task_from_result<size_t>(0);
    pplx::task_completion_event<size_t> taken;
    pipe_->Put({reinterpret_cast<const char*>(bytes), count}, [taken, count] { taken.set(count); });
    return pplx::create_task(taken);
  }

  bool can_seek() const override { return false; }
  bool has_size() const override { return false; }
  size_t buffer_size(std::ios_base::openmode) const override { return 0; }
  void set_buffer_size(size_t, std::ios_base::openmode) override {}
  size_t in_avail() const override { return 0; }
  pos_type getpos(std::ios_base::openmode) const override { return traits::eof(); }
  pos_type seekpos(pos_type, std::ios_base::openmode) override { return traits::eof(); }
  pos_type seekoff(off_type, std::ios_base::seekdir, std::ios_base::openmode) override {
    return traits::eof();
  }
  bool acquire(uint8_t*&, size_t&) override { return false; }
  void release(uint8_t*, size_t) override {}

 protected:
  pplx::task<int_type> _putc(uint8_t c) override {
    return putn_nocopy(&c, 1).then([c](size_t) { return static_cast<int_type>(c); });
  }
  pplx::task<size_t> _putn(const uint8_t* bytes, size_t count) override {
    return putn_nocopy(bytes, count);
  }
  pplx::task<int_type> _bumpc() override { return NoReading(); }
  int_type _sbumpc() override { return traits::eof(); }
  pplx::task<int_type> _getc() override { return NoReading(); }
  int_type _sgetc() override { return traits::eof(); }
  pplx::task<int_type> _nextc() override { return NoReading(); }
  pplx::task<int_type> _ungetc() override { return NoReading(); }
  pplx::task<size_t> _getn(uint8_t*, size_t) override { return pplx::task_from_result<size_t>(0); }
  size_t _scopy(uint8_t*, size_t) override { return 0; }
  pplx::task<bool> _sync() override { return pplx::task_from_result(true); }
  uint8_t* _alloc(size_t) override { return nullptr; }
  void _commit(size_t) override {}

 private:
  static pplx::task<int_type> NoReading() {
    return pplx::task_from_result<int_type>(traits::eof());
  }

  const std::shared_ptr<ResponsePipe> pipe_;
  const std::function<void()> before_next_;
};

// What the library calls while a connection is set up and used. Lives as long as the library's
// objects do.
struct StaleConnection : std::exception {};

class Hooks {
 public:
  explicit Hooks(ChannelSettings given) : settings(std::move(given)), tls(settings.tls) {
    settings.live->Add(1);
  }
  ~Hooks() { settings.live->Add(-1); }
  Hooks(const Hooks&) = delete;
  Hooks& operator=(const Hooks&) = delete;

  void BeginRequest() {
    std::lock_guard lock(mutex_);
    sends_ = 0;
  }
  // The library is about to send on the connection that `native` is of. Throws what ends the
  // request.
  void OnConnection(void* native);
  bool reused();
  // How many bytes could be read at once; at least 1.
  size_t ReadableBytes();
  bool Reusable();
  // Ends what is under way on the connection, at once.
  void Abort();
  bool connecting();
  bool peer_has_answered();

  const ChannelSettings settings;
  TlsSession tls;

 private:
  void OpenSocket(tcp::socket& socket);

  std::mutex mutex_;
  UniqueFd fd_;  // The connection's socket, a descriptor of our own for it.
  bool reused_ = false;
  int sends_ = 0;
};

void Hooks::OnConnection(void* native) {
  bool tls_stream = settings.https && !settings.proxied;
  auto* stream = static_cast<boost::asio::ssl::stream<tcp::socket&>*>(native);
  tcp::socket& socket = tls_stream ? stream->next_layer() : *static_cast<tcp::socket*>(native);
  std::lock_guard lock(mutex_);
  // The library would send any request, a POST too, once more where the server has closed a
  // connection that was kept. Whether to do that is decided in Send.
  if (++sends_ > 1) throw StaleConnection();
  reused_ = socket.is_open();
  if (!reused_) OpenSocket(socket);
  if (tls_stream) tls.SetCurrent(reused_ ? stream->native_handle() : nullptr);
  fd_ = Duplicate(socket.native_handle());
}

// The library would open it when it connects, and without these options. The host is always an
// address by now (ChannelSettings::peer), so the family is known.
void Hooks::OpenSocket(tcp::socket& socket) {
  TcpSocketOptions options{settings.keepalive, settings.tcp_user_timeout, settings.more_peers};
  Result<UniqueFd> fd = OpenTcpSocket(settings.peer.family(), options);
  if (!fd.ok()) throw std::runtime_error(fd.status().message());
  socket.assign(settings.peer.is_v4() ? tcp::v4() : tcp::v6(), fd->get());
  (void)fd->release();
}

bool Hooks::reused() {
  std::lock_guard lock(mutex_);
  return reused_;
}

bool Hooks::connecting() {
  std::lock_guard lock(mutex_);
  return IsConnecting(fd_.get());
}

bool Hooks::peer_has_answered() {
  std::lock_guard lock(mutex_);
  return PeerHasAnswered(fd_.get());
}

size_t Hooks::ReadableBytes() {
  if (settings.https) return std::clamp<size_t>(tls.DecryptedBytes(), 1, kMaxPiece);
  std::lock_guard lock(mutex_);
  return std::clamp<size_t>(UnreadBytes(fd_.get()), 1, kMaxPiece);
}

bool Hooks::Reusable() {
  std::lock_guard lock(mutex_);
  // A connection through a proxy could be kept too, but the library then gives OnConnection another
  // kind of pointer, and doesn't say which.
  return !settings.proxied && IsQuiet(fd_.get());
}

void Hooks::Abort() {
  std::lock_guard lock(mutex_);
  // ENOTCONN: it hasn't begun to connect; then the request's cancellation token ends it.
  (void)shutdown(fd_.get(), SHUT_RDWR);
}

std::string UrlHost(const std::string& host) {
  Result<IpAddress> address = IpAddress::Parse(host);
  return address.ok() ? address->ToUrlHost() : host;
}

bool StartsWith(const std::string& text, std::string_view start) {
  return text.compare(0, start.size(), start) == 0;
}

std::string Hop(const ChannelSettings& settings) {
  if (!settings.proxied) return settings.Origin();
  return "the proxy " + settings.peer.ToUrlHost() + ":" + std::to_string(settings.peer_port);
}

bool IsConnectError(const std::string& what) {
  return StartsWith(what, "Failed to connect") || StartsWith(what, "Error resolving");
}

// What went wrong, in one line. The library says the stage in words and gives a number that is an
// errno, an OpenSSL code or one of asio's own, without saying which.
std::string Describe(const web::http::http_exception& error, Hooks& hooks) {
  std::string what = error.what();
  int code = error.error_code().value();
  std::string origin = hooks.settings.Origin();
  if (IsConnectError(what)) {
    // The library turns ECONNREFUSED into EHOSTUNREACH. Only a refusal comes in a segment.
    if (code == EHOSTUNREACH && hooks.peer_has_answered()) code = ECONNREFUSED;
    return "connect to " + Hop(hooks.settings) + ": " + std::generic_category().message(code);
  }
  if (StartsWith(what, "Expected a 200 response from proxy")) {
    return "connect to " + origin + " through " + Hop(hooks.settings) + ": it answered" +
           what.substr(what.rfind(' '));
  }
  if (StartsWith(what, "Error in SSL handshake")) {
    std::string reason = hooks.tls.RefusalReason();
    if (reason.empty()) reason = TlsErrorText(static_cast<unsigned>(code));
    if (reason.empty() && code <= 2) reason = "the server closed the connection";
    if (reason.empty()) reason = std::generic_category().message(code);
    return "TLS handshake with " + origin + ": " + reason;
  }
  if (StartsWith(what, "Invalid")) return origin + " does not answer in HTTP/1.1: " + what;
  // 1 and 2: asio's stream_truncated and eof.
  if (code == ECONNABORTED || code <= 2) {
    return origin + " closed the connection before its answer was complete";
  }
  // In TLS 1.3 a server refuses the client's certificate after the handshake.
  std::string reason = TlsErrorText(static_cast<unsigned>(code));
  if (reason.empty()) reason = std::generic_category().message(code);
  return "talk to " + origin + ": " + what + ": " + reason;
}

class Call final : public HttpCall {
 public:
  explicit Call(std::shared_ptr<Hooks> hooks)
      : hooks_(std::move(hooks)),
        pipe_(std::make_shared<ResponsePipe>(hooks_->settings.body_buffer_bytes)) {}

  ResponsePipe& pipe() override { return *pipe_; }
  const std::shared_ptr<ResponsePipe>& shared_pipe() { return pipe_; }
  pplx::cancellation_token token() { return cancellation_.get_token(); }
  bool reused() override { return hooks_->reused(); }
  bool failed_to_connect() override { return failed_to_connect_; }

  void Cancel() override {
    pipe_->Cancel();
    try {
      cancellation_.cancel();  // Closes the socket, but not yet while a proxy is asked.
    } catch (...) {            // The library's callback throws nothing.
    }
    hooks_->Abort();
  }

  std::string Stage() override {
    const ChannelSettings& settings = hooks_->settings;
    if (hooks_->connecting()) return "connect to " + Hop(settings);
    if (settings.https && !hooks_->tls.handshake_done()) {
      return (settings.proxied ? "connect through the proxy or TLS handshake with "
                               : "TLS handshake with ") +
             settings.Origin();
    }
    return settings.Origin();
  }

  // The answer, or what kept it from coming.
  void OnHead(const pplx::task<web::http::http_response>& task) {
    Guarded([&] {
      web::http::http_response response = task.get();
      ResponseHead head;
      head.status = response.status_code();
      for (const auto& [name, value] : response.headers()) {
        std::string lower = name;
        std::transform(lower.begin(), lower.end(), lower.begin(),
                       [](unsigned char c) { return c >= 'A' && c <= 'Z' ? c + 32 : c; });
        head.headers[lower] = value;
      }
      pipe_->SetHead(std::move(head));
    });
  }
  void OnEnd(const pplx::task<web::http::http_response>& task) {
    Guarded([&] {
      (void)task.get();
      FinishWhenBoth(complete_);
    });
  }
  // The library has let go of the request, and so of its connection.
  void OnReleased() { FinishWhenBoth(released_); }

 private:
  // Were the end told as soon as the body is complete, the next request might find the connection
  // still in use, and make another.
  void FinishWhenBoth(bool& mine) {
    {
      std::lock_guard lock(mutex_);
      mine = true;
      if (!complete_ || !released_) return;
    }
    pipe_->Finish(Status::Ok());
  }

  template <typename Action>
  void Guarded(Action action) {
    std::string message;
    try {
      action();
      return;
    } catch (const StaleConnection&) {
      message = hooks_->settings.Origin() + " closed the connection that was kept for this request";
    } catch (const web::http::http_exception& error) {
      failed_to_connect_ = IsConnectError(error.what());
      message = Describe(error, *hooks_);
    } catch (const std::exception& error) {
      message = "talk to " + hooks_->settings.Origin() + ": " + error.what();
    }
    pipe_->Finish(Status(StatusCode::kUnavailable, message));
  }

  const std::shared_ptr<Hooks> hooks_;
  const std::shared_ptr<ResponsePipe> pipe_;
  pplx::cancellation_token_source cancellation_;
  std::atomic<bool> failed_to_connect_{false};
  std::mutex mutex_;
  bool complete_ = false;
  bool released_ = false;
};

// Part of the library's request; goes with it.
struct ReleaseNotice {
  explicit ReleaseNotice(std::shared_ptr<Call> call) : call(std::move(call)) {}
  ~ReleaseNotice() { call->OnReleased(); }
  ReleaseNotice(const ReleaseNotice&) = delete;
  ReleaseNotice& operator=(const ReleaseNotice&) = delete;
  const std::shared_ptr<Call> call;
};

class CpprestChannel final : public HttpChannel {
 public:
  explicit CpprestChannel(ChannelSettings settings)
      : hooks_(std::make_shared<Hooks>(std::move(settings))) {
    const ChannelSettings& given = hooks_->settings;
    http_client_config config;
    config.set_timeout(kLibraryTimeout);
    config.set_max_redirects(0);
    config.set_validate_certificates(!given.https || !given.tls->settings().insecure_skip_verify);
    config.set_tlsext_sni_enabled(false);  // TlsSession does it, for names only.
    config.set_chunksize(kMaxPiece);
    config.set_nativehandle_options(
        [hooks = hooks_](web::http::client::native_handle native) { hooks->OnConnection(native); });
    if (given.https) {
      config.set_ssl_context_callback([hooks = hooks_](boost::asio::ssl::context& context) {
        Status status = hooks->tls.Configure(context.native_handle());
        if (!status.ok()) throw std::runtime_error(status.message());
      });
    }
    if (given.proxied) {
      web::uri_builder proxy;
      proxy.set_scheme("http").set_host(given.peer.ToString()).set_port(given.peer_port);
      config.set_proxy(web::web_proxy(proxy.to_uri()));
    }
    // The library can't connect to an IPv6 host in brackets; without them, and with a port, it
    // takes it as it is. Through a proxy it doesn't connect but quotes the host.
    web::uri_builder base;
    base.set_scheme(given.https ? "https" : "http");
    base.set_host(given.proxied ? UrlHost(given.host) : given.peer.ToString());
    base.set_port(given.proxied ? given.port : given.peer_port);
    client_ = std::make_unique<http_client>(base.to_uri(), config);
  }

  std::shared_ptr<HttpCall> Send(const ChannelRequest& request) override {
    auto call = std::make_shared<Call>(hooks_);
    try {
      Start(request, call);
    } catch (const std::exception& error) {
      call->pipe().Finish(Status(StatusCode::kInvalidArgument,
                                 request.method + " " + request.target + ": " + error.what()));
    }
    return call;
  }

  bool Reusable() override { return hooks_->Reusable(); }
  std::string Origin() const override { return hooks_->settings.Origin(); }

 private:
  void Start(const ChannelRequest& request, const std::shared_ptr<Call>& call) {
    const ChannelSettings& settings = hooks_->settings;
    hooks_->BeginRequest();
    web::http::http_request http(request.method);
    http.set_request_uri(web::uri(request.target));
    bool default_port = settings.port == (settings.https ? 443 : 80);
    http.headers().add(
        "Host", UrlHost(settings.host) + (default_port ? "" : ":" + std::to_string(settings.port)));
    for (const auto& [name, value] : request.headers) http.headers().add(name, value);
    if (!request.body.empty()) {
      // As bytes: the library's way with a string calls a stream of char one of unsigned char.
      http.set_body(std::vector<uint8_t>(request.body.begin(), request.body.end()));
      http.headers().set_content_type(request.content_type);
    }

    // A body without chunks is read in pieces of exactly the configured size: the size is set to
    // what is there before each. The client's configuration is nobody else's, and not const itself.
    auto* live = const_cast<http_client_config*>(&client_->client_config());
    auto fit_piece = [hooks = hooks_.get(), live] { live->set_chunksize(hooks->ReadableBytes()); };
    live->set_chunksize(kMaxPiece);
    http.set_progress_handler(
        [live, size = request.body.size(), notice = std::make_shared<ReleaseNotice>(call)](
            web::http::message_direction::direction direction, utility::size64_t done) {
          bool sent = direction == web::http::message_direction::upload && done >= size;
          if (sent) live->set_chunksize(1);
        });
    auto sink = std::make_shared<Sink>(call->shared_pipe(), fit_piece);
    http.set_response_stream(
        Concurrency::streams::ostream(Concurrency::streams::streambuf<uint8_t>(sink)));

    client_->request(http, call->token())
        .then([call](const pplx::task<web::http::http_response>& head) {
          call->OnHead(head);
          try {
            head.get().content_ready().then(
                [call](const pplx::task<web::http::http_response>& end) { call->OnEnd(end); });
          } catch (...) {  // OnHead has reported it.
          }
        });
  }

  const std::shared_ptr<Hooks> hooks_;
  std::unique_ptr<http_client> client_;
};

}  // namespace

void StartHttpThreads(size_t count) {
  static std::once_flag once;
  std::call_once(once, [count] {
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    try {
      crossplat::threadpool::initialize_with_threads(count);
      // It is made when it is first asked for, which two threads that send their first
      // request at one time must not do (2.10.18 looks at a pointer without its lock).
      (void)pplx::get_ambient_scheduler();
    } catch (const std::exception&) {  // Something else has started them: then there are more.
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  });
}

void LiveCount::Add(int n) {
  std::lock_guard lock(mutex_);
  count_ += n;
  changed_.notify_all();
}

bool LiveCount::WaitForNone(Duration timeout) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, timeout, [&] { return count_ == 0; });
}

std::string ChannelSettings::Origin() const {
  return std::string(https ? "https" : "http") + "://" + UrlHost(host) + ":" + std::to_string(port);
}

std::unique_ptr<HttpChannel> HttpChannel::Create(ChannelSettings settings) {
  return std::make_unique<CpprestChannel>(std::move(settings));
}

}  // namespace podroute
