#include "routing/exec_backend.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/shell_words.h"
#include "base/subprocess.h"
#include "base/text.h"

namespace podroute {
namespace {

constexpr size_t kMaxPushOutputBytes = 1u << 20;
constexpr size_t kMaxReadOutputBytes = 64u << 20;

// Either command; a relative name is looked up in $PATH.
SubprocessOptions RunOptions(const std::vector<std::string>& argv, Duration timeout,
                             size_t max_output_bytes) {
  SubprocessOptions run;
  run.argv = argv;
  run.timeout = timeout;
  run.max_output_bytes = max_output_bytes;
  return run;
}

Status Failed(const std::string& program, const SubprocessResult& ran) {
  std::string said = OneLine(ran.err.empty() ? ran.out : ran.err);
  return Status(StatusCode::kUnavailable,
                program + ": " + DescribeExit(ran) + (said.empty() ? "" : ": " + said));
}

Result<std::vector<std::string>> Split(const std::string& flag, const std::string& command) {
  Result<std::vector<std::string>> words = SplitShellWords(command);
  if (!words.ok()) return words.status().WithContext(flag);
  return words;
}

// By dst and gateway; both are ordered.
void AddMissing(const RouteSet& from, RouteSet& to) {
  RouteSet missing;
  std::copy_if(from.begin(), from.end(), std::back_inserter(missing),
               [&](const Route& route) { return !HasRoute(to, route); });
  to.insert(to.end(), missing.begin(), missing.end());
  std::stable_sort(to.begin(), to.end(),
                   [](const Route& a, const Route& b) { return a.dst < b.dst; });
}

}  // namespace

ExecBackend::ExecBackend(ExecOptions options, std::vector<std::string> push,
                         std::vector<std::string> read)
    : options_(std::move(options)), push_(std::move(push)), read_(std::move(read)) {}

Result<std::unique_ptr<ExecBackend>> ExecBackend::Create(const ExecOptions& options) {
  PODROUTE_ASSIGN_OR_RETURN(auto push, Split("--push_command", options.push_command));
  PODROUTE_ASSIGN_OR_RETURN(auto read, Split("--read_command", options.read_command));
  if (push.empty() || push.front().empty()) {
    return Status(StatusCode::kInvalidArgument,
                  "--push_command: no program is named; \"ssh router vtysh -f /dev/stdin\" would");
  }
  if (!read.empty() && read.front().empty()) {
    return Status(StatusCode::kInvalidArgument, "--read_command: no program is named");
  }
  return std::unique_ptr<ExecBackend>(new ExecBackend(options, std::move(push), std::move(read)));
}

Result<ExecReading> ExecBackend::Read() const {
  Result<SubprocessResult> ran =
      RunSubprocess(RunOptions(read_, options_.read_timeout, kMaxReadOutputBytes), options_.stop);
  Status status = ran.status();
  if (ran.ok() && (ran->exit_code != 0 || ran->signal != 0)) status = Failed(read_.front(), *ran);
  if (!status.ok()) return status.WithContext("read command");
  Result<ExecReading> reading = ParseReading(options_.format, ran->out, options_.marks);
  if (!reading.ok()) return reading.status().WithContext("read command: " + read_.front());
  return reading;
}

Status ExecBackend::Push(const std::string& text) const {
  if (text.empty()) return Status::Ok();
  if (options_.may_write && !options_.may_write()) {
    return {StatusCode::kCancelled,
            "no longer allowed to change the router; the push command was not run"};
  }
  SubprocessOptions run = RunOptions(push_, options_.push_timeout, kMaxPushOutputBytes);
  run.stdin_text = text;
  Result<SubprocessResult> ran = RunSubprocess(run, options_.stop);
  Status status = ran.status();
  if (ran.ok() && (ran->exit_code != 0 || ran->signal != 0)) {
    status = Failed(push_.front(), *ran);
  } else if (ran.ok() && ran->stdin_unread > 0) {
    status = Status(StatusCode::kUnavailable, push_.front() + ": exit code 0, but " +
                                                  std::to_string(ran->stdin_unread) + " of the " +
                                                  std::to_string(text.size()) +
                                                  " bytes of its standard input were not read");
  }
  return status.WithContext("push command");
}

Result<RouteSet> ExecBackend::ReadOwned() {
  if (!read_.empty()) {
    PODROUTE_ASSIGN_OR_RETURN(ExecReading reading, Read());
    if (!unconfirmed_) owned_ = std::move(reading.owned);
  }
  RouteSet owned = owned_;
  AdoptLinks(owned, desired_);
  return owned;
}

std::vector<RouteResult> ExecBackend::Apply(const RoutePlan& plan, const RouteSet& desired) {
  desired_ = desired;
  RouteDelta delta;
  delta.statuses.resize(plan.changes.size());
  if (!read_.empty() && TakesChanges(options_.format)) {
    if (!plan.changes.empty()) ApplyChanges(plan, delta);
  } else {
    ApplyWhole(plan, delta);
  }
  std::vector<RouteResult> results;
  results.reserve(plan.changes.size());
  for (size_t i = 0; i < plan.changes.size(); ++i) {
    results.push_back({plan.changes[i], std::move(delta.statuses[i])});
  }
  return results;
}

// Goes by what the router has afterwards. False when that cannot be read.
bool ExecBackend::Verify(const RoutePlan& plan, const Status& pushed, bool deletes_too,
                         RouteDelta& delta) {
  Result<ExecReading> after = Read();
  if (!after.ok()) {
    Status unknown = pushed.ok() ? after.status().WithContext(
                                       "whether the router took it is not "
                                       "known")
                                 : pushed;
    delta.Fail(delta.adds, unknown);
    delta.Fail(delta.deletes, unknown);
    return false;
  }
  owned_ = after->owned;
  for (size_t change : delta.Undone(plan, owned_, deletes_too)) {
    const RouteChange& what = plan.changes[change];
    delta.statuses[change] =
        pushed.ok() ? Status(StatusCode::kNotConfirmed,
                             what.route.dst.ToString() + ": the push command ended well, but by " +
                                 "the read command the router did not carry out the " +
                                 std::string(RouteActionName(what.action)))
                    : pushed;
  }
  return true;
}

void ExecBackend::ApplyChanges(const RoutePlan& plan, RouteDelta& delta) {
  ExecReading now;
  now.owned = owned_;
  if (options_.format == ExecFormat::kFrr) {
    Result<ExecReading> read = Read();
    if (!read.ok()) {
      std::fill(delta.statuses.begin(), delta.statuses.end(), read.status());
      return;
    }
    now = std::move(read).value();
  }
  delta = MakeDelta(options_.format, plan, now, options_.marks);
  if (delta.adds.empty() && delta.deletes.empty()) return;
  // Where an old next hop goes, the new one must be seen first. All else is one batch.
  if (delta.Replaces(plan)) {
    if (!Verify(plan, Push(delta.adds.text), /*deletes_too=*/false, delta)) return;
    delta.deletes.DropFailed(delta.statuses);
    if (delta.deletes.empty()) return;
    Verify(plan, Push(delta.deletes.text), /*deletes_too=*/true, delta);
    return;
  }
  Verify(plan, Push(delta.adds.text + delta.deletes.text), /*deletes_too=*/true, delta);
}

void ExecBackend::ApplyWhole(const RoutePlan& plan, RouteDelta& delta) {
  for (size_t i = 0; i < plan.changes.size(); ++i) {
    const RouteChange& change = plan.changes[i];
    if (change.action == RouteAction::kDelete) {
      delta.deletes.changes.push_back(i);
      continue;
    }
    delta.statuses[i] = CheckExecRoute(options_.format, change.route);
    if (delta.statuses[i].ok()) delta.adds.changes.push_back(i);
  }
  if (delta.adds.empty() && delta.deletes.empty() && !unconfirmed_) return;
  RouteSet after = AfterChanges(owned_, plan, delta.statuses);
  RouteSet before = owned_;
  AddMissing(attempted_, before);
  RouteSet gone;
  std::copy_if(before.begin(), before.end(), std::back_inserter(gone),
               [&](const Route& route) { return !HasRoute(after, route); });
  Status pushed = Push(RenderWhole(options_.format, after, gone, options_.marks));
  if (!pushed.ok()) {
    delta.Fail(delta.adds, pushed);
    delta.Fail(delta.deletes, pushed);
    AddMissing(after, attempted_);
    unconfirmed_ = true;
    return;
  }
  attempted_.clear();
  unconfirmed_ = false;
  owned_ = std::move(after);
  if (!read_.empty()) Verify(plan, pushed, /*deletes_too=*/true, delta);
}

}  // namespace podroute
