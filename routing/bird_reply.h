// What BIRD says on its control socket, as values. Pure. The protocol is as BIRD 2.0.12 speaks it
// (nest/cli.c): a reply is lines; "NNNN-text" goes on, "NNNN text" is the last one, " text" is
// another line with the code of the one before, "+text" is a log message that anybody asked for
// with `echo`.
#ifndef PODROUTE_ROUTING_BIRD_REPLY_H_
#define PODROUTE_ROUTING_BIRD_REPLY_H_

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"
#include "routing/route.h"

namespace podroute {

// doc/reply_codes of BIRD's sources; those that podroute acts on.
enum BirdCode {
  kBirdOk = 0,
  kBirdWelcome = 1,
  kBirdReconfigured = 3,
  kBirdReconfigurationInProgress = 4,
  kBirdReconfigurationQueued = 5,
  kBirdConfirmed = 18,
  kBirdNothingToDo = 19,
  kBirdConfigurationOk = 20,
  kBirdUndoScheduled = 22,
  kBirdProtocolList = 1002,
  kBirdStaticRoutes = 1009,
  kBirdConfigurationError = 8002,
  kBirdNoProtocolsMatch = 8003,
};

struct BirdLine {
  int code = 0;
  std::string_view text;  // Without code and newline; lives as long as the reply.
};

// Movable, not copyable.
struct BirdReply {
  std::vector<BirdLine> lines;  // At least one; the last one's code is the answer.
  // What they look into; replies that came together share them.
  std::vector<std::shared_ptr<const std::string>> pieces;

  int code() const { return lines.back().code; }
  bool is_error() const { return code() >= 8000; }
  // The first line with this code; null when there is none.
  const BirdLine* Find(int wanted) const;
  // OK, or BIRD's own words ("/etc/bird/podroute.conf:12:1 syntax error, ...").
  Status status() const;
};

// Puts replies together from whatever pieces the socket yields.
class BirdReplyReader {
 public:
  static constexpr size_t kMaxLineBytes = 64u << 10;
  static constexpr size_t kMaxReplyBytes = 64u << 20;

  // How many are to come. REQUIRES: all before have been taken.
  explicit BirdReplyReader(size_t expected = 1) : expected_(expected) {}
  void Expect(size_t expected) { expected_ = expected; }

  // Takes more bytes. An error is for ever: what comes is not this protocol, or too much of it.
  // REQUIRES: !complete().
  Status Feed(std::string_view bytes);
  // All replies are there; nothing may have come behind them, as nothing more was asked.
  bool complete() const { return done_.size() == expected_; }
  // REQUIRES: complete().
  std::vector<BirdReply> TakeAll();
  BirdReply Take() { return std::move(TakeAll().front()); }

 private:
  Status TakeLine(std::string_view line);

  size_t expected_;
  std::vector<BirdReply> done_;
  std::string partial_;  // A line without its end yet.
  BirdReply reply_;
  size_t bytes_ = 0;
};

enum class BirdProtocolState {
  kUnknown,  // BIRD's configuration has no such protocol.
  kForeign,  // It has, but it is no static protocol.
  kDown,     // Disabled, stopping or starting: its routes are in no table.
  kUp,
};

// From `show protocols "NAME"`. Errors: what BIRD said instead.
Result<BirdProtocolState> ParseProtocolState(const BirdReply& reply, std::string_view name);

// From `show static NAME`: what the protocol is configured with, whether or not the next hop's link
// is there just now ("dormant"), ordered. A route of another kind than `via ADDRESS` (made by hand)
// has an unspecified gateway. Errors: what BIRD said instead, or the line that is no route.
Result<RouteSet> ParseStaticRoutes(const BirdReply& reply);

// True when that reply says exactly `expected` (RenderBirdStatic), dormant or not: five times as
// fast as to parse and compare. False also where BIRD spells the same otherwise.
bool SaysStaticRoutes(const BirdReply& reply, std::string_view expected);

}  // namespace podroute

#endif  // PODROUTE_ROUTING_BIRD_REPLY_H_
