#include "routing/bird_backend.h"

#include <fcntl.h>
#include <glog/logging.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <iterator>
#include <tuple>
#include <utility>

#include "base/text.h"
#include "routing/bird_config.h"
#include "routing/bird_reply.h"

namespace podroute {
namespace {

constexpr char kConfigureCommand[] = "configure timeout 30";
constexpr Duration kPollInterval = std::chrono::milliseconds(10);

bool ByDst(const Route& a, const Route& b) { return a.dst < b.dst; }

auto HopOf(const Route& route) { return std::tie(route.dst, route.via.gateway); }

bool SameHops(const RouteSet& a, const RouteSet& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const Route& x, const Route& y) { return HopOf(x) == HopOf(y); });
}

// Copies what `from` knows of the routes of `routes` that go the same way. Both ordered.
void Describe(RouteSet& routes, const RouteSet& from) {
  auto known = from.begin();
  for (Route& route : routes) {
    while (known != from.end() && known->dst < route.dst) ++known;
    if (known == from.end()) return;
    if (HopOf(*known) != HopOf(route)) continue;
    route.via.ifindex = known->via.ifindex;
    route.dev = known->dev;
    route.node = known->node;
  }
}

std::string Count(size_t n) { return std::to_string(n) + (n == 1 ? " route" : " routes"); }

// How `actual`, which is not `target`, differs from it, by an example.
std::string Difference(const RouteSet& actual, const RouteSet& target) {
  for (const Route& route : target) {
    auto at = std::lower_bound(actual.begin(), actual.end(), route, ByDst);
    if (at == actual.end() || at->dst != route.dst) {
      return "it has no route to " + route.dst.ToString();
    }
    if (HopOf(*at) != HopOf(route)) {
      return "its route to " + route.dst.ToString() + " is not by " + route.via.gateway.ToString();
    }
  }
  return "it has " + Count(actual.size()) + " and should have " + Count(target.size());
}

bool Sleep(MonotonicTime deadline, StopToken* stop) {
  if (SystemClock().Now() >= deadline) return false;
  if (stop == nullptr) {
    StopToken never;
    never.WaitForStop(kPollInterval);
    return true;
  }
  return !stop->WaitForStop(kPollInterval);
}

}  // namespace

// What one run of the steps knows.
struct BirdBackend::Change {
  const RouteSet& target;
  const std::string text;
  const MonotonicTime deadline;
  bool staged = false;        // The file was, or may have been, replaced: it can be put back.
  bool configured = false;    // BIRD took it and waits for confirmation.
  bool not_included = false;  // BIRD took it, and it has nothing of ours in it.
  std::string bird_conf;      // Which file BIRD says it read.
};

Result<std::unique_ptr<BirdBackend>> BirdBackend::Create(const BirdOptions& options) {
  for (const auto& [what, path] : {std::pair("BIRD's control socket", options.socket_path),
                                   std::pair("the file for BIRD", options.file_path)}) {
    if (!path.starts_with('/') || path.ends_with('/')) {
      return Status(StatusCode::kInvalidArgument, std::string(what) + " \"" + Printable(path) +
                                                      "\" is not an absolute path of a file");
    }
  }
  if (options.file_path.find_first_of("\"\n") != std::string::npos) {
    return Status(
        StatusCode::kInvalidArgument,
        "the file for BIRD cannot be included under the name " + Printable(options.file_path, 200));
  }
  PODROUTE_ASSIGN_OR_RETURN(PathWatch watch,
                            PathWatch::Create({options.socket_path, options.file_path}));
  UniqueFd epoll(epoll_create1(EPOLL_CLOEXEC));
  UniqueFd note(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!epoll || !note) return Status::FromErrno(errno, "epoll for BIRD");
  for (int fd : {watch.fd(), note.get()}) {
    epoll_event event = {.events = EPOLLIN, .data = {}};
    if (epoll_ctl(epoll.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
      return Status::FromErrno(errno, "epoll for BIRD");
    }
  }
  return std::unique_ptr<BirdBackend>(
      new BirdBackend(options, std::move(watch), std::move(epoll), std::move(note)));
}

BirdBackend::BirdBackend(const BirdOptions& options, PathWatch watch, UniqueFd epoll, UniqueFd note)
    : options_(options),
      file_(options.file_path),
      watch_(std::move(watch)),
      epoll_(std::move(epoll)),
      note_(std::move(note)) {}

BirdBackend::~BirdBackend() = default;

Status BirdBackend::Connect(MonotonicTime deadline) {
  if (control_ != nullptr && control_->Usable()) return {};
  control_.reset();
  PODROUTE_ASSIGN_OR_RETURN(control_,
                            BirdControl::Connect(options_.socket_path, deadline, options_.stop));
  epoll_event event = {.events = EPOLLIN | EPOLLRDHUP, .data = {}};
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, control_->fd(), &event) != 0) {
    return Status::FromErrno(errno, "epoll for BIRD");
  }
  return {};
}

