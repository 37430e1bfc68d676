// Keeps one backend's routes as they should be: the part of an agent that host and router mode
// share.
#ifndef PODROUTE_CONTROLLER_ROUTE_KEEPER_H_
#define PODROUTE_CONTROLLER_ROUTE_KEEPER_H_

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "base/event_loop.h"
#include "base/status.h"
#include "controller/hint_budget.h"
#include "controller/metrics.h"
#include "controller/reconciler.h"
#include "routing/kernel_backend.h"
#include "routing/kernel_monitor.h"
#include "routing/route_backend.h"

namespace podroute {

struct RouteKeeperSetup {
  ReconcilerOptions reconciler;
  std::function<NodeSnapshot()> take_nodes;
  std::function<void()> request_consistent_list;
  std::function<bool()> may_pass;                     // Asked before each pass. Empty: always.
  std::function<void(const PassReport&)> after_pass;  // May be empty.
  std::function<void()> after_resync;                 // May be empty.
  Metrics* metrics = nullptr;                         // May be null; else outlives the keeper.
  Duration resync_period = std::chrono::seconds(60);
  // From the beginning of a pass that changed something to the next one, a third of it at least
  // from its end: what comes meanwhile is carried out together. For backends where any change costs
  // as much as all of them.
  Duration min_gap{0};
};

// On one loop and its thread. Reads again, and passes, for what the backend hints at, each
// resync_period, and while something failed; for what else changes, PassDue is to be called.
//
// Somebody who undoes our routes as fast as we make them (a second agent with other options, say)
// is answered at once two thousand times, and then ten times a second.
class RouteKeeper {
 public:
  // In this machine's kernel, in the network namespace of the calling thread, with its links and
  // notifications. The loop and the clock must outlive this. kPermissionDenied where this process
  // may not change routes.
  static Result<std::unique_ptr<RouteKeeper>> ForKernel(EventLoop& loop, Clock& clock,
                                                        RouteKeeperSetup setup,
                                                        const KernelOptions& options);
  // In any other backend. Links are not looked at.
  static Result<std::unique_ptr<RouteKeeper>> For(EventLoop& loop, Clock& clock,
                                                  RouteKeeperSetup setup,
                                                  std::unique_ptr<RouteBackend> backend);
  ~RouteKeeper();

  // Nothing is done before it is known which addresses no route may cover.
  void SetApiServer(std::vector<IpAddress> addresses);
  void PassDue() { pass_due_ = true; }
  // The loop's round end must call this.
  void RoundEnd();

  // Removes all that is ours; passes no more.
  Result<RemovedCounts> RemoveAllOwned();

  const Reconciler& reconciler() const { return *reconciler_; }
  size_t shadowed() const { return shadowed_.size(); }  // Of our routes, as last looked at.
  KernelBackend* kernel() { return kernel_; }           // Null: another backend.

 private:
  RouteKeeper(EventLoop& loop, Clock& clock, RouteKeeperSetup setup);
  Status Prepare();
  Status StartMonitor();
  void OnHints();
  void OnBackendEvent();
  bool MayHeedHints();
  void HeedLater();
  Result<LocalNetwork> ReadLocal();
  void OnResync();
  void Pass();
  void NoticeInPlace(const PassReport& report);
  void ReportShadowed();

  EventLoop& loop_;
  Clock& clock_;
  const RouteKeeperSetup setup_;
  KernelOptions kernel_options_;
  std::unique_ptr<RouteBackend> backend_;
  KernelBackend* kernel_ = nullptr;  // backend_, when it is one.
  std::unique_ptr<KernelMonitor> monitor_;
  std::unique_ptr<Reconciler> reconciler_;
  std::unique_ptr<Timer> resync_timer_, retry_timer_, reread_timer_, gap_timer_;
  bool pass_due_ = true;
  std::optional<MonotonicTime>
      changed_at_;  // The last pass that changed something; min_gap counts from here.
  bool api_server_known_ = false;
  HintBudget hint_budget_;
  bool hints_deferred_ = false;
  bool in_place_ = false;
  std::vector<ShadowedRoute> shadowed_;  // As last reported.
};

// All of the backend's routes that are ours.
Result<RemovedCounts> RemoveAllOwned(RouteBackend& backend);

}  // namespace podroute

#endif  // PODROUTE_CONTROLLER_ROUTE_KEEPER_H_
