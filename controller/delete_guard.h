// The brake on mass deletion (DESIGN rule 4): one wrong answer of an API server must not take the
// cluster's network down.
#ifndef PODROUTE_CONTROLLER_DELETE_GUARD_H_
#define PODROUTE_CONTROLLER_DELETE_GUARD_H_

#include <cstddef>
#include <cstdint>
#include <optional>

namespace podroute {

// Decides whether a pass may delete, or a second, consistent list (resourceVersion="") must say the
// same first. Pure but for the memory of what was asked. One thread.
class DeleteGuard {
 public:
  enum class Decision {
    kProceed,
    kAsk,    // Withhold the deletes and ask for a consistent list, now.
    kAwait,  // Withhold them: it has been asked for and is not here yet.
  };

  struct Pass {
    size_t nodes = 0;               // In the list, or known, whichever is less.
    size_t owned = 0;               // Routes that we own now.
    size_t deletes = 0;             // That the pass would delete.
    uint64_t consistent_lists = 0;  // Seen so far.
  };

  // `max_fraction` of the owned routes and kFree may go unconfirmed, whichever is more.
  explicit DeleteGuard(double max_fraction) : max_fraction_(max_fraction) {}

  static constexpr size_t kFree = 10;

  Decision Check(const Pass& pass);

 private:
  const double max_fraction_;
  std::optional<uint64_t> asked_;  // consistent_lists when we asked.
};

}  // namespace podroute

#endif  // PODROUTE_CONTROLLER_DELETE_GUARD_H_
