// The API server's Nodes, kept up by a thread of their own.
#ifndef PODROUTE_CONTROLLER_NODE_FEED_H_
#define PODROUTE_CONTROLLER_NODE_FEED_H_

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/event_loop.h"
#include "base/status.h"
#include "k8sclient/http_transport.h"
#include "k8sclient/node_store.h"
#include "k8sclient/reflector.h"

namespace podroute {

// The loop's thread makes, starts and ends it; one more, between Start and Stop, talks to the API
// server.
class NodeFeed {
 public:
  // The transport and the clock must outlive this. `only`: one Node by name; empty: all.
  NodeFeed(HttpTransport& transport, Clock& clock, const std::string& only);
  ~NodeFeed() { Stop(); }

  // `on_change` is called on the loop whenever there is something new to take.
  Status Prepare(EventLoop& loop, std::function<void()> on_change);
  void Start();
  // Ends whatever the thread waits for, and shuts the transport down. Idempotent.
  void Stop();

  NodeSnapshot Take() { return store_.TakeSnapshot(); }
  // Any thread.
  ReflectorState state() const { return reflector_.state(); }
  void RequestConsistentList() { reflector_.RequestConsistentList(); }
  // Set by Stop; for others who wait.
  StopToken& stop() { return stop_; }

 private:
  HttpTransport& transport_;
  NodeStore store_;
  Reflector reflector_;
  StopToken stop_;
  std::unique_ptr<Wakeup> wakeup_;
  std::thread thread_;
};

// SIGTERM and SIGINT stop the loop, SIGHUP has credentials read again. `leaving` is for the log:
// what becomes of what is installed. The transports outlive it.
Result<std::unique_ptr<SignalWatch>> WatchAgentSignals(EventLoop& loop,
                                                       std::vector<HttpTransport*> transports,
                                                       const std::string& leaving);

}  // namespace podroute

#endif  // PODROUTE_CONTROLLER_NODE_FEED_H_
