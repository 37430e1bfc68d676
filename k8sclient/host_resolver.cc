#include "k8sclient/host_resolver.h"

#include <netdb.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <optional>
#include <span>
#include <system_error>
#include <thread>
#include <utility>

namespace podroute {

struct HostResolver::State {
  std::mutex mutex;
  std::condition_variable changed;
  bool stopped = false;
};

namespace {

// One question; shared with the thread that asks it, which may outlive the asker.
struct Lookup {
  std::string host;
  std::optional<Result<std::vector<IpAddress>>> answer;  // Guarded by the resolver's mutex.
};

std::optional<IpAddress> FromSockaddr(const sockaddr* address) {
  if (address->sa_family == AF_INET) {
    const auto* in = reinterpret_cast<const sockaddr_in*>(address);
    return IpAddress::FromBytes(IpFamily::kV4,
                                {reinterpret_cast<const uint8_t*>(&in->sin_addr), 4});
  }
  if (address->sa_family == AF_INET6) {
    const auto* in6 = reinterpret_cast<const sockaddr_in6*>(address);
    return IpAddress::FromBytes(IpFamily::kV6, {in6->sin6_addr.s6_addr, 16});
  }
  return std::nullopt;
}

Result<std::vector<IpAddress>> AskSystem(const std::string& host) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  int error = getaddrinfo(host.c_str(), nullptr, &hints, &found);
  if (error == EAI_SYSTEM) {
    return Status(StatusCode::kUnavailable,
                  "resolve " + host + ": " + std::system_category().message(errno));
  }
  if (error != 0) {
    return Status(StatusCode::kUnavailable, "resolve " + host + ": " + gai_strerror(error));
  }
  std::vector<IpAddress> addresses;
  for (const addrinfo* at = found; at != nullptr; at = at->ai_next) {
    std::optional<IpAddress> address = FromSockaddr(at->ai_addr);
    if (address && std::find(addresses.begin(), addresses.end(), *address) == addresses.end()) {
      addresses.push_back(*address);
    }
  }
  freeaddrinfo(found);
  if (addresses.empty()) {
    return Status(StatusCode::kUnavailable, "resolve " + host + ": it has no address");
  }
  return addresses;
}

}  // namespace

HostResolver::HostResolver() : state_(std::make_shared<State>()) {}

Result<std::vector<IpAddress>> HostResolver::Resolve(const std::string& host, Duration timeout) {
  if (Result<IpAddress> literal = IpAddress::Parse(host); literal.ok()) {
    return std::vector<IpAddress>{*literal};
  }
  auto lookup = std::make_shared<Lookup>();
  lookup->host = host;
  auto ask = [state = state_, lookup] {
    auto answer = AskSystem(lookup->host);
    std::lock_guard lock(state->mutex);
    lookup->answer = std::move(answer);
    state->changed.notify_all();
  };
  // The thread takes no signal that was meant for the main thread.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  Status started;
  try {
    std::thread(ask).detach();
  } catch (const std::system_error& error) {
    started = Status::FromErrno(error.code().value(), "start a thread to resolve " + host);
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  PODROUTE_RETURN_IF_ERROR(started);

  std::unique_lock lock(state_->mutex);
  bool ended =
      state_->changed.wait_for(lock, timeout, [&] { return state_->stopped || lookup->answer; });
  if (state_->stopped) return Status(StatusCode::kCancelled, "resolve " + host + ": cancelled");
  if (!ended)
    return Status(StatusCode::kDeadlineExceeded, "resolve " + host + ": no answer in time");
  return *lookup->answer;
}

void HostResolver::Shutdown() {
  std::lock_guard lock(state_->mutex);
  state_->stopped = true;
  state_->changed.notify_all();
}

}  // namespace podroute
