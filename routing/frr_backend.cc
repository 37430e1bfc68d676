#include "routing/frr_backend.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "base/text.h"
#include "routing/frr_vty.h"

namespace podroute {
namespace {

// All but the last of these parts of an Apply's time are for the change, that is for taking it
// back.
constexpr int kForwardParts = 6;
// vtysh takes longer to start: what was read so short a time ago is not older than what another
// reading would say by the time that its lines are entered.
constexpr Duration kFreshReading = std::chrono::milliseconds(10);

// Where FRR itself has them, not what the link /var/run leads to: not every image has that link.
std::string Directory(const FrrOptions& options) {
  return options.vty_socket_dir.empty() ? "/var/run/frr" : options.vty_socket_dir;
}

Status NotAllowed() {
  return Status(StatusCode::kCancelled, "FRR: no longer allowed to change it; nothing was sent");
}

// Daemons' words, and that one was lost, are on standard output; what is said of each line after
// that, and all else, on standard error.
std::string Said(const SubprocessResult& ran) { return OneLine(ran.out + ran.err); }

Status VtyshFailed(const SubprocessResult& ran) {
  std::string said = Said(ran);
  // It ends with 1 when it has found no daemon.
  return Status(ran.signal != 0 ? StatusCode::kNotConfirmed : StatusCode::kUnavailable,
                "vtysh: " + (said.empty() ? "" : said + ": ") + DescribeExit(ran));
}

Status Refused(const std::string& said) {
  return Status(StatusCode::kRefused, "FRR refuses it: " + said);
}

}  // namespace

// A plan on its way, or what takes it back.
struct FrrBackend::Work {
  Work(const RoutePlan& of, MonotonicTime until) : plan(of), deadline(until) {}
  const RoutePlan& plan;
  const MonotonicTime deadline;
  RouteDelta delta;
  bool checked = false;
  bool entered = false;  // Some line was.
  // What vtysh said about a change, or about all; an error only if it was not taken either.
  std::map<size_t, std::string> said;
  std::string said_to_all;
};

FrrBackend::FrrBackend(const FrrOptions& options, PathWatch watch)
    : options_(options), directory_(Directory(options)), watch_(std::move(watch)) {}

Result<std::unique_ptr<FrrBackend>> FrrBackend::Create(const FrrOptions& options) {
  std::string directory = Directory(options);
  if (!directory.starts_with('/')) {
    return Status(StatusCode::kInvalidArgument, "FRR's vty socket directory: \"" +
                                                    Printable(directory) +
                                                    "\" is no absolute path; /run/frr would be");
  }
  PODROUTE_ASSIGN_OR_RETURN(PathWatch watch,
                            PathWatch::Create({directory + "/staticd.vty", directory + "/mgmtd.vty",
                                               directory + "/zebra.vty"}));
  return std::unique_ptr<FrrBackend>(new FrrBackend(options, std::move(watch)));
}

std::string FrrBackend::Daemon() const {
  return access((directory_ + "/mgmtd.vty").c_str(), F_OK) == 0 ? "mgmtd" : "staticd";
}

Result<SubprocessResult> FrrBackend::Vtysh(std::vector<std::string> args,
                                           std::function<std::string_view()> input,
                                           MonotonicTime deadline) {
  SubprocessOptions run;
  run.argv = {options_.vtysh};
  if (!options_.vty_socket_dir.empty()) {
    run.argv.insert(run.argv.end(), {"--vty_socket", options_.vty_socket_dir});
  }
  // Only this daemon: one that hangs elsewhere holds nothing up, and when this one cannot be
  // reached vtysh says so instead of taking nothing with exit code 0.
  run.argv.insert(run.argv.end(), {"-d", Daemon()});
  run.argv.insert(run.argv.end(), args.begin(), args.end());
  run.environment = {{"VTYSH_HISTFILE", "/dev/null"}};
  run.late_stdin_text = std::move(input);
  run.timeout = std::max<Duration>(deadline - SystemClock().Now(), Duration(0));
  Result<SubprocessResult> ran = RunSubprocess(run, options_.stop);
  if (!ran.ok() && ran.status().code() == StatusCode::kDeadlineExceeded) {
    return Status(StatusCode::kDeadlineExceeded,
                  "FRR: " + Daemon() + " does not answer: " + ran.status().message());
  }
  return ran;
}

Result<FrrConfig> FrrBackend::ReadConfig(MonotonicTime deadline) {
  deadline = std::min(deadline, SystemClock().Now() + options_.read_timeout);
  const std::string daemon = Daemon();
  Result<std::string> text =
      ReadFrrRunningConfig(daemon, directory_ + "/" + daemon + ".vty", deadline, options_.stop);
  if (!text.ok()) return text.status().WithContext("read FRR's static routes");
  return ParseFrrLines(*text, options_.tag);
}

Result<RouteSet> FrrBackend::ReadOwned() {
  PODROUTE_ASSIGN_OR_RETURN(FrrConfig config,
                            ReadConfig(SystemClock().Now() + options_.read_timeout));
  fresh_ = config;
  read_at_ = SystemClock().Now();
  AdoptLinks(config.owned, desired_);
  return std::move(config.owned);
}

std::vector<RouteResult> FrrBackend::Apply(const RoutePlan& plan, const RouteSet& desired) {
  desired_ = desired;
  std::vector<RouteResult> results;
  if (plan.changes.empty()) return results;
  const MonotonicTime begin = SystemClock().Now();
  Work work(plan, begin + options_.apply_timeout / kForwardParts * (kForwardParts - 1));
  std::optional<FrrConfig> fresh = std::exchange(fresh_, std::nullopt);
  if (begin - read_at_ > kFreshReading) fresh.reset();
  Result<FrrConfig> now = fresh ? *std::move(fresh) : ReadConfig(work.deadline);
  if (now.ok()) {
    work.delta = MakeFrrDelta(plan, *now, options_.tag);
    Status broken = Carry(work);
    if (!broken.ok()) {
      work.delta.Fail(work.delta.adds, broken);
      work.delta.Fail(work.delta.deletes, broken);
    }
    if (work.entered) TakeBack(work, begin + options_.apply_timeout);
  } else {
    work.delta.statuses.assign(plan.changes.size(), now.status());
  }
  results.reserve(plan.changes.size());
  for (size_t i = 0; i < plan.changes.size(); ++i) {
    results.push_back({plan.changes[i], std::move(work.delta.statuses[i])});
  }
  return results;
}

// An error when what became of the batch is not known; changes that FRR has refused, or not carried
// out, have theirs.
Status FrrBackend::Carry(Work& work) {
  RouteDelta& delta = work.delta;
  PODROUTE_RETURN_IF_ERROR(Enter(work, delta.adds));
  if (delta.Replaces(work.plan)) PODROUTE_RETURN_IF_ERROR(Verify(work, /*deletes_too=*/false));
  delta.deletes.DropFailed(delta.statuses);
  PODROUTE_RETURN_IF_ERROR(Enter(work, delta.deletes));
  return work.entered ? Verify(work, /*deletes_too=*/true) : Status::Ok();
}

// Leaves out what FRR's grammar does not take; all lines at once, before the first is entered.
Status FrrBackend::Check(Work& work) {
  RouteDelta& delta = work.delta;
  std::string text = delta.adds.text + delta.deletes.text;
  if (std::exchange(work.checked, true) || text.empty()) return {};
  PODROUTE_ASSIGN_OR_RETURN(
      SubprocessResult ran,
      Vtysh(
          {"-C", "-f", "/dev/stdin"}, [&]() -> std::string_view { return text; }, work.deadline));
  if (ran.exit_code == 0 && ran.signal == 0) return {};
  const std::map<size_t, std::string> errors = ParseVtyshErrors(ran.err);
  if (ran.signal != 0 || errors.empty()) return VtyshFailed(ran).WithContext("check");
  const size_t adds = delta.adds.changes.size();
  for (const auto& [line, said] : errors) {
    if (line >= adds + delta.deletes.changes.size()) continue;
    size_t change = line < adds ? delta.adds.changes[line] : delta.deletes.changes[line - adds];
    delta.statuses[change] = Refused(said);
  }
  delta.adds.DropFailed(delta.statuses);
  delta.deletes.DropFailed(delta.statuses);
  return {};
}

Status FrrBackend::Enter(Work& work, RouteStep& step) {
  if (step.empty()) return {};
  // The check runs while this vtysh starts, which takes it nearly as long.
  Status held;
  bool given = false;
  auto text = [&]() -> std::string_view {
    held = Check(work);
    if (held.ok() && options_.may_write && !options_.may_write()) held = NotAllowed();
    if (!held.ok() || step.empty()) return {};
    given = true;
    return step.text;
  };
  Result<SubprocessResult> ran = Vtysh({"-f", "/dev/stdin"}, text, work.deadline);
  PODROUTE_RETURN_IF_ERROR(held);
  // One that has found no daemon has read nothing.
  if (given && (!ran.ok() || ran->stdin_unread < step.text.size())) work.entered = true;
  PODROUTE_RETURN_IF_ERROR(ran.status());
  std::map<size_t, std::string> errors = ParseVtyshErrors(ran->err);
  for (auto& [line, said] : errors) {
    if (line < step.changes.size()) work.said[step.changes[line]] = std::move(said);
  }
  if (!ran->out.empty()) work.said_to_all = Said(*ran);
  if (ran->signal != 0 || (ran->exit_code != 0 && errors.empty())) return VtyshFailed(*ran);
  return {};
}

// Sets the status of each change with lines whose routes are not there (or, with `deletes_too`,
// still there).
Status FrrBackend::Verify(Work& work, bool deletes_too) {
  auto with_words = [&](const std::string& text) {
    return text + (work.said_to_all.empty() ? "" : ": " + work.said_to_all);
  };
  Result<FrrConfig> after = ReadConfig(work.deadline);
  if (!after.ok()) {
    return after.status().WithContext(with_words("whether FRR took it is not known"));
  }
  for (size_t change : work.delta.Undone(work.plan, after->owned, deletes_too)) {
    const RouteChange& what = work.plan.changes[change];
    auto said = work.said.find(change);
    work.delta.statuses[change] =
        said != work.said.end()
            ? Refused(said->second)
            : Status(StatusCode::kNotConfirmed,
                     with_words(what.route.dst.ToString() + ": FRR did not carry out the " +
                                std::string(RouteActionName(what.action))));
  }
  return {};
}

// Undoes what was entered of changes that are not complete.
void FrrBackend::TakeBack(Work& work, MonotonicTime deadline) {
  RouteDelta& delta = work.delta;
  auto incomplete = [](const Status& status) {
    switch (status.code()) {
      case StatusCode::kOk:
      // Not entered: FRR's refusals, and what is the operator's or no route of ours.
      case StatusCode::kRefused:
      case StatusCode::kAlreadyExists:
      case StatusCode::kInvalidArgument:
      // Who is told to stop, or may not go on, does no more.
      case StatusCode::kCancelled:
        return false;
      default:
        return true;
    }
  };
  if (std::none_of(delta.statuses.begin(), delta.statuses.end(), incomplete)) return;
  const RoutePlan back = delta.Inverse(work.plan);
  if (back.empty()) return;
  Work undo(back, deadline);
  Result<FrrConfig> now = ReadConfig(deadline);
  Status done = now.status();
  if (now.ok()) {
    undo.delta = MakeFrrDelta(back, *now, options_.tag);
    done = Carry(undo);
    for (const Status& status : undo.delta.statuses) {
      if (done.ok()) done = status;
    }
  }
  const std::string end = done.ok()  ? "; what was entered of it has been taken back"
                          : now.ok() ? "; it could not be taken back: " + done.message()
                                     : "; nothing can be taken back before FRR answers again";
  for (Status& status : delta.statuses) {
    if (incomplete(status)) status = Status(status.code(), status.message() + end);
  }
}

}  // namespace podroute
