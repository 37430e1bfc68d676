// Conversations between network namespaces.
#ifndef PODROUTE_TESTS_CNI_TRAFFIC_H_
#define PODROUTE_TESTS_CNI_TRAFFIC_H_

#include <cstdint>
#include <string>
#include <thread>

#include "base/unique_fd.h"

namespace podroute {

// Answers everybody, over both families, with "NAME ADDRESS", the address being the one it sees.
// Ends with this object.
class WhoServer {
 public:
  // `netns`: a path; empty: the calling thread's own. `protocol`: IPPROTO_*. Aborts when it cannot
  // listen.
  WhoServer(const std::string& netns, int protocol, uint16_t port, std::string name);
  ~WhoServer();
  WhoServer(const WhoServer&) = delete;
  WhoServer& operator=(const WhoServer&) = delete;

 private:
  void Serve();

  const int protocol_;
  const std::string name_;
  UniqueFd socket_;
  UniqueFd stop_;
  std::thread thread_;
};

struct Question {
  std::string netns;  // Of the one who asks; empty: the calling thread's own.
  std::string address;
  uint16_t port = 0;
  int protocol = 0;
  int timeout_ms = 10000;  // Short where no answer is to come.
  uint16_t from_port = 0;  // 0: any.
};
// The answer, or "no answer: REASON".
std::string Ask(const Question& question);

// Whether this kernel has SCTP.
bool HasSctp();

}  // namespace podroute

#endif  // PODROUTE_TESTS_CNI_TRAFFIC_H_
