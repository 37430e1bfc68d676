// The whole agent of host mode, as the executable has it, in this process.
#ifndef PODROUTE_TESTS_BENCH_BENCH_AGENT_H_
#define PODROUTE_TESTS_BENCH_BENCH_AGENT_H_

#include <cstddef>
#include <memory>
#include <thread>

#include "controller/api_client.h"
#include "controller/host_agent.h"
#include "tests/bench/node_server.h"

namespace podroute {

// Sends this process's log to a file of its own, as an agent under a supervisor has it. Call first
// in main.
void LogToFile(const char* program);

// Everything is done in the network namespace of the constructor's thread, where `lan` has
// 192.168.0.2/16. On return all routes are there.
class BenchAgent {
 public:
  BenchAgent(size_t nodes, bool tls);
  // Removes the routes.
  ~BenchAgent();

  NodeServer& server() { return server_; }

 private:
  void Run();

  NodeServer server_;
  Options options_;
  ApiClient client_;
  std::unique_ptr<HostAgent> agent_;
  std::thread thread_;
};

}  // namespace podroute

#endif  // PODROUTE_TESTS_BENCH_BENCH_AGENT_H_
