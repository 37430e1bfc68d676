#include "tests/bench/bench_agent.h"

#include <fcntl.h>
#include <glog/logging.h>
#include <unistd.h>

#include <future>
#include <utility>

namespace podroute {

void LogToFile(const char* program) {
  // Gone when the process ends.
  int file = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  Check(file >= 0 && dup2(file, STDERR_FILENO) >= 0, "no file to log to");
  close(file);
  FLAGS_logtostderr = true;
  FLAGS_colorlogtostderr = false;
  google::InitGoogleLogging(program);
}

BenchAgent::BenchAgent(size_t nodes, bool tls) : server_(nodes, tls) {
  options_.kubeconfig = server_.kubeconfig();
  options_.node_name = MakeBenchNode(0).name;
  options_.cleanup_on_exit = true;
  client_ = OrDie(ApiClient::Create(options_));
  RouteWitness witness;
  // The loop is that of the thread that makes it.
  std::promise<HostAgent*> made;
  thread_ = std::thread([&, this] {
    agent_ = OrDie(HostAgent::Create(options_, *client_.transport, client_.host));
    made.set_value(agent_.get());
    Run();
  });
  made.get_future().wait();
  witness.AwaitRoutes(nodes - 1);
  server_.AwaitWatch();
}

void BenchAgent::Run() {
  Status status = agent_->Run();
  Check(status.ok(), status.message());
}

BenchAgent::~BenchAgent() {
  agent_->Stop();
  thread_.join();
  agent_.reset();
}

}  // namespace podroute
