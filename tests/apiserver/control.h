// The endpoints under /_test/, by which a test gives orders. README.md lists them.
#ifndef PODROUTE_TESTS_APISERVER_CONTROL_H_
#define PODROUTE_TESTS_APISERVER_CONTROL_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "tests/apiserver/api.h"
#include "tests/apiserver/faults.h"
#include "tests/apiserver/store.h"

namespace podroute {

enum class WatchAction {
  kDrop,      // Closes without the end of the body.
  kClose,     // Ends the body, as after timeoutSeconds.
  kHalf,      // Half an event, then as kDrop.
  kStall,     // Sends nothing more, keeps the connection.
  kResume,    // Ends kStall.
  kGone,      // An ERROR event with code 410, then as kClose.
  kBookmark,  // A bookmark now.
};

// What only the network side can do.
class ServerActions {
 public:
  virtual ~ServerActions() = default;
  // To all watches; returns how many there are.
  virtual size_t OnWatches(WatchAction action) = 0;
  virtual size_t OpenWatches() const = 0;
  // Refuses connections for `ms` (below 0: until Accept); with `drop` ends those that are open. The
  // control listener goes on.
  virtual void Refuse(int64_t ms, bool drop) = 0;
  virtual void Accept() = 0;
  virtual int64_t NowMs() const = 0;  // Since the start.
};

class Control {
 public:
  // All must outlive it.
  Control(Api* api, Store* store, FaultPlan* faults, Stats* stats, ServerActions* actions)
      : api_(api), store_(store), faults_(faults), stats_(stats), actions_(actions) {}

  static bool Owns(const ApiRequest& request) { return request.path.starts_with("/_test/"); }

  // 200 with {"resourceVersion":"N",...}; 400 or 404 with {"error":"..."}.
  ApiResponse Handle(const ApiRequest& request);

 private:
  ApiResponse Ok(std::string_view more = "") const;
  ApiResponse StatsResponse() const;
  ApiResponse AddNodes(const ApiRequest& request);
  ApiResponse OrderWatches(const ApiRequest& request);
  ApiResponse Restart(const ApiRequest& request);
  ApiResponse HandleObjects(const ApiRequest& request);

  Api* api_;
  Store* store_;
  FaultPlan* faults_;
  Stats* stats_;
  ServerActions* actions_;
};

}  // namespace podroute

#endif  // PODROUTE_TESTS_APISERVER_CONTROL_H_
