#include "controller/leader_elector.h"

#include <glog/logging.h>

#include <algorithm>
#include <random>
#include <utility>

#include "base/text.h"

namespace podroute {
namespace {

constexpr Duration kStopPatience = std::chrono::seconds(5);
constexpr int kMinWatchSeconds = 300, kMaxWatchSeconds = 600;
constexpr Duration kForbiddenWatchAgain = std::chrono::minutes(1);

}  // namespace

LeaderElector::LeaderElector(const ElectorOptions& options, HttpTransport& transport,
                             std::function<void()> on_change, Clock& clock)
    : options_(options),
      transport_(transport),
      on_change_(std::move(on_change)),
      clock_(clock),
      client_(transport, options.lease_namespace, options.lease_name),
      election_(options.identity, options.timings) {}

void LeaderElector::Start() {
  LOG(INFO) << "leader election starts lease=" << options_.lease_namespace << "/"
            << options_.lease_name << " identity=" << Printable(options_.identity, 300);
  election_thread_ = std::thread([this] { RunElection(); });
  watch_thread_ = std::thread([this] { RunWatch(); });
  deadline_thread_ = std::thread([this] { RunDeadline(); });
}

std::shared_ptr<WritePermit> LeaderElector::permit() const {
  std::lock_guard lock(mutex_);
  return permit_ && permit_->open() ? permit_ : nullptr;
}

void LeaderElector::Close() {
  std::lock_guard lock(mutex_);
  closing_ = true;
  if (permit_) permit_->Close();
  changed_.notify_all();
}

void LeaderElector::Stop() {
  Close();
  {
    std::unique_lock lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
    if (election_thread_.joinable()) {
      changed_.wait_for(lock, kStopPatience, [&] { return given_up_; });
    }
    if (watch_body_ != nullptr) watch_body_->Cancel();
  }
  stop_.Stop();
  transport_.Shutdown();
  for (std::thread* thread : {&election_thread_, &watch_thread_, &deadline_thread_}) {
    if (thread->joinable()) thread->join();
  }
}

LeaseAnswer LeaderElector::Ask(const ElectionStep& step) const {
  switch (step.kind) {
    case ElectionStep::Kind::kCreate:
      return client_.Create(step.record, step.idle_timeout);
    case ElectionStep::Kind::kUpdate:
      return client_.Update(step.base, step.record, step.idle_timeout);
    default:
      return client_.Get(step.idle_timeout);
  }
}

void LeaderElector::RunElection() {
  std::unique_lock lock(mutex_);
  while (Elect(lock)) {
  }
  GiveUp(lock);
  given_up_ = true;
  changed_.notify_all();
}

// One step. False when it is over.
bool LeaderElector::Elect(std::unique_lock<std::mutex>& lock) {
  if (stopping_) return false;
  // Keeps what it has while whoever writes comes to an end, and strives for nothing.
  if (closing_ && !election_.leading()) {
    changed_.wait(lock);
    return true;
  }
  MonotonicTime now = clock_.Now();
  ElectionStep step = election_.Next(now, clock_.WallNow());
  Settle();
  if (step.kind == ElectionStep::Kind::kWait) {
    changed_.wait_for(lock, step.until - now);
    return true;
  }
  lock.unlock();
  MonotonicTime sent = clock_.Now();
  LeaseAnswer answer = Ask(step);
  lock.lock();
  election_.Answered(step, answer, sent, clock_.Now());
  Settle();
  return true;
}

void LeaderElector::GiveUp(std::unique_lock<std::mutex>& lock) {
  bool asked = false;
  while (std::optional<ElectionStep> step = election_.Release(clock_.Now(), clock_.WallNow())) {
    asked = true;
    lock.unlock();
    MonotonicTime sent = clock_.Now();
    LeaseAnswer answer = Ask(*step);
    lock.lock();
    election_.Answered(*step, answer, sent, clock_.Now());
  }
  if (!asked) return;
  if (election_.failure().ok()) {
    LOG(INFO) << "the lease is given up";
  } else {
    LOG(WARNING) << "the lease could not be given up, others wait until it has expired error="
                 << QuotedValue(election_.failure().message());
  }
}

// What the election has come to is said, and done. The mutex is held.
void LeaderElector::Settle() {
  bool had = permit_ != nullptr;
  bool lost = had && !(election_.leading() && permit_->Extend(election_.leading_until()));
  if (lost) {
    permit_->Close();
    permit_.reset();
    if (!closing_) {
      LOG(WARNING) << "leads no longer, routes stay as they are reason="
                   << QuotedValue(election_.loss());
    }
  }
  bool gained = !permit_ && election_.leading() && !closing_;
  if (gained) {
    permit_ = std::make_shared<WritePermit>(clock_, election_.leading_until());
    gained = permit_->open();
    if (!gained) permit_.reset();
  }
  if (gained) {
    LOG(INFO) << "leads lease=" << options_.lease_namespace << "/" << options_.lease_name;
  }
  LogStanding();
  if (lost || gained) {
    changed_.notify_all();
    on_change_();
  }
}

void LeaderElector::LogStanding() {
  const Status& failure = election_.failure();
  if (std::exchange(logged_failure_, failure.code()) != failure.code()) {
    if (failure.ok()) {
      LOG(INFO) << "the lease can be asked for again";
    } else {
      LOG(WARNING) << "the lease cannot be " << (election_.leading() ? "renewed" : "had")
                   << " just now error=" << QuotedValue(failure.message());
    }
  }
  std::string holder = election_.holder();
  if (election_.leading() || std::exchange(logged_holder_, holder) == holder) return;
  if (!holder.empty() && holder != options_.identity) {
    LOG(INFO) << "stands by holder=" << Printable(holder, 300);
  }
}

void LeaderElector::RunDeadline() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    std::optional<Duration> left = permit_ ? permit_->left() : std::nullopt;
    if (!left || permit_->closed().stopped()) {
      changed_.wait(lock);
    } else if (*left > Duration(0)) {
      changed_.wait_for(lock, *left);
    } else {
      permit_->Close();
      permit_.reset();
      LOG(WARNING) << "leads no longer, routes stay as they are reason=\"not renewed in time\"";
      on_change_();
    }
  }
}