Result<BirdReply> BirdBackend::Ask(std::string_view command, MonotonicTime deadline) {
  PODROUTE_RETURN_IF_ERROR(Connect(deadline));
  Result<BirdReply> reply = control_->Ask(command, deadline);
  if (!reply.ok()) control_.reset();
  return reply;
}

Status BirdBackend::CheckPermit() const {
  if (!options_.may_write || options_.may_write()) return {};
  return {StatusCode::kCancelled, "no longer permitted to change BIRD: another one leads"};
}

// The routes of our protocols, ordered. kNotFound: BIRD has no such protocols.
Result<RouteSet> BirdBackend::ReadBird(MonotonicTime deadline) {
  RouteSet routes;
  for (IpFamily family : {IpFamily::kV4, IpFamily::kV6}) {
    const std::string name = BirdProtocolName(family, options_.owner);
    PODROUTE_ASSIGN_OR_RETURN(const BirdReply shown,
                              Ask("show protocols \"" + name + "\"", deadline));
    PODROUTE_ASSIGN_OR_RETURN(const BirdProtocolState state, ParseProtocolState(shown, name));
    if (state == BirdProtocolState::kUnknown) {
      return Status(StatusCode::kNotFound, "BIRD has no protocol " + name);
    }
    if (state == BirdProtocolState::kForeign) {
      return Status(StatusCode::kAlreadyExists,
                    "BIRD's protocol " + name + " is somebody else's: it is not static");
    }
    if (state == BirdProtocolState::kDown) continue;
    PODROUTE_ASSIGN_OR_RETURN(const BirdReply reply, Ask("show static " + name, deadline));
    PODROUTE_ASSIGN_OR_RETURN(RouteSet some, ParseStaticRoutes(reply));
    routes.insert(routes.end(), some.begin(), some.end());
  }
  // Also where somebody put a family's routes into the other's protocol.
  if (!IsOrdered(routes)) std::stable_sort(routes.begin(), routes.end(), ByDst);
  return routes;
}

Result<RouteSet> BirdBackend::ReadOwned() {
  bird_.reset();
  const MonotonicTime deadline = SystemClock().Now() + options_.apply_timeout;
  Status connected = Connect(deadline);
  if (!connected.ok()) {
    MakeStartable();
    return connected;
  }
  Result<RouteSet> read = ReadBird(deadline);
  if (!read.ok() && read.status().code() == StatusCode::kUnavailable) {
    read = ReadBird(deadline);  // It went away while we asked; perhaps it is back.
  }
  // Not included (yet): nothing of ours is there. What to do about it Apply says.
  if (!read.ok() && read.status().code() == StatusCode::kNotFound) read = RouteSet();
  if (!read.ok()) return read.status();
  RouteSet routes = std::move(*read);

  Result<std::string> text = file_.Read();
  if (!text.ok() && text.status().code() != StatusCode::kNotFound) return text.status();
  if (text.ok() && *text != last_text_) {
    Result<RouteSet> parsed = ParseBirdConfig(*text, options_.owner);
    last_routes_ = parsed.ok() ? std::move(*parsed) : RouteSet();
    last_text_ = parsed.ok() ? std::move(*text) : std::string();
  } else if (!text.ok()) {
    last_routes_.clear();
    last_text_.clear();
  }
  Describe(routes, last_routes_);
  bird_ = routes;
  Describe(routes, desired_);
  auto in_file = last_routes_.begin();
  for (Route& route : routes) {
    while (in_file != last_routes_.end() && in_file->dst < route.dst) ++in_file;
    if (in_file == last_routes_.end() || HopOf(*in_file) != HopOf(route)) route.via = NextHop();
    route.node.clear();
    route.dev.clear();
  }
  return routes;
}

