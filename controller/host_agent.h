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
#include "controller/options.h"
#include "controller/reconciler.h"
#include "k8sclient/host_resolver.h"
#include "k8sclient/http_transport.h"
#include "k8sclient/node_store.h"
#include "k8sclient/reflector.h"
#include "routing/kernel_backend.h"
#include "routing/kernel_monitor.h"

namespace podroute {

// Threads: the caller's runs the loop and touches the kernel; the reflector's reads the API server
// and writes the node store; the resolver's, only where the API server has a name, looks its
// addresses up.
//
// Wakes up for: a change of Nodes, a notification of the kernel's that is none of our own doing, a
// signal, the resync timer, and, for a while after something failed or was undone, a timer to try
// or look again. Nothing else.
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

  // Until SIGTERM, SIGINT or Stop. Routes stay, unless Options::cleanup_on_exit. Call once.
  Status Run();
  // Any thread.
  void Stop() { loop_->Stop(); }

 private:
  HostAgent(const Options& options, HttpTransport& transport, const std::string& api_server_host);
  Status Start();
  Status StartMonitor();
  void StopThreads();
  void OnSignal(int number);
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
  NodeStore store_;
  Reflector reflector_;
  std::unique_ptr<Reconciler> reconciler_;
  std::unique_ptr<SignalWatch> signals_;
  std::unique_ptr<Wakeup> store_wakeup_, api_server_wakeup_;
  std::unique_ptr<Timer> resync_timer_, retry_timer_, reread_timer_;
  bool pass_due_ = false;
  // Whether it is known which addresses no route may cover; until then no route is made.
  bool api_server_known_ = false;
  HintBudget hint_budget_{clock_};
  bool hints_deferred_ = false;
  bool in_place_ = false;
  std::vector<ShadowedRoute> shadowed_;  // As last reported.

  StopToken stop_;
  HostResolver resolver_;
  std::mutex api_server_mutex_;
  std::vector<IpAddress> api_server_;  // Guarded by api_server_mutex_.
  std::thread reflector_thread_, resolver_thread_;
};

}  // namespace podroute

#endif  // PODROUTE_CONTROLLER_HOST_AGENT_H_
