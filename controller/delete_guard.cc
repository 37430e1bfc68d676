#include "controller/delete_guard.h"

namespace podroute {

DeleteGuard::Decision DeleteGuard::Check(const Pass& pass) {
  bool many = pass.deletes > kFree &&
              static_cast<double>(pass.deletes) > max_fraction_ * static_cast<double>(pass.owned);
  bool suspicious = many || (pass.nodes == 0 && pass.deletes > 0);
  if (!suspicious || (asked_ && pass.consistent_lists > *asked_)) {
    asked_.reset();
    return Decision::kProceed;
  }
  if (asked_) return Decision::kAwait;
  asked_ = pass.consistent_lists;
  return Decision::kAsk;
}

}  // namespace podroute
