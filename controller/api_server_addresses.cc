#include "controller/api_server_addresses.h"

#include <glog/logging.h>

#include <utility>

#include "base/backoff.h"
#include "base/text.h"

namespace podroute {
namespace {

constexpr Duration kResolveTimeout = std::chrono::seconds(10);
constexpr Duration kResolveAgain = std::chrono::minutes(10);

}  // namespace

Status ApiServerAddresses::Prepare(EventLoop& loop, std::function<void()> on_change) {
  PODROUTE_ASSIGN_OR_RETURN(wakeup_, Wakeup::Create(loop, std::move(on_change)));
  return Status::Ok();
}

void ApiServerAddresses::Start() {
  if (Result<IpAddress> literal = IpAddress::Parse(host_); literal.ok()) {
    std::lock_guard lock(mutex_);
    addresses_ = {*literal};
    wakeup_->Signal();
    return;
  }
  thread_ = std::thread([this] { Run(); });
}

void ApiServerAddresses::Stop() {
  stop_.Stop();
  resolver_.Shutdown();
  if (thread_.joinable()) thread_.join();
}

void ApiServerAddresses::Run() {
  Backoff backoff({}, clock_);
  std::string last_error;
  while (!stop_.stopped()) {
    Result<std::vector<IpAddress>> found = resolver_.Resolve(host_, kResolveTimeout);
    if (found.ok()) {
      backoff.Reset();
      last_error.clear();
    } else if (std::exchange(last_error, found.status().message()) != found.status().message()) {
      LOG(WARNING) << "the API server's address is not known host=" << Printable(host_)
                   << " error=" << QuotedValue(last_error);
    }
    {
      std::lock_guard lock(mutex_);
      if (found.ok()) {
        addresses_ = std::move(*found);
      } else if (!addresses_) {
        addresses_.emplace();
      }
    }
    wakeup_->Signal();
    clock_.WaitFor(last_error.empty() ? kResolveAgain : backoff.Next(), stop_);
  }
}

}  // namespace podroute
