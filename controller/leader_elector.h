// The threads that run a LeaderElection against an API server.
#ifndef PODROUTE_CONTROLLER_LEADER_ELECTOR_H_
#define PODROUTE_CONTROLLER_LEADER_ELECTOR_H_

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "base/clock.h"
#include "controller/leader_election.h"
#include "controller/write_permit.h"
#include "k8sclient/http_transport.h"
#include "k8sclient/lease.h"

namespace podroute {

struct ElectorOptions {
  std::string lease_namespace = "kube-system", lease_name = "podroute";
  std::string identity;
  ElectionTimings timings;
};

// Three threads, so that nothing delays what must not be late: one asks and renews; one watches the
// Lease, so that a release is noticed at once (where it may not, the looks of the first have to
// do); and one closes the permit at its deadline, also while the first waits for an answer.
class LeaderElector {
 public:
  // `transport` is for this alone: Stop shuts it down. `on_change` is called on any of the threads
  // when a permit has been given or has closed; it must neither block nor call this. All must
  // outlive this. REQUIRES: as LeaderElection.
  LeaderElector(const ElectorOptions& options, HttpTransport& transport,
                std::function<void()> on_change, Clock& clock = BootClock());
  ~LeaderElector() { Stop(); }

  // Call once.
  void Start();

  // While this process leads: the permit, else null. Any thread.
  std::shared_ptr<WritePermit> permit() const;

  // Closes the permit and gives no further one: whoever writes stops. The Lease is kept. Any
  // thread; does not block.
  void Close();

  // To be called when nobody writes any longer: gives the Lease up, so that others need not wait
  // for it to expire, and ends the threads. Takes some seconds when the server does not answer.
  // Idempotent.
  void Stop();

 private:
  void RunElection();
  void RunWatch();
  void RunDeadline();
  LeaseAnswer Ask(const ElectionStep& step) const;
  bool Elect(std::unique_lock<std::mutex>& lock);
  void GiveUp(std::unique_lock<std::mutex>& lock);
  void Settle();
  void LogStanding();
  ApiError WatchOnce();

  const ElectorOptions options_;
  HttpTransport& transport_;
  const std::function<void()> on_change_;
  Clock& clock_;
  const LeaseClient client_;

  mutable std::mutex mutex_;  // Guards what follows.
  std::condition_variable changed_;
  LeaderElection election_;
  std::shared_ptr<WritePermit> permit_;
  bool closing_ = false, stopping_ = false, given_up_ = false;
  BodyStream* watch_body_ = nullptr;  // Not owned.
  std::string logged_holder_;
  StatusCode logged_failure_ = StatusCode::kOk;

  StopToken stop_;  // Of the watching thread's waits.
  std::thread election_thread_, watch_thread_, deadline_thread_;
};

}  // namespace podroute

#endif  // PODROUTE_CONTROLLER_LEADER_ELECTOR_H_