void BirdBackend::MakeStartable() {
  Result<std::string> text = file_.Read();
  if (text.ok() && ParseBirdConfig(*text, options_.owner).ok()) return;
  if (!text.ok() && text.status().code() != StatusCode::kNotFound) return;
  if (!CheckPermit().ok()) return;
  const std::string good = RenderBirdConfig(last_routes_, options_.owner);
  Status status = file_.Stage(good, &good);
  if (status.ok() && CheckPermit().ok()) status = file_.Commit();
  file_.Settle();
  LOG_IF(WARNING, !status.ok()) << "cannot write the file for BIRD error=\"" << status.message()
                                << "\"";
  LOG_IF(INFO, status.ok()) << "wrote the file for BIRD, without which it may not start file="
                            << file_.path();
  ForgetOwnEvents(status.ok() ? &good : nullptr);
}

// What BIRD has, with the plan carried out, and what only the file has if it is desired. `results`
// gets a result for each change.
RouteSet BirdBackend::Target(const RoutePlan& plan, const RouteSet& desired,
                             std::vector<RouteResult>& results) {
  RouteSet gone, target;
  for (const RouteChange& change : plan.changes) {
    RouteResult& result = results.emplace_back(RouteResult{.change = change, .status = {}});
    if (change.action == RouteAction::kDelete) {
      gone.push_back(change.route);
      continue;
    }
    result.status = CheckBirdRoute(change.route);
    if (!result.status.ok()) continue;
    target.push_back(change.route);
    // Of several routes to it the others have changes of their own, or are kept.
    if (change.action == RouteAction::kReplace) gone.push_back(change.old);
  }
  std::stable_sort(gone.begin(), gone.end(), ByDst);
  auto goes = [&](const Route& route) {
    auto [from, to] = std::equal_range(gone.begin(), gone.end(), route, ByDst);
    return std::any_of(from, to, [&](const Route& old) {
      // Unspecified: ReadOwned's word for a route that is not right.
      return old.via.gateway.IsUnspecified() || HopOf(old) == HopOf(route);
    });
  };
  RouteSet rest = *bird_;
  std::set_intersection(last_routes_.begin(), last_routes_.end(), desired.begin(), desired.end(),
                        std::back_inserter(rest),
                        [](const Route& a, const Route& b) { return HopOf(a) < HopOf(b); });
  for (const Route& route : rest) {
    // A foreign kind, made by hand, goes with any writing of the file.
    if (!goes(route) && CheckBirdRoute(route).ok()) target.push_back(route);
  }
  std::stable_sort(target.begin(), target.end(), ByDst);  // What was added is first of its kind.
  auto same_dst = [](const Route& a, const Route& b) { return a.dst == b.dst; };
  target.erase(std::unique(target.begin(), target.end(), same_dst), target.end());
  Describe(target, desired);
  return target;
}

std::vector<RouteResult> BirdBackend::Apply(const RoutePlan& plan, const RouteSet& desired) {
  std::vector<RouteResult> results;
  results.reserve(plan.changes.size());
  Status status;
  if (!bird_) status = ReadOwned().status();
  if (status.ok()) {
    desired_ = desired;
    if (!IsOrdered(desired_)) std::stable_sort(desired_.begin(), desired_.end(), ByDst);
    RouteSet target = Target(plan, desired_, results);
    status = Carry(target);
    if (status.ok()) {
      bird_ = std::move(target);
    } else {
      bird_.reset();
    }
  } else {
    for (const RouteChange& change : plan.changes) results.push_back({change, {}});
  }
  for (RouteResult& result : results) {
    if (result.status.ok()) result.status = status;
  }
  // Without a change there is no result to carry it.
  if (!status.ok() && plan.changes.empty() && logged_ != status.message()) {
    LOG(ERROR) << "cannot put right what BIRD has error=\"" << status.message() << "\"";
  }
  logged_ = plan.changes.empty() ? status.message() : std::string();
  return results;
}

