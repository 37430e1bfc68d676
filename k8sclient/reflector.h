// Keeps a NodeStore equal to the API server's Nodes, by list and watch, as client-go's reflector
// does (read in client-go 0.20 to 0.30), whatever the server does.
//
// - First a list at resourceVersion=0 (any version, from the server's cache), later ones at the
//   last version seen, and at "" (the most recent) once that version has turned out expired (410,
//   as HTTP status or ERROR event) or ahead of the server (ResourceVersionTooLarge), or a list at
//   it has failed otherwise than for want of an answer or a "not now".
// - A list is a watch-list (KEP-3157) where the server has it: the Nodes come as events, one small
//   piece each, and the same stream is the watch afterwards. (A plain list at a version comes as
//   one piece from servers before 1.33, which the transport holds whole: 109 MB for 5,000 Nodes.)
//   Nothing reaches the store before the bookmark that ends the initial events.
// - The first answer that shows that the server has no watch-list (400, 422; an ordinary bookmark
//   among the initial events; no end of them and no new Node for list_idle_timeout) is followed at
//   once by a plain list, and no watch-list is tried again in this process. No end of them at a
//   version of its own may be that version's fault: that counts as ahead of the server. After two
//   other failures of an answered watch-list in a row (403, 500, broken or ended before its
//   bookmark) lists are plain until one succeeds. 401, 429, 502 and 503 are not among them.
// - Pages of 500, but plain lists at a version of their own have no limit: beside one, a limit
//   means "exactly that version", not "at least". 410 on a later page: the same list again, whole.
// - Then a watch with bookmarks, timeoutSeconds random in 300 to 600. When it ends cleanly the next
//   one starts from the last version, with no list between; when its connection breaks too, after a
//   step of backoff.
// - What keeps the next request from being a list: no connection, a broken one, 401, 429 and others
//   that say "not just now". What else goes wrong with a watch (ERROR events, garbage, a nameless
//   object, an end within a second with no event) leads to a list.
// - Every failure takes one step of backoff before the next request: 0.8 s, doubled to 30 s,
//   jittered, forgotten after 2 min without failure, and never shorter than Retry-After (up to
//   5 min). Only the plain list after the answer that there is no watch-list (once in a process),
//   the list at "" after a version refused, and the one retry that a 401 gets (the transport has
//   dropped the credentials), follow at once: of the last two one in each step, or in 2 min. A
//   watch that ends within a second takes a step even when it had events, so nothing makes this
//   spin.
// - A watch that hears nothing at all, not even a bookmark (one a minute, since Kubernetes 1.16),
//   for 5 min is followed by a list: a server restored from an older backup accepts a watch from a
//   version it has never had, and stays silent (kube-apiserver 1.20).
#ifndef PODROUTE_K8SCLIENT_REFLECTOR_H_
#define PODROUTE_K8SCLIENT_REFLECTOR_H_

#include <cstdint>
#include <mutex>
#include <optional>
#include <random>
#include <string>

#include "base/backoff.h"
#include "base/clock.h"
#include "k8sclient/api_error.h"
#include "k8sclient/http_transport.h"
#include "k8sclient/node_decoder.h"
#include "k8sclient/node_store.h"
#include "k8sclient/watch_decoder.h"

namespace podroute {

struct ReflectorOptions {
  BackoffOptions backoff = {};
  int page_size = 500;
  int min_watch_seconds = 300;
  int max_watch_seconds = 600;
  Duration list_idle_timeout = std::chrono::seconds(60);  // The longest silence within a list.
  std::string field_selector = {};         // "metadata.name=worker1"; empty: all Nodes.
  bool watch_list = true;                  // Where the server has it; false: plain lists only.
  uint64_t seed = std::random_device()();  // Of backoff's jitter and watch durations.
};

// For logs and metrics. All counts since construction.
struct ReflectorState {
  uint64_t lists = 0;  // Complete ones, watch-lists included.
  uint64_t list_failures = 0;
  uint64_t watches = 0;          // That the server accepted.
  uint64_t watch_failures = 0;   // Refused, or ended otherwise than they should.
  uint64_t events = 0;           // Bookmarks included; ERROR and a watch-list's initial events not.
  bool connected = false;        // A watch is open now.
  std::string resource_version;  // The last seen; empty before the first list.
  std::optional<MonotonicTime> last_heard;  // The last list or event.
  std::optional<MonotonicTime>
      failing_since;       // Set from the first failure until things work again.
  std::string last_error;  // Stays after it is over; empty when there was none.
};

class Reflector {
 public:
  // All must outlive this. The clock is asked for every wait and time.
  Reflector(HttpTransport& transport, NodeStore& store, Clock& clock,
            const ReflectorOptions& options = {});

