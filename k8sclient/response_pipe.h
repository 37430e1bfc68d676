// Where one response passes from the thread that receives it to the thread that reads it.
#ifndef PODROUTE_K8SCLIENT_RESPONSE_PIPE_H_
#define PODROUTE_K8SCLIENT_RESPONSE_PIPE_H_

#include <condition_variable>
#include <cstddef>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <span>
#include <string>

#include "base/clock.h"
#include "base/status.h"

namespace podroute {

struct ResponseHead {
  int status = 0;
  std::map<std::string, std::string> headers;  // Names in lower case.
};

// Thread-safe. One receiver, one reader. Holds at most `capacity` bytes of its own: what is more
// stays where the receiver has it, and the receiver waits (without a thread) until it is read.
class ResponsePipe {
 public:
  explicit ResponsePipe(size_t capacity) : capacity_(capacity) {}

  // Receiver. -------------------------------------------------------------------------------------
  void SetHead(ResponseHead head);
  // Hands over bytes. `taken` is called once, from here or from the reader's thread, with no lock
  // held, when they have been copied out (or are no longer wanted); until then they must stay, and
  // no other Put may come. REQUIRES: !bytes.empty().
  void Put(std::span<const char> bytes, std::function<void()> taken);
  // OK: the end of the body. An error before the head is the reader's answer to WaitHead.
  void Finish(Status status);

  // Reader. ---------------------------------------------------------------------------------------
  // kDeadlineExceeded after `timeout`, kCancelled, or what Finish said; the pipe stays as it is.
  Result<ResponseHead> WaitHead(Duration timeout);
  // As BodyStream::Read; kDeadlineExceeded after `timeout` without a byte.
  Result<size_t> Read(std::span<char> buffer, Duration timeout);
  // The end of the body has been read.
  bool AtCleanEnd();

  // Anybody: ends both sides' waits. Idempotent.
  void Cancel();
  bool cancelled();

 private:
  size_t TakeLocked(std::span<char> buffer, std::function<void()>& taken);

  const size_t capacity_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<ResponseHead> head_;
  std::string held_;  // [held_at_, end) is still to be read.
  size_t held_at_ = 0;
  std::span<const char> pending_;  // The receiver's own memory; read after held_.
  std::function<void()> taken_;    // Set while pending_ is not empty.
  std::optional<Status> finished_;
  bool cancelled_ = false;
};

}  // namespace podroute

#endif  // PODROUTE_K8SCLIENT_RESPONSE_PIPE_H_
