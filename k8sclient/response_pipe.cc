#include "k8sclient/response_pipe.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace podroute {
namespace {

Status CancelledStatus() { return {StatusCode::kCancelled, "the request was cancelled"}; }

std::string Seconds(Duration duration) {
  auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
  if (ms % 1000 == 0) return std::to_string(ms / 1000) + " s";
  return std::to_string(ms) + " ms";
}

}  // namespace

void ResponsePipe::SetHead(ResponseHead head) {
  {
    std::lock_guard lock(mutex_);
    head_ = std::move(head);
  }
  changed_.notify_all();
}

void ResponsePipe::Put(std::span<const char> bytes, std::function<void()> taken) {
  {
    std::lock_guard lock(mutex_);
    size_t waiting = held_.size() - held_at_;
    if (!cancelled_ && waiting + bytes.size() > capacity_) {
      pending_ = bytes;
      taken_ = std::exchange(taken, nullptr);
    } else if (!cancelled_) {
      if (held_at_ > 0) held_.erase(0, std::exchange(held_at_, 0));
      held_.append(bytes.data(), bytes.size());
    }
  }
  changed_.notify_all();
  if (taken) taken();
}

void ResponsePipe::Finish(Status status) {
  {
    std::lock_guard lock(mutex_);
    if (!finished_) finished_ = std::move(status);
  }
  changed_.notify_all();
}

Result<ResponseHead> ResponsePipe::WaitHead(Duration timeout) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, timeout, [&] { return head_ || finished_ || cancelled_; });
  if (cancelled_) return CancelledStatus();
  if (head_) return *std::exchange(head_, std::nullopt);
  if (finished_ && !finished_->ok()) return *finished_;
  if (finished_) return Status(StatusCode::kInternal, "the response has no head");
  return Status(StatusCode::kDeadlineExceeded, "no answer within " + Seconds(timeout));
}

size_t ResponsePipe::TakeLocked(std::span<char> buffer, std::function<void()>& taken) {
  size_t n = std::min(buffer.size(), held_.size() - held_at_);
  std::memcpy(buffer.data(), held_.data() + held_at_, n);
  held_at_ += n;
  if (held_at_ == held_.size()) {
    held_.clear();
    held_at_ = 0;
  }
  size_t more = std::min(buffer.size() - n, pending_.size());
  if (more > 0) {
    std::memcpy(buffer.data() + n, pending_.data(), more);
    pending_ = pending_.subspan(more);
    if (pending_.empty()) taken = std::exchange(taken_, nullptr);
  }
  return n + more;
}

Result<size_t> ResponsePipe::Read(std::span<char> buffer, Duration timeout) {
  std::function<void()> taken;
  size_t n = 0;
  {
    std::unique_lock lock(mutex_);
    auto something = [&] { return !held_.empty() || !pending_.empty() || finished_ || cancelled_; };
    changed_.wait_for(lock, timeout, something);
    if (cancelled_) return CancelledStatus();
    n = TakeLocked(buffer, taken);
    if (n == 0 && !finished_) {
      return Status(StatusCode::kDeadlineExceeded,
                    "the server has sent nothing for " + Seconds(timeout));
    }
    if (n == 0 && !finished_->ok()) return *finished_;
  }
  if (taken) taken();
  return n;
}

bool ResponsePipe::AtCleanEnd() {
  std::lock_guard lock(mutex_);
  return finished_ && finished_->ok() && held_.empty() && pending_.empty() && !cancelled_;
}

void ResponsePipe::Cancel() {
  std::function<void()> taken;
  {
    std::lock_guard lock(mutex_);
    cancelled_ = true;
    pending_ = {};
    taken = std::exchange(taken_, nullptr);
  }
  changed_.notify_all();
  if (taken) taken();
}

bool ResponsePipe::cancelled() {
  std::lock_guard lock(mutex_);
  return cancelled_;
}

}  // namespace podroute
