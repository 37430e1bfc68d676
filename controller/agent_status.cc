#include "controller/agent_status.h"

#include <glog/logging.h>

#include <chrono>
#include <string_view>

namespace podroute {
namespace {

constexpr Duration kPatience = std::chrono::seconds(1);

std::string_view BackendName(BackendKind backend) {
  switch (backend) {
    case BackendKind::kKernel:
      return "kernel";
    case BackendKind::kBird:
      return "bird";
    case BackendKind::kFrr:
      return "frr";
    case BackendKind::kExec:
      return "exec";
  }
  return "";
}

std::string_view ModeName(Mode mode) {
  switch (mode) {
    case Mode::kHost:
      return "host";
    case Mode::kLocal:
      return "local";
    case Mode::kRouter:
      return "router";
  }
  return "";
}

// Of the loop, legitimately: a pass over thousands of nodes; a daemon that takes all its time; two
// commands in a row.
Duration LongestStep(const Options& options) {
  constexpr Duration kPass = std::chrono::seconds(20);
  constexpr Duration kDaemon = std::chrono::seconds(70);  // FRR: 10 s to read, 60 s to change.
  if (options.mode != Mode::kRouter) return kPass;
  switch (options.router.backend) {
    case BackendKind::kBird:
    case BackendKind::kFrr:
      return kPass + kDaemon;
    case BackendKind::kExec:
      return kPass + 2 * options.router.push_timeout;
    case BackendKind::kKernel:
      break;
  }
  return kPass;
}

}  // namespace

AgentStatus::AgentStatus(const Options& options)
    : metrics_(std::string(ModeName(options.mode)),
               std::string(BackendName(options.router.backend))) {}

Result<std::unique_ptr<AgentStatus>> AgentStatus::Create(EventLoop& loop, const Clock& clock,
                                                         const Options& options) {
  std::unique_ptr<AgentStatus> status(new AgentStatus(options));
  if (options.metrics_address.empty()) return status;
  PODROUTE_ASSIGN_OR_RETURN(status->probe_, LoopProbe::Create(loop, clock, LongestStep(options)));
  StatusPages pages;
  pages.metrics = [raw = status.get()] { return raw->metrics_.Render(); };
  pages.unhealthy = [raw = status.get()] { return raw->probe_->Ask(kPatience); };
  pages.unready = [raw = status.get()] {
    return std::string(raw->ready_ ? "" : "the first reconcile is not done yet");
  };
  Result<std::unique_ptr<StatusServer>> server =
      StatusServer::Start(options.metrics_address, std::move(pages));
  if (!server.ok()) return server.status().WithContext("--metrics_address");
  status->server_ = std::move(*server);
  LOG(INFO) << "metrics and health are served address=" << options.metrics_address
            << " port=" << status->port();
  return status;
}

}  // namespace podroute
