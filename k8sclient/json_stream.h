// A BodyStream as the input that RapidJSON's reader pulls from. Of use to the decoders only.
#ifndef PODROUTE_K8SCLIENT_JSON_STREAM_H_
#define PODROUTE_K8SCLIENT_JSON_STREAM_H_

#include <array>
#include <cstddef>
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/status.h"
#include "k8sclient/http_transport.h"

namespace podroute {

inline constexpr size_t kMaxJsonDepth = 1000;  // Below what is skipped. (Our fields lie 6 deep.)

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
  size_t Tell() const { return before_ + position_ - 1; }

  // Something that is worth its bytes is complete: counting starts anew.
  void Mark() { mark_ = Tell(); }

  // REQUIRES: the byte at Tell() is a bracket that opens an object or array. Moves to one byte
  // before the bracket that closes it: the parser takes the opening one only after it has told the
  // handler, whatever byte that then is. Between them only strings and brackets are looked at,
  // which is several times quicker than parsing, and forgives what a parser would not. Without a
  // closing bracket, moves to the end.
  void SkipToClose() {
    Lexer lexer;
    while (position_ != size_ || Fill()) {
      if (lexer.FindClose(buffer_.data(), &position_, size_)) {
        --position_;
        return;
      }
      if (lexer.depth > kMaxJsonDepth) {
        status_ = Status(StatusCode::kInternal,
                         "nested more than " + std::to_string(kMaxJsonDepth) + " deep");
        position_ = size_;
      }
    }
  }

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
  struct Lexer {
    // True with *position at the closing bracket; else false, with it at `size`, or anywhere when
    // it is nested too deep.
    bool FindClose(const char* text, size_t* position, size_t size) {
      size_t at = *position;
      for (; at < size; ++at) {
        if (escaped) {
          escaped = false;
        } else if (in_string) {
          while (at < size && text[at] != '"' && text[at] != '\\') ++at;
          if (at == size) break;
          (text[at] == '"' ? in_string : escaped) ^= true;
        } else if (text[at] == '"') {
          in_string = true;
        } else if (text[at] == '{' || text[at] == '[') {
          if (++depth > kMaxJsonDepth) break;
        } else if ((text[at] == '}' || text[at] == ']') && --depth == 0) {
          *position = at;
          return true;
        }
      }
      *position = at;
      return false;
    }
    size_t depth = 0;
    bool in_string = false;
    bool escaped = false;
  };

  bool Fill() {
    if (ended_ || !status_.ok()) return false;
    if (Tell() - mark_ > max_unmarked_) {
      status_ = Status(StatusCode::kInternal,
                       "an object is over " + std::to_string(max_unmarked_ >> 20) + " MiB long");
      return false;
    }
    Result<size_t> n = body_.Read(std::span(buffer_).subspan(1));
    if (!n.ok()) {
      status_ = n.status();
      return false;
    }
    before_ += size_ - 1;
    position_ = 1;
    size_ = 1 + *n;
    arrived_ = clock_.Now();
    ended_ = *n == 0;
    return !ended_;
  }

  BodyStream& body_;
  const Clock& clock_;
  const size_t max_unmarked_;
  // The first byte is never read into: a place for SkipToClose to step back to.
  std::array<char, 16384> buffer_{};
  size_t position_ = 1;  // In buffer_, which is valid up to size_.
  size_t size_ = 1;
  size_t before_ = 0;  // Bytes of the body before those in buffer_.
  size_t mark_ = 0;
  MonotonicTime arrived_;
  bool ended_ = false;
  Status status_;
};

}  // namespace podroute

#endif  // PODROUTE_K8SCLIENT_JSON_STREAM_H_
