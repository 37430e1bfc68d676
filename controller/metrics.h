// What podroute says of itself in numbers, in Prometheus' text format. docs/metrics.md explains
// each; tests/controller/metrics_test sees to it that none is missing there.
#ifndef PODROUTE_CONTROLLER_METRICS_H_
#define PODROUTE_CONTROLLER_METRICS_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/ip_prefix.h"
#include "base/status.h"
#include "controller/node_reporter.h"
#include "controller/reconciler.h"
#include "k8sclient/reflector.h"
#include "routing/desired_routes.h"

namespace podroute {

// Thread-safe. A number that has never been set is not shown, so what a mode does not have (a
// leader, a plugin) has no metric there.
class Metrics {
 public:
  // `mode` and `backend` as the flags name them.
  Metrics(const std::string& mode, const std::string& backend);
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  // After each pass of the reconciler, and how long that took.
  void Pass(const PassReport& report, const Reconciler& reconciler, Duration took);
  // Who makes no passes has had a complete list, of so many Nodes.
  void SetSynced(size_t nodes);
  // What local mode has instead of passes: the podCIDRs that are refused.
  void SetRefused(const std::vector<Refusal>& refused);
  // Routes of ours that others' go before.
  void SetShadowed(size_t ipv4, size_t ipv6);
  void NotificationsLost();
  // Where there is an election.
  void SetLeader(bool leads);
  // `file`: "plugin", "loopback" or "conflist", is there as it should be.
  void SetCniInstalled(const std::string& file, bool there);
  // Pods' traffic to outside gets the node's address, or it should and does not.
  void SetMasquerade(bool there);
  // Somebody had changed or removed what does it.
  void MasqueradeRepaired();
  // These are asked whenever somebody reads the metrics, on that reader's thread.
  void SetWatchSource(std::function<ReflectorState()> source, const Clock& clock);
  void SetReporterSource(const ReporterCounts& counts);

  std::string Render() const;

 private:
  struct Families;
  const std::unique_ptr<Families> families_;
};

}  // namespace podroute

#endif  // PODROUTE_CONTROLLER_METRICS_H_
