#include "k8sclient/cpprest_transport.h"

#include <malloc.h>

#include <algorithm>
#include <cstdint>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "base/file.h"
#include "base/ip_prefix.h"
#include "k8sclient/base64.h"
#include "k8sclient/cpprest_channel.h"
#include "k8sclient/host_resolver.h"
#include "k8sclient/response_pipe.h"
#include "k8sclient/tls_context.h"

namespace podroute {
namespace {

// One would do until something else of the library runs on it.
constexpr size_t kHttpThreads = 2;
constexpr std::chrono::seconds kLongestTeardown{2};

// The channels that wait for a request and the calls under way. Shared by the transport and the
// bodies it gave out. Thread-safe.
class Switchboard {
 public:
  explicit Switchboard(size_t max_idle) : max_idle_(max_idle) {}

  // False, and nothing kept, after Shutdown.
  bool Register(const std::shared_ptr<HttpCall>& call) {
    std::lock_guard lock(mutex_);
    std::erase_if(calls_, [](const auto& weak) { return weak.expired(); });
    if (!stopped_) calls_.push_back(call);
    return !stopped_;
  }

  // A channel whose connection still stands, or none.
  std::unique_ptr<HttpChannel> TakeIdle() {
    std::lock_guard lock(mutex_);
    while (!idle_.empty()) {
      std::unique_ptr<HttpChannel> channel = std::move(idle_.back());
      idle_.pop_back();
      if (channel->Reusable()) return channel;
    }
    return nullptr;
  }

  void GiveBack(std::unique_ptr<HttpChannel> channel, uint64_t generation) {
    std::lock_guard lock(mutex_);
    if (stopped_ || generation != generation_ || max_idle_ == 0 || !channel->Reusable()) return;
    if (idle_.size() == max_idle_) idle_.erase(idle_.begin());
    idle_.push_back(std::move(channel));
  }

  // Connections of earlier generations carry no further request.
  uint64_t NextGeneration() {
    std::lock_guard lock(mutex_);
    idle_.clear();
    return ++generation_;
  }

  void Shutdown() {
    std::vector<std::weak_ptr<HttpCall>> calls;
    {
      std::lock_guard lock(mutex_);
      stopped_ = true;
      calls.swap(calls_);
      idle_.clear();
    }
    for (const auto& weak : calls) {
      if (auto call = weak.lock()) call->Cancel();
    }
  }
  bool stopped() {
    std::lock_guard lock(mutex_);
    return stopped_;
  }

 private:
  const size_t max_idle_;
  std::mutex mutex_;
  bool stopped_ = false;
  uint64_t generation_ = 0;
  std::vector<std::unique_ptr<HttpChannel>> idle_;  // Last used last.
  std::vector<std::weak_ptr<HttpCall>> calls_;
};

class Body final : public BodyStream {
 public:
  Body(std::shared_ptr<HttpCall> call, std::unique_ptr<HttpChannel> channel, uint64_t generation,
       std::shared_ptr<Switchboard> switchboard, Duration idle_timeout, std::string origin)
      : call_(std::move(call)),
        channel_(std::move(channel)),
        generation_(generation),
        switchboard_(std::move(switchboard)),
        idle_timeout_(idle_timeout),
        origin_(std::move(origin)) {}

  ~Body() override {
    if (call_->pipe().AtCleanEnd()) {
      switchboard_->GiveBack(std::move(channel_), generation_);
    } else {
      call_->Cancel();
    }
  }

  Result<size_t> Read(std::span<char> buffer) override {
    Result<size_t> n = call_->pipe().Read(buffer, idle_timeout_);
    if (n.ok() || n.status().code() != StatusCode::kDeadlineExceeded) return n;
    return n.status().WithContext(origin_);
  }
  void SetIdleTimeout(Duration idle_timeout) override { idle_timeout_ = idle_timeout; }
  void Cancel() override { call_->Cancel(); }

 private:
  const std::shared_ptr<HttpCall> call_;
  std::unique_ptr<HttpChannel> channel_;
  const uint64_t generation_;
  const std::shared_ptr<Switchboard> switchboard_;
  Duration idle_timeout_;
  const std::string origin_;
};

class CpprestTransport final : public HttpTransport {
 public:
  CpprestTransport(ClientConfig config, TransportOptions options)
      : config_(std::move(config)),
        options_(std::move(options)),
        live_(std::make_shared<LiveCount>()),
        switchboard_(std::make_shared<Switchboard>(options_.max_idle_connections)) {}

