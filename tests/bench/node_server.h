// An API server that has Nodes, and says what the benchmark wants when it wants it.
#ifndef PODROUTE_TESTS_BENCH_NODE_SERVER_H_
#define PODROUTE_TESTS_BENCH_NODE_SERVER_H_

#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <string>

#include "tests/base/temp_dir.h"
#include "tests/bench/bench_node.h"
#include "tests/bench/bench_util.h"
#include "tests/k8sclient/scripted_server.h"
#include "tests/k8sclient/test_certificates.h"

namespace podroute {

// On loopback of the network namespace that its constructor's thread is in. Answers any list with
// MakeBenchNode(0 ... nodes - 1, dual_stack), whole, as a server does that is asked for
// resourceVersion=0, and keeps watches open; it has no watch-list.
class NodeServer {
 public:
  NodeServer(size_t nodes, bool tls, bool dual_stack = false);
  ~NodeServer();

  // A kubeconfig that leads here.
  const std::string& kubeconfig() const { return kubeconfig_; }

  // Waits for a watch (30 s).
  void AwaitWatch();
  // Sends the event in one write(2) on the last watch that was opened; when that began.
  BenchClock::time_point Send(const std::string& type, const BenchNode& node);

 private:
  void Serve(ServerConnection& connection);
  void AnswerList(ServerConnection& connection) const;
  void HoldWatch(ServerConnection& connection);

  const size_t nodes_;
  const bool dual_stack_;
  const TempDir files_;
  std::mutex mutex_;
  std::condition_variable changed_;
  ServerConnection* watch_ = nullptr;  // Guarded by mutex_.
  bool closing_ = false;
  std::unique_ptr<ScriptedServer> server_;
  std::string kubeconfig_;
};

}  // namespace podroute

#endif  // PODROUTE_TESTS_BENCH_NODE_SERVER_H_
