// Tells the API server how nodes' networks are: the condition NetworkUnavailable, the start-up
// taint, Events.
#ifndef PODROUTE_CONTROLLER_NODE_REPORTER_H_
#define PODROUTE_CONTROLLER_NODE_REPORTER_H_

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/backoff.h"
#include "base/clock.h"
#include "controller/event_correlator.h"
#include "k8sclient/http_transport.h"
#include "k8sclient/node.h"
#include "k8sclient/node_writes.h"

namespace podroute {

// What the condition should be made; nullopt: it is left as it is. It is made False when the
// network works and it is not False yet, whoever made it so. It is made True only where podroute
// made it False, in whichever process: another program's False (CalicoIsUp, FlannelIsUp) is never
// touched. Pure.
std::optional<bool> WantedCondition(const Node& self, bool works);

// Since the start; read on any thread.
struct ReporterCounts {
  struct Writes {
    std::atomic<uint64_t> ok{0}, failed{0};
  };
  Writes condition, taint, event;
  // Over the rate, or too many at once. One whose write failed is not among them.
  std::atomic<uint64_t> events_dropped{0};
};

// A Node and how its network is: its routes are there.
struct NodeNetwork {
  std::shared_ptr<const Node> node;
  bool works = false;
};

// A thread of its own does the talking: nothing here makes the loop wait. Writes only when there is
// something to change; what fails is tried again with backoff (1 s to 1 min, never sooner than the
// server asks), and a permission that is missing is said once and asked for again every 10 min.
// Condition, taint and Events do not hold each other up.
class NodeReporter {
 public:
  // `works` must have been false for so long before the condition is made True.
  static constexpr Duration kGrace = std::chrono::seconds(10);
  // Somebody who undoes a Node's condition, so often with less than that between, is answered after
  // that from then on.
  static constexpr int kConditionBurst = 5;
  static constexpr Duration kConditionRest = std::chrono::seconds(10);
  static constexpr size_t kMostEvents = 256;  // Waiting; more are dropped, and counted.

  // The transport and the clock must outlive this. `host`: who says so, in Events.
  NodeReporter(HttpTransport& transport, Clock& clock, std::string host);
  ~NodeReporter() { Stop(); }
  void Start();
  // After the transport's Shutdown, which ends a request that is under way.
  void Stop();

  // Any thread; these never block on the network. `nodes`: all that this process answers for, as
  // they are now; one that is not among them any more is forgotten.
  void Update(const std::vector<NodeNetwork>& nodes);
  void Happened(NodeEvent event);

  const ReporterCounts& counts() const { return counts_; }

 private:
  // One kind of write: when it may be tried again, and what has been said of it.
  struct Kind {
    Kind(const char* name, const Clock& clock, ReporterCounts::Writes& writes);
    const char* what;
    ReporterCounts::Writes& counts;
    Backoff backoff;
    std::optional<MonotonicTime> not_before;
    std::string said;
    // The Nodes that have to be looked at, and not before when.
    std::map<std::string, MonotonicTime> due;
  };
  // What is known of a Node.
  struct Known {
    uint64_t seen = 0;  // The last Update that named it.
    std::shared_ptr<const Node> node;
    bool works = false;
    std::optional<MonotonicTime> broken_since;
    std::shared_ptr<const Node> condition_written_for, taint_removed_for;
    std::optional<bool> condition_written;
    std::optional<MonotonicTime> condition_written_at;
    int condition_writes = 0;  // In a row.
  };

  void Run();
  bool Rests(const Kind& kind) const;
  bool Work(std::unique_lock<std::mutex>& lock);
  bool WriteCondition(std::unique_lock<std::mutex>& lock);
  bool RemoveTaint(std::unique_lock<std::mutex>& lock);
  bool WriteEvent(std::unique_lock<std::mutex>& lock);
  // Of the Nodes that a kind has to write about now, the one that has waited longest; those that it
  // need not write about are done with.
  Known* NextDue(Kind& kind, const std::function<bool(const Known&)>& has_to);
  std::optional<bool> ConditionToWrite(const Known& known) const;
  void Failed(Kind& kind, const std::string& node, const ApiError& error);
  static void Succeeded(Kind& kind);
  void Wait(std::unique_lock<std::mutex>& lock);

  HttpTransport& transport_;
  Clock& clock_;
  const std::string host_;
  ReporterCounts counts_;

  std::mutex mutex_;  // Of what follows.
  std::condition_variable changed_;
  bool stopping_ = false;
  uint64_t update_ = 0;
  std::map<std::string, Known> nodes_;
  Kind condition_, taint_, event_;
  std::deque<NodeEvent> events_;
  std::thread thread_;

  EventCorrelator correlator_;  // The thread's alone.
};

}  // namespace podroute

#endif  // PODROUTE_CONTROLLER_NODE_REPORTER_H_