void LeaderElector::RunWatch() {
  bool said = false;
  while (!stop_.stopped()) {
    ApiError error = WatchOnce();
    if (stop_.stopped()) return;
    bool refused = error.http_status >= 400 && error.http_status < 500 && error.http_status != 429;
    if (refused && !std::exchange(said, true)) {
      LOG(WARNING) << "the lease cannot be watched, a release will be noticed later error="
                   << QuotedValue(error.status.message());
    } else if (!error.ok()) {
      VLOG(1) << "lease watch ended error=" << QuotedValue(error.status.message());
    }
    clock_.WaitFor(refused ? kForbiddenWatchAgain : options_.timings.retry_period, stop_);
  }
}

ApiError LeaderElector::WatchOnce() {
  static thread_local std::minstd_rand random{std::random_device()()};
  std::unique_ptr<BodyStream> body;
  // A living leader is heard every few seconds; without one, to ask anew costs nothing.
  Duration silence =
      std::max<Duration>(2 * options_.timings.lease_duration, std::chrono::seconds(10));
  int seconds = std::uniform_int_distribution<int>(kMinWatchSeconds, kMaxWatchSeconds)(random);
  ApiError error = client_.Watch(seconds, silence, &body);
  if (!error.ok()) return error;
  {
    std::lock_guard lock(mutex_);
    if (stopping_) return {};
    watch_body_ = body.get();
  }
  LeaseWatchReader reader(*body);
  while (true) {
    Result<std::optional<LeaseEvent>> event = reader.Next();
    std::lock_guard lock(mutex_);
    if (!event.ok() || !event->has_value()) {
      watch_body_ = nullptr;
      return {.status = event.status()};
    }
    election_.Seen(**event, clock_.Now());
    changed_.notify_all();
  }
}

}  // namespace podroute
