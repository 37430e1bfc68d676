#include "routing/bird_backend.h"

#include <fcntl.h>
#include <glog/logging.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <utility>

#include "base/text.h"
#include "routing/bird_config.h"
#include "routing/bird_plan.h"
#include "routing/bird_reply.h"

namespace podroute {
namespace {

constexpr std::array kFamilies = {IpFamily::kV4, IpFamily::kV6};
constexpr char kConfigureCommand[] = "configure timeout 30";
// A file of some 2,500 routes. BIRD needs 0.6 us a route for the check, a tenth of what it needs
// for a whole `configure` where that costs the kernel little.
constexpr size_t kMaxCheckedBytes = 128u << 10;
constexpr Duration kPollInterval = std::chrono::milliseconds(10);

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
  std::string text;
  const MonotonicTime deadline;
  const std::function<void()>& meanwhile;
  RouteSet written = {};                                 // The target, and
  std::array<std::string, kFamilies.size()> shown = {};  // `show static` of it; from Configure on.
  std::vector<BirdReply> answers = {};                   // To Questions(), after it.
  std::optional<BirdFile::Identity> committed = {};      // The file, if it is another one now.
  bool staged = false;                  // The file was, or may have been, replaced.
  bool configured = false;              // BIRD took it and waits for confirmation.
  bool not_included = false;            // BIRD took it, and it has nothing of ours in it.
  std::string bird_conf = "bird.conf";  // Which file BIRD says it read.
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
  PODROUTE_ASSIGN_OR_RETURN(std::vector<BirdReply> replies,
                            AskAll({std::string(command)}, deadline));
  return std::move(replies.front());
}

Result<std::vector<BirdReply>> BirdBackend::AskAll(const std::vector<std::string>& commands,
                                                   MonotonicTime deadline,
                                                   const std::function<void()>& meanwhile) {
  PODROUTE_RETURN_IF_ERROR(Connect(deadline));
  Result<std::vector<BirdReply>> replies = control_->AskAll(commands, deadline, meanwhile);
  if (!replies.ok()) control_.reset();
  return replies;
}

Status BirdBackend::CheckPermit() const {
  if (!options_.may_write || options_.may_write()) return {};
  return {StatusCode::kCancelled, "no longer permitted to change BIRD: another one leads"};
}

// What to ask BIRD for both protocols; one after the other would cost a change of processes each.
std::vector<std::string> BirdBackend::Questions() const {
  std::vector<std::string> questions;
  for (IpFamily family : kFamilies) {
    const std::string name = BirdProtocolName(family, options_.owner);
    questions.push_back("show protocols \"" + name + "\"");
    questions.push_back("show static " + name);
  }
  return questions;
}

// Both protocols' answers, nothing for one that is down. kNotFound: BIRD has no such protocols.
Result<BirdBackend::Shown> BirdBackend::ReadAnswers(std::vector<BirdReply> replies) const {
  Shown shown;
  for (size_t i = 0; i < shown.size(); ++i) {
    const std::string name = BirdProtocolName(kFamilies[i], options_.owner);
    PODROUTE_ASSIGN_OR_RETURN(const BirdProtocolState state,
                              ParseProtocolState(replies[2 * i], name));
    if (state == BirdProtocolState::kUnknown) {
      return Status(StatusCode::kNotFound, "BIRD has no protocol " + name);
    }
    if (state == BirdProtocolState::kForeign) {
      return Status(StatusCode::kAlreadyExists,
                    "BIRD's protocol " + name + " is somebody else's: it is not static");
    }
    if (state == BirdProtocolState::kUp) shown[i] = std::move(replies[2 * i + 1]);
  }
  return shown;
}

Result<BirdBackend::Shown> BirdBackend::ShowStatic(MonotonicTime deadline) {
  PODROUTE_ASSIGN_OR_RETURN(std::vector<BirdReply> replies, AskAll(Questions(), deadline));
  return ReadAnswers(std::move(replies));
}

Result<RouteSet> BirdBackend::ParseShown(const Shown& shown) {
  RouteSet routes;
  for (const std::optional<BirdReply>& reply : shown) {
    if (!reply) continue;
    PODROUTE_ASSIGN_OR_RETURN(const RouteSet some, ParseStaticRoutes(*reply));
    routes.insert(routes.end(), some.begin(), some.end());
  }
  // Also where somebody put a family's routes into the other's protocol.
  if (!IsOrdered(routes)) {
    std::stable_sort(routes.begin(), routes.end(),
                     [](const Route& a, const Route& b) { return a.dst < b.dst; });
  }
  return routes;
}

Result<RouteSet> BirdBackend::ReadOwned() {
  bird_.reset();
  const MonotonicTime deadline = SystemClock().Now() + options_.apply_timeout;
  Status connected = Connect(deadline);
  if (!connected.ok()) {
    if (options_.make_startable) MakeStartable();
    return connected;
  }
  Result<Shown> shown = ShowStatic(deadline);
  if (!shown.ok() && shown.status().code() == StatusCode::kUnavailable) {
    shown = ShowStatic(deadline);  // It went away while we asked; perhaps it is back.
  }
  // Not included (yet): nothing of ours is there. What to do about it Apply says.
  if (!shown.ok() && shown.status().code() == StatusCode::kNotFound) shown = Shown();
  if (!shown.ok()) return shown.status();
  PODROUTE_ASSIGN_OR_RETURN(RouteSet routes, ParseShown(*shown));

  Result<std::string> text = file_.Read();
  if (!text.ok() && text.status().code() != StatusCode::kNotFound) return text.status();
  if (!text.ok() || *text != last_text_) {
    Result<RouteSet> parsed = text.ok() ? ParseBirdConfig(*text, options_.owner) : text.status();
    last_routes_ = parsed.ok() ? std::move(*parsed) : RouteSet();
    last_text_ = parsed.ok() ? std::move(*text) : std::string();
  }
  DescribeRoutes(routes, last_routes_);
  RouteSet owned = BirdOwned(routes, last_routes_);
  DescribeRoutes(owned, desired_);
  for (Route& route : owned) {
    route.dev.clear();
    route.node.clear();
  }
  bird_ = std::move(routes);
  return owned;
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
  LOG_IF(WARNING, !status.ok()) << "cannot write the file for BIRD error="
                                << QuotedValue(status.message());
  LOG_IF(INFO, status.ok()) << "wrote the file for BIRD, without which it may not start file="
                            << file_.path();
  ForgetOwnEvents({});
}

std::vector<RouteResult> BirdBackend::Apply(const RoutePlan& plan, const RouteSet& desired) {
  std::vector<RouteResult> results;
  bool copied = false;
  // What nobody waits for is done while BIRD works.
  auto copy = [&] {
    if (std::exchange(copied, true)) return;
    results.reserve(plan.changes.size());
    for (const RouteChange& change : plan.changes) results.push_back({change, {}});
    desired_ = desired;
  };
  std::vector<Status> statuses(plan.changes.size());
  Status status;
  if (!bird_) status = ReadOwned().status();
  if (status.ok()) {
    RouteSet target = BirdTarget(*bird_, last_routes_, plan, desired, &statuses);
    status = Carry(target, copy);
    bird_.reset();
    if (status.ok()) bird_ = std::move(target);
  }
  copy();
  for (size_t i = 0; i < results.size(); ++i) {
    results[i].status = statuses[i].ok() ? status : std::move(statuses[i]);
  }
  // Without a change there is no result to carry it.
  if (!status.ok() && plan.changes.empty() && logged_ != status.message()) {
    LOG(ERROR) << "cannot put right what BIRD has reason=" << StatusCodeName(status.code())
               << " error=" << QuotedValue(status.message());
  }
  logged_ = plan.changes.empty() ? status.message() : std::string();
  return results;
}

Status BirdBackend::Carry(const RouteSet& target, const std::function<void()>& meanwhile) {
  Change change = {.target = target,
                   .text = RenderBirdConfig(target, options_.owner),
                   .deadline = SystemClock().Now() + options_.apply_timeout,
                   .meanwhile = meanwhile};
  if (SameHops(*bird_, target) && last_text_ == change.text && !file_.Marked()) return {};
  UniqueFd lock;
  PODROUTE_RETURN_IF_ERROR(CheckPermit());
  PODROUTE_RETURN_IF_ERROR(Lock(&lock, change.deadline));
  PODROUTE_RETURN_IF_ERROR(AwaitNoUndo(change.deadline));
  Status status = WriteFile(change);
  if (status.ok()) status = Configure(change);
  if (status.ok()) status = Verify(change);
  if (status.ok() || change.not_included) {
    Status confirmed = Confirm(change);
    if (status.ok()) status = confirmed;
  }
  if (status.ok() || change.not_included) {
    file_.Settle();
    last_routes_ = std::move(change.written);
    last_text_ = std::move(change.text);
    ForgetOwnEvents(change.committed);
  } else {
    status = GiveUp(change, status);
    last_text_.clear();
    last_routes_.clear();
    ForgetOwnEvents({});
  }
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
      return {StatusCode::kConflict, "another podroute is changing BIRD on " + path};
    }
  }
  *lock = std::move(fd);
  return {};
}

