#include "controller/node_feed.h"

#include <glog/logging.h>
#include <signal.h>

#include <utility>

#include "base/code_pages.h"

namespace podroute {
namespace {

ReflectorOptions FeedOptions(const std::string& only) {
  ReflectorOptions options;
  if (!only.empty()) options.field_selector = "metadata.name=" + only;
  return options;
}

}  // namespace

NodeFeed::NodeFeed(HttpTransport& transport, Clock& clock, const std::string& only)
    : transport_(transport), reflector_(transport, store_, clock, FeedOptions(only)) {}

Status NodeFeed::Prepare(EventLoop& loop, std::function<void()> on_change) {
  PODROUTE_ASSIGN_OR_RETURN(wakeup_, Wakeup::Create(loop, std::move(on_change)));
  store_.SetOnChange([this] { wakeup_->Signal(); });
  return Status::Ok();
}

void NodeFeed::Start() {
  ReleaseCodePages();
  thread_ = std::thread([this] { reflector_.Run(stop_); });
}

void NodeFeed::Stop() {
  stop_.Stop();
  transport_.Shutdown();
  if (thread_.joinable()) thread_.join();
}

Result<std::unique_ptr<SignalWatch>> WatchAgentSignals(EventLoop& loop,
                                                       std::vector<HttpTransport*> transports,
                                                       const std::string& leaving) {
  return SignalWatch::Create(loop, {SIGTERM, SIGINT, SIGHUP},
                             [&loop, transports = std::move(transports), leaving](int number) {
                               if (number == SIGHUP) {
                                 for (HttpTransport* transport : transports)
                                   transport->ReloadCredentials();
                                 LOG(INFO) << "credentials are read again signal=SIGHUP";
                                 return;
                               }
                               LOG(INFO)
                                   << "stopping signal="
                                   << (number == SIGTERM ? "SIGTERM" : "SIGINT") << " " << leaving;
                               loop.Stop();
                             });
}

}  // namespace podroute
