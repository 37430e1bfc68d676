// The agent of host mode: everything that runs, wired together on one loop.
#ifndef PODROUTE_CONTROLLER_HOST_AGENT_H_
#define PODROUTE_CONTROLLER_HOST_AGENT_H_

#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/event_loop.h"
#include "base/status.h"
#include "controller/agent_status.h"
#include "controller/api_server_addresses.h"
#include "controller/masquerader.h"
#include "controller/node_cni.h"
#include "controller/node_feed.h"
#include "controller/node_reporter.h"
#include "controller/options.h"
#include "controller/pass_events.h"
#include "controller/route_keeper.h"
#include "k8sclient/http_transport.h"

namespace podroute {

// Threads: the caller's runs the loop and touches the kernel; the feed's reads the API server and
// writes the node store; the resolver's, only where the API server has a name, looks its addresses
// up.
//
// Wakes up for: a change of Nodes, a notification of the kernel's that is none of our own doing, a
// change in a CNI directory or of its nftables table, a signal, the resync timer, and, for a while
// after something failed or was undone, a timer to try or look again. Nothing else.
//
// Pods may start here (NodeCni) from the first pass after which the routes are usable
// (PassReport::usable).
class HostAgent {
 public:
  // In the network namespace of the calling thread, which is then the loop's. The transport must
  // outlive this. `api_server_host`: whose addresses no route may cover.
  static Result<std::unique_ptr<HostAgent>> Create(const Options& options, HttpTransport& transport,
                                                   const std::string& api_server_host);
  ~HostAgent();

  // Until SIGTERM, SIGINT or Stop. Routes, conflist and masquerading stay, unless
  // Options::cleanup_on_exit: then the conflist goes, and after it the others. Call once.
  Status Run();
  // Any thread.
  void Stop() { loop_->Stop(); }

 private:
  HostAgent(const Options& options, HttpTransport& transport, const std::string& api_server_host);
  Status Start();
  void StopThreads();
  void AfterPass(const PassReport& report);
  std::vector<IpPrefix> PodNetworks() const;

  const Options options_;
  HttpTransport& transport_;
  Clock& clock_ = SystemClock();

  std::unique_ptr<EventLoop> loop_;
  // Before status_, whose readers ask them.
  NodeFeed feed_;
  NodeReporter reporter_;
  std::unique_ptr<AgentStatus> status_;
  std::unique_ptr<Masquerader> masquerader_;
  std::unique_ptr<NodeCni> cni_;
  ApiServerAddresses api_server_;
  std::unique_ptr<RouteKeeper> keeper_;
  PassEvents pass_events_;
  std::unique_ptr<SignalWatch> signals_;
  bool usable_ = false;
};

}  // namespace podroute

#endif  // PODROUTE_CONTROLLER_HOST_AGENT_H_
