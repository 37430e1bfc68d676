// Static routes in FRR on this machine.
#ifndef PODROUTE_ROUTING_FRR_BACKEND_H_
#define PODROUTE_ROUTING_FRR_BACKEND_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "base/subprocess.h"
#include "routing/frr_config.h"
#include "routing/path_watch.h"
#include "routing/route_backend.h"

namespace podroute {

struct FrrOptions {
  std::string vtysh = "vtysh";
  // Where the daemons have their *.vty sockets, absolute; empty: where vtysh looks by itself
  // (/run/frr).
  std::string vty_socket_dir;
  // What marks our lines: FrrTag(owner).
  uint32_t tag = kFrrTag;
  // Of a reading, and of an Apply with all that it runs; a sixth of that is kept for taking it
  // back. A batch of 5,000 lines takes FRR 8.4 some seconds.
  Duration read_timeout = std::chrono::seconds(10);
  Duration apply_timeout = std::chrono::seconds(60);
  // The permission to change the router, asked for right before each step that does. Empty: always.
  std::function<bool()> may_write;
  // Ends what is running at once; may be null. Outlives the backend.
  StopToken* stop = nullptr;
};

// How changes are made, by vtysh, without a shell and never with a process for each route, and read
// by the socket that vtysh uses:
// - staticd's running configuration is read right before (the operator may have changed it), and a
//   destination that the operator has a line for is refused (FrrConfig::foreign says why).
// - `vtysh -C` checks all lines; those that it refuses are left out (kRefused, with its words), and
//   the rest is done: one bad route never stops the rest.
// - One batch adds; where next hops are replaced, the new ones are seen in the running
//   configuration before, in a second batch, the old ones go.
// - The running configuration is read again: what counts is what is there. (vtysh 8.4 ends with
//   exit code 0 when staticd is killed in the middle of a batch.)
// - When vtysh or FRR does not come to the end of the batch, or what is there cannot be read
//   afterwards, the lines that were entered, and no others, are taken back, in the same way; so are
//   those of a single change that is not there then. The errors (kNotConfirmed, kUnavailable,
//   kDeadlineExceeded) say whether that worked. It cannot while FRR is away or hangs: then each
//   route is as it was, as it should be, or has both next hops; the next Apply goes on from there.
//   Nothing is taken back after a stop, or without the permission.
//
// What counts is FRR's configuration, not its table: a route whose gateway is not reachable just
// now is installed by FRR itself when it is. Nothing is ever written to FRR's startup
// configuration ("write memory"): after a restart the routes are put back at once, and a router
// that starts without podroute has no routes to nodes that may be gone.
//
// From FRR 9 on mgmtd has the configuration of static routes: where there is a socket of its, it is
// asked instead of staticd.
class FrrBackend : public RouteBackend {
 public:
  // FRR need not be there yet. Errors: a directory that is not absolute; inotify has no instances
  // left.
  static Result<std::unique_ptr<FrrBackend>> Create(const FrrOptions& options);

  std::string_view name() const override { return "frr"; }

  // The lines in our form with our tag. Routes have the ifindex that the last Apply's `desired` had
  // for the same destination and gateway, else 0. Errors: vtysh's own words.
  Result<RouteSet> ReadOwned() override;

  // Next hops are compared without their ifindex.
  std::vector<RouteResult> Apply(const RoutePlan& plan, const RouteSet& desired) override;

  // Readable when a daemon's socket, or their directory, came or went.
  int event_fd() const override { return watch_.fd(); }
  void DrainEvents() override { watch_.Drain(); }

 private:
  struct Work;

  FrrBackend(const FrrOptions& options, PathWatch watch);
  std::string Daemon() const;
  // `input` is asked for when vtysh has been started.
  Result<SubprocessResult> Vtysh(std::vector<std::string> args,
                                 std::function<std::string_view()> input, MonotonicTime deadline);
  Result<FrrConfig> ReadConfig(MonotonicTime deadline);
  Status Carry(Work& work);
  Status Check(Work& work);
  Status Enter(Work& work, RouteStep& step);
  Status Verify(Work& work, bool deletes_too);
  void TakeBack(Work& work, MonotonicTime deadline);

  const FrrOptions options_;
  const std::string directory_;
  PathWatch watch_;
  RouteSet desired_;
  std::optional<FrrConfig> fresh_;  // What ReadOwned has read, for the Apply that follows it.
  MonotonicTime read_at_;
};

}  // namespace podroute

#endif  // PODROUTE_ROUTING_FRR_BACKEND_H_
