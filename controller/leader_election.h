// Who may write to the shared router: leader election by a Lease, as a pure state machine.
#ifndef PODROUTE_CONTROLLER_LEADER_ELECTION_H_
#define PODROUTE_CONTROLLER_LEADER_ELECTION_H_

#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "k8sclient/lease.h"

namespace podroute {

// As client-go's leaderelection, whose defaults these are.
struct ElectionTimings {
  Duration lease_duration = std::chrono::seconds(15);  // Others wait this long without a renewal.
  Duration renew_deadline = std::chrono::seconds(10);  // We write this long without one.
  Duration retry_period = std::chrono::seconds(2);     // Between two renewals, or two looks.
};

// How much longer than retry_period the wait after a failure may be: a random part of it.
inline constexpr double kElectionJitter = 1.2;

// lease_duration is whole seconds (the API has no other) and at least one,
// lease_duration > renew_deadline > retry_period * kElectionJitter, retry_period > 0.
Status CheckTimings(const ElectionTimings& timings);

// What to do next.
struct ElectionStep {
  enum class Kind { kWait, kGet, kCreate, kUpdate };
  Kind kind = Kind::kWait;
  MonotonicTime until;       // kWait: ask again then, or after anything was Seen.
  Duration idle_timeout{0};  // Of the request.
  Lease base;                // kUpdate
  LeaseRecord record;        // kCreate, kUpdate: what to write.
};

// One candidate. Record and time in, next step out; no I/O, no thread.
//
// Why there is one writer. The leader may write until renew_deadline after it *sent* the last
// renewal that succeeded. Everybody else waits for lease_duration (the one in the record) after
// they *saw* the record change last, by their own clock, which is later than that renewal was sent;
// and every write carries the version that it was decided upon, so of two who try one gets a
// conflict. Clocks are only ever compared with themselves: their rates matter, what they show does
// not. The difference of the two times is what a step that is under way when the permit closes
// has left to end in.
//
// Beyond client-go:
// - A Lease that is deleted frees nobody who has seen its record from waiting until that has
//   expired: its holder may not know yet. The holder makes it again.
// - A record with our identity that somebody else wrote while we led means that two processes have
//   one identity: we yield, and wait for it to expire.
// - A leader whose renewal failed tries again four times in a retry_period: the deadline is near.
// - renewTime differs from the last one also when the wall clock stands still, for it is by a
//   change that others see us alive.
//
// A record with our identity that we find is ours, from before a restart: taken at once. So
// identities must differ.
class LeaderElection {
 public:
  // REQUIRES: CheckTimings(timings) is OK, `identity` is not empty.
  LeaderElection(std::string identity, const ElectionTimings& timings,
                 uint64_t seed = std::random_device()());

  // `now` never goes backwards; `wall` is for the record's times only.
  ElectionStep Next(MonotonicTime now, WallTime wall);
  // The answer to the last step, a request that was sent at `sent`.
  void Answered(const ElectionStep& step, const LeaseAnswer& answer, MonotonicTime sent,
                MonotonicTime now);
  // From a watch, which may be late: never by itself a reason to stop leading, but to look.
  void Seen(const LeaseEvent& event, MonotonicTime now);

  // As of the last call. Leading ends by itself at leading_until(), which only grows while leading.
  bool leading() const { return leading_; }
  MonotonicTime leading_until() const { return until_; }
  // Why it led no longer, the last time.
  const std::string& loss() const { return loss_; }
  // The last seen holder; empty: nobody, or not known.
  std::string holder() const { return lease_ ? lease_->record.holder : ""; }
  // Why the last request failed; OK when it did not. A conflict is no failure.
  const Status& failure() const { return failure_; }

  // Stops leading. Then the way to give the Lease up, for whoever calls when nobody writes any
  // longer: steps as Next's (never kWait), until nullopt. Next must not be called again.
  std::optional<ElectionStep> Release(MonotonicTime now, WallTime wall);

 private:
  bool Ours() const;
  MonotonicTime FreeAt() const;
  void LoseWhenLate(MonotonicTime now);
  ElectionStep Request(ElectionStep::Kind kind, MonotonicTime now);
  ElectionStep WriteStep(MonotonicTime now, WallTime wall);
  std::string RenewTime(WallTime wall) const;
  void Observe(Lease lease, MonotonicTime now);
  void Gone();
  void Doubt(MonotonicTime now);
  void LookedAt(const LeaseAnswer& answer, MonotonicTime now);
  void Written(const ElectionStep& step, const LeaseAnswer& answer, MonotonicTime sent,
               MonotonicTime now);
  void Outrun(MonotonicTime now);
  void Failed(const LeaseAnswer& answer, MonotonicTime now);
  void ReleaseAnswered(const ElectionStep& step, const LeaseAnswer& answer, MonotonicTime now);
  void Lose(std::string why);
  Duration Jittered();

  const std::string identity_;
  const ElectionTimings timings_;
  std::mt19937_64 random_;

  bool look_ = true;            // What the Lease says must be asked for before anything is written.
  std::optional<Lease> lease_;  // As last seen; nullopt: it is not there, or nothing is known.
  MonotonicTime observed_;      // When its record was first seen to be so.
  // Until when a holder whose record is gone has to be reckoned with.
  MonotonicTime reserved_until_ = MonotonicTime::min();
  bool twin_ = false;               // The record has our identity, and is not ours.
  std::optional<LeaseEvent> seen_;  // Since the last step was handed out.

  MonotonicTime not_before_ = MonotonicTime::min();  // The next request.
  MonotonicTime poll_at_ = MonotonicTime::min();     // The next look while another leads.
  int outrun_ = 0;                                   // Conflicts in a row.
  Status failure_;

  bool leading_ = false;
  MonotonicTime until_;
  std::string loss_;
  bool may_hold_ = false;  // The record may be ours on the server.
  bool releasing_ = false, released_ = false;
  int release_failures_ = 0;
  std::vector<LeaseRecord> attempts_;  // That it may be: the last written, and those after it of
                                       // which no answer came.
};

}  // namespace podroute

#endif  // PODROUTE_CONTROLLER_LEADER_ELECTION_H_