  ~CpprestTransport() override {
    Shutdown();
    // Whatever the library holds now is closed and on its way out; its threads must be done with it
    // before static destructors run.
    (void)live_->WaitForNone(kLongestTeardown);
  }

  // Reads what TLS needs; the first call's errors are the configuration's.
  Status Prepare() {
    Result<Credentials> credentials = config_.credentials->Known();
    // A token file may be better off later; the CA file may not.
    return CurrentTrust(credentials.ok() ? *credentials : Credentials()).status();
  }

  Result<HttpResponse> Send(const HttpRequest& request) override {
    if (switchboard_->stopped()) return Stopped();
    Result<Credentials> got = config_.credentials->Get();
    if (switchboard_->stopped()) return Stopped();  // It may have been what ended Get.
    if (!got.ok()) return Status(StatusCode::kUnauthenticated, got.status().message());
    PODROUTE_ASSIGN_OR_RETURN(Trust trust, CurrentTrust(*got));
    ChannelRequest wire = Wire(request, *got);

    if (auto channel = switchboard_->TakeIdle()) {
      Attempt attempt = Try(std::move(channel), wire, request.idle_timeout, trust.generation);
      bool retry = !attempt.response.ok() && attempt.reused && request.method == "GET" &&
                   attempt.response.status().code() == StatusCode::kUnavailable;
      if (!retry) return std::move(attempt.response);
    }
    return SendOnNewConnection(wire, request.idle_timeout, trust);
  }

  void ReloadCredentials() override {
    config_.credentials->Invalidate();
    std::lock_guard lock(mutex_);
    trust_.generation = switchboard_->NextGeneration();
  }

  void Shutdown() override {
    switchboard_->Shutdown();
    config_.credentials->Cancel();
    resolver_.Shutdown();
  }

 private:
  struct Trust {
    std::shared_ptr<const TlsContext> tls;  // Null without https.
    uint64_t generation = 0;
  };
  struct Attempt {
    Result<HttpResponse> response;
    bool reused = false;
    bool failed_to_connect = false;
  };

  static Status Stopped() { return {StatusCode::kCancelled, "the transport has been shut down"}; }

  Result<Trust> CurrentTrust(const Credentials& credentials) {
    std::lock_guard lock(mutex_);
    if (!config_.https) return trust_;
    TlsSettings settings;
    settings.ca_pem = config_.ca_pem;
    settings.ca_source = "the cluster's CA in " + config_.source;
    if (!config_.ca_file.empty()) {
      Result<std::string> pem = ReadFile(config_.ca_file);
      if (!pem.ok() && trust_.tls == nullptr) return pem.status();
      settings.ca_pem = pem.ok() ? *pem : trust_.tls->settings().ca_pem;
      settings.ca_source = config_.ca_file;
      if (settings.ca_pem.empty()) settings.ca_pem = "\n";  // Nobody is trusted, not the system's.
    }
    settings.insecure_skip_verify = config_.insecure_skip_tls_verify;
    settings.server_name = config_.tls_server_name.empty() ? config_.host : config_.tls_server_name;
    settings.client_certificate_pem = credentials.client_certificate_pem;
    settings.client_key_pem = credentials.client_key_pem;
    if (trust_.tls != nullptr && trust_.tls->settings() == settings) return trust_;
    Result<std::shared_ptr<const TlsContext>> fresh = TlsContext::Create(settings);
    if (!fresh.ok() && trust_.tls != nullptr) {
      // Half-written, perhaps. The client certificate of now with the authorities of before.
      settings.ca_pem = trust_.tls->settings().ca_pem;
      if (trust_.tls->settings() == settings) return trust_;
      fresh = TlsContext::Create(settings);
    }
    if (!fresh.ok()) return fresh.status();
    trust_ = Trust{*fresh, switchboard_->NextGeneration()};
    return trust_;
  }

