#include "controller/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <chrono>
#include <map>
#include <mutex>
#include <utility>

#include "controller/version.h"

namespace podroute {
namespace {

using prometheus::BuildCounter;
using prometheus::BuildGauge;
using prometheus::BuildHistogram;
using prometheus::Labels;

// 0.1 ms to 30 s: a pass over thousands of nodes, and a daemon that takes its time.
const prometheus::Histogram::BucketBoundaries& LatencyBuckets() {
  static const auto& buckets = *new prometheus::Histogram::BucketBoundaries{
      0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
      0.1,    0.25,    0.5,    1,     2.5,    5,     10,   30};
  return buckets;
}

double Seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

const char* FamilyName(bool v4) { return v4 ? "ipv4" : "ipv6"; }

struct ByFamily {
  size_t v4 = 0, v6 = 0;
  void Count(const IpPrefix& prefix) { ++(prefix.is_v4() ? v4 : v6); }
};

}  // namespace

struct Metrics::Families {
  Families(const std::string& mode, const std::string& backend);

  void SetRoutes(const char* state, const ByFamily& counts) {
    for (bool v4 : {true, false}) {
      routes.Add({{"family", FamilyName(v4)}, {"state", state}})
          .Set(static_cast<double>(v4 ? counts.v4 : counts.v6));
    }
  }
  // From totals that only grow: adds what has come since.
  static void Raise(prometheus::Counter& counter, uint64_t total) {
    double more = static_cast<double>(total) - counter.Value();
    if (more > 0) counter.Increment(more);
  }
  void ReadWatch();
  void ReadReporter();

  prometheus::Registry registry;
  prometheus::Family<prometheus::Gauge>& routes;
  prometheus::Family<prometheus::Gauge>& refused;
  prometheus::Family<prometheus::Counter>& changes;
  prometheus::Family<prometheus::Counter>& errors;
  prometheus::Family<prometheus::Counter>& repaired;
  prometheus::Family<prometheus::Counter>& writes;
  prometheus::Family<prometheus::Gauge>& installed;
  prometheus::Family<prometheus::Gauge>& masquerade;
  prometheus::Family<prometheus::Counter>& masquerade_repaired;
  prometheus::Family<prometheus::Gauge>& leader;
  prometheus::Family<prometheus::Gauge>& last_event_age;
  prometheus::Gauge& withheld;
  prometheus::Gauge& nodes;
  prometheus::Gauge& synced;
  prometheus::Counter& lost_notifications;
  prometheus::Counter& lists;
  prometheus::Counter& list_failures;
  prometheus::Counter& watches;
  prometheus::Counter& watch_failures;
  prometheus::Counter& events;
  prometheus::Histogram& event_to_route;
  prometheus::Histogram& pass_duration;