Status BirdBackend::Carry(const RouteSet& target) {
  const MonotonicTime deadline = SystemClock().Now() + options_.apply_timeout;
  Change change = {.target = target,
                   .text = RenderBirdConfig(target, options_.owner),
                   .deadline = deadline,
                   .bird_conf = "bird.conf"};
  if (SameHops(*bird_, target) && last_text_ == change.text && !file_.Marked()) return {};
  UniqueFd lock;
  PODROUTE_RETURN_IF_ERROR(CheckPermit());
  PODROUTE_RETURN_IF_ERROR(Lock(&lock, deadline));
  PODROUTE_RETURN_IF_ERROR(AwaitNoUndo(deadline));
  Status status = WriteFile(change);
  if (status.ok()) status = Configure(change);
  if (status.ok()) status = Verify(change);
  if (status.ok() || change.not_included) {
    Status confirmed = Confirm(change);
    if (status.ok()) status = confirmed;
  }
  if (status.ok() || change.not_included) {
    file_.Settle();
    last_text_ = change.text;
    last_routes_ = target;
  } else {
    status = GiveUp(change, status);
    last_text_.clear();
    last_routes_.clear();
  }
  ForgetOwnEvents(status.ok() ? &change.text : nullptr);
  return status;
}

// Two of us with one BIRD, of one owner or of two, take turns: an undo undoes what was last.
Status BirdBackend::Lock(UniqueFd* lock, MonotonicTime deadline) const {
  const std::string& path = options_.socket_path;
  UniqueFd fd(
      open(path.substr(0, path.rfind('/') + 1).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return {};  // May not read it: without.
  while (flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK && errno != EINTR) return {};
    if (!Sleep(deadline, options_.stop)) {
      return {StatusCode::kUnavailable, "another podroute is changing BIRD on " + path};
    }
  }
  *lock = std::move(fd);
  return {};
}

// BIRD remembers one configuration to go back to. One that waits for confirmation is ours when we
// were ended in the middle of a change, else somebody else's.
Status BirdBackend::AwaitNoUndo(MonotonicTime deadline) {
  while (true) {
    PODROUTE_ASSIGN_OR_RETURN(const BirdReply reply, Ask("configure status", deadline));
    // BIRD before 2.0.8 does not tell (a syntax error).
    const BirdLine* waiting = reply.Find(kBirdUndoScheduled);
    if (waiting == nullptr) return {};
    if (file_.Marked()) {
      PODROUTE_RETURN_IF_ERROR(CheckPermit());
      PODROUTE_ASSIGN_OR_RETURN(const BirdReply undone, Ask("configure undo", deadline));
      return undone.status();
    }
    if (!Sleep(deadline, options_.stop)) {
      return {StatusCode::kUnavailable,
              "somebody's `configure timeout` waits for `birdc configure confirm` or `birdc "
              "configure undo`, BIRD says: " +
                  Printable(waiting->text) + "; no route is changed before"};
    }
  }
}

Status BirdBackend::WriteFile(Change& change) {
  Result<std::string> old = file_.Read();
  if (!old.ok() && old.status().code() != StatusCode::kNotFound) return old.status();
  PODROUTE_RETURN_IF_ERROR(CheckPermit());
  if (old.ok() && *old == change.text) {
    Status marked = file_.Mark();
    change.staged = marked.ok();
    return marked;
  }
  // What it says now is put back only if it is ours.
  std::string good_old;
  const bool intact =
      old.ok() && (*old == last_text_ || ParseBirdConfig(*old, options_.owner).ok());
  if (!intact) good_old = RenderBirdConfig(*bird_, options_.owner);
  Status status = file_.Stage(change.text, intact ? nullptr : &good_old);
  if (!status.ok()) return status;
  change.staged = true;
  PODROUTE_RETURN_IF_ERROR(CheckPermit());
  return file_.Commit();
}

Status BirdBackend::Configure(Change& change) {
  PODROUTE_ASSIGN_OR_RETURN(const BirdReply checked, Ask("configure check", change.deadline));
  PODROUTE_RETURN_IF_ERROR(checked.status().WithContext("BIRD refuses its configuration"));
  PODROUTE_RETURN_IF_ERROR(CheckPermit());
  // Also when there is no answer: it may have got it.
  change.configured = true;
  PODROUTE_ASSIGN_OR_RETURN(const BirdReply reply, Ask(kConfigureCommand, change.deadline));
  change.configured = !reply.is_error();
  PODROUTE_RETURN_IF_ERROR(reply.status().WithContext("BIRD refuses its configuration"));
  if (reply.code() < kBirdReconfigured || reply.code() > kBirdReconfigurationQueued) {
    return {StatusCode::kUnavailable,
            "BIRD does not take its configuration: " + Printable(reply.lines.back().text, 200)};
  }
  constexpr std::string_view kReading = "Reading configuration from ";
  for (const BirdLine& line : reply.lines) {
    if (line.text.starts_with(kReading)) change.bird_conf = line.text.substr(kReading.size());
  }
  return {};
}

Status BirdBackend::Verify(Change& change) {
  while (true) {
    Result<RouteSet> actual = ReadBird(change.deadline);
    if (actual.ok() && SameHops(*actual, change.target)) return {};
    // A reconfiguration for which some protocol must stop first goes on after its answer.
    PODROUTE_ASSIGN_OR_RETURN(const BirdReply reply, Ask("configure status", change.deadline));
    const bool going_on = reply.Find(kBirdReconfigurationInProgress) != nullptr ||
                          reply.Find(kBirdReconfigurationQueued) != nullptr;
    if (going_on && Sleep(change.deadline, options_.stop)) continue;
    if (actual.ok()) {
      return {StatusCode::kUnavailable, "BIRD took its configuration (" +
                                            Printable(change.bird_conf, 200) +
                                            ") and has not what " + file_.path() +
                                            " says: " + Difference(*actual, change.target)};
    }
    change.not_included = actual.status().code() == StatusCode::kNotFound;
    if (!change.not_included) return actual.status();
    return {StatusCode::kInvalidArgument,
            actual.status().message() + ": " + Printable(change.bird_conf, 200) +
                " does not include our file; add this line to it: include \"" + file_.path() +
                "\";"};
  }
}

Status BirdBackend::Confirm(Change& change) {
  PODROUTE_RETURN_IF_ERROR(CheckPermit());
  PODROUTE_ASSIGN_OR_RETURN(const BirdReply reply, Ask("configure confirm", change.deadline));
  PODROUTE_RETURN_IF_ERROR(reply.status());
  if (reply.code() == kBirdConfirmed) return {};
  // Somebody else confirmed it, or undid it.
  PODROUTE_ASSIGN_OR_RETURN(const RouteSet actual, ReadBird(change.deadline));
  if (SameHops(actual, change.target)) return {};
  return {StatusCode::kUnavailable, "somebody else has changed BIRD's configuration meanwhile: " +
                                        Difference(actual, change.target)};
}

// Puts back what can be; `why` with what became of it.
Status BirdBackend::GiveUp(Change& change, const Status& why) {
  if (!change.staged || !CheckPermit().ok()) return why;
  const Status back = file_.PutBack();
  if (!back.ok()) return {why.code(), why.message() + "; " + back.message()};
  if (!change.configured) return why;
  if (control_ != nullptr && CheckPermit().ok()) {
    Result<BirdReply> undone = Ask("configure undo", change.deadline);
    if (undone.ok() && !undone->is_error()) return why;
  }
  // So that what waits for confirmation, now or when BIRD gets to it, is known to be ours.
  const Status marked = file_.Mark();
  return {why.code(), why.message() + "; BIRD undoes it by itself within 30 s" +
                          (marked.ok() ? "" : "; " + marked.message())};
}

void BirdBackend::DrainEvents() {
  uint64_t count = 0;
  // Nothing to read is as good.
  while (read(note_.get(), &count, sizeof count) < 0 && errno == EINTR) {
  }
  watch_.Drain();
  if (control_ != nullptr && !control_->Usable()) control_.reset();
}

// Ours are what happened to the file while we changed it, unless it is not what we left (null: not
// known).
void BirdBackend::ForgetOwnEvents(const std::string* left) {
  const BirdFile::Identity before = file_.Look();
  bool foreign = false;
  if (left != nullptr) {
    const Result<std::string> text = file_.Read();
    foreign = !text.ok() || *text != *left;
  }
  watch_.Drain();
  foreign |= !(file_.Look() == before);
  const uint64_t one = 1;
  if (foreign && write(note_.get(), &one, sizeof one) < 0) {
    LOG(WARNING) << "eventfd: " << errno;  // Cannot be: it counts to 2^64.
  }
}

}  // namespace podroute
