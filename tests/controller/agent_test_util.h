// What end-to-end tests of `podroute run` share: a node in a network namespace of its own, with a
// LAN, an API server, and the real executable.
#ifndef PODROUTE_TESTS_CONTROLLER_AGENT_TEST_UTIL_H_
#define PODROUTE_TESTS_CONTROLLER_AGENT_TEST_UTIL_H_

#include <gtest/gtest.h>
#include <signal.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "routing/netlink_socket.h"
#include "tests/apiserver/server_process.h"
#include "tests/base/temp_dir.h"
#include "tests/controller/child_process.h"
#include "tests/lab/netns.h"

namespace podroute {

// A Node as a test thinks of it; see Json.
struct TestNode {
  std::string name;
  std::vector<std::string> pod_cidrs;
  std::vector<std::string> internal_ips;
  std::string created = "2026-01-01T00:00:00Z";
  std::string Json() const;
};

// Node number `i` of a usual cluster: node3 has 10.244.3.0/24, 192.168.0.3 and the same in IPv6.
TestNode UsualNode(int i);
TestNode UsualNodeV4(int i);
// Its routes as OurRoutes shows them, for nodes [first, last]; self (1) left out.
std::string UsualRoutes(int first, int last);
std::string UsualRoutesV4(int first, int last);

// A List as an API server sends it.
std::string NodeListJson(const std::string& version, const std::vector<std::string>& nodes);

// Every change of a route or nexthop object in the network namespace since it was made, one line
// each: "new 10.244.2.0/24 via 192.168.0.2 proto 110 metric 110", "del ...", "newnexthop
// 192.168.0.2", "delnexthop". The kernel's own, for addresses, are left out.
class KernelLog {
 public:
  KernelLog();
  int fd() const { return socket_ ? socket_->fd() : -1; }
  const std::string& text();
  // Listens no longer: for when there is more to come than its buffer holds.
  void Stop() { socket_.reset(); }
  int Count(const std::string& what);
  void Clear();

 private:
  std::unique_ptr<NotificationSocket> socket_;
  std::string text_;
};

class AgentTest : public ::testing::Test {
 protected:
  // 192.168.0.1/24 and fd00:192:168::1/64 on `lan`.
  void SetUp() override;
  void TearDown() override;

  // Of 127.0.0.1 in the namespace.
  void StartServer(const ServerProcessOptions& options = {});
  // Adds or changes Nodes, unvalidated.
  void PutNode(const TestNode& node) { PutNodes({node}); }
  void PutNodes(const std::vector<TestNode>& nodes);
  void PutJson(const std::string& json);
  void DeleteNode(const std::string& name);
  // An order to misbehave: Order("POST", "faults?kind=garbage"). Fails the test when refused.
  std::string Order(const std::string& method, const std::string& order);
  // How often the server was asked: Asked("list nodes").
  int Asked(const std::string& what);

  // Where `run` installs and `cleanup` removes, unless told otherwise.
  std::string BinDir() const { return dir_->File("cni/bin"); }
  std::string ConfDir() const { return dir_->File("cni/net.d"); }
  std::string DataDir() const { return dir_->File("cni/state"); }
  std::string Conflist() const { return ConfDir() + "/10-podroute.conflist"; }

  // `podroute VERB ARGUMENTS`, with the server's kubeconfig unless there is a --kubeconfig.
  ChildProcess& Start(std::vector<std::string> arguments, bool unprivileged = false);
  // `podroute run` as node1, which polls nothing: a resync is an hour away.
  ChildProcess& StartAgent(std::vector<std::string> flags = {});
  // ... and it has put its routes in place.
  ChildProcess& StartAgentAndWait(std::vector<std::string> flags = {});
  // Runs it to its end.
  struct Ran {
    int code;
    std::string out, err;
  };
  Ran Run(const std::vector<std::string>& arguments, bool unprivileged = false);
  ChildProcess& agent() { return *children_.back(); }
  // SIGTERM, and waits.
  int StopAgent();

  // Where the last agent serves its metrics, on 127.0.0.1; 0: not yet.
  int MetricsPort();
  // What it serves there, and the status behind it: "ok\n200".
  std::string Get(const std::string& path);
  // The value behind `metric`, with its labels as they stand there; -1 when there is none.
  double Value(const std::string& metric);
  ::testing::AssertionResult Becomes(const std::string& metric, double value);
  // podroute_backend_errors_total counts it, be it while reading or while changing, and the log
  // says it with `words` in the error.
  ::testing::AssertionResult Fails(const std::string& backend, const std::string& reason,
                                   const std::string& words);

  // Waits until it is so: looks after each line of the log, each change in the kernel, and every
  // now and then. False after half a minute.
  ::testing::AssertionResult Eventually(const std::string& what, const std::function<bool()>& so);
  ::testing::AssertionResult Says(const std::string& text, int times = 1);
  ::testing::AssertionResult RoutesBecome(const std::string& routes);

  // The routes with our mark, "DESTINATION GATEWAY", one a line, in order of text.
  std::string OurRoutes();
  std::string OurNexthops() { return Shell("ip nexthop show proto 110"); }
  // Everything but those and the pods' bridge's, as ip(8) shows it; nexthop objects too.
  std::string Strangers();
  // A link and its addresses as somebody made them, without what the kernel says of its carrier in
  // its own time.
  static std::string LinkText(const std::string& link) {
    return Shell("ip address show dev " + link + " | sed -E 's/NO-CARRIER,//; s/ state [A-Z]+//'");
  }

  std::string WriteTemp(const std::string& name, const std::string& text);

  std::unique_ptr<ServerProcess> server_;
  std::unique_ptr<KernelLog> kernel_;
  std::vector<std::unique_ptr<ChildProcess>> children_;
  std::unique_ptr<TempDir> dir_;
  int lan_ = 0;

 private:
  std::unique_ptr<NetlinkSocket> netlink_;
};

}  // namespace podroute

#endif  // PODROUTE_TESTS_CONTROLLER_AGENT_TEST_UTIL_H_