// BIRD remembers one configuration to go back to. One that waits for confirmation is ours when we
// were ended in the middle of a change, else somebody else's.
Status BirdBackend::AwaitNoUndo(MonotonicTime deadline) {
  Status waiting;
  while (true) {
    const Result<BirdReply> reply = Ask("configure status", deadline);
    if (!reply.ok()) {
      // That the time is over says less than why it was spent.
      return reply.status().code() == StatusCode::kDeadlineExceeded && !waiting.ok()
                 ? waiting
                 : reply.status();
    }
    // Where BIRD does not know the question (a syntax error) there is no answer either.
    const BirdLine* undo = reply->Find(kBirdUndoScheduled);
    if (undo == nullptr) return {};
    if (file_.Marked()) {
      PODROUTE_RETURN_IF_ERROR(CheckPermit());
      PODROUTE_ASSIGN_OR_RETURN(const BirdReply undone, Ask("configure undo", deadline));
      return undone.status();
    }
    waiting = {StatusCode::kConflict,
               "somebody's `configure timeout` waits for `birdc configure confirm` or `birdc "
               "configure undo`, BIRD says: " +
                   Printable(undo->text) + "; no route is changed before"};
    if (!Sleep(deadline, options_.stop)) return waiting;
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
  status = file_.Commit();
  change.committed = file_.Look();
  return status;
}

Status BirdBackend::Configure(Change& change) {
  if (change.text.size() <= kMaxCheckedBytes) {
    PODROUTE_ASSIGN_OR_RETURN(const BirdReply checked, Ask("configure check", change.deadline));
    PODROUTE_RETURN_IF_ERROR(checked.status().WithContext("BIRD refuses its configuration"));
  }
  PODROUTE_RETURN_IF_ERROR(CheckPermit());
  // Also when there is no answer: it may have got it.
  change.configured = true;
  auto prepare = [&] {
    for (size_t i = 0; i < kFamilies.size(); ++i) {
      change.shown[i] = RenderBirdStatic(change.target, kFamilies[i]);
    }
    change.written = change.target;
    change.meanwhile();
  };
  std::vector<std::string> commands = Questions();
  commands.insert(commands.begin(), kConfigureCommand);
  PODROUTE_ASSIGN_OR_RETURN(std::vector<BirdReply> replies,
                            AskAll(commands, change.deadline, prepare));
  const BirdReply reply = std::move(replies.front());
  replies.erase(replies.begin());
  change.configured = !reply.is_error();
  PODROUTE_RETURN_IF_ERROR(reply.status().WithContext("BIRD refuses its configuration"));
  if (reply.code() < kBirdReconfigured || reply.code() > kBirdReconfigurationQueued) {
    return {StatusCode::kRefused,
            "BIRD does not take its configuration: " + Printable(reply.lines.back().text, 200)};
  }
  constexpr std::string_view kReading = "Reading configuration from ";
  for (const BirdLine& line : reply.lines) {
    if (line.text.starts_with(kReading)) change.bird_conf = line.text.substr(kReading.size());
  }
  change.answers = std::move(replies);
  return {};
}

// Empty when BIRD has what it should, else how it differs.
Result<std::string> BirdBackend::Compare(const Change& change, const Result<Shown>& shown) {
  if (!shown.ok()) return shown.status();
  bool same = true;
  for (size_t i = 0; i < shown->size(); ++i) {
    const std::optional<BirdReply>& reply = (*shown)[i];
    same = same && (reply ? SaysStaticRoutes(*reply, change.shown[i]) : change.shown[i].empty());
  }
  if (same) return std::string();
  PODROUTE_ASSIGN_OR_RETURN(const RouteSet actual, ParseShown(*shown));
  if (SameHops(actual, change.target)) return std::string();
  return BirdDifference(actual, change.target);
}

Status BirdBackend::Verify(Change& change) {
  // The first answer came together with that to the change.
  Result<Shown> shown = ReadAnswers(std::exchange(change.answers, {}));
  while (true) {
    const Result<std::string> difference = Compare(change, shown);
    if (difference.ok() && difference->empty()) return {};
    // A reconfiguration for which some protocol must stop first goes on after its answer.
    PODROUTE_ASSIGN_OR_RETURN(const BirdReply reply, Ask("configure status", change.deadline));
    const bool going_on = reply.Find(kBirdReconfigurationInProgress) != nullptr ||
                          reply.Find(kBirdReconfigurationQueued) != nullptr;
    if (going_on && Sleep(change.deadline, options_.stop)) {
      shown = ShowStatic(change.deadline);
      continue;
    }
    if (difference.ok()) {
      return {StatusCode::kNotConfirmed,
              "BIRD took its configuration (" + Printable(change.bird_conf, 200) +
                  ") and has not what " + file_.path() + " says: " + *difference};
    }
    change.not_included = difference.status().code() == StatusCode::kNotFound;
    if (!change.not_included) return difference.status();
    return {StatusCode::kInvalidArgument,
            difference.status().message() + ": " + Printable(change.bird_conf, 200) +
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
  PODROUTE_ASSIGN_OR_RETURN(const std::string difference,
                            Compare(change, ShowStatic(change.deadline)));
  if (difference.empty()) return {};
  return {StatusCode::kNotConfirmed,
          "somebody else has changed BIRD's configuration meanwhile: " + difference};
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

// Takes back what our own doing made readable; not what others did to the file since it was `left`.
void BirdBackend::ForgetOwnEvents(const std::optional<BirdFile::Identity>& left) {
  const BirdFile::Identity before = left ? *left : file_.Look();
  watch_.Drain();
  const bool foreign = !(file_.Look() == before);
  const uint64_t one = 1;
  if (foreign && write(note_.get(), &one, sizeof one) < 0) {
    LOG(WARNING) << "eventfd: " << errno;  // Cannot be: it counts to 2^64.
  }
}

}  // namespace podroute