  // Lists and watches until `stop`; blocks. To end it: stop.Stop(), then transport.Shutdown() (ends
  // connecting and reading) or Interrupt() (ends reading). Call once, on a thread of its own; the
  // store is written on that thread only.
  void Run(StopToken& stop);

  // Lists at "" as soon as it may: ends the watch that is open; a list or a wait under way is
  // finished first. The store's consistent_lists counts up when it is done; it is tried again until
  // it is. Calls while one is pending are one. Any thread; does not block.
  void RequestConsistentList();

  // Ends the read that is under way, if any. Any thread; does not block.
  void Interrupt();

  // Any thread.
  ReflectorState state() const;

 private:
  enum class Stage { kList, kConnect, kStream };

  // One list under way.
  struct ListJob {
    std::string version;  // What is asked for.
    bool consistent = false;
    uint64_t requested = 0;  // requested_ when it began.
    MonotonicTime started;
  };

  ApiError Open(const std::string& target, Duration idle_timeout,
                std::unique_ptr<BodyStream>* body);
  ApiError List(StopToken& stop);
  ApiError WatchList(const ListJob& job, StopToken& stop);
  ApiError WatchListFailed(ApiError error, const ListJob& job, bool opened);
  void DropRefusedVersion(const ListJob& job, const ApiError& error);
  ApiError PlainList(const ListJob& job, StopToken& stop);
  void Listed(const ListJob& job, NodeListPage all);
  ApiError ListPages(const std::string& version, int limit, StopToken& stop, NodeListPage* all,
                     int* pages);
  ApiError ListPage(const std::string& target, StopToken& stop, NodeListPage* page);
  ApiError Watch(StopToken& stop);
  int WatchSeconds();
  ApiError Stream(BodyStream& body, WatchDecoder& decoder, MonotonicTime started, uint64_t events,
                  StopToken& stop);
  ApiError ReadEvents(WatchDecoder& decoder, MonotonicTime started, uint64_t events,
                      StopToken& stop);
  ApiError EndOfWatch(const Status& how, MonotonicTime started, uint64_t events);
  ApiError Apply(WatchEvent event);

  bool MayRetryAtOnce(const ApiError& error);
  void Failed(const ApiError& error, Duration wait);
  void Works(Stage proven);

  bool ConsistentListWanted() const;
  // Makes `body` the one that Interrupt and RequestConsistentList cancel. False when there is
  // already a reason to end: then it was not.
  bool SetBody(BodyStream* body, bool watch, StopToken& stop);
  void ClearBody();

  HttpTransport& transport_;
  NodeStore& store_;
  Clock& clock_;
  const ReflectorOptions options_;

  // Run's thread only.
  Backoff backoff_;
  std::mt19937_64 random_;
  std::string version_;            // The last seen; empty before the first list.
  bool version_unusable_ = false;  // The server has refused it: list at "".
  bool need_list_ = true;
  bool watch_list_;             // The server may have it.
  int failed_watch_lists_ = 0;  // In a row, answered otherwise than "not just now".
  std::optional<MonotonicTime> retried_at_once_;  // Since the last step of backoff.
  MonotonicTime heard_;                           // The last list or event.
  Stage stage_ = Stage::kList;                    // Where the last request got to.
  std::optional<Stage> failing_;                  // What the log was last told.
  StatusCode failing_code_ = StatusCode::kOk;

  mutable std::mutex mutex_;
  BodyStream* body_ = nullptr;  // Under way; not owned.
  bool body_is_watch_ = false;
  uint64_t requested_ = 0;  // Calls of RequestConsistentList ...
  uint64_t served_ = 0;     // ... of which so many are served.
  ReflectorState state_;
};

}  // namespace podroute

#endif  // PODROUTE_K8SCLIENT_REFLECTOR_H_
