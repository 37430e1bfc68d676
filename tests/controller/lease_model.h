// A server that keeps one Lease, as the API does: versions, conflicts, creation and deletion.
#ifndef PODROUTE_TESTS_CONTROLLER_LEASE_MODEL_H_
#define PODROUTE_TESTS_CONTROLLER_LEASE_MODEL_H_

#include <optional>
#include <string>
#include <utility>

#include "controller/leader_election.h"
#include "k8sclient/lease.h"

namespace podroute {

class LeaseModel {
 public:
  std::optional<Lease> lease;

  static LeaseAnswer Error(StatusCode code) {
    return {{.status = Status(code, "as ordered"), .http_status = 500}, {}};
  }

  LeaseAnswer Do(const ElectionStep& step) {
    if (step.kind == ElectionStep::Kind::kCreate) {
      if (lease) return Error(StatusCode::kAlreadyExists);
      return {{}, Put(step.record)};
    }
    if (!lease) return Error(StatusCode::kNotFound);
    if (step.kind == ElectionStep::Kind::kUpdate) {
      if (step.base.resource_version != lease->resource_version) {
        return Error(StatusCode::kConflict);
      }
      return {{}, Put(step.record)};
    }
    return {{}, *lease};
  }

  // As somebody else writes it.
  Lease Put(LeaseRecord record) {
    lease = Lease();
    lease->record = std::move(record);
    lease->resource_version = std::to_string(++version_);
    return *lease;
  }

 private:
  int version_ = 100;
};

}  // namespace podroute

#endif  // PODROUTE_TESTS_CONTROLLER_LEASE_MODEL_H_