  std::mutex mutex;  // Of what follows, and of reading the watch's state.
  std::map<RefusalReason, prometheus::Gauge*> refused_by_reason;
  std::function<ReflectorState()> watch_source;
  const ReporterCounts* reporter = nullptr;
  const Clock* clock = nullptr;
};

Metrics::Families::Families(const std::string& mode, const std::string& backend)
    : routes(BuildGauge()
                 .Name("podroute_routes")
                 .Help("Routes that podroute owns or should have, by state.")
                 .Labels({{"backend", backend}})
                 .Register(registry)),
      refused(BuildGauge()
                  .Name("podroute_refused_pod_cidrs")
                  .Help("podCIDRs (or Nodes) that get no route, by reason.")
                  .Register(registry)),
      changes(BuildCounter()
                  .Name("podroute_route_changes_total")
                  .Help("Routes changed, by action and by whether it worked.")
                  .Labels({{"backend", backend}})
                  .Register(registry)),
      errors(BuildCounter()
                 .Name("podroute_backend_errors_total")
                 .Help("Failures of the backend, by what was done and by reason.")
                 .Labels({{"backend", backend}})
                 .Register(registry)),
      repaired(BuildCounter()
                   .Name("podroute_drift_repaired_total")
                   .Help("Routes put right though no Node and no link had changed.")
                   .Labels({{"backend", backend}})
                   .Register(registry)),
      writes(BuildCounter()
                 .Name("podroute_node_writes_total")
                 .Help("What the API server was told of this node, and how that went.")
                 .Register(registry)),
      installed(BuildGauge()
                    .Name("podroute_cni_installed")
                    .Help("1 while the file is there as it should be.")
                    .Register(registry)),
      masquerade(BuildGauge()
                     .Name("podroute_masquerade_up")
                     .Help("1 while pods' traffic to outside gets the node's address.")
                     .Register(registry)),
      masquerade_repaired(BuildCounter()
                              .Name("podroute_masquerade_repaired_total")
                              .Help("Times that somebody had changed what masquerades pods.")
                              .Register(registry)),
      leader(BuildGauge()
                 .Name("podroute_leader")
                 .Help("1 while this process may write to the router.")
                 .Register(registry)),
      last_event_age(BuildGauge()
                         .Name("podroute_watch_last_event_age_seconds")
                         .Help("Time since the API server last said anything, bookmarks included.")
                         .Register(registry)),
      withheld(BuildGauge()
                   .Name("podroute_withheld_deletes")
                   .Help("Deletes that wait for a second, consistent list.")
                   .Register(registry)
                   .Add({})),
      nodes(BuildGauge()
                .Name("podroute_nodes")
                .Help("Nodes known from the API server.")
                .Register(registry)
                .Add({})),
      synced(BuildGauge()
                 .Name("podroute_synced")
                 .Help("1 once the Nodes have been listed completely.")
                 .Register(registry)
                 .Add({})),
      lost_notifications(BuildCounter()
                             .Name("podroute_kernel_notifications_lost_total")
                             .Help("Times that the kernel's notifications overran.")
                             .Register(registry)
                             .Add({})),
      lists(BuildCounter()
                .Name("podroute_lists_total")
                .Help("Complete lists of the Nodes.")
                .Register(registry)
                .Add({})),
      list_failures(BuildCounter()
                        .Name("podroute_list_failures_total")
                        .Help("Lists that failed.")
                        .Register(registry)
                        .Add({})),
      watches(BuildCounter()
                  .Name("podroute_watches_total")
                  .Help("Watches that the API server accepted.")
                  .Register(registry)
                  .Add({})),
      watch_failures(BuildCounter()
                         .Name("podroute_watch_failures_total")
                         .Help("Watches refused, or ended otherwise than they should.")
                         .Register(registry)
                         .Add({})),
      events(BuildCounter()
                 .Name("podroute_watch_events_total")
                 .Help("Events of the watch, bookmarks included.")
                 .Register(registry)
                 .Add({})),
      event_to_route(BuildHistogram()
                         .Name("podroute_event_to_route_seconds")
                         .Help("From a change's first byte to its routes.")
                         .Register(registry)
                         .Add({}, LatencyBuckets())),
      pass_duration(BuildHistogram()
                        .Name("podroute_reconcile_duration_seconds")
                        .Help("Of one pass: deciding, and changing what has to be.")
                        .Register(registry)
                        .Add({}, LatencyBuckets())) {
  BuildGauge()
      .Name("podroute_build_info")
      .Help("1; the labels say what runs.")
      .Register(registry)
      .Add({{"version", std::string(kVersion)}, {"mode", mode}})
      .Set(1);
}

// REQUIRES: mutex.
void Metrics::Families::ReadWatch() {
  if (!watch_source) return;
  ReflectorState state = watch_source();
  Raise(lists, state.lists);
  Raise(list_failures, state.list_failures);
  Raise(watches, state.watches);
  Raise(watch_failures, state.watch_failures);
  Raise(events, state.events);
  if (state.last_heard) last_event_age.Add({}).Set(Seconds(clock->Now() - *state.last_heard));
}

// REQUIRES: mutex.
void Metrics::Families::ReadReporter() {
  if (reporter == nullptr) return;
  auto raise = [&](const char* kind, const char* result, uint64_t total) {
    Raise(writes.Add({{"kind", kind}, {"result", result}}), total);
  };
  const std::pair<const char*, const ReporterCounts::Writes&> kinds[] = {
      {"condition", reporter->condition}, {"taint", reporter->taint}, {"event", reporter->event}};
  for (const auto& [kind, counts] : kinds) {
    raise(kind, "ok", counts.ok);
    raise(kind, "failed", counts.failed);
  }
  raise("event", "dropped", reporter->events_dropped);
}

Metrics::Metrics(const std::string& mode, const std::string& backend)
    : families_(std::make_unique<Families>(mode, backend)) {}

Metrics::~Metrics() = default;

void Metrics::Pass(const PassReport& report, const Reconciler& reconciler, Duration took) {
  Families& f = *families_;
  f.pass_duration.Observe(Seconds(took));
  for (const auto& [code, count] : report.errors) {
    f.errors.Add({{"operation", "apply"}, {"reason", std::string(StatusCodeName(code))}})
        .Increment(static_cast<double>(count));
  }
  if (report.read_error) {
    std::string code(StatusCodeName(*report.read_error));
    f.errors.Add({{"operation", "read"}, {"reason", code}}).Increment();
  }
  if (!report.synced) return;
  SetSynced(reconciler.node_count());
  f.withheld.Set(static_cast<double>(report.withheld));
  const std::pair<const char*, size_t> done[] = {
      {"add", report.added}, {"replace", report.replaced}, {"delete", report.deleted}};
  for (const auto& [action, count] : done) {
    auto more = static_cast<double>(count);
    if (count > 0) f.changes.Add({{"action", action}, {"result", "ok"}}).Increment(more);
    if (count > 0 && report.is_repair) f.repaired.Add({{"action", action}}).Increment(more);
  }
  if (report.failed > 0) {
    f.changes.Add({{"action", "any"}, {"result", "failed"}})
        .Increment(static_cast<double>(report.failed));
  }
  if (report.event_latency) f.event_to_route.Observe(Seconds(*report.event_latency));
  ByFamily installed, failed;
  for (const Route& route : reconciler.actual()) installed.Count(route.dst);
  reconciler.retries().ForEach([&](const IpPrefix& dst) { failed.Count(dst); });
  f.SetRoutes("installed", installed);
  f.SetRoutes("failed", failed);
  SetRefused(reconciler.refused());
}

void Metrics::SetSynced(size_t nodes) {
  families_->synced.Set(1);
  families_->nodes.Set(static_cast<double>(nodes));
}

void Metrics::SetRefused(const std::vector<Refusal>& refused) {
  std::lock_guard lock(families_->mutex);
  std::map<RefusalReason, size_t> counts;
  for (const Refusal& refusal : refused) ++counts[refusal.reason];
  // One that is over stays, as 0.
  for (const auto& [reason, count] : counts) families_->refused_by_reason.try_emplace(reason);
  for (auto& [reason, gauge] : families_->refused_by_reason) {
    if (gauge == nullptr) {
      gauge = &families_->refused.Add({{"reason", std::string(RefusalReasonName(reason))}});
    }
    gauge->Set(static_cast<double>(counts[reason]));
  }
}

void Metrics::SetShadowed(size_t ipv4, size_t ipv6) {
  families_->SetRoutes("shadowed", {.v4 = ipv4, .v6 = ipv6});
}

void Metrics::NotificationsLost() { families_->lost_notifications.Increment(); }

void Metrics::SetLeader(bool leads) { families_->leader.Add({}).Set(leads ? 1 : 0); }

void Metrics::SetCniInstalled(const std::string& file, bool there) {
  families_->installed.Add({{"file", file}}).Set(there ? 1 : 0);
}

void Metrics::SetMasquerade(bool there) {
  families_->masquerade.Add({}).Set(there ? 1 : 0);
  families_->masquerade_repaired.Add({});  // 0 is a number too.
}

void Metrics::MasqueradeRepaired() { families_->masquerade_repaired.Add({}).Increment(); }

void Metrics::SetWatchSource(std::function<ReflectorState()> source, const Clock& clock) {
  std::lock_guard lock(families_->mutex);
  families_->watch_source = std::move(source);
  families_->clock = &clock;
}

void Metrics::SetReporterSource(const ReporterCounts& counts) {
  std::lock_guard lock(families_->mutex);
  families_->reporter = &counts;
}

std::string Metrics::Render() const {
  {
    std::lock_guard lock(families_->mutex);
    families_->ReadWatch();
    families_->ReadReporter();
  }
  return prometheus::TextSerializer().Serialize(families_->registry.Collect());
}

}  // namespace podroute
