// Many candidates, one server, everything that can go wrong: never two that may write.
#include <gtest/gtest.h>

#include <deque>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "controller/leader_election.h"
#include "tests/controller/lease_model.h"

namespace podroute {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;
using Kind = ElectionStep::Kind;

constexpr Duration kTick = milliseconds(50);

class Random {
 public:
  explicit Random(uint64_t seed) : engine_(seed) {}
  bool Once(double probability) { return std::bernoulli_distribution(probability)(engine_); }
  int Upto(int most) { return std::uniform_int_distribution<int>(0, most)(engine_); }
  Duration Ms(int most) { return milliseconds(Upto(most)); }

 private:
  std::mt19937_64 engine_;
};

// Times of the simulation are true ones; a candidate knows only its own clocks.
class Candidate {
 public:
  Candidate(int number, Random& random)
      : random_(random),
        election_("c" + std::to_string(number), {}, static_cast<uint64_t>(number)),
        offset_(hours(random.Upto(10000))),
        wall_offset_(hours(random.Upto(20) - 10)) {}

  // Its clock may be a tenth of a percent fast.
  MonotonicTime Local(Duration now) const {
    return MonotonicTime(now + now / 1000 * fast_ + offset_);
  }
  bool MayWrite(Duration now) const {
    return alive && election_.leading() && Local(now) < election_.leading_until();
  }

  void Tick(Duration now, LeaseModel& server, bool server_up) {
    if (!alive || now < paused_until) return;
    Deliver(now);
    if (!request_) Begin(now);
    // Each leg of the way takes its time; what is lost is noticed by the timeout alone.
    if (request_ && !request_->answer && now >= request_->arrives) {
      request_->answer =
          server_up ? server.Do(request_->step) : LeaseModel::Error(StatusCode::kUnavailable);
      if (random_.Once(faults * 0.2)) {
        request_->answer = LeaseModel::Error(StatusCode::kDeadlineExceeded);
        request_->returns = request_->sent + request_->step.idle_timeout;
      }
    }
    if (request_ && request_->answer && now >= request_->returns) {
      election_.Answered(request_->step, *request_->answer, Local(request_->sent), Local(now));
      request_.reset();
    }
  }

  // A watch, which is late or loses what it should tell.
  void Tell(const LeaseEvent& event, Duration now) {
    if (!random_.Once(faults * 0.5)) events_.emplace_back(now + Slowness(), event);
  }

  bool alive = true;
  Duration paused_until{0};
  double faults = 1;

 private:
  struct Request {
    ElectionStep step;
    Duration sent, arrives, returns;
    std::optional<LeaseAnswer> answer;
  };

  Duration Slowness() { return random_.Ms(random_.Once(faults * 0.1) ? 8000 : 100); }

  void Begin(Duration now) {
    ElectionStep step =
        election_.Next(Local(now), WallTime(seconds(1767225600) + now + wall_offset_));
    if (step.kind == Kind::kWait) return;
    Duration arrives = now + Slowness();
    request_ = Request{std::move(step), now, arrives, arrives + Slowness(), std::nullopt};
  }

  void Deliver(Duration now) {
    while (!events_.empty() && events_.front().first <= now) {
      election_.Seen(events_.front().second, Local(now));
      events_.pop_front();
    }
  }

  Random& random_;
  LeaderElection election_;
  const Duration offset_, wall_offset_;
  const int fast_ = random_.Upto(1);
  std::optional<Request> request_;
  std::deque<std::pair<Duration, LeaseEvent>> events_;
};

class Simulation {
 public:
  explicit Simulation(uint64_t seed) : random_(seed) {
    for (int i = 0; i < 4; ++i) candidates_.emplace_back(++made_, random_);
  }

  void Run(Duration duration, double faults) {
    for (Duration end = now_ + duration; now_ < end; now_ += kTick) {
      Misbehave(faults);
      std::string version = Version();
      for (Candidate& candidate : candidates_) {
        candidate.faults = faults;
        candidate.Tick(now_, server_, now_ >= down_until_);
      }
      if (Version() != version) Tell();
      ASSERT_LE(Writers(), 1) << "at " << std::chrono::duration<double>(now_).count() << " s";
      if (Writers() == 1) ++led_;
    }
  }

  int Writers() const {
    int writers = 0;
    for (const Candidate& candidate : candidates_) writers += candidate.MayWrite(now_);
    return writers;
  }
  int led() const { return led_; }

 private:
  std::string Version() const { return server_.lease ? server_.lease->resource_version : ""; }

  void Tell() {
    LeaseEvent event;
    event.deleted = !server_.lease;
    if (server_.lease) event.lease = *server_.lease;
    for (Candidate& candidate : candidates_) candidate.Tell(event, now_);
  }

  // About once a minute each.
  void Misbehave(double faults) {
    const double often = faults * std::chrono::duration<double>(kTick) / seconds(60);
    auto& victim = candidates_[static_cast<size_t>(random_.Upto(3))];
    if (random_.Once(often)) down_until_ = now_ + random_.Ms(20000);
    if (random_.Once(often)) victim.paused_until = now_ + random_.Ms(40000);
    if (random_.Once(often)) {
      victim.~Candidate();  // Killed; another process starts in its place.
      new (&victim) Candidate(++made_, random_);
    }
    if (random_.Once(often) && server_.lease) server_.Put(server_.lease->record);  // A label.
  }

  Random random_;
  LeaseModel server_;
  std::deque<Candidate> candidates_;
  int made_ = 0;
  Duration now_{0}, down_until_{0};
  int led_ = 0;
};

TEST(LeaderElectionSimulationTest, ThereAreNeverTwoWritersAndAlwaysOneSoonAfterTroubleIsOver) {
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(seed);
    Simulation simulation(seed);
    simulation.Run(std::chrono::minutes(10), /*faults=*/1);
    if (HasFatalFailure()) return;
    EXPECT_GT(simulation.led(), 600) << "hardly anybody ever led";
    simulation.Run(seconds(70), /*faults=*/0);  // A pause of 40 s may have just begun.
    EXPECT_EQ(simulation.Writers(), 1);
  }
}

}  // namespace
}  // namespace podroute
