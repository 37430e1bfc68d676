// Static routes in BIRD 2 on this machine.
#ifndef PODROUTE_ROUTING_BIRD_BACKEND_H_
#define PODROUTE_ROUTING_BIRD_BACKEND_H_

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/ip_prefix.h"
#include "base/status.h"
#include "base/unique_fd.h"
#include "routing/bird_control.h"
#include "routing/bird_file.h"
#include "routing/path_watch.h"
#include "routing/route_backend.h"

namespace podroute {

struct BirdOptions {
  std::string socket_path = "/run/bird/bird.ctl";
  // The file that is ours; bird.conf includes it. BIRD must see it under the same path.
  std::string file_path = "/etc/bird/podroute.conf";
  // Whose protocols these are (BirdProtocolName). Two owners with one BIRD have a file each.
  std::string owner = {};
  // Of a reading, and of an Apply with all its steps.
  Duration apply_timeout = std::chrono::seconds(4);
  // The permission to change the router, asked for right before each step that changes the file or
  // BIRD. Empty: always. When it is gone nothing more is done, also nothing undone: BIRD does that
  // by its own timer, and whoever has the permission next puts the rest right.
  std::function<bool()> may_write = {};
  // Ends every wait at once; may be null. Outlives the backend.
  StopToken* stop = nullptr;
  // Write the file where BIRD is away and there is none: BIRD does not start when what it includes
  // is missing.
  bool make_startable = true;
};

// How changes are made:
// 1. The whole file is written beside the old one, which is kept, and renamed over it.
// 2. `configure check`: BIRD reads its configuration, ours in it, and changes nothing. Not for more
//    than some 2,500 routes, where it would be felt: 3 does the same before it takes anything.
// 3. `configure timeout 30`: BIRD takes it, and goes back by itself unless it is confirmed.
// 4. The routes that BIRD has now are read and compared with those that it should have.
// 5. `configure confirm`.
// Where one of 2 to 5 fails the old file is put back, BIRD told to undo (where it was not even
// reached its timer does that), and BIRD's own words are the error of every change of the plan.
//
// What counts is what our protocols are configured with, in BIRD (`show static`) and in the file,
// while they are up: a route whose next hop is not reachable just now ("dormant") is there, BIRD
// installs it by itself when the neighbour's link is back. Were it missing, it would be configured
// again and again, without effect.
//
// `configure` makes BIRD read all of its configuration: what the operator has changed in it until
// then comes into force too, and a protocol that was disabled by hand and not in the configuration
// is enabled. Nothing but our file is ever written. An operator's own `configure timeout` that is
// not confirmed yet is left alone; changes wait for its end.
class BirdBackend : public RouteBackend {
 public:
  // BIRD need not be there yet, nor the file. Errors: a path that is not absolute; inotify has no
  // instances left.
  static Result<std::unique_ptr<BirdBackend>> Create(const BirdOptions& options);
  ~BirdBackend() override;

  std::string_view name() const override { return "bird"; }

  // What BIRD and the file both have. A route that BIRD has not (whatever the file says) is
  // missing; one that BIRD has and the file has not, or not like this, is there with an unspecified
  // gateway, so that it is never taken for right; so are all when the file is not as we wrote it.
  // Routes have the ifindex that the last Apply's `desired` had for the same destination and
  // gateway, else 0.
  //
  // When BIRD cannot be reached and the file is missing or broken, which can keep BIRD from
  // starting, a good one is written (with the permission).
  Result<RouteSet> ReadOwned() override;

  // All changes in one go: they all work, or none but those that BIRD could never have
  // (CheckBirdRoute), which are left out and have their own error. The file gets what BIRD had and
  // the plan's changes, which is not `desired` where deletes were withheld. An empty plan puts the
  // file right and ends what was interrupted.
  std::vector<RouteResult> Apply(const RoutePlan& plan, const RouteSet& desired) override;

  // An epoll descriptor: readable when BIRD closed the connection, or when its socket or our file
  // was made, changed or taken away by somebody else.
  int event_fd() const override { return epoll_.get(); }
  void DrainEvents() override;

 private:
  struct Change;                                          // One run of the steps above.
  using Shown = std::array<std::optional<BirdReply>, 2>;  // IPv4, IPv6.

  BirdBackend(const BirdOptions& options, PathWatch watch, UniqueFd epoll, UniqueFd note);

  Status Connect(MonotonicTime deadline);
  Result<BirdReply> Ask(std::string_view command, MonotonicTime deadline);
  Result<std::vector<BirdReply>> AskAll(const std::vector<std::string>& commands,
                                        MonotonicTime deadline,
                                        const std::function<void()>& meanwhile = {});
  std::vector<std::string> Questions() const;
  Result<Shown> ReadAnswers(std::vector<BirdReply> replies) const;
  Result<Shown> ShowStatic(MonotonicTime deadline);
  static Result<RouteSet> ParseShown(const Shown& shown);
  Status CheckPermit() const;
  void MakeStartable();

  Status Carry(const RouteSet& target, const std::function<void()>& meanwhile);
  Status Lock(UniqueFd* lock, MonotonicTime deadline) const;
  Status AwaitNoUndo(MonotonicTime deadline);
  Status WriteFile(Change& change);
  Status Configure(Change& change);
  static Result<std::string> Compare(const Change& change, const Result<Shown>& shown);
  Status Verify(Change& change);
  Status Confirm(Change& change);
  Status GiveUp(Change& change, const Status& why);
  void ForgetOwnEvents(const std::optional<BirdFile::Identity>& left);

  const BirdOptions options_;
  BirdFile file_;
  PathWatch watch_;
  UniqueFd epoll_;
  UniqueFd note_;  // eventfd: somebody else's change was found when our own events were taken away.
  std::unique_ptr<BirdControl> control_;

  // What BIRD has, in full, with the nodes' names as far as known, and what the file says, as of
  // the last ReadOwned or Apply that worked.
  std::optional<RouteSet> bird_;
  RouteSet desired_;       // Of the last Apply.
  std::string last_text_;  // What file text last proved to be as we write it,
  RouteSet last_routes_;   // and its routes.
  std::string logged_;     // The last error that no result could carry.
};

}  // namespace podroute

#endif  // PODROUTE_ROUTING_BIRD_BACKEND_H_
