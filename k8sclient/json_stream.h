// A BodyStream as the input that RapidJSON's reader pulls from. Of use to the decoders only.
#ifndef PODROUTE_K8SCLIENT_JSON_STREAM_H_
#define PODROUTE_K8SCLIENT_JSON_STREAM_H_

#include <array>
#include <cstddef>
#include <cstdlib>

#include "base/clock.h"
#include "base/status.h"
#include "k8sclient/http_transport.h"

namespace podroute {

// Reads only when the parser looks at a byte that is not there yet: an event is complete with its
// closing brace, whatever comes after. The end, an error and a NUL byte all look like '\0' to the
// parser; status() and ended() tell them apart.
class JsonStream {
 public:
  using Ch = char;

  // At most `max_unmarked` bytes (and a buffer's worth) are read between two calls of Mark.
  JsonStream(BodyStream& body, const Clock& clock, size_t max_unmarked)
      : body_(body), clock_(clock), max_unmarked_(max_unmarked) {}

  Ch Peek() { return position_ != size_ || Fill() ? buffer_[position_] : '\0'; }
  Ch Take() { return position_ != size_ || Fill() ? buffer_[position_++] : '\0'; }
  size_t Tell() const { return before_ + position_; }

  // Something that is worth its bytes is complete: counting starts anew.
  void Mark() { mark_ = Tell(); }

  // When the byte at Tell() was read.
  MonotonicTime arrived() const { return arrived_; }
  bool ended() const { return ended_; }  // The body ended cleanly.
  const Status& status() const { return status_; }
  // The bytes at Tell() that are there already.
  std::string_view buffered() const { return {buffer_.data() + position_, size_ - position_}; }

  // Asked for by the reader's template, for writing in place, which is not done.
  Ch* PutBegin() { std::abort(); }
  void Put(Ch) { std::abort(); }
  void Flush() { std::abort(); }
  size_t PutEnd(Ch*) { std::abort(); }

 private:
  bool Fill() {
    if (ended_ || !status_.ok()) return false;
    if (Tell() - mark_ > max_unmarked_) {
      status_ = Status(StatusCode::kInternal,
                       "an object is over " + std::to_string(max_unmarked_ >> 20) + " MiB long");
      return false;
    }
    Result<size_t> n = body_.Read(buffer_);
    if (!n.ok()) {
      status_ = n.status();
      return false;
    }
    before_ += size_;
    position_ = 0;
    size_ = *n;
    arrived_ = clock_.Now();
    ended_ = size_ == 0;
    return !ended_;
  }

  BodyStream& body_;
  const Clock& clock_;
  const size_t max_unmarked_;
  std::array<char, 16384> buffer_;
  size_t position_ = 0;  // In buffer_, of size_ valid bytes ...
  size_t size_ = 0;
  size_t before_ = 0;  // ... with so many before them.
  size_t mark_ = 0;
  MonotonicTime arrived_;
  bool ended_ = false;
  Status status_;
};

}  // namespace podroute

#endif  // PODROUTE_K8SCLIENT_JSON_STREAM_H_
