#include "k8sclient/reflector.h"

#include <glog/logging.h>

#include <algorithm>
#include <chrono>
#include <iterator>
#include <memory>
#include <utility>
#include <vector>

#include "base/code_pages.h"
#include "k8sclient/initial_events.h"
#include "k8sclient/list_watch.h"

namespace podroute {
namespace {

using std::chrono::duration_cast;
using std::chrono::milliseconds;

constexpr Duration kShortWatch = std::chrono::seconds(1);
constexpr Duration kQuietTooLong = std::chrono::minutes(5);
constexpr Duration kForgiven = std::chrono::minutes(2);
// A server that asks for more has lost its mind, and we should not stay away for ever on its word.
constexpr Duration kMaxRetryAfter = std::chrono::minutes(5);
constexpr Duration kWatchGrace = std::chrono::seconds(30);
constexpr int kMaxPages = 10'000;
constexpr int kMaxFailedWatchLists = 2;

double Seconds(Duration duration) { return duration_cast<milliseconds>(duration).count() / 1e3; }

ApiError Cancelled() { return {.status = Status(StatusCode::kCancelled, "asked to stop")}; }

bool NeedsConsistentList(const ApiError& error) {
  return error.status.code() == StatusCode::kGone || error.status.code() == StatusCode::kTooLarge;
}

// The server did not answer, or said "not now": the version we watch from is as good as before.
bool LeavesVersionAlone(const ApiError& error) {
  switch (error.status.code()) {
    case StatusCode::kUnavailable:
    case StatusCode::kDeadlineExceeded:
    case StatusCode::kUnauthenticated:
    case StatusCode::kCancelled:
      return true;
    default:
      return false;
  }
}

}  // namespace

Reflector::Reflector(HttpTransport& transport, NodeStore& store, Clock& clock,
                     const ReflectorOptions& options)
    : transport_(transport),
      store_(store),
      clock_(clock),
      options_(options),
      backoff_(options_.backoff, clock, options_.seed),
      random_(options_.seed),
      watch_list_(options_.watch_list) {}

void Reflector::Run(StopToken& stop) {
  while (!stop.stopped()) {
    ApiError error = need_list_ || ConsistentListWanted() ? List(stop) : Watch(stop);
    if (error.ok()) continue;
    if (stop.stopped()) return;
    if (NeedsConsistentList(error)) need_list_ = version_unusable_ = true;
    if (MayRetryAtOnce(error)) {
      Failed(error, Duration(0));
      continue;
    }
    Duration wait = std::max(backoff_.Next(), std::min(error.retry_after, kMaxRetryAfter));
    Failed(error, wait);
    if (!clock_.WaitFor(wait, stop)) return;
    retried_at_once_.reset();
  }
}

bool Reflector::MayRetryAtOnce(const ApiError& error) {
  if (!NeedsConsistentList(error) && error.http_status != 401) return false;
  MonotonicTime now = clock_.Now();
  if (retried_at_once_ && now - *retried_at_once_ < kForgiven) return false;
  retried_at_once_ = now;
  return true;
}

ApiError Reflector::List(StopToken& stop) {
  stage_ = Stage::kList;
  ListJob job;
  {
    std::lock_guard lock(mutex_);
    job.requested = requested_;
  }
  job.consistent = version_unusable_ || ConsistentListWanted();
  job.version = job.consistent ? "" : version_.empty() ? "0" : version_;
  job.started = clock_.Now();
  if (!watch_list_ || failed_watch_lists_ >= kMaxFailedWatchLists) return PlainList(job, stop);

  ApiError error = WatchList(job, stop);
  if (watch_list_ || stop.stopped()) return error;
  LOG(INFO) << "the server has no watch-list, so lists are plain: " << error.status.message();
  return PlainList(job, stop);
}

// Before an answer's Nodes need memory, what a handshake took of it is given back.
ApiError Reflector::Open(const std::string& target, Duration idle_timeout,
                         std::unique_ptr<BodyStream>* body) {
  ApiError error = OpenBody(transport_, target, idle_timeout, body);
  ReleaseCodePages();
  return error;
}

// The list, and then the watch that its stream goes on as.
ApiError Reflector::WatchList(const ListJob& job, StopToken& stop) {
  int seconds = WatchSeconds();
  std::unique_ptr<BodyStream> body;
  ApiError error = Open(WatchListTarget(job.version, seconds, options_.field_selector),
                        options_.list_idle_timeout, &body);
  if (!error.ok()) return WatchListFailed(std::move(error), job, /*opened=*/false);
  if (!SetBody(body.get(), /*watch=*/false, stop)) return Cancelled();
  WatchDecoder decoder(*body, clock_);
  NodeListPage all;
  error = ReadInitialEvents(decoder, options_.list_idle_timeout, &all);
  ClearBody();
  if (!error.ok()) return WatchListFailed(std::move(error), job, /*opened=*/true);
  Listed(job, std::move(all));
  body->SetIdleTimeout(std::chrono::seconds(seconds) + kWatchGrace);
  return Stream(*body, decoder, job.started, /*events=*/1, stop);
}

// Remembers what the failure says about watch-lists, and yields what it says about the list.
ApiError Reflector::WatchListFailed(ApiError error, const ListJob& job, bool opened) {
  switch (error.status.code()) {
    case StatusCode::kInvalidArgument:
    case StatusCode::kUnsupported:
      watch_list_ = false;
      return error;
    case StatusCode::kDeadlineExceeded:
      if (!opened) break;
      if (!job.version.empty() && job.version != "0") {
        error.status = Status(StatusCode::kTooLarge, error.status.message());
      } else {
        watch_list_ = false;
      }
      return error;
    case StatusCode::kUnavailable:
      if (opened && error.http_status == 0) break;
      if (error.http_status == 504) break;  // A proxy that waits for the end of the stream.
      return error;
    case StatusCode::kGone:
    case StatusCode::kTooLarge:
    case StatusCode::kUnauthenticated:
    case StatusCode::kCancelled:
      return error;
    default:
      break;
  }
  ++failed_watch_lists_;
  DropRefusedVersion(job, error);
  return error;
}

// A version that no list succeeds at must not be asked for again, whatever the server says is wrong
// with it (kube-apiserver 1.20 answers 500 to one that it cannot read).
void Reflector::DropRefusedVersion(const ListJob& job, const ApiError& error) {
  if (job.version.empty() || job.version == "0" || LeavesVersionAlone(error)) return;
  version_unusable_ = true;
}

ApiError Reflector::PlainList(const ListJob& job, StopToken& stop) {
  bool paged = job.version.empty() || job.version == "0";
  NodeListPage all;
  int pages = 0;
  ApiError error = ListPages(job.version, paged ? options_.page_size : 0, stop, &all, &pages);
  if (error.status.code() == StatusCode::kGone && pages > 0) {
    all = {};
    error = ListPages(job.version, 0, stop, &all, &pages);
  }
  if (!error.ok()) {
    DropRefusedVersion(job, error);
    return error;
  }
  Listed(job, std::move(all));
  return {};
}

void Reflector::Listed(const ListJob& job, NodeListPage all) {
  size_t count = all.nodes.size();
  version_ = all.resource_version;
  need_list_ = version_unusable_ = false;
  failed_watch_lists_ = 0;
  heard_ = clock_.Now();
  {
    std::lock_guard lock(mutex_);
    if (job.consistent) served_ = job.requested;
    if (++state_.lists == 1) {
      LOG(INFO) << "listed nodes count=" << count << " resource_version=" << AsOneLine(version_, 64)
                << " seconds=" << Seconds(heard_ - job.started);
    }
    state_.resource_version = version_;
    state_.last_heard = heard_;
  }
  store_.Replace(std::move(all.nodes), job.consistent, all.arrived);
  Works(Stage::kList);
}

// One pass through all pages. *pages counts those that came.
ApiError Reflector::ListPages(const std::string& version, int limit, StopToken& stop,
                              NodeListPage* all, int* pages) {
  std::string token;
  while (true) {
    NodeListPage page;
    ApiError error =
        ListPage(ListTarget(version, limit, token, options_.field_selector), stop, &page);
    if (!error.ok()) return error;
    if (token.empty()) {
      // All pages are of the first one's version.
      if (page.resource_version.empty()) {
        return {.status =
                    Status(StatusCode::kInternal, "the list has no metadata.resourceVersion")};
      }
      *all = std::move(page);
    } else {
      std::move(page.nodes.begin(), page.nodes.end(), std::back_inserter(all->nodes));
      all->continue_token = std::move(page.continue_token);
    }
    if (all->continue_token.empty()) return {};
    if (all->continue_token == token || ++*pages > kMaxPages || all->nodes.size() > kMaxListNodes) {
      return {.status = Status(StatusCode::kInternal, "the list's pages have no end")};
    }
    token = all->continue_token;
  }
}

ApiError Reflector::ListPage(const std::string& target, StopToken& stop, NodeListPage* page) {
  std::unique_ptr<BodyStream> body;
  ApiError error = Open(target, options_.list_idle_timeout, &body);
  if (!error.ok()) return error;
  if (!SetBody(body.get(), /*watch=*/false, stop)) return Cancelled();
  Result<NodeListPage> decoded = DecodeNodeList(*body, clock_);
  ClearBody();
  if (!decoded.ok()) return {.status = decoded.status()};
  *page = std::move(*decoded);
  return {};
}

int Reflector::WatchSeconds() {
  return std::uniform_int_distribution<int>(options_.min_watch_seconds,
                                            options_.max_watch_seconds)(random_);
}

ApiError Reflector::Watch(StopToken& stop) {
  stage_ = Stage::kConnect;
  int seconds = WatchSeconds();
  MonotonicTime started = clock_.Now();
  std::unique_ptr<BodyStream> body;
  ApiError error = Open(WatchTarget(version_, seconds, options_.field_selector),
                        std::chrono::seconds(seconds) + kWatchGrace, &body);
  if (!error.ok()) {
    need_list_ = !LeavesVersionAlone(error);
    return error;
  }
  WatchDecoder decoder(*body, clock_);
  return Stream(*body, decoder, started, /*events=*/0, stop);
}

// A watch that the server has accepted at `started` and that `events` have come of so far.
ApiError Reflector::Stream(BodyStream& body, WatchDecoder& decoder, MonotonicTime started,
                           uint64_t events, StopToken& stop) {
  stage_ = Stage::kStream;
  Works(Stage::kConnect);
  if (!SetBody(&body, /*watch=*/true, stop)) return {};
  ApiError error = ReadEvents(decoder, started, events, stop);
  ClearBody();
  return error;
}

ApiError Reflector::ReadEvents(WatchDecoder& decoder, MonotonicTime started, uint64_t events,
                               StopToken& stop) {
  for (;; ++events) {
    Result<std::optional<WatchEvent>> event = decoder.Next();
    if (!event.ok() || !event->has_value()) {
      // Whatever the end looks like, it was we who wanted it.
      if (stop.stopped() || ConsistentListWanted()) return {};
      return EndOfWatch(event.status(), started, events);
    }
    ApiError error = Apply(std::move(**event));
    if (!error.ok()) {
      need_list_ = !LeavesVersionAlone(error);
      return error;
    }
  }
}

// What the end of a watch means, which came cleanly (OK) or otherwise. A connection that broke
// takes a step of backoff however long it lasted: the jitter keeps a thousand agents from coming
// back at once.
ApiError Reflector::EndOfWatch(const Status& how, MonotonicTime started, uint64_t events) {
  MonotonicTime now = clock_.Now();
  bool too_short = now - started < kShortWatch;
  ApiError error{.status = how};
  need_list_ = !(how.ok() || LeavesVersionAlone(error)) || (too_short && events == 0) ||
               now - heard_ >= kQuietTooLong;
  if (how.ok() && too_short) {
    error.status = Status(StatusCode::kUnavailable,
                          "the watch ended after " +
                              std::to_string(duration_cast<milliseconds>(now - started).count()) +
                              " ms and " + std::to_string(events) + " events");
  }
  if (error.ok()) Works(Stage::kStream);
  return error;
}

ApiError Reflector::Apply(WatchEvent event) {
  if (event.type == WatchEvent::Type::kError) return MakeApiError(event.error, 0);
  version_ = event.node.resource_version;
  heard_ = event.arrived;
  {
    std::lock_guard lock(mutex_);
    ++state_.events;
    state_.last_heard = heard_;
    state_.resource_version = version_;
  }
  if (event.type == WatchEvent::Type::kDeleted) {
    store_.Erase(event.node.name, event.arrived);
  } else if (event.type != WatchEvent::Type::kBookmark) {
    store_.Upsert(std::move(event.node), event.arrived);
  }
  Works(Stage::kStream);
  return {};
}

// Logs only what the log does not know yet: an outage of an hour is two lines.
void Reflector::Failed(const ApiError& error, Duration wait) {
  bool news = !failing_ || *failing_ != stage_ || failing_code_ != error.status.code();
  failing_ = stage_;
  failing_code_ = error.status.code();
  {
    std::lock_guard lock(mutex_);
    ++(stage_ == Stage::kList ? state_.list_failures : state_.watch_failures);
    state_.last_error = error.status.message();
    if (!state_.failing_since) state_.failing_since = clock_.Now();
  }
  if (!news) return;
  LOG(WARNING) << (stage_ == Stage::kList ? "list" : "watch")
               << " failed reason=" << StatusCodeName(error.status.code())
               << " retry_in=" << Seconds(wait) << "s: " << error.status.message();
}

// `proven` worked: it is over when what failed was no further along than that.
void Reflector::Works(Stage proven) {
  {
    std::lock_guard lock(mutex_);
    if (proven == Stage::kConnect) ++state_.watches;
    if (!failing_ || proven < *failing_) return;
    state_.failing_since.reset();
  }
  failing_.reset();
  LOG(INFO) << (proven == Stage::kList ? "list" : "watch")
            << " works again resource_version=" << AsOneLine(version_, 64);
}

void Reflector::RequestConsistentList() {
  std::lock_guard lock(mutex_);
  ++requested_;
  if (body_ != nullptr && body_is_watch_) body_->Cancel();
}

void Reflector::Interrupt() {
  std::lock_guard lock(mutex_);
  if (body_ != nullptr) body_->Cancel();
}

ReflectorState Reflector::state() const {
  std::lock_guard lock(mutex_);
  ReflectorState state = state_;
  state.connected = body_ != nullptr && body_is_watch_;
  return state;
}

bool Reflector::ConsistentListWanted() const {
  std::lock_guard lock(mutex_);
  return requested_ != served_;
}

bool Reflector::SetBody(BodyStream* body, bool watch, StopToken& stop) {
  std::lock_guard lock(mutex_);
  if (stop.stopped() || (watch && requested_ != served_)) return false;
  body_ = body;
  body_is_watch_ = watch;
  return true;
}

void Reflector::ClearBody() {
  std::lock_guard lock(mutex_);
  body_ = nullptr;
}

}  // namespace podroute
