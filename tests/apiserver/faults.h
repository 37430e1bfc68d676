// Orders to misbehave, and the counters that tests assert on. Pure.
#ifndef PODROUTE_TESTS_APISERVER_FAULTS_H_
#define PODROUTE_TESTS_APISERVER_FAULTS_H_

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "tests/apiserver/api.h"

namespace podroute {

enum class FaultKind {
  kStatus,     // An error Status with `status` and, when above 0, Retry-After.
  kGarbage,    // 200 and bytes that are no JSON.
  kHtml,       // 200 and a page, as a proxy's login would be.
  kEmptyList,  // 200 and a list without items.
  kTruncate,   // The true answer, cut in the middle; then the connection closes.
  kDelay,      // The true answer, later.
  kStall,      // Accepts the request and says nothing, ever.
  kMute,       // The head of the true answer, and nothing after it, ever.
  kClose,      // Closes the connection without an answer.
};

struct Fault {
  FaultKind kind = FaultKind::kStatus;
  int status = 500;
  int retry_after_seconds = 0;
  int delay_ms = 0;           // Before any kind.
  std::string method;         // "" is any.
  std::string path;           // Prefix; "" is any.
  std::optional<bool> watch;  // Only watches, or only what is no watch.
  int64_t count = 1;          // How many requests; below 0: all until cleared.
};

class FaultPlan {
 public:
  // From the parameters of POST /_test/faults. kInvalidArgument names the parameter.
  static Result<Fault> Parse(const ApiRequest& request);

  void Add(Fault fault) { faults_.push_back(std::move(fault)); }
  void Clear() { faults_.clear(); }
  size_t size() const { return faults_.size(); }

  // The first that fits the request; counts it down.
  std::optional<Fault> Take(const ApiRequest& request);

 private:
  std::vector<Fault> faults_;
};

// What happened, with milliseconds since the server's start (monotonic).
class Stats {
 public:
  void CountConnection(int64_t now_ms);
  void ConnectionClosed() { --open_connections_; }
  void CountRequest(int64_t now_ms, const ApiRequest& request, const RequestKind& kind);
  void Reset();

  // {"now_ms":..,"connections":{"total":..,"open":..},"requests":{"list nodes":2,...},
  //  "log":[{"ms":12,"what":"connection"},{"ms":13,"what":"list nodes","target":"..."}]}
  // without the closing brace. `now_ms` as above. The log holds the last 2,000.
  std::string Json(int64_t now_ms) const;

 private:
  struct Entry {
    int64_t ms;
    std::string what, target;
  };
  void Log(Entry entry);

  int64_t connections_ = 0, open_connections_ = 0;
  std::map<std::string, int64_t> requests_;  // By "verb resource".
  std::deque<Entry> log_;
};

}  // namespace podroute

#endif  // PODROUTE_TESTS_APISERVER_FAULTS_H_
