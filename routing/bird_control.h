// A connection to BIRD's control socket, without birdc.
#ifndef PODROUTE_ROUTING_BIRD_CONTROL_H_
#define PODROUTE_ROUTING_BIRD_CONTROL_H_

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "base/unique_fd.h"
#include "routing/bird_reply.h"
#include "routing/daemon_socket.h"

namespace podroute {

// One thread. Waits and errors are DaemonSocket's; kInternal: what answers is not BIRD. After any
// error the connection is broken: make another.
class BirdControl {
 public:
  // Connects and takes BIRD's greeting. BIRD 1, which knows no channels, is refused
  // (kUnsupported).
  static Result<std::unique_ptr<BirdControl>> Connect(const std::string& path,
                                                      MonotonicTime deadline, StopToken* stop);
  // The same, over a stream socket that is connected already; `path` is for messages.
  static Result<std::unique_ptr<BirdControl>> Greet(UniqueFd socket, const std::string& path,
                                                    MonotonicTime deadline, StopToken* stop);

  // One command, without newline, and its whole reply, BIRD's refusals included (reply.status()).
  Result<BirdReply> Ask(std::string_view command, MonotonicTime deadline);
  // Several, sent at once: BIRD carries out each whatever it says to those before. A reply for
  // each. `meanwhile`, if not empty, is called once between the two: BIRD works on another
  // processor.
  Result<std::vector<BirdReply>> AskAll(const std::vector<std::string>& commands,
                                        MonotonicTime deadline,
                                        const std::function<void()>& meanwhile = {});

  // Readable when nothing was asked: BIRD closed the connection, or says what nobody asked for.
  int fd() const { return socket_.fd(); }
  // False after an error, and when BIRD has closed the connection (looks, without waiting).
  bool Usable();

 private:
  BirdControl(DaemonSocket socket, const std::string& path)
      : socket_(std::move(socket)), path_(path) {}
  static Result<std::unique_ptr<BirdControl>> Greet(DaemonSocket socket, const std::string& path,
                                                    MonotonicTime deadline);
  Result<std::vector<BirdReply>> ReadReplies(size_t count, MonotonicTime deadline,
                                             std::string_view what);
  Status Lost(std::string_view why) const;

  DaemonSocket socket_;
  const std::string path_;
  BirdReplyReader reader_;
  bool broken_ = false;
};

}  // namespace podroute

#endif  // PODROUTE_ROUTING_BIRD_CONTROL_H_
