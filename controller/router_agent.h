// The agent of router mode: everything that runs, wired together on one loop.
#ifndef PODROUTE_CONTROLLER_ROUTER_AGENT_H_
#define PODROUTE_CONTROLLER_ROUTER_AGENT_H_

#include <memory>
#include <string>
#include <thread>

#include "base/clock.h"
#include "base/event_loop.h"
#include "base/status.h"
#include "controller/agent_status.h"
#include "controller/api_server_addresses.h"
#include "controller/leader_elector.h"
#include "controller/node_feed.h"
#include "controller/node_reporter.h"
#include "controller/options.h"
#include "controller/pass_events.h"
#include "controller/route_keeper.h"
#include "controller/router_sysctls.h"
#include "controller/write_permit.h"
#include "k8sclient/http_transport.h"

namespace podroute {

// Threads: the caller's runs the loop and is the only one that touches the router; the feed's and
// the resolver's as HostAgent's; the elector's; and one for signals, so that the permit is closed,
// and whatever waits for a router that is slow ended, as soon as somebody says stop.
//
// Every replica watches the Nodes. One at a time leads: while its permit is open it has a
// RouteKeeper, made anew for each permit, which begins by reading what the router has. When the
// permit closes the keeper goes at once and the routes stay.
class RouterAgent {
 public:
  // Both transports outlive this; `election` is for the elector alone, and null where there is no
  // election. In the network namespace of the calling thread, which is then the loop's. Errors are
  // those that another try would not mend: a flag, a permission.
  static Result<std::unique_ptr<RouterAgent>> Create(const Options& options,
                                                     const std::string& pod_namespace,
                                                     HttpTransport& transport,
                                                     HttpTransport* election,
                                                     const std::string& api_server_host);
  ~RouterAgent();

  // Until SIGTERM, SIGINT or Stop. Routes stay, unless Options::cleanup_on_exit and this is the
  // leader. The Lease is given up. Call once.
  Status Run();
  // Any thread.
  void Stop();

 private:
  RouterAgent(const Options& options, HttpTransport& transport, const std::string& api_server_host);
  Status Start(const std::string& pod_namespace, HttpTransport* election);
  Status Cleanup();
  void StopThreads();
  void OnPermit();
  void BeginTerm();
  Result<std::unique_ptr<RouteKeeper>> MakeKeeper();
  void OnNodes();
  void AfterPass(const PassReport& report);

  const Options options_;
  HttpTransport& transport_;
  Clock& clock_ = SystemClock();

  std::unique_ptr<EventLoop> loop_, signal_loop_;
  std::unique_ptr<SignalWatch> signals_;
  // Before status_, whose readers ask them.
  NodeFeed feed_;
  NodeReporter reporter_;
  std::unique_ptr<AgentStatus> status_;
  std::unique_ptr<Wakeup> permit_wakeup_;
  std::unique_ptr<Timer> begin_timer_;
  ApiServerAddresses api_server_;
  RouterSysctls sysctls_;
  std::unique_ptr<LeaderElector> elector_;  // Null: no election.
  WritePermit always_{BootClock()};         // Where there is no election.
  std::shared_ptr<WritePermit> permit_;     // keeper_'s; the keeper goes first.
  std::unique_ptr<RouteKeeper> keeper_;     // Null: this process does not lead.
  PassEvents pass_events_;                  // Of the present term.
  std::string keeper_error_;                // As last said.
  std::thread signal_thread_;
};

}  // namespace podroute

#endif  // PODROUTE_CONTROLLER_ROUTER_AGENT_H_
