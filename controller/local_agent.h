// The agent of local mode: this node's pods, without routes to anybody else's. For nodes whose
// network is routed by somebody else (a shared router, BGP).
#ifndef PODROUTE_CONTROLLER_LOCAL_AGENT_H_
#define PODROUTE_CONTROLLER_LOCAL_AGENT_H_

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/event_loop.h"
#include "base/status.h"
#include "controller/agent_status.h"
#include "controller/hint_budget.h"
#include "controller/masquerader.h"
#include "controller/node_cni.h"
#include "controller/node_feed.h"
#include "controller/node_reporter.h"
#include "controller/options.h"
#include "controller/pass_events.h"
#include "k8sclient/http_transport.h"
#include "routing/kernel_monitor.h"
#include "routing/local_network.h"

namespace podroute {

// Threads as HostAgent's, without a resolver's. Watches its own Node only and touches no route.
// Pods may start as soon as the Node has a podCIDR.
class LocalAgent {
 public:
  // In the network namespace of the calling thread, which is then the loop's. The transport must
  // outlive this.
  static Result<std::unique_ptr<LocalAgent>> Create(const Options& options,
                                                    HttpTransport& transport);

  // Until SIGTERM, SIGINT or Stop. Conflist and masquerading stay, unless Options::cleanup_on_exit.
  // Call once.
  Status Run();
  // Any thread.
  void Stop() { loop_->Stop(); }

 private:
  LocalAgent(const Options& options, HttpTransport& transport)
      : options_(options),
        transport_(transport),
        feed_(transport, clock_, options.node_name),
        reporter_(transport, clock_, options.node_name),
        pass_events_(PassEvents::Of::kNode, options.node_name) {}
  Status Start();
  Status StartMonitor();
  void OnHints();
  void OnResync();
  void Look();
  void Notice(const std::shared_ptr<const Node>& self, const std::vector<Refusal>& refused);

  const Options options_;
  HttpTransport& transport_;
  Clock& clock_ = SystemClock();

  std::unique_ptr<EventLoop> loop_;
  // Before status_, whose readers ask them.
  NodeFeed feed_;
  NodeReporter reporter_;
  std::unique_ptr<AgentStatus> status_;
  std::unique_ptr<KernelMonitor> monitor_;
  std::unique_ptr<Masquerader> masquerader_;
  std::unique_ptr<NodeCni> cni_;
  PassEvents pass_events_;
  std::unique_ptr<SignalWatch> signals_;
  std::unique_ptr<Timer> resync_timer_, look_timer_;
  HintBudget hint_budget_{clock_};
  bool look_due_ = false;
  bool local_stale_ = true;
  std::optional<LocalNetwork> local_;
  std::string local_error_;  // As last said.
  std::optional<bool> has_node_;
  std::vector<Refusal> refused_;  // As last said.
};

}  // namespace podroute

#endif  // PODROUTE_CONTROLLER_LOCAL_AGENT_H_
