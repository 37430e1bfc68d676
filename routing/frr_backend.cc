#include "routing/frr_backend.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "base/text.h"

namespace podroute {
namespace {

// Of a running configuration: that of a large BGP router has some MB.
constexpr size_t kMaxOutputBytes = 64u << 20;
// A check of its own takes as long as reading the lines once more. More of them than this are
// checked one by one as they are entered: the same lines are refused in the same words, and are
// left out.
constexpr size_t kMaxCheckedLines = 500;
// vtysh takes longer to start: what was read so short a time ago is not older than what another
// reading would say by the time that its lines are entered.
constexpr Duration kFreshReading = std::chrono::milliseconds(10);

std::string Directory(const FrrOptions& options) {
  return options.vty_socket_dir.empty() ? "/run/frr" : options.vty_socket_dir;
}

Status NotAllowed() {
  return Status(StatusCode::kCancelled, "FRR: no longer allowed to change it; nothing was sent");
}

// It says most on standard error, daemons' words on standard output.
std::string Said(const SubprocessResult& ran) { return OneLine(ran.err + ran.out); }

Status VtyshFailed(const SubprocessResult& ran) {
  std::string said = Said(ran);
  return Status(StatusCode::kUnavailable,
                "vtysh: " + (said.empty() ? "" : said + ": ") + DescribeExit(ran));
}

}  // namespace

// One Apply on its way.
struct FrrBackend::Work {
  const RoutePlan& plan;
  RouteDelta delta;
  MonotonicTime deadline;
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

Result<SubprocessResult> FrrBackend::Vtysh(std::vector<std::string> args, std::string_view input,
                                           MonotonicTime deadline) {
  SubprocessOptions run;
  run.argv = {options_.vtysh};
  if (!options_.vty_socket_dir.empty()) {
    run.argv.insert(run.argv.end(), {"--vty_socket", options_.vty_socket_dir});
  }
  // Only this daemon: one that hangs elsewhere holds nothing up, and when this one cannot be
  // reached vtysh says so instead of showing (or taking) nothing with exit code 0.
  run.argv.insert(run.argv.end(), {"-d", Daemon()});
  run.argv.insert(run.argv.end(), args.begin(), args.end());
  run.environment = {{"VTYSH_HISTFILE", "/dev/null"}};
  run.stdin_text = input;
  run.timeout = std::max<Duration>(deadline - SystemClock().Now(), Duration(0));
  run.max_output_bytes = kMaxOutputBytes;
  Result<SubprocessResult> ran = RunSubprocess(run, options_.stop);
  if (!ran.ok() && ran.status().code() == StatusCode::kDeadlineExceeded) {
    return Status(StatusCode::kDeadlineExceeded,
                  "FRR: " + Daemon() + " does not answer: " + ran.status().message());
  }
  return ran;
}

Result<FrrConfig> FrrBackend::ReadConfig(MonotonicTime deadline) {
  deadline = std::min(deadline, SystemClock().Now() + options_.read_timeout);
  PODROUTE_ASSIGN_OR_RETURN(SubprocessResult ran,
                            Vtysh({"-c", "show running-config"}, "", deadline));
  if (ran.exit_code != 0 || ran.signal != 0) {
    return VtyshFailed(ran).WithContext("read FRR's static routes (is " + Daemon() +
                                        " running, with its socket in " + directory_ + "?)");
  }
  Result<FrrConfig> config = ParseFrrConfig(ran.out, options_.tag);
  if (!config.ok()) return config.status().WithContext("vtysh");
  return config;
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
  Work work{.plan = plan,
            .delta = {},
            .deadline = SystemClock().Now() + options_.apply_timeout,
            .said = {},
            .said_to_all = {}};
  std::optional<FrrConfig> fresh = std::exchange(fresh_, std::nullopt);
  if (SystemClock().Now() - read_at_ > kFreshReading) fresh.reset();
  Result<FrrConfig> now = fresh ? *std::move(fresh) : ReadConfig(work.deadline);
  if (now.ok()) {
    work.delta = MakeFrrDelta(plan, *now, options_.tag);
    RouteDelta& delta = work.delta;
    Check(work);
    bool changes_any = !delta.adds.empty() || !delta.deletes.empty();
    Enter(work, delta.adds);
    if (delta.Replaces(plan)) Verify(work, /*deletes_too=*/false);
    delta.deletes.DropFailed(delta.statuses);
    Enter(work, delta.deletes);
    if (changes_any) Verify(work, /*deletes_too=*/true);
  } else {
    work.delta.statuses.assign(plan.changes.size(), now.status());
  }
  results.reserve(plan.changes.size());
  for (size_t i = 0; i < plan.changes.size(); ++i) {
    results.push_back({plan.changes[i], std::move(work.delta.statuses[i])});
  }
  return results;
}

// Leaves out what FRR's grammar does not take.
void FrrBackend::Check(Work& work) {
  RouteDelta& delta = work.delta;
  std::string text = delta.adds.text + delta.deletes.text;
  size_t lines = delta.adds.changes.size() + delta.deletes.changes.size();
  if (lines == 0 || lines > kMaxCheckedLines) return;
  Result<SubprocessResult> ran = Vtysh({"-C", "-f", "/dev/stdin"}, text, work.deadline);
  if (ran.ok() && ran->exit_code == 0 && ran->signal == 0) return;
  std::map<size_t, std::string> errors;
  if (ran.ok()) errors = ParseVtyshErrors(ran->err);
  for (const auto& [line, said] : errors) {
    size_t adds = delta.adds.changes.size();
    if (line >= adds + delta.deletes.changes.size()) continue;
    size_t change = line < adds ? delta.adds.changes[line] : delta.deletes.changes[line - adds];
    delta.statuses[change] = Status(StatusCode::kInvalidArgument, "FRR refuses it: " + said);
  }
  if (errors.empty()) {
    Status failed = ran.ok() ? VtyshFailed(*ran).WithContext("check") : ran.status();
    work.delta.Fail(delta.adds, failed);
    work.delta.Fail(delta.deletes, failed);
  }
  delta.adds.DropFailed(delta.statuses);
  delta.deletes.DropFailed(delta.statuses);
}

void FrrBackend::Enter(Work& work, RouteStep& step) {
  if (step.empty()) return;
  if (options_.may_write && !options_.may_write()) {
    work.delta.Fail(step, NotAllowed());
    return;
  }
  Result<SubprocessResult> ran = Vtysh({"-f", "/dev/stdin"}, step.text, work.deadline);
  if (!ran.ok()) {
    work.delta.Fail(step, ran.status());
    return;
  }
  for (auto& [line, said] : ParseVtyshErrors(ran->err)) {
    if (line < step.changes.size()) work.said[step.changes[line]] = std::move(said);
  }
  if (ran->exit_code != 0 || ran->signal != 0 || !ran->out.empty()) {
    work.said_to_all = Said(*ran);
    if (ran->exit_code != 0 || ran->signal != 0) work.said_to_all += ": " + DescribeExit(*ran);
  }
}

// Sets the status of each change with lines whose routes are not there (or, with `deletes_too`,
// still there).
void FrrBackend::Verify(Work& work, bool deletes_too) {
  auto open = [&](const RouteStep& step) {
    return std::any_of(step.changes.begin(), step.changes.end(),
                       [&](size_t change) { return work.delta.statuses[change].ok(); });
  };
  if (!open(work.delta.adds) && !(deletes_too && open(work.delta.deletes))) return;
  Result<FrrConfig> after = ReadConfig(work.deadline);
  if (!after.ok()) {
    Status failed = after.status().WithContext("whether FRR took it is not known");
    work.delta.Fail(work.delta.adds, failed);
    work.delta.Fail(work.delta.deletes, failed);
    return;
  }
  for (size_t change : work.delta.Undone(work.plan, after->owned, deletes_too)) {
    const RouteChange& what = work.plan.changes[change];
    auto said = work.said.find(change);
    std::string why = said != work.said.end() ? said->second : work.said_to_all;
    work.delta.statuses[change] =
        Status(StatusCode::kUnavailable,
               what.route.dst.ToString() + ": FRR did not carry out the " +
                   std::string(RouteActionName(what.action)) + (why.empty() ? "" : ": " + why));
  }
}

}  // namespace podroute
