// What an agent tells the outside: metrics, health and readiness.
#ifndef PODROUTE_CONTROLLER_AGENT_STATUS_H_
#define PODROUTE_CONTROLLER_AGENT_STATUS_H_

#include <atomic>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/event_loop.h"
#include "base/status.h"
#include "controller/loop_probe.h"
#include "controller/metrics.h"
#include "controller/options.h"
#include "controller/status_server.h"

namespace podroute {

// Made and ended on the loop's thread, before whatever it was given goes.
class AgentStatus {
 public:
  // Serves at once, not ready yet, at Options::metrics_address; nowhere when that is empty. After
  // the agent's signals are blocked, for it starts threads. The loop and the clock outlive it.
  static Result<std::unique_ptr<AgentStatus>> Create(EventLoop& loop, const Clock& clock,
                                                     const Options& options);

  Metrics& metrics() { return metrics_; }
  // From the first pass on (router mode, where another one leads: from the first complete list).
  // Stays: an agent that has lost the API server keeps its routes.
  void SetReady() { ready_ = true; }
  // Where /metrics and the others are; 0 when nowhere.
  int port() const { return server_ ? server_->port() : 0; }

 private:
  explicit AgentStatus(const Options& options);

  Metrics metrics_;
  std::atomic<bool> ready_{false};
  std::unique_ptr<LoopProbe> probe_;
  std::unique_ptr<StatusServer> server_;
};

}  // namespace podroute

#endif  // PODROUTE_CONTROLLER_AGENT_STATUS_H_
