// An API server that follows a script.
#ifndef PODROUTE_TESTS_K8SCLIENT_FAKE_TRANSPORT_H_
#define PODROUTE_TESTS_K8SCLIENT_FAKE_TRANSPORT_H_

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "k8sclient/http_transport.h"

namespace podroute {

// One thing that happens while a body is read.
struct BodyStep {
  std::string data = {};              // Bytes to hand out; after that:
  std::function<void()> action = {};  // Called on the reader's thread, with no lock held.
  Status error = {};                  // Read fails with it, then and ever after.
  bool block = false;                 // Read blocks until Cancel, Shutdown or Release.

  static BodyStep Data(std::string data) { return {.data = std::move(data)}; }
  static BodyStep Do(std::function<void()> action) { return {.action = std::move(action)}; }
  static BodyStep Error(Status error) { return {.error = std::move(error)}; }
  static BodyStep Block() { return {.block = true}; }
};

struct FakeResponse {
  Status error = {};  // Send fails with it; the rest does not matter.
  int status = 200;
  std::map<std::string, std::string> headers = {};
  std::vector<BodyStep> body = {};                          // Then the clean end.
  size_t chunk_bytes = std::numeric_limits<size_t>::max();  // The most that one Read returns.

  static FakeResponse Body(std::string data) { return {.body = {BodyStep::Data(std::move(data))}}; }
  static FakeResponse Failure(StatusCode code, std::string message) {
    return {.error = Status(code, std::move(message))};
  }
};

class FakeBody final : public BodyStream {
 public:
  // What Cancel, Shutdown and Release share with the body; outlives it.
  struct Control {
    std::mutex mutex;
    std::condition_variable changed;
    bool cancelled = false;
    bool released = false;
    bool blocked = false;
    Duration idle_timeout{0};  // As last set; 0: never.
  };

  explicit FakeBody(FakeResponse response)
      : control(std::make_shared<Control>()),
        steps_(response.body.begin(), response.body.end()),
        chunk_bytes_(response.chunk_bytes) {}

  Result<size_t> Read(std::span<char> buffer) override {
    while (true) {
      if (Cancelled()) return Status(StatusCode::kCancelled, "cancelled");
      if (steps_.empty()) return size_t{0};
      BodyStep& step = steps_.front();
      if (read_ < step.data.size()) {
        size_t n = std::min({buffer.size(), chunk_bytes_, step.data.size() - read_});
        std::memcpy(buffer.data(), step.data.data() + read_, n);
        read_ += n;
        return n;
      }
      if (!step.error.ok()) return step.error;
      if (step.block) Block();
      std::function<void()> action = std::move(step.action);
      steps_.pop_front();
      read_ = 0;
      if (action) action();
    }
  }

  void SetIdleTimeout(Duration idle_timeout) override {
    std::lock_guard lock(control->mutex);
    control->idle_timeout = idle_timeout;
  }

  void Cancel() override {
    std::lock_guard lock(control->mutex);
    control->cancelled = true;
    control->changed.notify_all();
  }

  const std::shared_ptr<Control> control;

 private:
  bool Cancelled() {
    std::lock_guard lock(control->mutex);
    return control->cancelled;
  }

  void Block() {
    std::unique_lock lock(control->mutex);
    control->blocked = true;
    control->changed.notify_all();
    control->changed.wait(lock, [&] { return control->cancelled || control->released; });
    control->released = control->blocked = false;
  }

  std::deque<BodyStep> steps_;
  size_t read_ = 0;  // Of the first step's data.
  const size_t chunk_bytes_;
};

// Thread-safe. Answers one request after the other from the script; when it has run out, calls
// on_exhausted (once a request) and fails with kCancelled.
class FakeTransport final : public HttpTransport {
 public:
  std::function<void()> on_exhausted;  // Set before the first Send.

  void Add(FakeResponse response) {
    std::lock_guard lock(mutex_);
    script_.push_back(std::move(response));
  }

  Result<HttpResponse> Send(const HttpRequest& request) override {
    std::unique_lock lock(mutex_);
    if (shut_down_) return Status(StatusCode::kCancelled, "shut down");
    requests_.push_back(request);
    if (script_.empty()) {
      lock.unlock();
      if (on_exhausted) on_exhausted();
      return Status(StatusCode::kCancelled, "the script is over");
    }
    FakeResponse next = std::move(script_.front());
    script_.pop_front();
    if (!next.error.ok()) return next.error;
    HttpResponse response;
    response.status = next.status;
    response.headers = next.headers;
    auto body = std::make_unique<FakeBody>(std::move(next));
    control_ = body->control;
    changed_.notify_all();
    response.body = std::move(body);
    return response;
  }

  void ReloadCredentials() override {}

  void Shutdown() override {
    std::lock_guard lock(mutex_);
    shut_down_ = true;
    if (!control_) return;
    std::lock_guard control_lock(control_->mutex);
    control_->cancelled = true;
    control_->changed.notify_all();
  }

  // Waits until the reader is blocked in a Block step of the body of request number `count`, the
  // first being 1.
  void AwaitBlocked(size_t count) {
    std::shared_ptr<FakeBody::Control> control;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return requests_.size() >= count && control_; });
      control = control_;
    }
    std::unique_lock lock(control->mutex);
    control->changed.wait(lock, [&] { return control->blocked; });
  }

  // Ends the Block step under way.
  void Release() {
    std::lock_guard lock(mutex_);
    std::lock_guard control_lock(control_->mutex);
    control_->released = true;
    control_->changed.notify_all();
  }

  // What the last body's idle timeout was set to; 0 when it was not.
  Duration idle_timeout_set() const {
    std::lock_guard lock(mutex_);
    std::lock_guard control_lock(control_->mutex);
    return control_->idle_timeout;
  }

  std::vector<HttpRequest> requests() const {
    std::lock_guard lock(mutex_);
    return requests_;
  }

  std::vector<std::string> targets() const {
    std::vector<std::string> targets;
    for (const HttpRequest& request : requests()) targets.push_back(request.target);
    return targets;
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<FakeResponse> script_;
  std::vector<HttpRequest> requests_;
  std::shared_ptr<FakeBody::Control> control_;  // Of the last body.
  bool shut_down_ = false;
};

}  // namespace podroute

#endif  // PODROUTE_TESTS_K8SCLIENT_FAKE_TRANSPORT_H_
