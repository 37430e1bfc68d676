#include "controller/loop_probe.h"

#include <chrono>

namespace podroute {

Result<std::unique_ptr<LoopProbe>> LoopProbe::Create(EventLoop& loop, const Clock& clock,
                                                     Duration limit) {
  std::unique_ptr<LoopProbe> probe(new LoopProbe(clock, limit));
  PODROUTE_ASSIGN_OR_RETURN(probe->wakeup_,
                            Wakeup::Create(loop, [raw = probe.get()] { raw->Answer(); }));
  return probe;
}

std::string LoopProbe::Ask(Duration patience) {
  std::unique_lock lock(mutex_);
  if (!asked_at_) {
    asked_at_ = clock_.Now();
    wakeup_->Signal();
  }
  answered_.wait_for(lock, patience, [this] { return !asked_at_; });
  if (!asked_at_) return "";
  Duration silent = clock_.Now() - *asked_at_;
  if (silent <= limit_) return "";
  auto seconds = [](Duration duration) {
    return std::to_string(std::chrono::duration_cast<std::chrono::seconds>(duration).count());
  };
  return "the event loop has not turned for " + seconds(silent) + " s; " + seconds(limit_) +
         " s are allowed";
}

void LoopProbe::Answer() {
  std::lock_guard lock(mutex_);
  asked_at_.reset();
  answered_.notify_all();
}

}  // namespace podroute
