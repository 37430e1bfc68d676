// The agent of host mode: everything that runs, wired together on one loop.
#ifndef PODROUTE_CONTROLLER_HOST_AGENT_H_
#define PODROUTE_CONTROLLER_HOST_AGENT_H_

#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/event_loop.h"
#include "base/status.h"
#include "controller/hint_budget.h"
#include "controller/node_cni.h"
#include "controller/node_feed.h"
#include "controller/options.h"
#include "controller/reconciler.h"
#include "k8sclient/host_resolver.h"
#include "k8sclient/http_transport.h"
#include "routing/kernel_backend.h"
#include "routing/kernel_monitor.h"

namespace podroute {

// Threads: the caller's runs the loop and touches the kernel; the reflector's reads the API server
// and writes the node store; the resolver's, only where the API server has a name, looks its
// addresses up.
//
// Wakes up for: a change of Nodes, a notification of the kernel's that is none of our own doing, a
// change in a CNI directory, a signal, the resync timer, and, for a while after something failed or
// was undone, a timer to try or look again. Nothing else.
//
// Pods may start here (NodeCni) from the first pass after which the routes are usable
// (PassReport::usable).
//
// Somebody who undoes our routes as fast as we make them (a second agent with other options, say)
// is answered at once two thousand times, and then ten times a second.
class HostAgent {
 public:
  // In the network namespace of the calling thread, which is then the loop's. The transport must
  // outlive this. `api_server_host`: whose addresses no route may cover.
  static Result<std::unique_ptr<HostAgent>> Create(const Options& options, HttpTransport& transport,
                                                   const std::string& api_server_host);
  ~HostAgent();

  // Until SIGTERM, SIGINT or Stop. Routes and conflist stay, unless Options::cleanup_on_exit: then
  // the conflist goes, and after it the routes. Call once.
  Status Run();
  // Any thread.
  void Stop() { loop_->Stop(); }

 private:
  HostAgent(const Options& options, HttpTransport& transport, const std::string& api_server_host);
  Status Start();
  Status StartMonitor();
  void StopThreads();
  void OnHints();
  Result<LocalNetwork> ReadLocal();
  void OnResync();
  void Pass();
  void NoticeInPlace(const PassReport& report);
  void ReportShadowed();
  void ResolveApiServer();
  void TakeApiServer();
  bool MayHeedHints();

  const Options options_;
  HttpTransport& transport_;
  const std::string api_server_host_;
  Clock& clock_ = SystemClock();

  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<KernelBackend> backend_;
  std::unique_ptr<KernelMonitor> monitor_;
  std::unique_ptr<NodeCni> cni_;
  NodeFeed feed_;
  std::unique_ptr<Reconciler> reconciler_;
  std::unique_ptr<SignalWatch> signals_;
  std::unique_ptr<Wakeup> api_server_wakeup_;
  std::unique_ptr<Timer> resync_timer_, retry_timer_, reread_timer_;
  bool pass_due_ = false;
  // Whether it is known which addresses no route may cover; until then no route is made.
  bool api_server_known_ = false;
  HintBudget hint_budget_{clock_};
  bool hints_deferred_ = false;
  bool in_place_ = false, usable_ = false;
  std::vector<ShadowedRoute> shadowed_;  // As last reported.

  HostResolver resolver_;
  std::mutex api_server_mutex_;
  std::vector<IpAddress> api_server_;  // Guarded by api_server_mutex_.
  std::thread resolver_thread_;
};

}  // namespace podroute

#endif  // PODROUTE_CONTROLLER_HOST_AGENT_H_