  ChannelRequest Wire(const HttpRequest& request, const Credentials& credentials) const {
    ChannelRequest wire;
    wire.method = request.method;
    wire.target = config_.base_path + request.target;
    wire.content_type = request.content_type;
    wire.body = request.body;
    wire.headers = {{"Accept", "application/json"}, {"User-Agent", options_.user_agent}};
    if (!credentials.bearer_token.empty()) {
      wire.headers.emplace_back("Authorization", "Bearer " + credentials.bearer_token);
    } else if (!credentials.username.empty()) {
      wire.headers.emplace_back(
          "Authorization",
          "Basic " + EncodeBase64(credentials.username + ":" + credentials.password));
    }
    return wire;
  }

  Result<HttpResponse> SendOnNewConnection(const ChannelRequest& wire, Duration idle_timeout,
                                           const Trust& trust) {
    bool proxied = !config_.proxy_host.empty();
    PODROUTE_ASSIGN_OR_RETURN(
        std::vector<IpAddress> peers,
        resolver_.Resolve(proxied ? config_.proxy_host : config_.host, idle_timeout));
    std::optional<Status> first_error;
    for (size_t i = 0; i < peers.size(); ++i) {
      ChannelSettings settings;
      settings.https = config_.https;
      settings.host = config_.host;
      settings.port = config_.port;
      settings.peer = peers[i];
      settings.peer_port = proxied ? config_.proxy_port : config_.port;
      settings.proxied = proxied;
      settings.more_peers = i + 1 < peers.size();
      settings.tls = trust.tls;
      settings.keepalive = options_.keepalive;
      settings.tcp_user_timeout = options_.tcp_user_timeout;
      settings.body_buffer_bytes = options_.body_buffer_bytes;
      settings.live = live_;
      Attempt attempt =
          Try(HttpChannel::Create(std::move(settings)), wire, idle_timeout, trust.generation);
      if (attempt.response.ok() || !attempt.failed_to_connect) return std::move(attempt.response);
      if (!first_error) first_error = attempt.response.status();
    }
    return *first_error;
  }

  Attempt Try(std::unique_ptr<HttpChannel> channel, const ChannelRequest& wire,
              Duration idle_timeout, uint64_t generation) {
    std::shared_ptr<HttpCall> call = channel->Send(wire);
    std::string origin = channel->Origin();
    if (!switchboard_->Register(call)) {
      call->Cancel();
      return {Stopped()};
    }
    Result<ResponseHead> head = call->pipe().WaitHead(idle_timeout);
    if (!head.ok()) {
      bool late = head.status().code() == StatusCode::kDeadlineExceeded;
      Status status = late ? head.status().WithContext(call->Stage()) : head.status();
      bool reused = call->reused();
      bool failed_to_connect = call->failed_to_connect();
      call->Cancel();
      return {status, reused, failed_to_connect};
    }
    if (head->status == 401) config_.credentials->Invalidate();
    HttpResponse response;
    response.status = head->status;
    response.headers = std::move(head->headers);
    response.body = std::make_unique<Body>(std::move(call), std::move(channel), generation,
                                           switchboard_, idle_timeout, origin);
    return {std::move(response)};
  }

  const ClientConfig config_;
  const TransportOptions options_;
  const std::shared_ptr<LiveCount> live_;
  const std::shared_ptr<Switchboard> switchboard_;
  HostResolver resolver_;
  std::mutex mutex_;
  Trust trust_;  // Guarded by mutex_.
};

}  // namespace

void InitHttpThreads() {
  // Each thread would have an arena of its own, and keep what it once used.
  mallopt(M_ARENA_MAX, 1);
  // Before the threads, so that they have ended, and freed what OpenSSL keeps for each, when
  // OpenSSL cleans up at exit.
  InitTls();
  StartHttpThreads(kHttpThreads);
}

Result<std::unique_ptr<HttpTransport>> NewCpprestTransport(ClientConfig config,
                                                           TransportOptions options) {
  InitHttpThreads();
  auto transport = std::make_unique<CpprestTransport>(std::move(config), std::move(options));
  PODROUTE_RETURN_IF_ERROR(transport->Prepare());
  return std::unique_ptr<HttpTransport>(std::move(transport));
}

}  // namespace podroute
