// Routes in a router elsewhere: what they should be goes to a command's standard input.
#ifndef PODROUTE_ROUTING_EXEC_BACKEND_H_
#define PODROUTE_ROUTING_EXEC_BACKEND_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "routing/exec_format.h"
#include "routing/route_backend.h"

namespace podroute {

struct ExecOptions {
  ExecFormat format = ExecFormat::kJson;
  // Split as a shell does it, and run without one (base/shell_words.h). The push command reads the
  // routes from its standard input and takes them by ending with 0.
  std::string push_command;
  // Prints what the router has (ParseReading); empty: there is no such command.
  std::string read_command;
  Duration push_timeout = std::chrono::seconds(30);
  Duration read_timeout = std::chrono::seconds(30);
  ExecMarks marks;
  // The permission to change the router, asked for right before each push. Empty: always.
  std::function<bool()> may_write;
  // Ends what is running at once; may be null. Outlives the backend.
  StopToken* stop = nullptr;
};

// With a read command, what counts is what it says. frr and ip get commands for the differences,
// bird and json the whole, whenever there is one. For frr the router is read again right before,
// so that lines of the operator's are known and kept (FrrConfig::InTheWayOf). After the push it is
// read once more: a change is done when the router has it, whatever the push command's exit code
// was; for bird and json, where a file was read and not the router's routes, the exit code must be
// 0 too, and until it is, what was read before is taken for the truth.
//
// Without one, what was pushed last is taken for what the router has. At the start that is not
// known: the first push has all that should be there, as commands that do no harm where it already
// is (frr, ip), or as the whole (bird, json), and a start with nothing that should be there pushes
// nothing: only what this process has pushed, or a router that is told the whole, is deleted.
// After that, changes push the whole again, with commands to delete what has to go. A router that
// forgets its routes gets them with the next change.
//
// Never two commands at once, and nothing waits for what a command leaves behind in the background.
class ExecBackend : public RouteBackend {
 public:
  // Errors: a command that cannot be split, or no push command.
  static Result<std::unique_ptr<ExecBackend>> Create(const ExecOptions& options);

  std::string_view name() const override { return "exec"; }

  // Routes have the ifindex that the last Apply's `desired` had for the same destination and
  // gateway, else 0. Errors: what the read command said.
  Result<RouteSet> ReadOwned() override;

  // Next hops are compared without their ifindex.
  std::vector<RouteResult> Apply(const RoutePlan& plan, const RouteSet& desired) override;

 private:
  ExecBackend(ExecOptions options, std::vector<std::string> push, std::vector<std::string> read);
  Result<ExecReading> Read() const;
  Status Push(const std::string& text) const;
  void ApplyChanges(const RoutePlan& plan, RouteDelta& delta);
  void ApplyWhole(const RoutePlan& plan, RouteDelta& delta);
  bool Verify(const RoutePlan& plan, const Status& pushed, bool deletes_too, RouteDelta& delta);

  const ExecOptions options_;
  const std::vector<std::string> push_, read_;
  RouteSet owned_;    // As of the last reading or successful push.
  RouteSet desired_;  // Of the last Apply.
  // Of wholes that were pushed without success, and so may be there or not; then owned_ is from
  // before.
  RouteSet attempted_;
  bool unconfirmed_ = false;
};

}  // namespace podroute

#endif  // PODROUTE_ROUTING_EXEC_BACKEND_H_
