#include "controller/leader_election.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "base/text.h"

namespace podroute {
namespace {

using Kind = ElectionStep::Kind;

// The API's fields are int32.
constexpr int64_t kMaxInt32 = std::numeric_limits<int32_t>::max();

constexpr int kHaste = 4;  // Of a leader whose renewal has failed.
constexpr int kReleaseAttempts = 3;
constexpr Duration kReleaseTimeout = std::chrono::seconds(2);

std::string Seconds(Duration duration) {
  std::string text = std::to_string(std::chrono::duration<double>(duration).count());
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  return text + "s";
}

}  // namespace

Status CheckTimings(const ElectionTimings& timings) {
  auto wrong = [](std::string what) {
    return Status(StatusCode::kInvalidArgument, std::move(what));
  };
  if (timings.lease_duration < std::chrono::seconds(1) ||
      timings.lease_duration % std::chrono::seconds(1) != Duration(0)) {
    return wrong("--lease_duration=" + Seconds(timings.lease_duration) +
                 ": not whole seconds, at least 1s");
  }
  if (timings.lease_duration > std::chrono::seconds(kMaxInt32)) {
    return wrong("--lease_duration=" + Seconds(timings.lease_duration) + ": too long");
  }
  if (timings.retry_period <= Duration(0)) return wrong("--retry_period: not above 0");
  if (timings.lease_duration <= timings.renew_deadline) {
    return wrong("--lease_duration=" + Seconds(timings.lease_duration) +
                 ": not above --renew_deadline=" + Seconds(timings.renew_deadline));
  }
  std::chrono::duration<double> least = timings.retry_period * kElectionJitter;
  if (timings.renew_deadline <= least) {
    return wrong("--renew_deadline=" + Seconds(timings.renew_deadline) +
                 ": not above --retry_period=" + Seconds(timings.retry_period) + " times 1.2");
  }
  return Status::Ok();
}

LeaderElection::LeaderElection(std::string identity, const ElectionTimings& timings, uint64_t seed)
    : identity_(std::move(identity)), timings_(timings), random_(seed) {}

bool LeaderElection::Ours() const { return lease_ && !twin_ && lease_->record.holder == identity_; }

// When whoever holds it has to be taken for dead.
MonotonicTime LeaderElection::FreeAt() const {
  if (!lease_) return reserved_until_;
  if (lease_->record.holder.empty() || Ours()) return MonotonicTime::min();
  int64_t seconds = std::min(lease_->record.duration_seconds, kMaxInt32);
  return observed_ +
         (seconds > 0 ? Duration(std::chrono::seconds(seconds)) : timings_.lease_duration);
}

void LeaderElection::LoseWhenLate(MonotonicTime now) {
  if (!leading_ || now < until_) return;
  Lose("not renewed within " + Seconds(timings_.renew_deadline) +
       (failure_.ok() ? "" : ": " + failure_.message()));
}

ElectionStep LeaderElection::Next(MonotonicTime now, WallTime wall) {
  LoseWhenLate(now);
  auto wait = [](MonotonicTime until) {
    ElectionStep step;
    step.until = until;
    return step;
  };
  if (now < not_before_) return wait(leading_ ? std::min(not_before_, until_) : not_before_);
  if (look_) return Request(Kind::kGet, now);
  MonotonicTime free_at = FreeAt();
  if (leading_ || now >= free_at) return WriteStep(now, wall);
  if (now >= poll_at_) return Request(Kind::kGet, now);
  return wait(std::min(poll_at_, free_at));
}

ElectionStep LeaderElection::Request(Kind kind, MonotonicTime now) {
  seen_.reset();
  ElectionStep step;
  step.kind = kind;
  // Half, so that one connection to nowhere does not use the whole deadline up.
  step.idle_timeout = timings_.renew_deadline / 2;
  if (leading_) step.idle_timeout = std::min(step.idle_timeout, until_ - now);
  return step;
}

std::string LeaderElection::RenewTime(WallTime wall) const {
  std::string text = FormatMicroTime(wall);
  bool same = (lease_ && text == lease_->record.renew_time) ||
              (!attempts_.empty() && text == attempts_.back().renew_time);
  return same ? FormatMicroTime(wall + std::chrono::microseconds(1)) : text;
}

ElectionStep LeaderElection::WriteStep(MonotonicTime now, WallTime wall) {
  ElectionStep step = Request(lease_ ? Kind::kUpdate : Kind::kCreate, now);
  LeaseRecord& record = step.record;
  if (lease_) {
    step.base = *lease_;
    record = lease_->record;
  } else if (leading_) {
    record = attempts_.back();  // Somebody deleted it: as it was.
  }
  record.duration_seconds =
      std::chrono::duration_cast<std::chrono::seconds>(timings_.lease_duration).count();
  record.renew_time = RenewTime(wall);
  if (record.holder != identity_ || twin_) {
    record.transitions = lease_ ? std::clamp<int64_t>(record.transitions, 0, kMaxInt32 - 1) + 1 : 0;
    record.acquire_time.clear();
  }
  record.holder = identity_;
  if (record.acquire_time.empty()) record.acquire_time = record.renew_time;
  return step;
}

void LeaderElection::Answered(const ElectionStep& step, const LeaseAnswer& answer,
                              MonotonicTime sent, MonotonicTime now) {
  if (releasing_) return ReleaseAnswered(step, answer, now);
  // A renewal that comes back too late is a new beginning, not a continuation.
  LoseWhenLate(now);
  StatusCode code = answer.error.status.code();
  bool write = step.kind != Kind::kGet;
  bool refused = code == StatusCode::kConflict || code == StatusCode::kAlreadyExists;
  if (write && !refused && code != StatusCode::kNotFound) {
    may_hold_ = true;
    attempts_.push_back(step.record);
  }
  if (code == StatusCode::kOk) {
    return write ? Written(step, answer, sent, now) : LookedAt(answer, now);
  }
  if (write && refused) return Outrun(now);
  if (code == StatusCode::kNotFound && step.kind != Kind::kCreate) {
    failure_ = Status::Ok();
    look_ = false;
    poll_at_ = now + timings_.retry_period;
    return Gone();
  }
  Failed(answer, now);
}

void LeaderElection::LookedAt(const LeaseAnswer& answer, MonotonicTime now) {
  failure_ = Status::Ok();
  // Which of the two is newer, that or what a watch said meanwhile, cannot be told.
  look_ =
      seen_ && (seen_->deleted || seen_->lease.resource_version != answer.lease.resource_version);
  Observe(answer.lease, now);
  if (now < FreeAt()) outrun_ = 0;
  std::uniform_real_distribution<double> part(1 / kElectionJitter, 1);
  poll_at_ = now + std::chrono::duration_cast<Duration>(timings_.retry_period * part(random_));
  if (!leading_) return;
  const LeaseRecord& record = lease_->record;
  if (record.holder != identity_) {
    Lose(record.holder.empty() ? "somebody has released the lease"
                               : "the holder is " + Printable(record.holder));
  } else if (std::find(attempts_.begin(), attempts_.end(), record) == attempts_.end()) {
    twin_ = true;
    Lose("another process has the identity " + Printable(identity_));
  }
}

void LeaderElection::Written(const ElectionStep& step, const LeaseAnswer& answer,
                             MonotonicTime sent, MonotonicTime now) {
  failure_ = Status::Ok();
  outrun_ = 0;
  twin_ = false;
  Observe(answer.lease, now);
  attempts_.assign(1, lease_->record);  // In the server's spelling.
  attempts_.push_back(step.record);
  if (lease_->record.holder != identity_) {  // An admission webhook's, perhaps: we do not lead.
    look_ = true;
    not_before_ = now + timings_.retry_period;
    return;
  }
  look_ = false;
  not_before_ = sent + timings_.retry_period;
  if (now >= sent + timings_.renew_deadline) return;  // Too late to be of use.
  leading_ = true;
  until_ = sent + timings_.renew_deadline;
  if (seen_) Doubt(now);
}

// A watch has spoken while we lead; it may speak of the time before.
void LeaderElection::Doubt(MonotonicTime now) {
  if (look_ || (!seen_->deleted && seen_->lease.record.holder == identity_)) return;
  look_ = true;
  not_before_ = now;
}

void LeaderElection::Gone() {
  if (lease_) reserved_until_ = FreeAt();
  lease_.reset();
}

// Somebody else wrote first: see who.
void LeaderElection::Outrun(MonotonicTime now) {
  failure_ = Status::Ok();
  look_ = true;
  // At once, but for a server that says so every time.
  not_before_ = ++outrun_ > 1 ? now + (leading_ ? timings_.retry_period : Jittered()) : now;
}

void LeaderElection::Failed(const LeaseAnswer& answer, MonotonicTime now) {
  failure_ = answer.error.status;
  // Whether it was carried out is not known; a leader finds that out by the conflict.
  if (!leading_) look_ = true;
  not_before_ = now + (leading_ ? timings_.retry_period / kHaste
                                : std::max(Jittered(), std::min(answer.error.retry_after,
                                                                timings_.lease_duration)));
}

void LeaderElection::Seen(const LeaseEvent& event, MonotonicTime now) {
  seen_ = event;
  if (leading_) return Doubt(now);
  bool free = !event.deleted && event.lease.record.holder.empty();
  if (free) not_before_ = std::min(not_before_, now);
  if (look_) return;  // A look is due or under way, and newer.
  if (event.deleted) return Gone();
  Observe(event.lease, now);
}

void LeaderElection::Observe(Lease lease, MonotonicTime now) {
  if (!lease_ || lease_->record != lease.record) {
    observed_ = now;
    if (lease.record.holder != identity_) twin_ = false;
  }
  lease_ = std::move(lease);
}

void LeaderElection::Lose(std::string why) {
  leading_ = false;
  loss_ = std::move(why);
}

Duration LeaderElection::Jittered() {
  std::uniform_real_distribution<double> part(0, kElectionJitter);
  return std::chrono::duration_cast<Duration>(timings_.retry_period * (1 + part(random_)));
}

std::optional<ElectionStep> LeaderElection::Release(MonotonicTime now, WallTime wall) {
  if (leading_) Lose("released");
  releasing_ = true;
  if (!may_hold_ || released_ || release_failures_ >= kReleaseAttempts) return std::nullopt;
  ElectionStep step = Request(look_ ? Kind::kGet : Kind::kUpdate, now);
  step.idle_timeout = std::min(step.idle_timeout, kReleaseTimeout);
  if (look_) return step;
  if (!Ours()) return std::nullopt;
  step.base = *lease_;
  step.record.transitions = lease_->record.transitions;
  // As client-go: a second, so that also those take over at once who look at the duration alone.
  step.record.duration_seconds = 1;
  step.record.acquire_time = step.record.renew_time = RenewTime(wall);
  return step;
}

void LeaderElection::ReleaseAnswered(const ElectionStep& step, const LeaseAnswer& answer,
                                     MonotonicTime now) {
  failure_ = answer.error.status;
  look_ = !failure_.ok();
  if (failure_.ok()) {
    Observe(answer.lease, now);
    released_ = step.kind == Kind::kUpdate;
  } else if (failure_.code() == StatusCode::kNotFound) {
    released_ = true;
  } else {
    ++release_failures_;
  }
}

}  // namespace podroute
